"""The mixture of forecasts and those that take part in it, in the float64 reference.

Against numbers worked by hand, least squares solved at once, and the best forecast chosen
afterwards. The kernel is not needed here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from nbt_embed.baselines import Rls as TextbookRls
from nbt_embed.reference import Array, ReferenceLearner, Settings, StreamLearner
from nbt_embed.reference.mixture import Mixture, Rls, SpreadRls

STREAM = Settings(
    2,
    2,
    4,
    lags=3,
    follow=True,
    scale_rate=2e-3,
    input_limit=10.0,
    anchor=(0, 1),
    linear_lags=3,
    linear_forget=0.999,
    slow_forget=0.9998,
    mix_forget=0.998,
    forget=0.9985,
    gate=5.0,
)


# ---- The mixture -------------------------------------------------------------------------------


def test_two_labels_worked_by_hand() -> None:
    # Label 1: m = 0, l = 1, p = (1/2, -1/2). r = 1 and g = -2 (1)(+-1/2) = (-1, 1), V = (1, 1),
    # eta = 1, R = -(g + g^2) = (0, -2): w = .999 (e^0, e^-2) / (1 + e^-2) + .0005.
    mixture = Mixture.start(2)
    mixture.learn(np.array([0.5, -0.5]), 0.0, 1.0, forget=0.5)
    assert mixture.error == 1.0
    np.testing.assert_allclose(mixture.regret, [0.0, -2.0], atol=1e-9)
    np.testing.assert_allclose(mixture.weight, [0.8804163, 0.1195837], rtol=1e-6)
    # Label 2: m = 2, l = 3/2, p = (3, 1). (l - m)^2 = 1/4, r = 1 - (3/4)/2 = 5/8;
    # g = -2 (-1/2)(+-1) / (5/8) = (1.6, -1.6), V = 1/2 + 2.56 = 3.06 each, eta = 3.06^-1/2,
    # R = (0, -2)/2 - (1.6 + 2.56 eta, -1.6 + 2.56 eta), eta (R_1 - R_2) = -2.2 eta.
    mixture.learn(np.array([3.0, 1.0]), 2.0, 1.5, forget=0.5)
    assert mixture.error == pytest.approx(0.625)
    np.testing.assert_allclose(mixture.spread, 3.06)
    np.testing.assert_allclose(mixture.regret, [-3.063455, -0.863455], rtol=1e-6)
    np.testing.assert_allclose(mixture.weight, [0.2216562, 0.7783438], rtol=1e-5)


def learn(
    p: Array, labels: Array, forget: float, scale: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Answers (T) and weights (T, K) of a mixture of the forecasts p (T, K)."""
    mixture, answers, weights = Mixture.start(p.shape[1]), [], []
    for row, label in zip(p, labels, strict=True):
        answers.append(mixture.weight @ row)
        mixture.learn(scale * row, scale * answers[-1], scale * label, forget)
        weights.append(mixture.weight)
    return np.array(answers), np.array(weights)


def forecasts(seed: int, steps: int = 4000) -> tuple[Array, Array]:
    """Labels and four forecasts of them, with errors of their own and one that they share."""
    rng = np.random.default_rng(seed)
    labels = rng.normal(size=steps)
    own = rng.normal(size=(steps, 4)) * np.array([1.0, 0.3, 0.6, 3.0])
    return labels[:, None] + own + 0.5 * rng.normal(size=(steps, 1)), labels


def loss(p: Array, labels: Array) -> Array:
    return np.asarray(((p.T - labels) ** 2).mean(axis=-1))


def test_weights_sum_to_one_have_no_units_and_never_vanish() -> None:
    p, labels = forecasts(1, 500)
    weights = learn(p, labels, 0.998)[1]
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-12)
    assert weights.min() >= 1e-3 / 4
    for scale in (1e-3, 1e6):
        np.testing.assert_allclose(learn(p, labels, 0.998, scale)[1], weights, rtol=1e-6)
    same = learn(p[:, [1, 1]], labels, 0.998)[1]
    np.testing.assert_allclose(same, 0.5)


@pytest.mark.parametrize("seed", range(3))
def test_the_regret_against_the_best_fixed_forecast_is_small(seed: int) -> None:
    p, labels = forecasts(seed)
    answers = learn(p, labels, 1.0)[0]
    assert loss(answers, labels) < 1.01 * loss(p, labels).min()
    # Of forecasts that share nothing, an average is better than any of them.
    rng = np.random.default_rng(seed)
    p = labels[:, None] + rng.normal(size=p.shape)
    assert loss(learn(p, labels, 1.0)[0], labels) < 0.5 * loss(p, labels).min()


