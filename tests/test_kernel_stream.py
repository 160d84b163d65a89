"""The C kernel follows the float64 reference on streams whose units change.

As test_kernel_reference.py, for 400 steps of streams that make units move, restart, get stuck
and miss labels and inputs: units that follow, the anchor, the linear and the slow forecast, the
mixture, priors in units of the target, and a learner without units.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from settings import still
from test_kernel_reference import (
    LAYERS,
    LEARNING,
    RESONATING,
    allowed,
    as_settings,
    expected_arrays,
)

from nbt_embed import Config, Learner
from nbt_embed.config import Estimator, Filter, Link, Norm
from nbt_embed.reference import Array, ReferenceLearner, StreamLearner
from nbt_embed.reference.intervals import FREEDOMS
from nbt_embed.reference.units import AS_IT_IS, Unit

STEPS = 400
N_IN, N_OUT = 2, 3
ANCHOR = (1, None, 0)
FOLLOW = {"follow": True, "scale_rate": 0.05, "input_limit": 10.0}
MIXTURE = FOLLOW | {"mix_forget": 0.99}
ANCHORED = FOLLOW | {"anchored": True, "anchor": ANCHOR}
FEATURES: dict[str, dict[str, Any]] = {
    "follow": FOLLOW,
    "anchored": ANCHORED,
    "anchored to nothing": FOLLOW | {"anchored": True},
    "mixture": MIXTURE,
    "slow": MIXTURE | {"slow_forget": 0.9998},
    "anchored mixture": ANCHORED | MIXTURE,
    "linear": ANCHORED | MIXTURE | {"linear_lags": 5, "linear_forget": 0.98},
    "prior in units": {"prior_units": True},
    "following prior in units": FOLLOW | {"prior_units": True},
    "everything": ANCHORED
    | MIXTURE
    | {"linear_lags": 3, "linear_forget": 0.98, "slow_forget": 0.999, "prior_units": True},
    "unscaled": ANCHORED | MIXTURE | {"scale_steps": 0, "slow_forget": 0.999},
}


def assessed(features: str) -> dict[str, Any]:
    """The features with intervals and scores, where they may be.

    A label that is nearer to a bound than rounding is inside for one and outside for the other;
    with these levels there is none.
    """
    own = FEATURES[features]
    return own | (
        {"intervals": None, "levels": (0.4, 0.9), "anomaly": True} if "follow" in own else {}
    )


def stream(link: str) -> tuple[Array, Array]:
    """Inputs and labels whose level and spread change by far more than a deviation.

    Input 0 wanders and grows. Input 1 starts with a wild value and is stuck for a while. Labels
    are inputs to come, with noise; the second one has a level and a scale of its own.
    """
    rng = np.random.default_rng(17)
    swing = np.sin(np.arange(STEPS + 1)[:, None] / np.array([4.0, 7.0]))
    noise = rng.normal(size=(STEPS + 1, N_IN))
    z = swing + 0.3 * noise
    z[:, 0] = z[:, 0] * np.geomspace(1, 30, STEPS + 1) + np.cumsum(noise[:, 1])
    z[:, 1] += 20 * (np.arange(STEPS + 1) > 150)
    z[250:330, 1] = z[250, 1]
    z[0, 1] = -300.0
    inputs = z[:-1].copy()
    inputs[rng.random(inputs.shape) < 0.05] = np.nan
    labels = np.column_stack([z[1:, 1], 1e3 + 40 * np.roll(z[1:, 0], 2), z[1:, 0]])
    if link == "bernoulli":
        labels = (labels > np.median(labels, axis=0)).astype(np.float64)
    elif link == "categorical":
        labels = (labels / labels.std(axis=0)).argmax(axis=1).astype(np.float64)[:, np.newaxis]
    labels[rng.random(labels.shape) < 0.1] = np.nan
    return inputs.astype(np.float32).astype(np.float64), labels.astype(np.float32).astype(
        np.float64
    )


def tolerance(step: int) -> float:
    """Permitted error relative to the largest entry of an array."""
    return float(1e-4 * np.exp(np.log(50) * step / STEPS))


def reference_units(units: list[Unit]) -> Array:
    """Live mean and variance, applied mean and deviation, whatever the reference, (4, n)."""
    rows = [(u.reference + u.mean, u.variance, u.restore(0.0), u.S) for u in units]
    return np.array(rows).T


def kernel_units(learner: Learner, units: str, live: str) -> Array:
    """The same from the kernel's arrays."""
    (reference, M, S, *_), (mean, variance) = learner.array(units), learner.array(live)
    applied_mean = np.where(S == AS_IT_IS, 0.0, reference + M)
    return np.array([reference + mean, variance, applied_mean, S])


