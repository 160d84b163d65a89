"""Numbers that may mark missing values: which are reported, and which are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nbt_embed.app.markers import Marker
from nbt_embed.app.reading import ReadOptions, read

WAVE = np.round(20 + 5 * np.sin(np.arange(300) / 7), 2)


def marked(value: float, rows: tuple[int, ...] = (3, 70, 250)) -> np.ndarray:
    """The wave with a value in some rows."""
    values = WAVE.copy()
    values[list(rows)] = value
    return values


def notes(path: Path, columns: dict[str, np.ndarray], *missing: str) -> list[str]:
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join(f"{value:g}" for value in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    with read([path], ReadOptions(missing=missing)) as recording:
        return [note for note in recording.notes if "far from" in note]


@pytest.mark.parametrize("value", [-200.0, -99.0, -9999.0, 65535.0, 9999.0])
def test_a_number_far_from_all_others_is_reported(value: float, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    assert notes(path, {"a": marked(value), "b": WAVE}) == [
        f"column 'a' holds {value:g} in 3 rows, far from all other values: "
        f"if it marks missing values, name it with --missing {value:g}"
    ]
    assert notes(path, {"a": marked(value), "b": WAVE}, f"{value:g}") == []


def test_several_columns_are_one_note(tmp_path: Path) -> None:
    columns = {name: marked(-200) for name in "abcd"} | {"e": marked(-200, (1, 2, 3, 4))}
    (note,) = notes(tmp_path / "log.csv", columns)
    assert note.startswith("columns 'a', 'b', 'c' and 2 more hold -200 in up to 4 rows, far")


@pytest.mark.parametrize(
    "values",
    [
        marked(-200, (3, 70)),  # too few
        marked(-50),  # small
        marked(-200.5),  # no whole number
        np.tile([-100.0, 0.0, 100.0], 100),  # positions of a valve
        np.round(150 * np.sin(np.arange(300) / 7)),  # other values as low
        np.minimum(np.round(999 + 40 * np.sin(np.arange(300) / 7)), 999),  # limited
        WAVE,
    ],
)
def test_ordinary_extremes_are_not(values: np.ndarray, tmp_path: Path) -> None:
    assert notes(tmp_path / "log.csv", {"a": values, "b": WAVE}) == []


@pytest.mark.parametrize("value", [-200.0, 65535.0])
def test_the_cut_into_batches_does_not_matter(value: float) -> None:
    values = marked(value, (0, 20, 40, 41, 299))
    values[100:110] = np.nan
    for size in (20, 50, 300):
        marker = Marker(1 if value < 0 else -1)
        for batch in np.split(values, range(size, 300, size)):
            marker.add(batch, float((np.fmin if value < 0 else np.fmax).reduce(batch)))
        assert marker.found == value
        assert marker.count == 5
        worse = np.array([value * 0.7])
        marker.add(worse, float(worse[0]))
        assert marker.found is None
