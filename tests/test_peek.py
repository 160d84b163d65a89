"""``Learner.peek``: the forecast that predict would give, with the learner left as it is."""

import copy
import pickle
import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from settings import kinds, still

from nbt_embed import Learner
from nbt_embed.errors import ConfigError, DivergenceWarning, InputError, InputTypeError

KINDS = kinds("cell", "estimator", "filter", "link")
GUARDED: dict[str, Any] = {
    "stuck_steps": 5,
    "drift_steps": 20,
    "rollback_steps": 30,
    "gate": 3.0,
    "input_limit": 4.0,
    "hold_missing": True,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "categorical": {"link": "categorical"},
    "bernoulli": {"link": "bernoulli"},
    "delayed": {"max_delay": 4},
    "holds": {"hold_missing": True, "max_delay": 2},
    "guarded": GUARDED | {"rollback_steps": 0},
    "still": still(max_delay=1),
    "still guarded": still(**GUARDED),
    "no mixture": {"mix_forget": 0.0, "slow_forget": 0.0, "linear_lags": 0},
    "raw": {"scale_steps": 0},
    "lstm": {"cell": "lstm", "max_delay": 3},
    "units alone": {"intervals": 0, "anomaly": False, "hidden": 0, "head": 0},
}


def stream(learner: Learner, steps: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Inputs and labels with a jump, a stuck stretch and gaps where the learner holds inputs."""
    config = learner.config
    draw = np.random.default_rng(0)
    x = draw.normal(size=(steps, config.n_in)).cumsum(axis=0).astype(np.float32)
    x[steps // 2 :] += 40
    x[steps // 4 : steps // 4 + 9, 0] = x[steps // 4, 0]
    if config.hold_missing:
        x[::7, -1] = np.nan
    y: NDArray[Any]
    if config.link == "categorical":
        y = draw.integers(0, config.n_out, (steps, 1))
    elif config.link == "bernoulli":
        y = draw.integers(0, 2, (steps, config.n_out))
    else:
        y = x[:, :1] + draw.normal(size=(steps, config.n_out))
    labels = y.astype(np.float32)
    labels[::5, -1] = np.nan
    return x, labels


def all_of(learner: Learner) -> tuple[Any, ...]:
    """Everything that a peek shall leave as it is: the whole block, workspace included."""
    return learner._block.tobytes(), learner.hash(), learner.counters, learner.pending


def check_peeks(learner: Learner, steps: int) -> None:
    """Peek before every predict, and after it, and compare with a copy and with the block."""
    x, y = stream(learner, steps)
    assesses = bool(learner.config.intervals)
    for t in range(steps):
        if learner.pending > learner.config.max_delay:
            learner.learn(y[t])
        before = all_of(learner)
        seen = learner.peek(x[t])
        if assesses:
            again, bounds = learner.peek(x[t], intervals=True)
            assert again.tobytes() == seen.tobytes()
        learner.peek(x[t] + 1)  # what the scratch holds does not matter
        assert all_of(learner) == before
        twin = copy.copy(learner)
        assert twin.predict(x[t]).tobytes() == seen.tobytes()
        assert learner.predict(x[t]).tobytes() == seen.tobytes()
        if assesses:
            assert learner.interval().tobytes() == bounds.tobytes()


@pytest.mark.parametrize("name", VARIANTS)
def test_a_peek_is_the_next_forecast(name: str) -> None:
    check_peeks(Learner(2, 2, **{"hidden": 5, **VARIANTS[name]}), 90)


@pytest.mark.parametrize(("cell", "estimator", "filter_", "link"), KINDS)
def test_a_peek_is_the_next_forecast_of_every_kind(
    cell: Any, estimator: Any, filter_: Any, link: Any
) -> None:
    check_peeks(
        Learner(
            2, 2, hidden=3, cell=cell, estimator=estimator, filter=filter_, link=link, max_delay=1
        ),
        12,
    )


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("more", [1, 3])
def test_a_full_learner_peeks_as_one_with_more_room(name: str, more: int) -> None:
    settings = {"hidden": 5, **VARIANTS[name]}
    learner = Learner(2, 2, **settings)
    roomy = Learner(2, 2, **{**settings, "max_delay": learner.config.max_delay + more})
    x, y = stream(learner, 80)
    for t in range(len(x)):
        if learner.pending > learner.config.max_delay:
            before = all_of(learner)
            seen = learner.peek(x[t])
            assert all_of(learner) == before
            assert copy.copy(roomy).predict(x[t]).tobytes() == seen.tobytes()
            for one in (learner, roomy):
                one.learn(y[t])
        for one in (learner, roomy):
            one.predict(x[t])
    assert learner.counters == roomy.counters


def test_a_learner_that_peeks_goes_on_with_the_same_bits() -> None:
    """With max_delay 0 a predict leaves sums for the next learn: a peek in between keeps them."""
    peeks, plain = (Learner(2, 2, hidden=6, seed=3) for _ in range(2))
    x, y = stream(plain, 200)
    for t in range(200):
        for learner in (peeks, plain):
            learner.predict(x[t])
            if learner is peeks:
                learner.peek(x[t] * 2)
            learner.learn(y[t])
            if learner is peeks:
                learner.peek(x[t] - 1)
    assert peeks.hash() == plain.hash()
    assert peeks.to_bytes() == plain.to_bytes()


def test_a_peek_writes_to_no_buffer_but_the_one_it_was_given() -> None:
    learner = Learner(2, 1, hidden=4)
    learner.x[:] = 1, 2
    learner.predict(learner.x, out=learner.y)
    shown, last = learner.y.copy(), learner.interval()
    seen = learner.peek([5.0, -5.0])
    assert seen is not learner.y
    assert not np.shares_memory(seen, learner.y)
    np.testing.assert_array_equal(learner.x, [1, 2])
    np.testing.assert_array_equal(learner.y, shown)
    np.testing.assert_array_equal(learner.interval(), last)
    out = np.empty(1, np.float32)
    assert learner.peek(learner.x, out) is out
    assert learner.peek(learner.x, out=learner.y) is learner.y
    np.testing.assert_array_equal(learner.y, out)


def test_a_peek_refuses_what_predict_refuses() -> None:
    learner = Learner(2, 1, hidden=4)
    for t in range(100):
        learner.predict([np.sin(t), t % 3])
        learner.learn(0.5)
    for bad in ([1.0], [np.nan, 0], [np.inf, 0], [1e30, 0], ["a", "b"], [1e18, 1e19]):
        with pytest.raises((InputError, InputTypeError)) as of_peek:
            learner.peek(bad)
        with pytest.raises((InputError, InputTypeError)) as of_predict:
            learner.predict(bad)
        assert (of_peek.type, str(of_peek.value)) == (of_predict.type, str(of_predict.value))
    for out in (np.empty(2, np.float32), np.empty(1), [0.0]):
        with pytest.raises(InputError, match="out is"):
            learner.peek([0, 0], out=out)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="intervals"):
        Learner(1, 2, link="categorical").peek(0, intervals=True)


def test_a_peek_that_is_not_finite_warns() -> None:
    learner = Learner(1, 1, hidden=1, **still(cell="tanh", filter="sgd", scale_steps=20))
    for x in range(30):
        learner.predict(float(x))
        learner.learn(1e17 * (x % 7))
    assert np.isfinite(learner.peek(1e5)).all()
    learner.set_array("readout", np.full(learner.array("readout").shape, 9e17))
    with pytest.warns(DivergenceWarning, match="not finite"):
        learner.peek(1e5)
    with pytest.warns(DivergenceWarning, match="not finite"):
        learner.predict(1e5)


def test_thousands_of_peeks_take_one_block() -> None:
    learner = Learner(2, 1, hidden=8)
    tracemalloc.start()
    try:
        learner.peek([1, 2], intervals=True)
        first, _ = tracemalloc.get_traced_memory()
        for t in range(5000):
            learner.peek([1, t], intervals=True)
        last, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert learner.memory.total < first < learner.memory.total + 10_000
    assert last - first < 1000


def test_copies_and_pickles_do_without_the_scratch() -> None:
    learner = Learner(2, 1, hidden=4)
    small = len(pickle.dumps(learner))
    learner.peek([1, 2])
    assert len(pickle.dumps(learner)) == small
    twin = pickle.loads(pickle.dumps(learner))
    assert twin.peek([1, 2]).tobytes() == learner.peek([1, 2]).tobytes()
