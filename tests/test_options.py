"""Options of the commands: names of columns."""

from __future__ import annotations

import argparse

import pytest

from nbt_embed.options import names


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a, b ", ["a", "b"]),
        ('"a, b",c', ["a, b", "c"]),
        ('3/4" pipe,b', ['3/4" pipe', "b"]),
        ('"3/4"" pipe, x",b', ['3/4" pipe, x', "b"]),
        ('""" a""",b"c"d', ['" a"', 'b"c"d']),
    ],
)
def test_names_are_quoted_as_in_csv(text: str, found: list[str]) -> None:
    assert names(text) == found


def test_names_that_cannot_be_written_are_refused() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not UTF-8"):
        names("a,\udcff")


@pytest.mark.parametrize("text", ["", ",", "a,,b", "a,", '""', '"a', '"a"b', '"a"""b"'])
def test_names_that_are_cut_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="a quote within them twice"):
        names(text)
