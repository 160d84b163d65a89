"""A learner that is given more inputs or classes goes on as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nbt_embed import Learner
from nbt_embed._widen import widened
from nbt_embed.errors import ConfigError

ANY_LINK: list[dict[str, Any]] = [
    {},
    {"hidden": 0},
    {"hidden": 0, "head": 4},
    {"head": 0},
    {"head": 7},
    {"cell": "gated"},
    {"cell": "lstm"},
    {"cell": "leaky"},
    {"cell": "tanh", "estimator": "rtrl"},
    {"cell": "resonator"},
    {"resonators": 2},
    {"estimator": "residual"},
    {"estimator": "nobacktrack"},
    {"estimator": "frozen"},
    {"filter": "kalman_quasi"},
    {"filter": "sgd"},
    {"lags": 3},
    {"max_delay": 3},
    {"follow": False},
    {"follow": False, "scale_steps": 0},
    {"follow": False, "rollback_steps": 20, "filter": "kalman_quasi"},
]
GAUSSIAN: list[dict[str, Any]] = [
    {"rollback_steps": 50},
    {"mix_forget": 0},
    {"anchored": False},
    {"linear_lags": 0},
    {"linear_lags": 20},
    {"slow_forget": 0},
    {"intervals": 0},
    {"levels": (0.3, 0.6)},
    {"anomaly": False},
    {"mix_forget": 0, "intervals": 0},
    {"mix_forget": 0, "intervals": 0, "anomaly": False},
    {"mix_forget": 0, "anchored": False, "intervals": 0, "anomaly": False},
]
CASES = [(link, one) for link in ("gaussian", "categorical", "bernoulli") for one in ANY_LINK]
CASES += [("gaussian", one) for one in GAUSSIAN]


def stream(link: str, flags: bool) -> tuple[Any, Any]:
    """Inputs that are 0 or 1, or of units of their own; labels that follow from them."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(400, 3)) * [1, 10, 0.1] + [0, 5, -3]
    if flags:
        inputs = rng.integers(0, 2, (400, 3)).astype(float)
    total = inputs.sum(axis=1)
    high = (total > np.median(total)).astype(float)
    labels = {
        "gaussian": np.c_[total, inputs[:, 0] * inputs[:, 1]],
        "categorical": high + (inputs[:, 0] > 0.5),
        "bernoulli": np.c_[high, inputs[:, 0] > 0],
    }
    return inputs, labels[link]


@pytest.mark.parametrize("flags", [False, True], ids=["units", "flags"])
@pytest.mark.parametrize(("link", "settings"), CASES, ids=str)
def test_it_forecasts_what_it_did(link: str, settings: dict[str, Any], flags: bool) -> None:
    inputs, labels = stream(link, flags)
    outputs = 3 if link == "categorical" else 2
    config: dict[str, Any] = {"hidden": 5, "link": link, **settings}
    learner = Learner(3, outputs, **config)
    learner.run(inputs[:300], labels[:300], horizon=0)
    classes = 2 if link == "categorical" else 0
    wide = widened(learner, 5, outputs + classes)
    assert (wide.config.n_in, wide.config.n_out) == (5, outputs + classes)
    assert wide.counters == learner.counters
    rest = np.c_[inputs[300:], np.zeros((100, 2))]
    expected = learner.run(inputs[300:], labels[300:], horizon=0)
    found = wide.run(rest, labels[300:], horizon=0)[:, :outputs]
    # The first forecast is the same. Then new classes get their share of what is learnt, and the
    # variances of other weights have their turn.
    first = found[:1]
    if classes:
        assert first.sum() < 1
        first = first / first.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(first, expected[:1], rtol=1e-5, atol=1e-5)
    if not classes:
        off = np.square(np.stack([found, expected]) - labels[300:]).mean(axis=(1, 2))
        assert 0.9 < off[0] / off[1] < 1.1


def test_the_same_size_is_the_same_learner() -> None:
    inputs, labels = stream("gaussian", flags=False)
    learner = Learner(3, 2, max_delay=2, hold_missing=True)
    learner.run(inputs, labels, horizon=2)
    assert widened(learner, 3, 2).to_bytes() == learner.to_bytes()


def test_what_came_new_is_learnt() -> None:
    rng = np.random.default_rng(3)
    inputs = rng.normal(size=(3000, 2))
    target = inputs[:, 0] + 3 * inputs[:, 1]
    learner = Learner(1, 1, anchor=(None,))
    learner.run(inputs[:1000, :1], inputs[:1000, 0], horizon=0)
    learner = widened(learner, 2, 1)
    forecasts = learner.run(inputs[1000:], target[1000:], horizon=0)[:, 0]
    assert np.abs(forecasts - target[1000:])[1000:].mean() < 0.2


def test_nothing_can_be_taken_away() -> None:
    learner = Learner(3, 2)
    for sizes in ((2, 2), (3, 1), (3, 3)):
        with pytest.raises(ConfigError, match=rf"n_in = {sizes[0]}, n_out = {sizes[1]}"):
            widened(learner, *sizes)
