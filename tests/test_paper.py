"""The code behind the claims of docs/evidence/paper.md, and that the page shows its records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from numpy.typing import NDArray

from nbt_embed.reference import ReferenceLearner, Settings, numeric_derivative
from tools.learning.curves import Curve
from tools.learning.tasks import anbn
from tools.paper import page, statistics
from tools.paper.__main__ import CLAIMS, main
from tools.paper.backpropagation import Backpropagation, bytes_held, initial_weights
from tools.paper.derivative import Case, columnar
from tools.paper.methods import Ours, Truncated
from tools.paper.record import Record
from tools.paper.runs import SEEDS, TUNING_SEEDS, Runs, Setup, Trial, runs

Array = NDArray[np.float64]
FOLDER = ROOT / "docs/evidence/paper"
COUNTS = (1, 4, 16, 64)


# ---- Bias and variance -------------------------------------------------------------------------


def samples_of(exact: Array, bias: float, deviation: float, n: int = 2048) -> Array:
    rng = np.random.default_rng(0)
    return exact * (1 + bias) + deviation * rng.standard_normal((n, exact.size))


def test_statistics_of_samples_without_bias() -> None:
    exact = np.array([3.0, -4.0, 0.0, 12.0])  # of length 13
    samples = samples_of(exact, 0.0, 2.0)
    assert statistics.relative_variance(samples, exact) == pytest.approx(4 * 4 / 169, rel=0.05)
    assert abs(statistics.along(samples, exact).centre - 1) < statistics.along(samples, exact).half
    found = statistics.error_of_means(samples, exact, COUNTS)
    expected = [4 / 13 / np.sqrt(n) for n in COUNTS]
    for one, right in zip(found, expected, strict=True):
        assert abs(one.centre - right) < 2 * one.half
    exponent = statistics.slope(samples, exact, COUNTS)
    assert abs(exponent.centre + 0.5) < 2 * exponent.half < 0.1


def test_statistics_see_a_bias() -> None:
    exact = np.array([3.0, -4.0, 0.0, 12.0])
    samples = samples_of(exact, 0.1, 2.0)
    interval = statistics.along(samples, exact)
    assert abs(interval.centre - 1) > 5 * interval.half
    assert statistics.covered(samples, exact) <= 0.5
    assert statistics.slope(samples, exact, COUNTS).centre > -0.35


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    held = [
        abs(found.centre) <= found.half
        for found in map(
            statistics.Interval.of_replicates, rng.standard_normal((4000, statistics.REPLICATES))
        )
    ]
    assert np.mean(held) == pytest.approx(0.95, abs=0.012)


@pytest.mark.parametrize(
    ("cell", "estimator", "norm"),
    [
        ("gated", "nobacktrack", "euclidean"),
        ("gated", "nobacktrack", "metric"),
        ("gated", "residual", "euclidean"),
        ("gated", "unitwise", "euclidean"),
        ("lstm", "nobacktrack", "euclidean"),
    ],
)
def test_estimates_are_unbiased_after_training(cell: str, estimator: str, norm: str) -> None:
    found = Case(cell, estimator, 4096, norm, hidden=4).bias()
    mean, exponent = (statistics.Interval(**found[name]) for name in ("along", "slope"))
    assert abs(mean.centre - 1) < 1.5 * mean.half
    assert abs(exponent.centre + 0.5) < 1.5 * exponent.half < 0.2
    assert found["covered"] > 0.8


def test_a_decay_below_one_is_seen_as_a_bias() -> None:
    found = Case("gated", "nobacktrack", 2048, decay=0.9, hidden=4).bias()
    mean = statistics.Interval(**found["along"])
    assert 1 - mean.centre > 3 * mean.half
    assert found["slope"]["centre"] > -0.45


def test_less_of_the_derivative_is_random_in_the_successors() -> None:
    variance = {
        name: Case("gated", name, 256, hidden=8).variance()["variance"]
        for name in ("nobacktrack", "residual", "unitwise")
    }
    assert variance["unitwise"] < 0.2 * variance["residual"] < 0.2 * variance["nobacktrack"]


def test_the_columnar_cell_has_no_variance_and_is_exact_where_no_trace_is_bounded() -> None:
    found = columnar()
    assert [one["variance"] for one in found.values()] == [0, 0]
    assert found["initial"]["bounded"] == 0
    assert found["initial"]["error"] < 1e-12
    assert (found["trained"]["error"] > 1e-12) == (found["trained"]["bounded"] > 0)


# ---- Truncated backpropagation -----------------------------------------------------------------

SYMBOLS, HIDDEN = 3, 5


def some_weights(seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    return rng.normal(scale=0.5, size=(2 * HIDDEN + SYMBOLS, HIDDEN + SYMBOLS + 1))


def losses(weights: Array, text: NDArray[Any], changed_from: int = 0) -> Array:
    """Nats of every symbol (steps), by the reference; before a step, the weights of some_weights.

    So a derivative by weights leaves the states before that step as they are.
    """
    config = Settings(SYMBOLS, SYMBOLS, HIDDEN, cell="gated", estimator="frozen")
    state, found = np.zeros(HIDDEN), []
    for t, (symbol, following) in enumerate(pairwise(text)):
        now = weights if t >= changed_from else some_weights()
        x = np.eye(SYMBOLS)[symbol]
        state = ReferenceLearner(config, now[: 2 * HIDDEN]).forward(state, x)[1].state
        raw = now[2 * HIDDEN :] @ np.concatenate([state, x, [1.0]])
        found.append(np.log(np.exp(raw).sum()) - raw[following])
    return np.array(found)


def moved(settings: Backpropagation, text: NDArray[Any]) -> Array:
    """What one pass over a text adds to the weights."""
    weights = some_weights()
    settings.learn(weights, SYMBOLS, text, block=1)
    return np.asarray(weights - some_weights())


def plain(span: int, stride: int, **other: Any) -> Backpropagation:
    """Steps so small that the weights of all updates are the same but for rounding."""
    settings = {"adam": False, "rate": 1e-7, "fall": np.inf, "clip": np.inf, **other}
    return Backpropagation(span, stride, **settings)


def test_the_baseline_predicts_what_the_gated_cell_does() -> None:
    text = anbn(60, 0)
    bits = plain(8, 8, rate=0.0).learn(some_weights(), SYMBOLS, text, block=1)
    np.testing.assert_allclose(bits * np.log(2), losses(some_weights(), text), rtol=1e-12)


@pytest.mark.parametrize("stride", [1, 3, 12])
def test_a_span_over_everything_gives_the_whole_gradient(stride: int) -> None:
    text = anbn(13, 3)
    right = numeric_derivative(lambda w: losses(w, text).sum(keepdims=True), some_weights(), 1e-5)
    found = -moved(plain(12, stride), text) / 1e-7 * stride
    np.testing.assert_allclose(found, right[..., 0], atol=2e-6, rtol=1e-5)


def test_a_loss_goes_back_through_its_span_and_no_further() -> None:
    """Eight steps, span 4, stride 2: the losses of a stride see the weights of the last 4 steps."""
    text, span, stride = anbn(9, 3), 4, 2
    right = np.zeros_like(some_weights())
    for end in range(stride, 9, stride):

        def fresh(w: Array, end: int = end) -> Array:
            return np.asarray(
                losses(w, text[: end + 1], max(0, end - span))[-stride:].sum(keepdims=True)
            )

        right += numeric_derivative(fresh, some_weights(), 1e-5)[..., 0]
    found = -moved(plain(span, stride), text) / 1e-7 * stride
    np.testing.assert_allclose(found, right, atol=2e-6, rtol=1e-5)
    whole = -moved(plain(8, stride), text) / 1e-7 * stride
    assert np.abs(whole - found).max() > 1e-2  # the span makes a difference


def test_adam_is_that_of_kingma_and_ba() -> None:
    text, rate, fall = anbn(13, 3), 1e-7, 5.0
    right, mean, square, before = (np.zeros_like(some_weights()) for _ in range(4))
    for k in (1, 2, 3):
        total = -moved(plain(4, 4), text[: 4 * k + 1]) / 1e-7
        slope, before = total - before, total
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
        step = (mean / (1 - 0.9**k)) / (np.sqrt(square / (1 - 0.999**k)) + 1e-8)
        right -= rate / np.sqrt(1 + (4 * k - 1) / fall) * step
    found = moved(plain(4, 4, adam=True, rate=rate, fall=fall), text)
    np.testing.assert_allclose(found, right, rtol=1e-3, atol=1e-10)


def test_long_gradients_are_shortened() -> None:
    text = anbn(13, 3)
    free, bound = (moved(plain(12, 12, clip=clip, rate=1.0), text) for clip in (np.inf, 0.01))
    assert np.linalg.norm(free) > 0.1
    np.testing.assert_allclose(bound, 0.01 * free / np.linalg.norm(free), atol=1e-12)


def test_the_baseline_learns_what_lies_within_its_span() -> None:
    weights, text = initial_weights(3, 8, 0), anbn(60_001, 0)
    bits = Backpropagation(16, 4, True, 3e-3, np.inf).learn(weights, 3, text, 10_000)
    assert bits[-1] < bits[0] < np.log2(3)
    assert bits[-1] < 0.35


def test_bytes_of_the_baseline() -> None:
    weights = some_weights().size
    sgd, adam = (plain(7, 7, adam=adam) for adam in (False, True))
    step = 4 * (4 * HIDDEN + 1)
    assert bytes_held(SYMBOLS, HIDDEN, sgd) == 4 * (2 * weights + HIDDEN) + 7 * step
    assert bytes_held(SYMBOLS, HIDDEN, adam) == 4 * (4 * weights + HIDDEN) + 7 * step


# ---- Runs --------------------------------------------------------------------------------------


class Made(Runs):
    """Losses from a table, and which trials were asked for."""

    def __init__(self, loss: dict[Any, float]) -> None:
        self.loss = loss
        self.asked: list[Trial] = []

    def curves(self, trials: Sequence[Trial]) -> list[Curve]:
        self.asked += trials
        block = 10_000
        return [
            Curve(
                one.task,
                str(one.method),
                one.hidden,
                one.seed,
                block,
                (self.loss[one.method],) * (one.samples // block),
                bytes=1,
            )
            for one in trials
        ]


def test_rates_are_chosen_on_other_seeds_and_a_failed_one_never() -> None:
    grid = [Ours.of(rate=rate) for rate in (0.1, 0.2, 0.3)]
    made = Made(dict(zip(grid, (np.nan, 1.0, 2.0), strict=True)))
    found = made.tuned(Setup("anbn(1,32)", 4, 300_000, 100_000), {"one": grid})
    assert found["one"]["chosen"] == "rate 0.2"
    assert found["one"]["losses"] == [1.0] * len(SEEDS)
    tried = {trial.seed for trial in made.asked if trial.samples == 100_000}
    shown = {trial.seed for trial in made.asked if trial.samples == 300_000}
    assert tried == set(TUNING_SEEDS)
    assert shown == set(SEEDS)
    assert not tried & shown


def test_a_run_is_made_once() -> None:
    setup = Setup("anbn(1,32)", 2, 30_000, 10_000)
    method = Truncated(plain(4, 4))
    with runs(1) as made:
        first = made.tuned(setup, {"a": [method]})
        work = made._work
        assert work > 0
        assert made.tuned(setup, {"b": [method]})["b"] == first["a"]
        assert made._work == work


# ---- The page ----------------------------------------------------------------------------------


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The page and its records, to be written again."""
    (tmp_path / "paper").mkdir()
    for path in FOLDER.glob("*.json"):
        (tmp_path / "paper" / path.name).write_bytes(path.read_bytes())
    target = tmp_path / "paper.md"
    target.write_bytes((ROOT / "docs/evidence/paper.md").read_bytes())
    return target


