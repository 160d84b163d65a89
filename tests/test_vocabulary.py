"""Documents, comments and messages have no words of our own."""

from __future__ import annotations

from tools import prose, vocabulary


def test_a_word_of_our_own_is_found_with_what_to_write_instead() -> None:
    text = "a barrier\nthe bars were set anew\n"
    found = list(vocabulary.findings("docs/x.md", text))
    assert [(one.line, one.word) for one in found] == [(2, "bars"), (2, "anew")]
    assert "target" in found[0].instead


def test_released_versions_in_the_change_log_are_history() -> None:
    text = "## [Unreleased]\n\nanew\n\n## [0.1.0]\n\nbar\n"
    assert [one.word for one in vocabulary.findings("CHANGELOG.md", text)] == ["anew"]


def test_code_is_no_prose() -> None:
    text = "a `b` c\n\n```\nx x\n```\nd\n"
    assert prose.prose(text) == "a X0 c\n\nX1\n\n\nd\n"
    assert prose.prose(text).count("\n") == text.count("\n")
