"""The tutorial prints what is stored in it, and objects show themselves in notebooks."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from test_config import Cells

from nbt_embed import Config, Learner, memory_of
from nbt_embed.evaluate import evaluate
from nbt_embed.simulation import simulated_sensor
from nbt_embed.streams import Stream, from_arrays
from nbt_embed.sweep import sweep


def test_the_tutorial_prints_what_is_stored_in_it() -> None:
    """In a process of its own: a kernel's libraries warn of themselves."""
    pytest.importorskip("nbclient", reason="nbclient is not installed: pip install '.[dev]'")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install '.[dev]'")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[app]'")
    command = [sys.executable, "-m", "tools.notebook"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_what_must_not_be_stored_is_found() -> None:
    notebook = pytest.importorskip("tools.notebook", reason="nbclient is not installed")
    text = notebook.NOTEBOOK.read_text(encoding="utf-8")
    stored = notebook.nbformat.reads(text, as_version=4)
    assert notebook.problems(stored, text) == []
    assert notebook.problems(stored, text.replace("firmware", "/home/me/firmware", 1))
    stored.cells[1].execution_count = None
    assert notebook.problems(stored, text) == ["cell 1 was not executed"]
    texts = [one for _, texts in notebook.said(stored) for one in texts]
    assert sum("<table>" in one for one in texts) >= 5
    assert json.loads(text)["nbformat"] == 4


@pytest.fixture(scope="module")
def stream() -> Stream:
    return simulated_sensor(400, missing=0)


def test_objects_show_themselves(stream: Stream) -> None:
    learner, config = Learner(3, 3, hidden=2), Config(3, 3, hidden=2)
    evaluation = evaluate(learner, stream)
    (swept,) = sweep([config], stream, (0, 1))
    told = Learner(config).run(
        stream.inputs, stream.targets, horizon=1, intervals=True, anomaly=True
    )
    expected = {
        "Stream, 400 rows": (stream, "input position_mm"),
        "Memory, bytes": (memory_of(config), f"{memory_of(config).total:,}"),
        "Counters": (learner.counters, "400"),
        "Evaluation": (evaluation, f"{evaluation.nrmse:.4g}"),
        "Curve, RMSE of each target over 100 rows": (evaluation.curve(100), "to row 400"),
        config.arguments(): (swept, f"{swept.memory_bytes:,} bytes"),
        "Run": (told, "3 levels of each forecast"),
    }
    for title, (shown, cell) in expected.items():
        cells = Cells(shown._repr_html_()).cells  # type: ignore[attr-defined]
        assert cells[0] == title
        assert cell in cells


def test_names_and_gaps_do_no_harm() -> None:
    gaps = from_arrays(np.full((3, 1), np.nan), [1.0, 2.0, np.nan], input_names=["<b>&"])
    assert Cells(gaps._repr_html_()).cells[1:4] == [
        "input <b>&",
        "nothing, 100.0% missing",
        "target y1",
    ]
    assert Cells(Learner(1, 1).run([], [], horizon=1, anomaly=True)._repr_html_()).cells[0] == "Run"