def test_the_page_says_what_is_recorded(copied: Path) -> None:
    before = copied.read_text(encoding="utf-8")
    page.write(copied, CLAIMS.values())
    assert copied.read_text(encoding="utf-8") == before


def test_another_number_in_a_record_changes_the_page(copied: Path) -> None:
    before = copied.read_text(encoding="utf-8")
    path = copied.parent / "paper" / "cost.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["data"]["long"]["bytes"][1] += 1
    path.write_text(json.dumps(record), encoding="utf-8")
    page.write(copied, CLAIMS.values())
    assert copied.read_text(encoding="utf-8") != before


@pytest.mark.parametrize("name", CLAIMS)
def test_a_record_survives_saving(name: str, tmp_path: Path) -> None:
    record = Record.load(FOLDER / f"{name}.json")
    record.save(tmp_path / "again.json")
    assert Record.load(tmp_path / "again.json") == record
    assert (tmp_path / "again.json").read_text() == (FOLDER / f"{name}.json").read_text()
    assert len(record.fingerprint) == 16
    assert (FOLDER / f"{name}.png").exists()


def test_an_unknown_claim_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["costs"])
    assert "'costs': expected some of derivative" in capsys.readouterr().err


@pytest.mark.parametrize("name", CLAIMS)
def test_the_fingerprint_covers_what_decides(name: str) -> None:
    """Every pattern finds a file: a renamed one would silently no longer count."""
    for pattern in CLAIMS[name].patterns:
        assert list(ROOT.glob(pattern)), pattern