def stream_arrays(reference: StreamLearner) -> dict[str, Array]:
    """What learners on streams have in addition, by the kernel's names."""
    mixtures, linear, slow = reference.mixture, reference.linear, reference.slow
    found: dict[str, Any] = {
        "anchor": [-1 if one is None else one for one in reference.anchor],
        "weight": [one.weight for one in mixtures],
        "mix_error": [[one.error for one in mixtures], [one.count for one in mixtures]],
    }
    if slow:
        found["slow"] = slow.V[:, slow.covariance.order]
        found["slow_noise"] = [slow.noise, slow.count]
    if reference.intervals:
        found["level"] = reference.config.levels
        found["reach"] = [one.reach.ravel() for one in reference.intervals]
        errors = [[one.fast, one.slow, one.labels] for one in reference.intervals]
        found["error"] = np.transpose(errors)
    if linear:
        found["linear"] = [one.V[0] for one in linear]
        found["linear_noise"] = np.transpose([[one.noise[0], one.count[0]] for one in linear])
    return {name: np.array(value) for name, value in found.items()}


def compare(learner: Learner, reference: ReferenceLearner, step: int) -> None:
    """Compare every array that the kernel has."""
    names, expected = set(learner.arrays), expected_arrays(reference)
    actual = {name: learner.array(name) for name in names}
    if isinstance(reference, StreamLearner):
        expected |= stream_arrays(reference)
        sides = {"units": ("input_scale", reference.units)}
        if "label_units" in names:
            sides["label_units"] = "label_scale", reference.label_units
        for units, (live, own) in sides.items():
            for row, (a, e) in enumerate(
                zip(kernel_units(learner, units, live), reference_units(own), strict=True)
            ):
                actual[f"{units} {row}"], expected[f"{units} {row}"] = a, e
            names = names - {units, live} | {f"{units} {row}" for row in range(4)}
    for name in names - {"input_scale", "label_scale"}:
        error = np.abs(actual[name] - expected[name]).max(initial=0.0)
        scale = np.abs(expected[name]).max(initial=0.0) + 1e-2
        amplified = 10 if learner.config.estimator == "unitwise" and name in ("v", "w") else 1
        if name == "weight":  # of forecasts so near the answer that their difference has few digits
            amplified = 4
        # A pole near the unit circle moves a little at every step.
        if learner.config.resonators and ("traces" in name or "state" in name):
            amplified = 10
        assert error <= amplified * tolerance(step) * scale, (name, step, error / scale)


def sizes(reference: ReferenceLearner) -> Array:
    """How large the numbers are that a forecast (O) is made of, caller's units."""
    if not isinstance(reference, StreamLearner) or reference.config.link != "gaussian":
        return np.ones(N_OUT)
    units = [reference.unit_of(o) for o in range(N_OUT)]
    return np.array([abs(unit.restore(0.0)) + max(unit.S, 1.0) for unit in units])


def compare_assessment(learner: Learner, reference: StreamLearner, step: int) -> None:
    """What is said of the newest forecasts."""
    if not reference.intervals:
        return
    scale = np.repeat(sizes(reference)[:, np.newaxis], 2 * len(learner.levels), axis=1)
    bounds = reference.interval().reshape(scale.shape)
    off = np.abs(learner.interval() - bounds)
    assert (off <= 2 * tolerance(step) * (scale + np.abs(bounds))).all(), (step, off / scale)
    actual, freedom = learner.student()
    for one, nu in zip(reference.intervals, freedom, strict=True):  # two may score almost the same
        assert one.score[FREEDOMS.index(nu)] >= max(one.score) - tolerance(step), step
    expected = reference.student(tuple(freedom))
    np.testing.assert_allclose(actual, expected, rtol=20 * tolerance(step), err_msg=str(step))


def compare_scores(learner: Learner, reference: StreamLearner, step: int) -> None:
    """The scores of the last labels; a surprise is made of logarithms of what may be close to 0."""
    scores = learner.anomaly
    np.testing.assert_array_equal(np.isnan(scores), np.isnan(reference.scores), str(step))
    for score, expected, one in zip(scores, reference.scores, reference.channels, strict=True):
        is_at_hold = abs(one.margin) < 0.02 + 50 * tolerance(step) * one.hold
        near = np.isnan(score) or abs(score - expected) < 0.02 + 10 * tolerance(step)
        assert near or (is_at_hold and min(score, expected) == 0), (step, score, expected)


