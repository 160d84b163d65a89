"""Questions of new users have answers that are at most two clicks away from README.md."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT
from test_links import FENCE, HEADING, LINK

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Question(NamedTuple):
    """What is asked, and the page, the heading and the words of the answer."""

    asks: str
    page: str
    heading: str
    answer: str


FILE = tomllib.loads((ROOT / "tests/questions.toml").read_text(encoding="utf-8"))
QUESTIONS = [Question(**one) for one in FILE["question"]]


def linked(page: Path) -> set[Path]:
    """The Markdown pages that a page links to."""
    if page.suffix != ".md":
        return set()
    links = LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    found = {(page.parent / link.partition("#")[0]).resolve() for link in links if ":" not in link}
    return {path for path in found if path.is_file()}


def clicks(page: Path, start: Path) -> int | None:
    """How many links lead from the start to a page; None if more than two do."""
    if page == start:
        return 0
    first = linked(start)
    if page in first:
        return 1
    return 2 if any(page in linked(one) for one in first) else None


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    bare = FENCE.sub(lambda match: re.sub(r"^#", "%", match[0], flags=re.MULTILINE), text)
    for match in HEADING.finditer(bare):
        if match[1] == heading:
            level = len(match[0]) - len(match[0].lstrip("#"))
            below = re.compile(rf"^#{{1,{level}}} ", re.MULTILINE).search(bare, match.end())
            return text[match.end() : below.start() if below else None]
    raise AssertionError(f"no heading {heading!r}")


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.asks)
def test_a_question_is_answered_within_two_clicks(question: Question) -> None:
    page = (ROOT / question.page).resolve()
    assert clicks(page, (ROOT / "README.md").resolve()) is not None
    answer = section(page.read_text(encoding="utf-8"), question.heading)
    assert question.answer in answer


def test_there_are_twenty_questions() -> None:
    assert len({question.asks for question in QUESTIONS}) >= 20


def test_clicks_and_sections_are_found(tmp_path: Path) -> None:
    names = ("a", "b", "c", "d")
    start, one, two, three = (tmp_path / f"{name}.md" for name in names)
    start.write_text("[b](b.md#x) [site](https://x.y)\n")
    one.write_text("# X\nfirst\n```\n# no heading\n```\n## Y\nsecond [c](c.md)\n# Z\nthird\n")
    two.write_text("[d](d.md)\n")
    three.write_text("")
    assert [clicks(page, start) for page in (start, one, two, three)] == [0, 1, 2, None]
    assert section(one.read_text(), "X").split()[-1] == "[c](c.md)"
    assert section(one.read_text(), "Y").strip() == "second [c](c.md)"
    with pytest.raises(AssertionError, match="no heading"):
        section(one.read_text(), "no heading")
