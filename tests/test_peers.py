"""The comparison with river's own models: what it makes of results, and that it measures."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

pytest.importorskip("river", reason="pip install 'nbt-embed[river]'")
from tools.peers import __main__ as peers
from tools.peers import absent
from tools.peers.models import MODELS
from tools.peers.streams import STREAMS


def made_up() -> dict[tuple[int, int], tuple[float, float]]:
    """The first model is second best of classes, and best of the others; the last diverges."""
    results = {}
    for at, stream in enumerate(STREAMS):
        last = len(MODELS[stream.task]) - 1
        for number in range(last + 1):
            found = 90.0 - number + 4 * (number == 1) if stream.task == "classes" else 1.0 + number
            results[at, number] = (found, 10.0 * (number + 1))
        if stream.task != "classes":
            results[at, last] = (math.inf, 1.0)
    return results


def test_the_best_is_bold_and_what_is_lost_is_named() -> None:
    classes, numbers, series = (peers.table(task, made_up()) for task in MODELS)
    assert "| Phishing | 90.00 | **93.00** | 88.00 |" in classes
    assert "| TrumpApproval | **1.00** | 2.00 |" in numbers
    assert numbers.count("diverged") == 8
    assert "| *error of nbt_embed / its error* | 1.00 | 0.50 | 0.33 |" in series
    assert peers.lost("classes", made_up())[0] == "Phishing (usual class)"
    assert peers.lost("numbers", made_up()) == []
    assert "Streams on which another model is better: 18. Phishing" in peers.report(made_up())


def test_every_model_can_be_measured_on_every_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """On their first rows, those of the documents."""
    monkeypatch.setattr("tools.peers.streams.ROWS", 60)
    monkeypatch.setattr(absent, "ROWS", 60)
    for at, stream in enumerate(STREAMS):
        if stream.name in ("Phishing", "Mv", "two seasons"):
            for number in range(len(MODELS[stream.task])):
                found, microseconds = peers.measure(at, number, 0)
                assert found >= 0
                assert microseconds > 0


def test_what_was_measured_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "measured.jsonl"
    lines = [
        f"[[{at}, {number}, {seed}], [{seed}, 5.0]]\n"
        for at, stream in enumerate(STREAMS)
        for number, model in enumerate(MODELS[stream.task])
        for seed in range(model.seeds)
    ]
    kept.write_text("".join(lines), encoding="utf-8")
    monkeypatch.setattr(peers, "measure", None)  # nothing is left to do
    results = peers.measured(1, kept)
    assert results[0, 0] == (1, 5.0)
    assert not kept.exists()
