"""Every link of a document leads to a file, and to a heading of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import ROOT

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "csrc/*.md", "tools/*.md")
    for path in ROOT.glob(pattern)
)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`]*`")
REFERENCE = re.compile(r"\]\[([^]]+)\]")
DEFINITION = re.compile(r"^ *\[([^]]+)\]:", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """The fragments that headings of a Markdown file can be linked by."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in HEADING.findall(text))
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in plain}


def dead(path: Path) -> list[str]:
    """The links of a document that lead nowhere; those to other sites are not followed."""
    wrong = []
    for link in LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, fragment = link.partition("#")
        target = (path.parent / name) if name else path
        if not target.exists() or (
            fragment and target.suffix == ".md" and fragment not in anchors(target)
        ):
            wrong.append(link)
    prose = CODE.sub("", FENCE.sub("", path.read_text(encoding="utf-8")))
    named = {name.lower() for name in DEFINITION.findall(prose)}
    return wrong + [name for name in REFERENCE.findall(prose) if name.lower() not in named]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(path: Path) -> None:
    assert dead(path) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b`, c\n[1](page.md#a-b-c) [2](no.md) [3](#no) [4](https://x.y) [5](#a-b-c)\n"
        "[6][there] [7][nowhere] `x[0][1]`\n\n[There]: https://x.y\n"
    )
    assert dead(page) == ["no.md", "#no", "nowhere"]


def test_the_index_lists_every_page() -> None:
    index = ROOT / "docs/index.md"
    linked = {link.partition("#")[0] for link in LINK.findall(index.read_text(encoding="utf-8"))}
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages - linked == {"index.md"}
