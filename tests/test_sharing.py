"""Weights in common units, checked against the forecasts that they give."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbt_embed import Learner
from nbt_embed.errors import ConfigError, InputError, InputTypeError
from nbt_embed.fleet.sharing import READOUTS, WEIGHTS, from_common, to_common

Rows = NDArray[np.float64]


def wave(rows: int, seed: int = 0) -> Rows:
    """Two channels that follow each other, with noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(rows) / 6
    return np.stack([np.sin(t), np.tanh(2 * np.sin(t - 1))], 1) + 0.1 * rng.normal(size=(rows, 2))


def drifting(rows: int = 700) -> Rows:
    """Channels whose units move on after the readouts' units have been set for the last time."""
    grow = np.linspace(1, 1.8, rows)[:, np.newaxis]
    return (wave(rows) * grow + 0.3 * grow) * [20.0, 0.01] + [5.0, -3.0]


def live(learner: Learner, name: str, values: Rows, channel: int) -> Rows:
    """Values in units of the running mean and deviation."""
    units = learner.array("units" if name == "input_scale" else "label_units")
    mean, variance = learner.array(name).astype(np.float64)[:, channel]
    scaled: Rows = (values - units[0, channel] - mean) / np.sqrt(variance)
    return scaled


SETTINGS: dict[str, dict[str, Any]] = {
    "default": {"anchor": (0, 1)},
    "no anchor": {"anchor": (None, None)},
    "one anchor, three lags": {"anchor": (None, 0), "lags": 3},
    "dense": {"anchor": (1, 0), "cell": "gated"},
    "linear model": {"anchor": (0, 1), "hidden": 0, "head": 0},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_common_weights_forecast_in_live_units(name: str) -> None:
    """The mixture, written out: sum_k w_k p_k with every p_k from readouts in common units."""
    settings = {"hidden": 4, "intervals": 0, **SETTINGS[name]}
    learner = Learner(2, 2, **settings)
    stream = drifting()
    learner.run(stream[:-1], stream[1:], horizon=0)
    answer = learner.predict(stream[-1])
    lags, config = learner.config.lags or 1, learner.config
    # The answer of a learner whose units do not move at this sample; recent taps are as they were.
    taps = np.concatenate(
        [
            [live(learner, "input_scale", stream[-1 - lag, i], i) for i in range(2)]
            for lag in range(lags)
        ]
    )
    h = learner.array("state")
    common = to_common(learner)
    features = h
    if config.head:
        # The head saw each tap in the live units of its time.
        u = np.concatenate([h, taps, [1.0]])
        features = np.concatenate([h, np.tanh(common["head"] @ u)])
    weight = learner.array("weight")
    for o in range(2):
        anchor = learner.anchor[o]
        place, channel = ("label_scale", o) if anchor is None else ("input_scale", anchor)
        last = live(learner, place, stream[-1, o if anchor is None else anchor], channel)
        base = 0.0 if anchor is None else last
        past = np.empty(0)
        if anchor is not None:
            past = live(learner, place, stream[-1:-11:-1, anchor], channel)
        linear = common["linear"][o, : 1 + len(past)] @ np.concatenate([[1.0], past])
        if anchor is None:  # the linear forecast is a constant, of next to no weight
            reference, mean, deviation = learner.array("label_units")[:3, o]
            constant = reference + mean + deviation * learner.array("linear")[o, 0]
            assert linear == pytest.approx(live(learner, place, constant, o), abs=1e-4)
        full = common["readout"][o] @ np.concatenate([features, taps, [1.0]])
        slow = common["slow"][o] @ np.concatenate([[1.0], taps, features])
        forecasts = [last, base + linear, base + full, base + slow]
        assert live(learner, place, answer[o].astype(np.float64), channel) == pytest.approx(
            weight[o] @ forecasts, abs=3e-3
        )


KINDS: dict[str, dict[str, Any]] = {
    **SETTINGS,
    "no units that follow": {"follow": False},
    "as it is": {"scale_steps": 0},
    "classes": {"link": "categorical"},
    "sgd": {"filter": "sgd"},
    "nothing but the readout": {"mix_forget": 0.0, "slow_forget": 0.0, "linear_lags": 0},
}


def trained(seed: int = 0, **settings: Any) -> Learner:
    learner = (
        Learner(2, 2, hidden=4, **settings)
        if "hidden" not in settings
        else Learner(2, 2, **settings)
    )
    stream = drifting()
    labels = (stream[1:, 0] > 5).astype(float) if learner.config.n_label == 1 else stream[1:]
    learner.run(stream[seed:-1], labels[seed:], horizon=0)
    return learner


@pytest.mark.parametrize("name", KINDS)
def test_there_and_back_is_the_same_learner(name: str) -> None:
    learner = trained(**KINDS[name])
    there = copy.copy(learner)
    from_common(there, to_common(learner))
    for array in learner.arrays:
        old, new = learner.array(array), there.array(array)
        if array in READOUTS:
            np.testing.assert_allclose(new, old, rtol=1e-4, atol=1e-5 * np.abs(old).max(initial=1))
        else:
            np.testing.assert_array_equal(new, old)
    x = drifting()[-1]
    np.testing.assert_allclose(there.peek(x), learner.peek(x), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["no units that follow", "as it is"])
def test_units_that_stand_are_common_already(name: str) -> None:
    learner = trained(**KINDS[name])
    for array, values in to_common(learner).items():
        np.testing.assert_array_equal(values, learner.array(array))


def test_units_of_devices_differ_and_common_ones_do_not() -> None:
    """A learner whose applied units stand elsewhere takes readouts over, and forecasts alike."""
    stream = np.concatenate([wave(4000), wave(40, seed=1)])
    plain: dict[str, Any] = {"anchor": (0, 1), "rate": 0.0, "slow_forget": 0.0, "linear_lags": 0}
    device, other = (Learner(2, 2, hidden=4, mix_forget=0.0, **plain) for _ in range(2))
    device.run(stream[:-1], stream[1:], horizon=0)
    # Another gain and offset, and a loud start: its applied units are those of that time.
    loud = stream * np.where(np.arange(len(stream)) < 600, 1.7, 1.0)[:, np.newaxis] + 0.2
    gain, offset = np.array([40.0, 0.02]), np.array([-7.0, 3.0])
    other.run(loud[:-1] * gain + offset, loud[1:] * gain + offset, horizon=0)
    x = stream[-1]
    expected = device.peek(x) * gain + offset

    def difference() -> float:
        asked = (x + 0.2) * gain + offset
        return float(np.abs((other.peek(asked) - 0.2 * gain - expected) / gain).max())

    from_common(other, to_common(device))
    common = difference()
    for name in ("theta", "head", "readout"):
        other.set_array(name, device.array(name))
    assert common < 0.05 < 0.2 < difference()


def test_a_new_device_takes_the_networks_weights_at_once() -> None:
    fresh, fleet = Learner(2, 2, hidden=4, anchor=(0, 1)), to_common(trained(anchor=(0, 1)))
    from_common(fresh, {name: fleet[name] for name in ("theta", "head")})
    np.testing.assert_array_equal(fresh.array("theta"), fleet["theta"])
    stream = wave(400) * 5 + 2
    fresh.run(stream[:-1], stream[1:], horizon=0)
    from_common(fresh, fleet)
    np.testing.assert_allclose(to_common(fresh)["readout"], fleet["readout"], rtol=1e-3, atol=1e-5)


def test_what_is_asked_for_is_given() -> None:
    learner = trained(anchor=(0, 1))
    assert tuple(to_common(learner)) == WEIGHTS
    assert tuple(to_common(learner, ["slow"])) == ("slow",)
    assert tuple(to_common(Learner(2, 2, hidden=0, head=0, mix_forget=0.0))) == ("theta", "readout")
    assert all(values.dtype == np.float32 for values in to_common(learner).values())


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"covariance": np.ones((8, 6))}, ConfigError, "'covariance': expected one of theta, head"),
    ({"linear": 0.0}, InputError, r"linear has shape \(\): expected \(2, 11\)"),
    ({"theta": np.full((8, 6), np.nan)}, InputError, r"theta\[0, 0\] is nan"),
    ({"linear": np.full((2, 11), 1e38)}, InputError, "linear"),
    ({"readout": np.full((2, 15), np.inf)}, InputError, r"readout\[0, 0\] is inf"),
    ({"linear": [["a"] * 11] * 2}, InputTypeError, "linear"),
]


