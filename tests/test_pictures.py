"""Pictures of runs for papers: the same bytes every time, and nothing in their names is code."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

pytest.importorskip("matplotlib", reason="pictures need the extra 'app'")

from sample_run import HOSTILE, class_run, hostile_run, sample_run

from nbt_embed.app.pictures import plot
from nbt_embed.app.results import Pictures
from nbt_embed.errors import InputError


def texts(path: Path) -> str:
    """Everything that an SVG says."""
    root = ET.fromstring(path.read_text(encoding="utf-8"))
    return "\n".join(
        "".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")
    )


@pytest.mark.parametrize("make", [lambda: sample_run(400, 3, (1, 5)), class_run])
def test_equal_runs_give_equal_bytes(make: Any, tmp_path: Path) -> None:
    for ending in ("svg", "png"):
        paths = [tmp_path / f"{place}.{ending}" for place in range(2)]
        document, pictures = make()
        for path in paths:
            plot(document, pictures, path)
        first, second = (path.read_bytes() for path in paths)
        assert first == second
        assert len(first) > 10_000


def test_it_names_targets_models_and_bytes(tmp_path: Path) -> None:
    document, pictures = sample_run(400, 3, (1, 5))
    path = tmp_path / "run.svg"
    plot(document, pictures, path)
    said = texts(path)
    assert "machine.csv, 400 rows (the first 4 of 6 forecasts)" in said
    for one in pictures.tracks[:4]:
        assert f"{one.target}, {one.horizon} row" in said
    for model in document["models"].values():
        assert model["name"] in said
        assert f"{model['memory_bytes']:,}" in said
    for name in pictures.trust[0].weight:
        assert name in said


def test_names_are_no_mathematics_and_no_markup(tmp_path: Path) -> None:
    path = tmp_path / "run.svg"
    plot(*hostile_run(), path)
    said = texts(path)
    assert HOSTILE[0][:30] in said
    assert "script" not in {one.tag.rpartition("}")[2] for one in ET.parse(path).iter()}


def test_what_is_missing_is_left_out(tmp_path: Path) -> None:
    document, pictures = sample_run(400)
    plot(document, Pictures(pictures.tracks, (), ()), tmp_path / "run.png")
    with pytest.raises(InputError, match="no forecast that could be drawn"):
        plot(document, Pictures((), (), ()), tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_other_endings_are_refused(tmp_path: Path) -> None:
    for name in ("run.jpg", "run", "svg"):
        with pytest.raises(InputError, match=r"expected a name that ends in \.png or \.svg"):
            plot(*sample_run(400), tmp_path / name)
    assert not list(tmp_path.iterdir())
