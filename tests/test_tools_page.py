"""tools/README.md has every tool, every target that runs one, and the documents of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from conftest import ROOT

PAGE = (ROOT / "tools" / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
DOCUMENT = re.compile(r"(?:README|docs/[\w/-]+)\.md")
MODULE = re.compile(r"-m tools\.([\w.]+)")


class Use(NamedTuple):
    """What targets run, and what they write on request."""

    code: frozenset[str]
    documents: frozenset[str]


def tables() -> Iterator[dict[str, str]]:
    """Every row of the page, by the heads of its table."""
    heads: list[str] = []
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            heads = []
        elif not heads:
            heads = cells
        elif set(line) - set("|-"):
            yield dict(zip(heads, cells, strict=True))


def path_of(module: str) -> str:
    """Return a module as the page names it: a file, or the folder of a package."""
    path = module.replace(".", "/")
    return f"{path}/" if (ROOT / "tools" / path).is_dir() else f"{path}.py"


def uses() -> dict[str, Use]:
    """What the recipes of the Makefile do, of targets that run a tool."""
    texts = dict(re.findall(r"^(\w+) :?= (.*)$", MAKEFILE, re.MULTILINE))
    found = {}
    for target, recipe in re.findall(
        r"^([a-z][\w-]*):[^\n]*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE
    ):
        text = re.sub(r"\$\((\w+)\)", lambda name: texts.get(name[1], ""), recipe)
        code = frozenset(map(path_of, MODULE.findall(text)))
        if code:
            found[target] = Use(code, frozenset(DOCUMENT.findall(text)))
    return found


def on_the_page() -> dict[tuple[str, ...], dict[str, str]]:
    """Return the rows of targets, by these."""
    return {
        tuple(re.findall(r"`make ([\w-]+)`", row["target"])): row
        for row in tables()
        if "target" in row
    }


def test_every_target_that_runs_a_tool_is_there_and_no_other() -> None:
    named = [target for targets in on_the_page() for target in targets]
    assert sorted(named) == sorted(uses())
    assert len(named) > 30


def test_every_target_stands_with_what_it_runs() -> None:
    made = uses()
    for targets, row in on_the_page().items():
        code = frozenset(re.findall(r"`([\w/]+(?:/|\.py))`", row["code"]))
        assert {made[target].code for target in targets} == {code}, targets


def test_every_target_stands_with_the_documents_that_it_writes() -> None:
    made, checked = uses(), 0
    for targets, row in on_the_page().items():
        if "document" in row:
            written = frozenset.union(*(made[target].documents for target in targets))
            assert frozenset(DOCUMENT.findall(row["document"])) == written, targets
            checked += bool(written)
    assert checked > 15


def test_every_document_is_there() -> None:
    assert not [one for one in DOCUMENT.findall(PAGE) if not (ROOT / one).exists()]


def test_every_tool_is_there_and_no_other() -> None:
    folder = ROOT / "tools"
    there = {path.name for path in folder.glob("*.py")}
    there |= {f"{path.parent.name}/" for path in folder.glob("*/*.py")}
    cells = [row["code"] for row in tables()]
    named = {re.sub("/.*", "/", one) for cell in cells for one in re.findall(r"`([^`]+)`", cell)}
    assert named == there
    alone = [row["code"].strip("`") for row in tables() if "target" not in row]
    assert len(alone) == len(set(alone))
    assert not set(alone) & {re.sub("/.*", "/", one) for use in uses().values() for one in use.code}