def follow_the_reference(config: Config, reset: int = -1) -> None:
    """Run kernel and reference side by side; both forget the recent past at step `reset`."""
    learner = Learner(config)
    kind = StreamLearner if config.follow else ReferenceLearner
    reference = kind(as_settings(config), learner.array("theta"))
    inputs, labels = stream(config.link)
    if config.scale_steps == 0:
        inputs, labels = inputs / 32, labels / 32  # so that no cell saturates
    for step in range(STEPS):
        if step == reset:
            learner.reset_state()
            reference.reset_state()
            compare(learner, reference, step)
        if learner.pending == config.max_delay + 1:
            learner.learn(labels[step - config.max_delay - 1])
            reference.learn(labels[step - config.max_delay - 1])
            if isinstance(reference, StreamLearner) and reference.channels:
                compare_scores(learner, reference, step)
            if step % 4 == 0 or step < 20:
                compare(learner, reference, step)
        forecast = learner.predict(inputs[step])
        expected = reference.predict(inputs[step])
        scale = np.abs(expected) + sizes(reference)
        assert (np.abs(forecast - expected) <= tolerance(step) * scale).all(), step
        if config.link == "gaussian":
            variance = reference.variance()
            np.testing.assert_allclose(learner.variance(), variance, rtol=20 * tolerance(step))
        if isinstance(reference, StreamLearner):
            compare_assessment(learner, reference, step)
    assert learner.counters.skipped == 0
    assert learner.counters.reopened == getattr(reference, "reopened", 0)
    if config.follow and config.scale_steps != 0:
        assert learner.counters.moved > 10
        assert learner.counters.restarted > 0


def config_of(features: dict[str, Any], **settings: Any) -> Config:
    """Settings that keep rounding from growing, as in test_kernel_reference.py."""
    usual = still(str(settings.get("link", "gaussian"))) | {
        "hidden": 4,
        "lags": 2,
        "scale_steps": 50,
        "hold_missing": True,
        "seed": 11,
        "anneal_steps": 40,
        "decay": 0.9,
        "recurrent_gain": 0.5,
        "rate": 0.5,
        "info_rate": 5e-4,
        "info_floor": 0.03,
        "prior": 1.0,
        "forget": 0.99,
        "input_gain": 0.8,
        "prior_hidden": 0.1,
        "gate": 5.0,
        "sgd_rate": 0.05,
        "drift_steps": 0,
        "intervals": 0,
        "anomaly": False,
    }
    if settings.get("cell") == "columnar":  # resonators have tests of their own
        usual["resonators"] = 0
    return Config(N_IN, N_OUT, **(usual | features | settings))


@pytest.mark.parametrize("max_delay", [0, 3])
@pytest.mark.parametrize("features", FEATURES)
def test_every_feature_follows_the_reference(features: str, max_delay: int) -> None:
    follow_the_reference(config_of(assessed(features), max_delay=max_delay))


@pytest.mark.parametrize("max_delay", [0, 3])
@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.slow
def test_without_units_too(features: str, max_delay: int) -> None:
    follow_the_reference(config_of(assessed(features), max_delay=max_delay, hidden=0))


@pytest.mark.parametrize("features", ["anchored", "mixture", "everything"])
def test_a_reset_too(features: str) -> None:
    follow_the_reference(config_of(assessed(features), max_delay=3), reset=200)


@pytest.mark.parametrize("hidden", [0, 4])
@pytest.mark.parametrize("link", ["categorical", "bernoulli"])
def test_other_links_follow_with_their_inputs(link: Link, hidden: int) -> None:
    follow_the_reference(config_of(FOLLOW, link=link, hidden=hidden, max_delay=3))


def test_units_follow_the_reference_through_jumps_ramps_and_outliers() -> None:
    config = config_of(FOLLOW | {"scale_rate": 2e-3}, hidden=0)
    learner = Learner(config)
    reference = StreamLearner(as_settings(config))
    rng, steps = np.random.default_rng(23), 2000
    z = rng.normal(size=(steps, N_IN)) * [1.0, 300.0]
    z[700:, 0] += 100.0
    z[700:, 1] -= 1e4  # both restart their counts
    z[1200:1400, 1] += np.arange(200) * 50.0
    z[1400:1500, 0] = 3.0
    z[[100, 400, 1600], [0, 1, 0]] = -1e5, 3e7, 1e4
    labels = np.column_stack([z, z.sum(axis=1)])
    z, labels = (x.astype(np.float32).astype(np.float64) for x in (z, labels))
    for step in range(steps):
        if learner.pending:
            learner.learn(labels[step])
            reference.learn(labels[step])
        learner.predict(z[step])
        reference.predict(z[step])
        for units, live, own in (
            ("units", "input_scale", reference.units),
            ("label_units", "label_scale", reference.label_units),
        ):
            actual = kernel_units(learner, units, live)
            np.testing.assert_allclose(actual, reference_units(own), rtol=1e-4, atol=1e-3)
    counts = [unit.count for unit in reference.units + reference.label_units]
    assert max(counts) < steps - 700, counts  # every channel has jumped permanently
    assert learner.counters.moved > 20