@pytest.mark.parametrize(("wrong", "error", "message"), BAD)
def test_a_refused_mean_leaves_the_learner_as_it_was(
    wrong: dict[str, Any], error: type[Exception], message: str
) -> None:
    learner = trained(anchor=(0, 1))
    before = learner.to_bytes()
    good = {name: values + 1 for name, values in to_common(learner, ["head", "slow"]).items()}
    with pytest.raises(error, match=message):
        from_common(learner, good | wrong)
    assert learner.to_bytes() == before


def test_a_name_that_is_no_weight_is_refused() -> None:
    with pytest.raises(ConfigError, match="'noise': expected one of theta"):
        to_common(Learner(1, 1), ["noise"])
    with pytest.raises(ConfigError, match="did you mean 'readout'"):
        to_common(Learner(1, 1), ["readuot"])


def test_what_is_no_learner_no_names_and_no_weights_is_refused() -> None:
    learner: Any = Learner(1, 1)
    with pytest.raises(
        InputTypeError, match=r"names = 'theta': expected several, such as \('theta',\)"
    ):
        to_common(learner, "theta")
    for call in (to_common, from_common):
        with pytest.raises(InputTypeError, match="learner = None: expected a Learner"):
            call(None, {})  # type: ignore[arg-type]
    with pytest.raises(InputTypeError, match="weights = None: expected a dictionary"):
        from_common(learner, None)  # type: ignore[arg-type]