def test_regret_is_small_when_the_labels_are_chosen_against_the_mixture() -> None:
    rng = np.random.default_rng(2)
    mixture, p, answers, labels = Mixture.start(3), rng.normal(size=(4000, 3)), [], []
    for row in p:
        answers.append(mixture.weight @ row)
        labels.append(answers[-1] + np.sign(answers[-1] - row.mean()))  # away from the others
        mixture.learn(row, answers[-1], labels[-1], 1.0)
    assert loss(np.array(answers), np.array(labels)) < 1.05 * loss(p, np.array(labels)).min()


def test_a_forecast_that_becomes_the_best_is_followed_soon() -> None:
    p, labels = forecasts(3, 6000)
    p[3000:] = p[3000:, [1, 0, 2, 3]]
    answers, weights = learn(p, labels, 0.998)
    assert weights[2999].argmax() == 1
    assert (weights[3300:].argmax(axis=1) == 0).all()
    late = slice(3300, 6000)
    assert loss(answers[late], labels[late]) < 1.02 * loss(p[late], labels[late]).min()


def test_one_wild_forecast_or_label_does_not_decide() -> None:
    p, labels = forecasts(4)
    before = learn(p, labels, 0.998)[0]
    p[2000, 3], labels[2500] = 1e15, -1e9
    answers = learn(p, labels, 0.998)[0]
    late = slice(2600, 4000)
    assert loss(answers[late], labels[late]) < 1.05 * loss(before[late], labels[late])


# ---- Recursive least squares -------------------------------------------------------------------


@pytest.mark.parametrize("forget", [1.0, 0.98])
def test_no_units_is_textbook_recursive_least_squares(forget: float) -> None:
    # With a wide prior, forgetting towards it is forgetting. The textbook forgets P before its use.
    prior = 1e6
    settings = Settings(2, 2, 0, lags=2, estimator="frozen", scale_steps=0, forget=forget)
    learner = ReferenceLearner(replace(settings, prior=prior))
    textbook = TextbookRls(2, 2, lags=2, scale_steps=0, forget=forget, prior=prior * forget)
    rng = np.random.default_rng(5)
    truth = rng.normal(size=(2, 2))
    for t in range(200):
        x = rng.normal(size=2)
        forecast, expected = learner.predict(x), textbook.predict(x)
        if t > 20:
            np.testing.assert_allclose(forecast, expected, rtol=1e-4, atol=1e-4)
        label = truth @ x + rng.normal(size=2) + np.sin(t / 30)
        learner.learn(label)
        textbook.learn(label)


@pytest.mark.parametrize("stream", [False, True])
def test_no_units_is_weighted_least_squares(stream: bool) -> None:
    kind = StreamLearner if stream else ReferenceLearner
    settings = Settings(1, 1, 0, lags=3, estimator="frozen", scale_steps=0, follow=stream)
    learner = kind(replace(settings, forget=0.97, prior=1e8))
    z = np.cumsum(np.random.default_rng(6).normal(size=150))
    for t, value in enumerate(z[:-1]):
        learner.predict(value)
        learner.learn(z[t + 1])
    rows = [[z[t], z[t - 1], z[t - 2], 1.0] for t in range(2, 149)]
    F = np.array([[z[0], 0, 0, 1], [z[1], z[0], 0, 1], *rows])
    weight = np.sqrt(0.97 ** np.arange(148, -1, -1.0))[:, None]
    solved = np.linalg.lstsq(weight * F, weight[:, 0] * z[1:], rcond=None)[0]
    np.testing.assert_allclose(learner.readout[0], solved, rtol=1e-4, atol=1e-5)


def test_the_plain_readout_is_that_of_the_learner_without_recurrent_learning() -> None:
    rng = np.random.default_rng(7)
    settings = Settings(2, 2, 3, estimator="frozen", scale_steps=0, gate=1.5, prior_units=True)
    learner = ReferenceLearner(settings)
    plain = Rls(2, learner.d0, np.arange(6), settings.forget, settings)
    for _ in range(100):
        label = rng.normal(size=2)
        label[rng.random(2) < 0.2] = np.nan
        learner.predict(rng.normal(size=2))
        plain.learn(learner.live_f, label)
        learner.learn(label)
    np.testing.assert_allclose(plain.V, learner.readout, rtol=1e-9)
    np.testing.assert_allclose(plain.noise, learner.noise, rtol=1e-9)
    np.testing.assert_allclose(plain.covariance.d, learner.d, rtol=1e-9)