def test_intervals_and_scores_follow_through_a_jump_and_the_first_variation() -> None:
    """Input 1 is constant at first; both jump permanently, after which readouts start again."""
    features = assessed("anchored mixture") | {"scale_rate": 2e-3, "drift_steps": 50}
    config = config_of(features, hidden=0, max_delay=2)
    learner = Learner(config)
    reference = StreamLearner(as_settings(config))
    rng, steps = np.random.default_rng(31), 800
    z = rng.normal(size=(steps, N_IN)) * [1.0, 300.0]
    z[:100, 1] = z[0, 1]
    z[500:, 0] += 100.0
    z[600:, 1] -= 1e4
    labels = np.column_stack([z[:, 1], z.sum(axis=1), z[:, 0]])
    labels[rng.random(labels.shape) < [0.0, 0.1, 0.3]] = np.nan
    z, labels = (x.astype(np.float32).astype(np.float64) for x in (z, labels))
    widths = []
    for step in range(steps):
        if learner.pending == 3:
            learner.learn(labels[step])
            reference.learn(labels[step])
            compare_scores(learner, reference, 0)
        learner.predict(z[step])
        reference.predict(z[step])
        compare_assessment(learner, reference, 0)
        widths.append(np.ptp(learner.interval(), axis=1))
    assert learner.counters.reopened == reference.reopened == 2
    assert widths[50][0] == 0
    assert (widths[150] > 0).all()


def test_a_restart_keeps_the_newest_sample_as_it_was_taken_in() -> None:
    config = config_of(FEATURES["everything"] | {"scale_rate": 2e-3}, hidden=0)
    learner = Learner(config)
    reference = StreamLearner(as_settings(config), learner.array("theta"))
    z = np.random.default_rng(29).normal(size=(80, N_IN)).astype(np.float32).astype(np.float64)
    z[20, 1] = -500.0  # channel 1 restarts with its value 64, channel 0 is far off then
    z[63, 0] = 1e4
    for x in z:
        if learner.pending:
            learner.learn([x[1], x[0], x[0]])
            reference.learn([x[1], x[0], x[0]])
        forecast, expected = learner.predict(x), reference.predict(x)
        np.testing.assert_allclose(forecast, expected, rtol=1e-3, atol=1e-3)
    assert learner.counters.restarted == 1
    assert learner.counters.clipped > 0


COMBINATIONS = [
    case
    for case in itertools.product(LAYERS, LEARNING, ("kalman", "kalman_quasi", "sgd"))
    if allowed(case[0], case[1][0], case[2])
]


@pytest.mark.parametrize(
    ("layer", "learning", "filter_", "max_delay"),
    [
        pytest.param(*case, 3 * (i % 2), marks=[pytest.mark.slow] * (case[2] == "kalman_quasi"))
        for i, case in enumerate(COMBINATIONS)
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else str(value),
)
def test_every_combination_follows_the_reference(
    layer: str, learning: tuple[Estimator, Norm], filter_: Filter, max_delay: int
) -> None:
    estimator, norm = learning
    features = FEATURES["anchored mixture" if filter_ == "sgd" else "everything"]
    follow_the_reference(
        config_of(
            features,
            **LAYERS[layer],
            estimator=estimator,
            norm=norm,
            filter=filter_,
            max_delay=max_delay,
            sgd_rate=0.01 if layer in RESONATING else 0.05,  # their states exceed 1
        )
    )


@pytest.mark.parametrize("max_delay", [0, 2])
@pytest.mark.parametrize("features", ["follow", "anchored", "mixture", "everything"])
@pytest.mark.parametrize("layer", RESONATING)
def test_resonators_with_a_head_follow_the_reference(
    layer: str, features: str, max_delay: int
) -> None:
    config = config_of(
        FEATURES[features], **LAYERS[layer], estimator="snap1", head=3, max_delay=max_delay
    )
    follow_the_reference(config, reset=200)


@pytest.mark.parametrize("link", ["categorical", "bernoulli"])
@pytest.mark.parametrize("layer", RESONATING)
def test_resonators_of_other_links_follow_the_reference(layer: str, link: Link) -> None:
    follow_the_reference(
        config_of(FOLLOW, **LAYERS[layer], estimator="snap1", link=link, head=3, max_delay=2)
    )
