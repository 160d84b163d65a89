"""Units that follow a stream, in the float64 reference, against what they must not change.

A step of the applied units is a change of coordinates, so the oracle is linear algebra in the
other coordinates, and the same learner without the step. The kernel is not needed here.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from nbt_embed.reference import ESTIMATORS, Array, ReadoutCovariance, Settings, StreamLearner
from nbt_embed.reference.covariance import ud_product
from nbt_embed.reference.mixture import Rls
from nbt_embed.reference.units import (
    AS_IT_IS,
    BLOCK,
    Change,
    Unit,
    affine,
    re_express_covariance,
    re_expressed,
    ud_factors,
)

CONFIG = Settings(
    2,
    2,
    4,
    lags=2,
    max_delay=2,
    follow=True,
    scale_rate=2e-3,
    input_limit=10.0,
    gate=5.0,
    anchor=(1, None),
    linear_lags=3,
    linear_forget=0.999,
    slow_forget=0.9998,
    mix_forget=0.998,
    prior_units=True,
    prior=3.0,
    forget=0.9985,
    info_floor=0.02,
)


def walk(seed: int, steps: int, channels: int = 2) -> Array:
    """Channels that wander and swing, far more than a deviation of their beginning."""
    rng = np.random.default_rng(seed)
    swing = np.sin(np.arange(steps)[:, None] / np.array([3.0, 5.0])[:channels])
    noise = rng.normal(size=(steps, channels))
    return np.asarray(swing * np.linspace(1, 5, steps)[:, None] + np.cumsum(noise, 0) * 0.3)


def run(learner: StreamLearner, x: Array, y: Array, horizon: int = 2) -> Array:
    """Forecast y[t] from x[t - horizon]: the forecasts (T, O)."""
    out = []
    for sample, label in zip(x, y, strict=True):
        if len(learner.waiting) == horizon:
            learner.learn(label)
        out.append(learner.predict(sample))
    return np.array(out)


# ---- One channel -------------------------------------------------------------------------------


def test_live_units_are_mean_and_deviation_first_of_all_then_of_the_last_values() -> None:
    z, unit = np.random.default_rng(1).normal(3.0, 2.0, size=2000), Unit(rate=0.01)
    for n in range(100):
        unit.take(z[n])
        assert unit.reference + unit.mean == pytest.approx(z[: n + 1].mean(), rel=1e-12)
        assert unit.variance == pytest.approx(z[: n + 1].var(), rel=1e-9, abs=1e-30)
    for value in z[100:]:
        unit.take(value)
    weight = np.concatenate([np.full(100, 0.01), np.full(1900, 0.01)])
    weight *= 0.99 ** np.maximum(1999 - np.maximum(np.arange(2000), 99), 0)
    mean = weight @ z
    assert weight.sum() == pytest.approx(1.0)
    assert unit.reference + unit.mean == pytest.approx(mean, rel=1e-12)
    assert unit.variance == pytest.approx(weight @ (z - mean) ** 2, rel=1e-9)


@pytest.mark.parametrize(("scale", "offset"), [(1e-9, 0.0), (1e6, -3e8), (-2.0, 1e5)])
def test_units_depend_on_no_scale_and_no_offset(scale: float, offset: float) -> None:
    z = walk(4, 600, 1)[:, 0]
    z[[0, 300]] = 1e4, -1e5  # a wild start and an outlier
    one, other = Unit(2e-3, limit=10.0), Unit(2e-3, limit=10.0)
    steps = 0
    for value in z:
        a, b = one.take(value), other.take(scale * value + offset)
        assert b.applied == pytest.approx(np.sign(scale) * a.applied, rel=1e-4, abs=1e-4)
        assert b.live == pytest.approx(np.sign(scale) * a.live, rel=1e-4, abs=1e-4)
        assert (a.first, a.restart) == (b.first, b.restart)
        steps += a.moved
    assert steps > 3


def test_the_applied_units_step_only_when_they_are_left_and_say_how() -> None:
    unit, settled = Unit(2e-3), 0
    rng = np.random.default_rng(2)
    z = np.concatenate([rng.normal(size=3000), rng.normal(40.0, 7.0, size=3000)])
    for t, value in enumerate(z):
        before = deepcopy(unit)
        change = unit.take(value)
        assert change.applied == pytest.approx(unit.apply(value))
        assert unit.restore(unit.apply(value)) == pytest.approx(value)
        assert change.live == pytest.approx(
            (value - unit.reference - unit.mean) / np.sqrt(unit.variance) if t else 0.0
        )
        if t < 2:
            continue
        left = not (
            before.S / 2 <= unit.deviation <= 2 * before.S
            and abs(unit.reference + unit.mean - before.restore(0.0)) <= before.S
        )
        assert change.moved == left
        assert unit.apply(11.0) == pytest.approx(change.a * before.apply(11.0) + change.b)
        settled += change.moved and 1000 <= t < 3000
    assert settled == 0
    assert 0.5 < unit.deviation / unit.S < 2
    assert unit.restore(0.0) == pytest.approx(40.0, abs=15.0)


def test_the_reference_comes_near_and_changes_nothing() -> None:
    unit, z = Unit(2e-3), 1e7 + np.random.default_rng(3).normal(size=300)
    unit.take(0.0)  # the reference is then far from all others
    for value in z:
        unit.take(value)
    assert abs(unit.reference - 1e7) < 10
    near = Unit(2e-3)
    for value in np.concatenate([[0.0], z]) - 1e7:
        near.take(value)
    assert unit.restore(0.3) - 1e7 == pytest.approx(near.restore(0.3), rel=1e-6)

    ramp, moved = Unit(rate=0.1), 0
    for t in range(12000):  # more than a thousand deviations from its first value in the end
        before = replace(ramp)
        change = ramp.take(t + 0.1 * np.sin(t))
        moved += ramp.reference != before.reference and not change.moved
        if t > 1:
            assert ramp.apply(t) == pytest.approx(change.a * before.apply(t) + change.b, abs=1e-9)
    assert moved > 0


@pytest.mark.parametrize("wild", [1e2, -1e6, 1e15])
@pytest.mark.parametrize("at", [0, 1, 3, 7])
def test_a_robust_start_forgets_wild_first_values(wild: float, at: int) -> None:
    z = np.random.default_rng(5).normal(size=BLOCK)
    z[at] += wild
    unit = Unit(2e-3)
    restarts = [unit.take(value).restart for value in z]
    assert any(restarts)
    assert not any(restarts[:7])  # of eight values at least
    assert abs(unit.restore(0.0)) < 1
    assert 0.5 < unit.S < 2
    late = Unit(2e-3)
    for value in np.concatenate([z[at + 1 :], [wild]]):
        assert not late.take(value).restart
    assert late.deviation > 10  # the same value later is part of the stream


@pytest.mark.parametrize("limit", [0.0, 10.0])
def test_a_channel_that_jumps_for_good_counts_anew(limit: float) -> None:
    z = np.random.default_rng(5).normal(size=3000)
    z[1500:] += 100.0
    unit = Unit(2e-3, limit=limit)
    assert not any(unit.take(value).restart for value in z[:1500])
    assert unit.count == 1500
    changes = [unit.take(value) for value in z[1500:1700]]
    assert not any(change.restart for change in changes)
    assert [change.jump for change in changes].count(True) == 1
    assert BLOCK <= unit.count < 3 * BLOCK
    assert unit.reference + unit.mean == pytest.approx(100.0, abs=0.5)
    assert 0.7 < unit.deviation < 1.3
    assert unit.restore(0.0) == pytest.approx(100.0, abs=2.0)
    for value in z[1700:]:
        unit.take(value)
    assert 0.8 < unit.deviation < 1.2


def test_ordinary_streams_never_count_anew() -> None:
    rng = np.random.default_rng(6)
    streams = [rng.normal(size=2000), rng.standard_t(3, size=2000), np.sin(np.arange(2000.0) / 9)]
    streams += [rng.uniform(size=2000), rng.exponential(size=2000), np.sin(np.arange(2000.0) / 99)]
    streams += [np.cumsum(rng.normal(size=2000)), (np.arange(2000) // 10 % 2).astype(float)]
    streams[-1][[300, 900, 1500]] = 50.0, -1e6, 1e3  # outliers are no jumps
    for z in streams:
        unit = Unit(2e-3)
        assert not any(unit.take(value).restart for value in z)
        assert unit.count == 2000


def test_a_channel_that_has_not_varied_counts_as_zero() -> None:
    unit = Unit(2e-3, limit=10.0)
    for _ in range(50):
        assert unit.take(7.3) == Change(0.0, 0.0)
    assert (unit.S, unit.apply(9.0), unit.restore(5.0)) == (0.0, 0.0, 7.3)
    change = unit.take(8.0)
    assert change.first
    # Before, every number in these units meant 7.3.
    assert unit.restore(change.a * 123.0 + change.b) == pytest.approx(7.3)
    for _ in range(20000):
        last = unit.take(8.0)
    assert unit.restore(last.applied) == pytest.approx(8.0)


def test_flags_are_taken_as_they_are_until_another_value_comes() -> None:
    unit = Unit(2e-3, flags=True)
    for value in (0.0, 1.0, 1.0, 0.0, 1.0):
        assert unit.take(value) == Change(value, value)
    before = deepcopy(unit)
    change = unit.take(0.5)
    assert change.moved
    assert unit.S > 0
    assert unit.apply(0.7) == pytest.approx(change.a * before.apply(0.7) + change.b)
    assert Unit(2e-3, flags=False, S=AS_IT_IS).take(9.0) == Change(9.0, 9.0)


def test_values_far_off_are_counted_and_taken_at_the_limit() -> None:
    z = np.random.default_rng(7).normal(size=200)
    unit, spared = Unit(2e-3, limit=5.0), Unit(2e-3, limit=5.0)
    for value in z:
        unit.take(value)
        spared.take(value)
    reach = unit.mean + 5 * unit.deviation
    change = unit.take(1e12)
    spared.take(unit.reference + reach)  # as if it had been so far
    assert (unit.mean, unit.variance) == pytest.approx((spared.mean, spared.variance))
    assert change.live == pytest.approx(5.0)
    assert unit.restore(change.applied) == pytest.approx(
        unit.mean + unit.reference + 5 * unit.deviation
    )


# ---- Changes of coordinates --------------------------------------------------------------------


def random_covariance(rng: np.random.Generator, n: int) -> ReadoutCovariance:
    """A dense one, in an order that is not that of the features."""
    C = ReadoutCovariance(np.ones(n), rng.permutation(n))
    C.U = np.eye(n) + np.triu(rng.normal(size=(n, n)), 1)
    C.d = np.exp(rng.normal(size=n))
    return C


def test_factors_are_unit_upper_triangular_and_unique() -> None:
    rng = np.random.default_rng(8)
    U = np.eye(6) + np.triu(rng.normal(size=(6, 6)), 1)
    d = np.exp(rng.normal(size=6))
    back, e = ud_factors(ud_product(U, d))
    np.testing.assert_allclose(back, U, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(e, d, rtol=1e-8)


def test_re_expression_is_dense_covariance_algebra() -> None:
    rng = np.random.default_rng(9)
    C, V, a, b = random_covariance(rng, 6), rng.normal(size=(2, 6)), 3.7, -0.8
    before = C.dense
    A = affine(6, np.array([1, 4]), 5, a, b)
    f, g = rng.normal(size=(2, 6))
    f[5] = g[5] = 1.0
    moved = [np.array([x[0], a * x[1] + b, x[2], x[3], a * x[4] + b, 1.0]) for x in (f, g)]
    np.testing.assert_allclose(A @ f, moved[0])
    np.testing.assert_allclose(re_expressed(V, A) @ moved[0], V @ f)
    re_express_covariance(C, A)
    assert moved[0] @ C.dense @ moved[1] == pytest.approx(f @ before @ g)
    # Weights of covariance C, seen in the new coordinates: M = A^-T by entries, and M C M^T.
    M = np.eye(6)
    M[[1, 4], [1, 4]] = 1 / a
    M[5, [1, 4]] = -b / a
    np.testing.assert_allclose(C.dense, M @ before @ M.T, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(re_expressed(V, A), V @ M.T)
    assert np.allclose(C.U, np.triu(C.U))


def test_the_order_with_the_constant_first_keeps_the_factor_triangular() -> None:
    rng, n = np.random.default_rng(10), 5
    C = ReadoutCovariance(np.ones(n), np.roll(np.arange(n), 1))  # the constant is the last of f
    C.U = np.eye(n) + np.triu(rng.normal(size=(n, n)), 1)
    A = affine(n, np.array([2]), n - 1, 2.0, 0.3)
    M = np.linalg.inv(A).T[np.ix_(C.order, C.order)]
    assert np.allclose(M, np.triu(M))  # M U diag(d) U^T M^T then has the factor M U, rescaled


def test_recursive_least_squares_in_the_new_units_from_the_start_ends_the_same() -> None:
    rng, n = np.random.default_rng(11), 4
    settings = replace(CONFIG, prior_units=False, gate=0.0)
    A = affine(n, np.array([1, 2]), 0, 0.3, 1.7)
    moved, native = (Rls(2, np.full(n, 3.0), np.arange(n), 1.0, settings) for _ in range(2))
    re_express_covariance(native.covariance, A)  # the same prior, in the other units
    F, targets = rng.normal(size=(40, n)), rng.normal(size=(40, 2))
    F[:, 0] = 1.0
    targets[rng.random(targets.shape) < 0.2] = np.nan
    for t, (f, target) in enumerate(zip(F, targets, strict=True)):
        if t == 20:
            moved.V = re_expressed(moved.V, A)
            re_express_covariance(moved.covariance, A)
        moved.learn(A @ f if t >= 20 else f, target)
        native.learn(A @ f, target)
    np.testing.assert_allclose(moved.V, native.V, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(moved.covariance.dense, native.covariance.dense, rtol=1e-8)
    np.testing.assert_allclose(moved.noise, native.noise, rtol=1e-10)


def change_units(learner: StreamLearner, unit: Unit, a: float, b: float) -> None:
    """Give one unit other applied units, x' = a x + b, at an arbitrary moment."""
    unit.S, unit.M = unit.S / a, unit.M - b * unit.S / a
    if unit in learner.units:
        learner.move_input(learner.units.index(unit), Change(0.0, 0.0, a, b))
    else:
        learner.move_output(learner.label_units.index(unit), a, b, shift=b)