class Watched(SpreadRls):
    """Notes what is looked at."""

    def restart(self) -> None:
        """Forget the notes too."""
        super().restart()
        self.seen: list[tuple[Array, Array]] = []

    def look(self, f: Array, target: Array) -> None:
        """Note it."""
        self.seen.append((f, target))
        super().look(f, target)


def test_in_parts_one_of_four_labels_is_learnt_with_what_is_forgotten_in_four() -> None:
    rng, order = np.random.default_rng(3), np.arange(3)
    slow = Watched(1, np.ones(3), order, 0.9, STREAM)
    plain = Rls(1, np.ones(3), order, 0.9**4, STREAM)
    rows = rng.normal(size=(43, 3))
    targets = (rows @ [1.0, -2.0, 0.5] + 0.1 * rng.normal(size=43))[:, np.newaxis]
    targets[8:10] = np.nan  # of no label there is nothing to learn, nor a part of it
    for t in range(43):
        slow.learn_part(rows[t], targets[t], t)
        if slow.part == 0 and t not in (8, 9):  # the last part
            plain.learn(*slow.seen[-1])
        np.testing.assert_array_equal(slow.V, plain.V)
    assert slow.part == 1
    assert len(slow.seen) == 11


@pytest.mark.parametrize("period", [2, 3, 4, 8])
def test_every_phase_of_a_periodic_stream_is_learnt(period: int) -> None:
    slow = Watched(1, np.ones(1), np.arange(1), 0.9998, STREAM)
    for label in range(4000):
        slow.learn_part(np.full(1, float(label)), np.ones(1), label)
    learnt = np.array([int(f[0]) for f, _ in slow.seen])
    phases = np.bincount(learnt % period, minlength=period)
    assert len(learnt) == 1000
    assert phases.min() > 0.8 * phases.mean()
    assert np.diff(learnt).min() >= 1


def test_without_units_the_linear_forecast_is_that_of_the_readout() -> None:
    # One channel, the same lags, the same forgetting, nothing recurrent: twice the same.
    config = replace(STREAM, n_in=1, n_out=1, n_hidden=0, estimator="frozen", anchor=(0,))
    config = replace(config, forget=1.0, linear_forget=1.0, slow_forget=1.0, max_delay=1)
    learner, z = StreamLearner(config), np.cumsum(np.random.default_rng(8).normal(size=200))
    for value in z:
        if len(learner.waiting) == 2:
            learner.learn(value)
        learner.predict(value)
        p = learner.forecasts[-1][0][0]
        np.testing.assert_allclose(p[1], p[2], rtol=1e-7, atol=1e-9)
    assert np.abs(learner.linear[0].V).max() > 0.01


# ---- Priors in units of the target -------------------------------------------------------------


def mackey_glass(steps: int) -> Array:
    """Mackey and Glass 1977 with delay 17, ten Euler steps per sample."""
    x = [1.2] * 170
    for _ in range(10 * (steps + 100)):
        x.append(x[-1] + 0.1 * (0.2 * x[-170] / (1 + x[-170] ** 10) - 0.1 * x[-1]))
    return np.array(x[-10 * steps :: 10])


def test_priors_in_units_of_the_target_pay_where_there_is_little_noise() -> None:
    # What the prior asks for is a thousandth of the noise that is left, but not of the target. It
    # wears off at the rate of forgetting: a fast one shows it in a short stream.
    z = mackey_glass(1500)

    def error(prior_units: bool) -> float:
        settings = Settings(1, 1, 8, lags=6, estimator="frozen", tau_max=16.0, prior_hidden=0.03)
        learner = ReferenceLearner(
            replace(settings, prior=3.0, forget=0.98, prior_units=prior_units)
        )
        errors = []
        for t in range(len(z) - 1):
            errors.append(learner.predict(z[t])[0] - z[t + 1])
            learner.learn(z[t + 1])
        return float(np.sqrt(np.mean(np.square(errors[600:]))))

    assert error(prior_units=True) < error(prior_units=False) / 4


def test_the_lift_is_the_mean_noise_within_its_bounds() -> None:
    settings = replace(STREAM, forget=0.5, gate=0.0, prior_units=True)
    for noise, lift in (([0.5, 0.25], 1 / 0.375), ([9.0, 9.0], 1.0), ([0.0, 0.0], 1e8)):
        rls = Rls(2, np.full(2, 4.0), np.arange(2), 0.5, settings)
        rls.noise = np.array(noise)
        rls.learn(np.zeros(2), np.zeros(2))  # nothing is seen, all is forgotten
        np.testing.assert_allclose(rls.covariance.d, 4 / (0.5 + 0.5 / lift))


