"""Pictures of runs for papers: the same bytes every time, and nothing in their names is code."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest

pytest.importorskip("matplotlib", reason="pictures need the extra 'app'")

from sample_run import HOSTILE, class_run, hostile_run, sample_run

from nbt_embed.app.pictures import picture
from nbt_embed.app.results import Pictures
from nbt_embed.errors import InputError


def texts(svg: bytes) -> str:
    """Everything that an SVG says."""
    found = ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return "\n".join("".join(one.itertext()) for one in found)


@pytest.mark.parametrize("make", [lambda: sample_run(400, 3, (1, 5)), class_run])
def test_equal_runs_give_equal_bytes(make: Any) -> None:
    document, pictures = make()
    for name in ("run.svg", "run.PNG"):
        first = picture(document, pictures, name)
        assert first == picture(document, pictures, name)
        assert len(first) > 10_000


def test_it_names_targets_models_and_bytes() -> None:
    document, pictures = sample_run(400, 3, (1, 5))
    said = texts(picture(document, pictures, "run.svg"))
    assert "machine.csv, 400 rows (the first 4 of 6 forecasts)" in said
    for one in pictures.tracks[:4]:
        assert f"{one.target}, {one.horizon} row" in said
    for model in document["models"].values():
        assert model["name"] in said
        if model["memory_bytes"] is not None:
            assert f"{model['memory_bytes']:,}" in said
    for name in pictures.trust[0].weight:
        assert name in said


def test_names_are_no_mathematics_and_no_markup() -> None:
    svg = picture(*hostile_run(), "run.svg")
    said = texts(svg)
    assert HOSTILE[0][:30] in said
    assert f"{HOSTILE[0][:23]}…" in said.splitlines()  # in a legend
    assert "script" not in {one.tag.rpartition("}")[2] for one in ET.fromstring(svg).iter()}


def test_what_is_missing_is_left_out() -> None:
    document, pictures = sample_run(400)
    assert picture(document, Pictures(pictures.tracks, (), ()), "run.png")
    with pytest.raises(InputError, match="no forecast that could be drawn"):
        picture(document, Pictures((), (), ()), "none.png")


def test_other_endings_are_refused() -> None:
    for name in ("run.jpg", "run", "svg"):
        with pytest.raises(InputError, match=r"expected a name that ends in \.png or \.svg"):
            picture(*sample_run(400), name)
