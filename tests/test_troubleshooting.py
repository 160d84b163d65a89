"""The guide to troubleshooting has every status code of the kernel and every exception."""

from __future__ import annotations

import re

from conftest import ROOT

from nbt_embed import errors

PAGE = (ROOT / "docs/guide/troubleshooting.md").read_text(encoding="utf-8")


def test_every_status_code_is_explained() -> None:
    header = (ROOT / "csrc/nbt.h").read_text(encoding="utf-8")
    codes = header[header.index("typedef enum nbt_status {") : header.index("} nbt_status;")]
    found = re.findall(r"(NBT_\w+) = (-?\d+)", codes)
    assert len(found) > 20
    assert [name for name, number in found if f"| `{name}` | {number} |" not in PAGE] == []


def test_every_exception_and_warning_is_explained() -> None:
    own = {name for name in vars(errors) if name.endswith(("Error", "Warning"))} - {"NbtError"}
    assert len(own) > 10
    assert {name for name in own if f"| `{name}` |" not in PAGE} == set()