# ---- The learner -------------------------------------------------------------------------------


def test_the_answer_is_the_mixture_of_the_forecasts_that_wait() -> None:
    learner, rng = StreamLearner(replace(STREAM, max_delay=3)), np.random.default_rng(9)
    for t in range(100):
        z = np.cumsum(rng.normal(size=2)) + 5
        if t >= 4:
            p, answer = learner.forecasts[0]
            weight = [one.weight for one in learner.mixture]
            learner.learn(z)
            assert t < 20 or not np.array_equal(weight, [one.weight for one in learner.mixture])
        y = learner.predict(z)
        p, answer = learner.forecasts[-1]
        assert p.shape == (2, 4)
        for o, unit in enumerate(learner.units):
            mixed = learner.mixture[o].weight @ p[o]
            assert answer[o] == pytest.approx(mixed)
            assert y[o] == pytest.approx(unit.reference + unit.M + unit.S * mixed)
            assert unit.S == 0 or unit.restore(p[o, 0]) == pytest.approx(z[o])


def test_the_variance_is_that_of_the_answers() -> None:
    learner, rng = StreamLearner(STREAM), np.random.default_rng(10)
    learner.predict(np.ones(2))
    np.testing.assert_allclose(learner.variance(), 1 + learner.spread(learner.live_f))
    errors, y = [], np.zeros(2)
    for _ in range(1500):
        z = rng.normal(size=2) * [1.0, 50.0]
        errors.append((z - y) ** 2)
        if learner.waiting:
            learner.learn(z)
        y = learner.predict(z)
    np.testing.assert_allclose(learner.variance(), np.mean(errors[-500:], axis=0), rtol=0.2)
    answered = [u.S**2 * one.error for u, one in zip(learner.units, learner.mixture, strict=True)]
    np.testing.assert_allclose(learner.variance(), answered)


@pytest.mark.parametrize("kind", ["walk", "wave"])
def test_the_answer_is_hardly_worse_than_the_best_of_its_forecasts(kind: str) -> None:
    rng, steps = np.random.default_rng(11), 1200
    walk = np.cumsum(rng.normal(size=(steps, 2)), axis=0)
    wave = np.sin(np.arange(steps)[:, None] / [7.0, 11.0]) + 0.1 * rng.normal(size=(steps, 2))
    learner, errors = StreamLearner(STREAM), []
    for value in walk if kind == "walk" else wave:
        if learner.waiting:
            p, answer = learner.forecasts[0]
            known = np.column_stack([p, answer])
            given = [
                u.restore(0.0) + u.S * row for u, row in zip(learner.units, known, strict=True)
            ]
            errors.append((np.array(given) - value[:, None]) ** 2)
            learner.learn(value)
        learner.predict(value)
    anchor, *_, answer = mean = np.mean(errors[400:], axis=(0, 1))
    assert answer < 1.02 * mean[:-1].min()
    assert (anchor < 1.02 * mean.min()) == (kind == "walk")


def test_without_a_mixture_the_readout_answers_alone() -> None:
    config = replace(STREAM, linear_lags=0, slow_forget=0.0, mix_forget=0.0)
    learner, rng = StreamLearner(config), np.random.default_rng(12)
    for t in range(50):
        z = rng.normal(size=2)
        if learner.waiting:
            learner.learn(z)
        y = learner.predict(z)
        read = learner.readout @ learner.live_f
        expected = [u.restore(u.apply(z[o]) + read[o]) for o, u in enumerate(learner.units)]
        np.testing.assert_allclose(y, expected if t > 0 else z)
    assert np.abs(learner.readout).max() > 0.1


def test_an_output_without_anchor_starts_from_its_last_label_and_learns_its_level() -> None:
    config = replace(STREAM, anchor=(0, None))
    learner, rng = StreamLearner(config), np.random.default_rng(13)
    for _ in range(600):
        z = rng.normal(size=2)
        label = np.array([z[0], 300.0 + 2.0 * rng.normal()])
        if learner.waiting:
            learner.learn(label)
        y = learner.predict(z)
        if learner.label_units[1].S > 0:
            p_0 = learner.forecasts[-1][0][1, 0]
            assert learner.label_units[1].restore(p_0) == pytest.approx(label[1])
    assert y[1] == pytest.approx(300.0, abs=1.0)
    assert not learner.linear[1].V[0, 1:].any()  # there is no input of its own
