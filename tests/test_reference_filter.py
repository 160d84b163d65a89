"""The reference's filters and links against plain linear algebra and likelihoods."""

from __future__ import annotations

import numpy as np
import pytest
from reference_cases import LINKS, Case, dense_quasi_diagonal, link_case, log_likelihood

from nbt_embed import reference as ref
from nbt_embed.reference import Array
from nbt_embed.reference.covariance import forget_step, ud_product, ud_update
from nbt_embed.reference.filter import covariance_step, shared_step


def random_ud(rng: np.random.Generator, size: int) -> tuple[Array, Array]:
    """Draw a unit upper triangular U and a positive d."""
    return np.eye(size) + np.triu(rng.normal(size=(size, size)), 1), rng.uniform(0.1, 2, size)


@pytest.mark.parametrize("kappa", [0.0, 0.2, 1.0])
def test_ud_update_is_the_plain_covariance_formula(kappa: float) -> None:
    rng = np.random.default_rng(5)
    U, d = random_ud(rng, 6)
    for _ in range(20):
        f, C = rng.normal(size=6), ud_product(U, d)
        U, d = ud_update(U, d, f, kappa)
        plain = C - kappa * np.outer(C @ f, C @ f) / (1 + kappa * f @ C @ f)
        np.testing.assert_allclose(ud_product(U, d), plain, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(np.tril(U), np.eye(6))
        assert d.min() > 0


def test_forgetting_moves_information_towards_the_prior() -> None:
    rng = np.random.default_rng(5)
    d, start = rng.uniform(0.1, 2, 6), rng.uniform(0.1, 2, 6)
    np.testing.assert_allclose(forget_step(d, start, 1.0), d, rtol=1e-15)
    np.testing.assert_allclose(1 / forget_step(d, start, 0.9), 0.9 / d + 0.1 / start)
    np.testing.assert_allclose(forget_step(start, start, 0.9), start)


def test_covariance_step_is_the_inverse_of_the_running_information() -> None:
    rng, rate, floor = np.random.default_rng(5), 0.01, 0.3
    J = np.zeros((4, 3))
    P = np.full_like(J, 1 / floor)
    for _ in range(50):
        seen = rng.exponential(size=J.shape)
        J += rate * (seen - J)
        P = covariance_step(P, seen, rate, floor)
        np.testing.assert_allclose(P, 1 / (J + floor))


def sampled_information(rows: Array, floor: float) -> tuple[Array, Array]:
    """M and cross (1, D) of row gradients (n, D)."""
    return (rows**2).mean(axis=0)[None] + floor, (rows * rows[:, -1:]).mean(axis=0)[None]


def test_quasi_diagonal_metric_is_a_positive_operator_and_solves_for_the_bias() -> None:
    rng = np.random.default_rng(3)
    gradients = rng.normal(size=(50, 5)) + 2.0 * rng.normal(size=(50, 1))
    M, cross = sampled_information(gradients, 0.01)
    metric, dense = ref.Metric.quasi_diagonal(M, cross), dense_quasi_diagonal(M, cross)
    a, b = rng.normal(size=(2, 1, 5))
    np.testing.assert_allclose(metric.apply(a)[0], dense @ a[0], rtol=1e-12)
    both = (metric.P * metric.without_bias(a) * metric.without_bias(b)).sum()
    np.testing.assert_allclose(both, a[0] @ dense @ b[0], rtol=1e-12)
    np.testing.assert_allclose(dense, dense.T, atol=1e-12)
    assert np.linalg.eigvalsh(dense).min() > 0
    # With a single weight and the bias nothing is left out: the exact inverse.
    pair = ref.Metric.quasi_diagonal(M[:, 3:], cross[:, 3:])
    exact_M = np.array([[M[0, 3], cross[0, 3]], [cross[0, 3], M[0, 4]]])
    np.testing.assert_allclose(pair.apply(a[:, 3:])[0], np.linalg.solve(exact_M, a[0, 3:]))


def test_quasi_diagonal_step_does_not_depend_on_offset_and_scale_of_a_column() -> None:
    rng = np.random.default_rng(3)
    gradients, gradient = rng.normal(size=(50, 5)) + 1.0, rng.normal(size=5)
    change = np.diag(rng.uniform(0.5, 2, 5))  # u' = change u: scales, and offsets times the 1
    change[:, -1] = rng.normal(size=5)
    change[-1, -1] = 1.0
    before, after = (
        ref.Metric.quasi_diagonal(*sampled_information(seen, 0.0)).apply(slope[None])[0]
        for seen, slope in ((gradients, gradient), (gradients @ change.T, change @ gradient))
    )
    np.testing.assert_allclose(change.T @ after, before, rtol=1e-9)


# A class index has no parts, so categorical labels are there or missing as a whole.
GAPS = {
    link: ("none", "all") if link == "categorical" else ("none", "last", "all") for link in LINKS
}
CASES = [link_case(link, gap) for link in LINKS for gap in GAPS[link]]


def curvature_point(case: Case) -> Array:
    """Outputs (O) at which the curvature is taken: midway in probability to the label."""
    y = ref.prediction(case.link, case.raw)
    middle = y + case.new.error / 2
    if case.link == "gaussian":
        return case.raw
    return np.log(middle) if case.link == "categorical" else np.log(middle / (1 - middle))


def name(case: Case) -> str:
    return f"{case.link}-{case.missing.sum()}-missing"


@pytest.mark.parametrize("case", CASES, ids=name)
def test_whitened_score_and_curvature_are_those_of_the_likelihood(case: Case) -> None:
    def gradient(raw: Array) -> Array:
        return ref.numeric_derivative(lambda at: log_likelihood(case, at), raw, 1e-4)[:, 0]

    np.testing.assert_allclose(case.new.F @ case.new.t, gradient(case.raw), atol=1e-7)
    hessian = ref.numeric_derivative(gradient, curvature_point(case), 1e-4)
    np.testing.assert_allclose(case.new.curvature, -hessian, atol=1e-6)
    np.testing.assert_array_equal(case.new.labelled, ~case.missing)


@pytest.mark.parametrize("case", CASES, ids=name)
def test_shared_step_divides_the_score_by_the_innovation_covariance(case: Case) -> None:
    rng, new = np.random.default_rng(1), case.new
    alpha = rng.normal(size=case.raw.size)
    M = 0.7 * np.diag(new.varsigma) + 0.4 * np.outer(alpha, alpha)
    direct = np.linalg.solve(np.eye(case.raw.size) + new.curvature @ M, new.F @ new.t)
    x = shared_step(new.F, M, new.t)
    np.testing.assert_allclose(x, direct, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(x[case.missing], 0.0)


@pytest.mark.parametrize("link", ["categorical", "bernoulli"])
def test_weight_of_a_sample_is_the_mean_curvature_weighted_by_itself(link: str) -> None:
    new = link_case(link, "none").new
    eigenvalues = np.linalg.eigvalsh(new.curvature)
    np.testing.assert_allclose(new.kappa, (eigenvalues**2).sum() / eigenvalues.sum())
