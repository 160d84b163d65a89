"""Cells and estimators that a user enters: what is checked, and what is said of mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nbt_embed import reference as ref
from nbt_embed.reference import Array, Settings, Step


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """What a test enters is taken out again."""
    tables = ((ref.CELLS, dict(ref.CELLS)), (ref.ESTIMATORS, dict(ref.ESTIMATORS)))
    yield
    for table, kept in tables:
        table.clear()
        table.update(kept)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [name for name in ref.CELLS if name != "resonator"])
def test_the_shipped_cells_pass(name: str) -> None:
    ref.check_cell(name)


FLAWS: dict[str, Callable[[Step, int], Step]] = {
    "gain says .* for gate 1 of unit": lambda step, H: replace(
        step, gain=step.gain * np.repeat([1.0, 0.9], H)
    ),
    "gain says .* for gate 0 of unit 1 and state float 1": lambda step, H: replace(
        step, gain=step.gain + 0.01 * (np.arange(2 * H) == 1)
    ),
    "carry says .* for part of the state 0 of unit": lambda step, _: replace(
        step, carry=step.carry**2
    ),
    "for gate . of unit . and state float": lambda step, _: replace(step, state=step.state[::-1]),
}


@pytest.mark.parametrize("message", FLAWS)
def test_a_wrong_derivative_is_named(message: str) -> None:
    @ref.cell(gates=2, slow=0)
    def flawed(a: Array, s: Array, leak: Array) -> Step:
        return FLAWS[message](ref.CELLS["gated"].step(a, s, leak), leak.size)

    with pytest.raises(AssertionError, match=f"cell 'flawed': .*{message}"):
        ref.check_cell("flawed")


def test_an_array_of_a_wrong_shape_is_named() -> None:
    @ref.cell(gates=1)
    def narrow(a: Array, s: Array, leak: Array) -> Step:
        step = ref.CELLS["leaky"].step(a, s, leak)
        return replace(step, carry=step.carry[0])

    with pytest.raises(ValueError, match=r"carry has shape \(3,\): return one of \(1, 3\)"):
        ref.check_cell("narrow")


def test_what_is_no_cell_and_no_step_is_named() -> None:
    @ref.cell(gates=1)
    def three(a: Array, s: Array, leak: Array) -> Step:  # noqa: ARG001
        return s, s, s  # type: ignore[return-value]  # what is refused

    with pytest.raises(ValueError, match=r"cell 'three' returns a tuple: return Step"):
        ref.check_cell("three")
    with pytest.raises(ValueError, match=r"name is 'thre': choose one of .*'three'.* with @cell"):
        ref.check_cell("thre")


@pytest.mark.parametrize("field", ["norm", "filter", "link"])
def test_a_name_that_would_choose_another_method_is_refused(field: str) -> None:
    named: dict[str, Any] = {field: "kalmn"}
    with pytest.raises(ValueError, match=f"{field} is 'kalmn': choose one of"):
        ref.ReferenceLearner(Settings(1, 1, 3, **named))


def test_an_estimator_keeps_what_it_likes_until_the_state_is_reset() -> None:
    @ref.estimator()
    def lazy(of: ref.Estimate, at: ref.Moment) -> None:
        """The exact derivative, every other step."""
        of.own["steps"] = of.own.get("steps", 0) + 1
        if of.own["steps"] % 2:
            of.G = ref.exact_rtrl(of.G, at.u, at.step, at.theta)

    learner = ref.ReferenceLearner(Settings(1, 1, 3, estimator="lazy"))
    first = learner.theta
    for x in np.sin(np.arange(9.0)):
        learner.predict([x])
        learner.learn([x])
    assert learner.estimate.own == {"steps": 9}
    assert learner.slopes().any()
    assert (learner.theta != first).any()
    learner.reset_state()
    assert learner.estimate.own == {}


@pytest.mark.parametrize("field", ["cell", "estimator"])
def test_an_unknown_name_is_answered_with_the_known_ones(field: str) -> None:
    named: dict[str, Any] = {field: "none"}
    with pytest.raises(
        ValueError, match=rf"{field} is 'none': .*, or enter your own with @{field}"
    ):
        ref.ReferenceLearner(Settings(1, 1, 3, **named))