@pytest.mark.parametrize("filter_", ["kalman", "kalman_quasi", "sgd"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_step_of_the_units_changes_no_forecast_and_no_update(
    estimator: str, filter_: str
) -> None:
    sgd = filter_ == "sgd"
    config = replace(CONFIG, estimator=estimator, filter=filter_, gate=0.0 if sgd else 2.0)
    # The slow readout does not learn the label that waits in the old units.
    config = replace(config, forget=1.0, linear_forget=1.0, slow_forget=0.0, prior_units=False)
    z = walk(12, 160)
    still = StreamLearner(config)
    run(still, z[:80], z[:80])
    moved = deepcopy(still)
    for unit, a, b in [(moved.units[0], 2.5, -0.7), (moved.units[1], 0.3, 4.0)]:
        change_units(moved, unit, a, b)
    if not sgd:  # whose step is in the units of the label: it is no change of coordinates there
        change_units(moved, moved.label_units[1], 0.6, 1.1)
    else:
        change_units(moved, moved.units[1], 1 / 0.3, -4.0 / 0.3)
    assert moved.units != still.units
    if sgd:  # the step of a plain gradient depends on the coordinates
        np.testing.assert_allclose(moved.predict(z[80]), still.predict(z[80]), rtol=1e-9)
        return
    for step in (slice(80, 81), slice(81, 160)):
        np.testing.assert_allclose(
            run(moved, z[step], z[step]), run(still, z[step], z[step]), rtol=1e-6, atol=1e-7
        )
    np.testing.assert_allclose(moved.theta, still.theta, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(moved.P, still.P, rtol=1e-6)
    np.testing.assert_array_equal(moved.x, still.x)
    for one, other in zip(moved.mixture, still.mixture, strict=True):
        np.testing.assert_allclose(one.weight, other.weight, rtol=1e-5)


@pytest.mark.parametrize("link", ["categorical", "bernoulli"])
def test_a_step_of_an_input_changes_no_probability(link: str) -> None:
    config = replace(CONFIG, link=link, anchor=None, linear_lags=0, slow_forget=0.0, gate=0.0)
    config = replace(config, mix_forget=0.0, prior_units=False, forget=1.0)
    rng, z = np.random.default_rng(13), walk(13, 140)
    width = 1 if link == "categorical" else 2
    labels = (rng.random((140, width)) < 0.5).astype(float)
    still = StreamLearner(config)
    run(still, z[:80], labels[:80])
    moved = deepcopy(still)
    change_units(moved, moved.units[1], 0.4, 2.0)
    after = [run(one, z[80:], labels[80:]) for one in (moved, still)]
    np.testing.assert_allclose(after[0], after[1], rtol=1e-6)
    assert np.ptp(after[0][:, 0]) > 0.01


# ---- The learner -------------------------------------------------------------------------------


@pytest.mark.parametrize("anchor", [(0, 1), (1, None), (None, None)])
def test_the_learner_depends_on_no_scale_and_no_offset(anchor: tuple[int | None, ...]) -> None:
    config = replace(CONFIG, anchor=anchor, linear_lags=3 if any(anchor) else 0)
    z = walk(14, 300)
    z[:3] += 1e4  # a robust start is part of it
    future = [1, 0] if anchor[0] == 1 else [0, 1]  # the input that each output is the future of
    scale, offset = np.array([1e-6, 250.0]), np.array([3.0, -7e4])
    plain = run(StreamLearner(config), z, z[:, future])
    other = run(StreamLearner(config), scale * z + offset, (scale * z + offset)[:, future])
    expected = scale[future] * plain + offset[future]
    error = np.abs(other - expected) / scale[future]
    assert error[20:].max() < 1e-5  # until then, what was learnt of the start amplifies rounding


def test_a_restart_forgets_the_readouts_and_what_waits() -> None:
    z = walk(15, 100)
    z[0] = 1e7
    learner = StreamLearner(CONFIG)
    restarted = 0
    for t in range(100):
        if len(learner.waiting) == 3:
            waits, readout = learner.quarantine, learner.readout
            learner.learn(z[t])
            assert (learner.readout is readout) == (waits > 0)
            assert learner.quarantine == max(waits - 1, 0)
        learner.predict(z[t])
        if learner.quarantine == 2:
            restarted += 1
            for array in (learner.readout, learner.taps[1:], learner.slow.V):  # type: ignore[union-attr]
                assert not array.any()
            assert all(one.count == 0 for one in learner.mixture)
            assert learner.taps[0].any()
            np.testing.assert_array_equal(learner.d, learner.d0)
    assert restarted == 1
    assert learner.readout.any()
    assert (np.abs(run(learner, z[80:], z[80:], horizon=3) - z[80:]) < 50).all()


def test_a_start_far_off_costs_nothing_later() -> None:
    z = walk(16, 400)
    clean, wild = z.copy(), z.copy()
    wild[0] = 1e9

    def error(stream: Array) -> float:
        forecasts = run(StreamLearner(CONFIG), stream, stream)
        return float(np.mean((forecasts[100:-2] - z[102:]) ** 2))

    assert error(wild) < 1.2 * error(clean)


def test_a_constant_output_is_answered_and_teaches_nothing() -> None:
    learner, z = StreamLearner(CONFIG), walk(17, 40)
    z[:, 1], labels = 4.5, np.full((40, 2), [4.5, -2.0])
    forecasts = run(learner, z, labels)
    np.testing.assert_array_equal(forecasts[3:], labels[3:])
    assert not learner.readout.any()
    assert (learner.label_count == 0).all()


def missing_at(rows: list[int], z: Array) -> NDArray[np.float64]:
    out = z.copy()
    out[rows] = np.nan
    return out


def test_a_held_input_repeats_both_values_and_is_the_anchor() -> None:
    config = replace(CONFIG, hold_missing=True, mix_forget=0.998)
    learner, z = StreamLearner(config), walk(18, 60)
    run(learner, z[:50], z[:50])
    units, tap, live = deepcopy(learner.units), learner.taps[0].copy(), learner.x[:2].copy()
    learner.learn(z[50])
    learner.predict(missing_at([0], z[50:51])[0])
    assert learner.units == units
    np.testing.assert_array_equal(learner.taps[:2], [tap, tap])
    np.testing.assert_array_equal(learner.x, [*live, *live])
    assert learner.forecasts[-1][0][0, 0] == tap[1]  # output 0 is the future of input 1


def test_a_missing_label_counts_nowhere() -> None:
    learner, z = StreamLearner(CONFIG), walk(19, 60)
    run(learner, z, z)
    units, last = deepcopy(learner.label_units), learner.last_label.copy()
    readout, mixture = learner.readout, deepcopy(learner.mixture)
    learner.learn([np.nan, np.nan])
    assert learner.label_units == units
    np.testing.assert_array_equal(learner.last_label, last)
    assert learner.readout is readout
    for one, other in zip(learner.mixture, mixture, strict=True):
        np.testing.assert_array_equal(one.weight, other.weight)


def test_reset_keeps_what_was_learnt() -> None:
    learner, z = StreamLearner(CONFIG), walk(20, 60)
    run(learner, z, z)
    before = deepcopy(learner)
    learner.reset_state()
    assert not learner.taps.any()
    assert not learner.waiting
    assert not learner.forecasts
    assert learner.units == before.units
    np.testing.assert_array_equal(learner.readout, before.readout)
    np.testing.assert_array_equal(learner.mixture[0].weight, before.mixture[0].weight)


def test_unscaled_values_are_taken_as_they_are() -> None:
    learner, z = StreamLearner(replace(CONFIG, scale_steps=0)), walk(21, 40)
    run(learner, z, z)
    np.testing.assert_array_equal(learner.taps[0], z[-1])
    np.testing.assert_array_equal(learner.x[:2], z[-1])
    assert learner.forecasts[-1][0][0, 0] == z[-1, 1]
