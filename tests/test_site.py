"""The site of the documents: pages that are made of sources."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from tools.site import commands, header, notebook

pytest.importorskip("mkdocs")


def test_the_page_of_a_header_has_every_function() -> None:
    text = (ROOT / "csrc/nbt.h").read_text(encoding="utf-8")
    page = header.page(text)
    without_comments = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    functions = set(re.findall(r"^[a-z_0-9 ]+ \*?(nbt_\w+)\(", without_comments, re.MULTILINE))
    assert len(functions) > 30
    assert {name for name in functions if f"## `{name}`" not in page} == set()
    assert all(f"## `{name}`" in page for name in ("nbt_config", "nbt_status", "NBT_DEFAULT_BYTES"))
    headings = re.findall(r"^## .*", page, re.MULTILINE)
    assert len(headings) == len(set(headings))


def test_a_comment_becomes_paragraphs_and_code() -> None:
    text = header.prose(
        "/* Purpose: a thing_of nbt_x:\n *\n *     call(x);\n *\n"
        " * Arguments: a * b, NBT_CELL_*.\n * Returns: 1. Cost: O(1). */"
    )
    assert text == (
        "A thing\\_of `nbt_x`:\n\n```c\ncall(x);\n```\n\n**Arguments.** a \\* b, `NBT_CELL_*`.\n\n"
        "**Returns.** 1.\n\n**Cost.** O(1)."
    )


def test_the_page_of_commands_has_their_options() -> None:
    page = commands.page()
    assert "## `nbt-embed run`" in page
    assert "--horizon" in page


def test_a_notebook_becomes_text_programs_and_output() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# A\n", "[b](c.ipynb#d)"]},
        {
            "cell_type": "code",
            "source": ["print(1)"],
            "outputs": [
                {"text": ["1\n"]},
                {"data": {"image/png": "AA\n", "text/plain": ["x"]}},
                {"data": {"text/html": ["<table></table>"]}},
            ],
        },
    ]
    assert notebook.page(json.dumps({"cells": cells})) == (
        "# A\n[b](c.md#d)\n\n```python\nprint(1)\n```\n\n```text\n1\n```\n\n"
        "![](data:image/png;base64,AA)\n\n<table></table>\n"
    )


def site(folder: Path, page: str, nav: str = "") -> subprocess.CompletedProcess[str]:
    """Build a site of one page with the settings of ours."""
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs" / "index.md").write_text(page)
    settings = re.sub(r"^nav:.*?(?=^\S)", nav, settings, flags=re.MULTILINE | re.DOTALL)
    settings = settings.replace("tools/site/hooks.py", str(ROOT / "tools/site/hooks.py"))
    (folder / "mkdocs.yml").write_text(settings)
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "NO_MKDOCS_2_WARNING": "1"},
    )


def test_a_link_out_of_the_documents_leads_to_a_page_of_the_source(tmp_path: Path) -> None:
    done = site(tmp_path, "# A\n\n[kernel](../csrc/nbt.h) and [map](../csrc/README.md#the-map)\n")
    assert "the-map" in done.stderr  # no such heading
    assert (tmp_path / "build/site/source/csrc/nbt.h.html").exists()


def test_a_page_of_the_source_stands_in_the_navigation(tmp_path: Path) -> None:
    nav = "nav: [index.md, {A: [a.md, {The map: source/csrc/README.md}]}]\n"
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# A\n")
    site(tmp_path, "# Home\n\n[kernel](../csrc/README.md)\n", nav)
    assert "The map" in (tmp_path / "build/site/a.html").read_text()


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("[x](no.md)", "no.md"),
        ('<script src="https://example.org/a.js"></script>', "another site"),
    ],
)
def test_a_page_that_is_not_whole_is_refused(page: str, said: str, tmp_path: Path) -> None:
    done = site(tmp_path, f"# A\n\n{page}\n")
    assert done.returncode != 0
    assert said in done.stderr + done.stdout
