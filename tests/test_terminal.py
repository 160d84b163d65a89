"""Tables and pictures in a terminal: they fit, are plain when piped, and tell the truth."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rich", reason="tables need the extra 'app'")
pytest.importorskip("plotext", reason="pictures in a terminal need the extra 'app'")

from dataclasses import replace

from rich.cells import cell_len
from sample_run import HOSTILE, class_run, hostile_run, sample_run

from nbt_embed.app import tables, terminal
from nbt_embed.app.results import Pictures


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def words(text: str) -> str:
    """Text with its blanks made equal."""
    return " ".join(text.split())


@pytest.mark.parametrize("width", [40, 80, 133])
@pytest.mark.parametrize("make", [lambda: sample_run(400, 3, (1, 5)), class_run, hostile_run])
def test_no_line_is_wider_than_asked_for(make: Any, width: int) -> None:
    document, pictures = make()
    text = terminal.report(document, pictures, width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text


def test_the_verdict_comes_first_and_every_score_is_there() -> None:
    document, pictures = sample_run(400, 3, (1, 5))
    text = terminal.report(document, pictures)
    assert words(text).startswith(words(f"machine.csv: 400 rows {document['verdict'][0]}"))
    for horizon in document["horizons"]:
        for line in horizon["targets"]:
            own = line["scores"]["learner"]
            (row,) = [
                found
                for found in text.splitlines()
                if re.match(rf"{horizon['horizon']} +{line['target'][:4]}", found)
                and f"{own['mae']:.4g}" in found
            ]
            figures = [f"{own[key]:.4g}" for key in ("rmse", "mae", "nrmse")]
            assert row.split()[2:6] == [f"{line['scored_rows']:,}", *figures]
            assert f"{100 * own['skill']:.1f} %" in row
            for score in line["scores"].values():
                assert f" {score['rmse']:.4g}" in text
        for ratio in horizon["ratios"].values():
            assert f" {ratio['learner_over']:.4g}" in text
    assert f"{document['learner']['memory_bytes']:,}" in text
    for note in document["source"]["notes"]:
        assert note in text


def test_the_best_of_each_line_is_marked_without_colour() -> None:
    document, _ = sample_run(400, 3, (1, 5))
    text = terminal.report(document)
    for horizon in document["horizons"]:
        for line in horizon["targets"]:
            best = min(score["rmse"] for score in line["scores"].values())
            assert f" {best:.4g}*" in text
    ties = {"learner": {"rmse": 1.0}, "rls": {"rmse": 1.0}, "last": {"rmse": None}}
    line = {**document["horizons"][0]["targets"][0], "scores": ties}
    one = {**document, "horizons": [{**document["horizons"][0], "targets": [line], "ratios": {}}]}
    assert tables.models_table(one).best == {(0, 2), (0, 3)}


def test_figures_that_find_no_room_move_to_a_further_table() -> None:
    head = ("target", *(f"model {place}" for place in range(20)))
    rows = tuple((name, *[f"{(place + 10) / 37:.5f}" for place in range(20)]) for name in HOSTILE)
    table = tables.Table("many", head, rows)
    text = "".join(terminal.rendered(block, 60) for block in terminal.blocks(table, 60))
    assert max(cell_len(line) for line in text.splitlines()) <= 60
    for place in range(20):
        found = re.findall(rf"(?<![\d.]){re.escape(f'{(place + 10) / 37:.5f}')}(?![\d.])", text)
        assert len(found) == len(rows)


def test_long_names_keep_both_ends_and_nothing_moves_the_cursor() -> None:
    assert terminal.shortened("temperature_sensor_12", 12) == "temper…or_12"
    assert cell_len(terminal.shortened("温度温度温度温度", 7)) <= 7
    assert terminal.shortened("short", 5) == "short"
    assert tables.safe("a\x1b[31mb\r\nc\u202ed\x00") == "a\ufffd[31mb  c\ufffdd\ufffd"
    document, pictures = hostile_run()
    text = terminal.report(document, pictures)
    assert not set(text) & set("\x1b\r\x00\u202e")
    assert "[bold]b[/bold] :smile:" in text  # no markup, no emoji codes


def test_colour_is_for_terminals_without_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert terminal.wants_colour(Terminal())
    assert not terminal.wants_colour(io.StringIO())
    assert not terminal.wants_colour(None)
    document, pictures = sample_run(400)
    coloured = terminal.report(document, pictures, colour=True)
    assert "\x1b[" in coloured
    plain = re.sub(r"\x1b\[[\d;]*m", "", coloured)
    assert words(plain) == words(terminal.report(document, pictures))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not terminal.wants_colour(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not terminal.wants_colour(Terminal())


def test_a_terminal_without_lines_gets_ascii() -> None:
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    assert terminal.lacks_lines(latin)
    assert terminal.lacks_lines(None)
    assert not terminal.lacks_lines(io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    text = terminal.report(*sample_run(400), ascii_only=True)
    assert text.isascii()
    assert text.count("o") > 20


def test_the_picture_shows_truth_and_forecast_and_copes_with_gaps() -> None:
    _, pictures = sample_run(400)
    track = pictures.tracks[0]
    text = terminal.picture(track, "position", width=60, height=10)
    assert len(text.splitlines()) == 11
    assert max(map(len, text.splitlines())) <= 60
    assert text.count("o") > 20
    assert sum("\u2800" < char <= "\u28ff" for char in text) > 20
    nothing = np.full_like(track.truth, np.nan)
    assert terminal.picture(replace(track, truth=nothing), "t") == ""
    alone = terminal.picture(replace(track, forecast=nothing), "t")
    assert "o" not in "".join(alone.splitlines()[1:])
    ones = np.ones_like(track.truth)
    assert "1.0" in terminal.picture(replace(track, truth=ones, forecast=ones), "t")
    assert terminal.picture(track, "t") == terminal.picture(track, "t")


def test_class_targets_have_bits_and_accuracy() -> None:
    document, pictures = class_run()
    text = terminal.report(document, pictures)
    own = document["horizons"][0]["targets"][0]["scores"]["learner"]
    assert f"{own['bits']:.4g}*" in text
    assert f"{100 * own['accuracy']:.1f} %" in text
    assert "RMSE" not in text


def test_a_run_without_anything_else_has_tables() -> None:
    document, _ = sample_run(400)
    (horizon,) = document["horizons"]
    horizons = [{**horizon, "alarms": None, "alarm_threshold": None}]
    bare = {**document, "costs": [], "alternatives": [], "verdict": [], "horizons": horizons}
    text = terminal.report(bare, Pictures((), (), ()))
    assert "microcontrollers" not in text
    assert "Alarms" not in text
    assert "RMSE of every model" in text


def test_the_bar_is_on_a_terminal_alone() -> None:
    shown, piped = Terminal(), io.StringIO()
    for stream in (shown, piped):
        with terminal.Progress(1000, stream=stream) as progress:
            for _ in range(10):
                progress.add(100)
    assert piped.getvalue() == ""
    assert "100%" in shown.getvalue()
    assert shown.getvalue().endswith("\x1b[2K")  # the line is empty again


@pytest.mark.parametrize(("total", "said"), [(1000, "30 of 60 devices"), (None, "60 devices")])
def test_the_bar_may_count_devices(total: int | None, said: str) -> None:
    shown = Terminal()
    with terminal.Progress(total, stream=shown, items=(60, "devices")) as progress:
        progress.add(500)
    assert said in shown.getvalue()
