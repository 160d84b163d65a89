"""Any sequence of calls on the Python interface, against a model of what waits and may change.

Hypothesis chooses the configuration and the calls, hostile numbers among them, and shortens a
sequence that breaks a promise to the least that does.
"""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from conftest import missing
from settings import kinds

from nbt_embed import Config, Learner
from nbt_embed.config import CHOICES
from nbt_embed.errors import InputError, SequenceError

try:
    from hypothesis import HealthCheck, settings
    from hypothesis import strategies as st
    from hypothesis.stateful import (
        RuleBasedStateMachine,
        initialize,
        invariant,
        rule,
        run_state_machine_as_test,
    )
except ImportError:
    missing("hypothesis is not installed: pip install '.[dev]'")

N_IN, N_OUT = 2, 3
ORDINARY = st.floats(-3, 3, width=32)
ANYTHING = st.one_of(ORDINARY, ORDINARY, ORDINARY, st.floats(width=32))
CONFIGS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(kinds(*CHOICES)),
        "hidden": st.integers(0, 4),
        "resonators": st.integers(0, 4),
        "head": st.integers(0, 3),
        "follow": st.booleans(),
        "lags": st.integers(1, 3),
        "max_delay": st.integers(0, 3),
        "scale_steps": st.sampled_from([0, 5, 300]),
        "hold_missing": st.booleans(),
        "stuck_steps": st.sampled_from([0, 2]),
        "drift_steps": st.sampled_from([3, 300]),
        "rollback_steps": st.sampled_from([0, 2]),
        "gate": st.sampled_from([0.0, 4.0]),
        "input_limit": st.sampled_from([0.0, 4.0]),
        "seed": st.integers(0, 2**64 - 1),
    }
)


class Life(RuleBasedStateMachine):
    """One learner, and how many of its forecasts wait."""

    learner: Learner

    @initialize(config=CONFIGS)
    def build(self, config: dict[str, Any]) -> None:
        config |= dict(zip(CHOICES, config.pop("kind"), strict=True))
        config["rollback_steps"] *= not config["follow"] or config["link"] == "gaussian"
        config["resonators"] = min(config["resonators"], config["hidden"])
        if config["cell"] != "columnar":
            config["resonators"] = None
        if config["hidden"] == 0:
            config["estimator"] = None
        self.learner = Learner(Config(N_IN, N_OUT, **config))
        self.waiting = self.predicted = 0

    @property
    def room(self) -> int:
        return self.learner.config.max_delay + 1 - self.waiting

    @rule(x=st.lists(ANYTHING, min_size=N_IN, max_size=N_IN))
    def predict(self, x: list[float]) -> None:
        before = self.learner.hash()
        try:
            forecast = self.learner.predict(x)
        except SequenceError:
            assert self.room == 0
            assert self.learner.hash() == before
        except InputError:
            assert not np.isfinite(x).all() or max(map(abs, x)) > 1e6
            assert self.learner.hash() == before
        else:
            assert np.isfinite(forecast).all()
            self.waiting += 1
            self.predicted += 1

    @rule(x=st.lists(ANYTHING, min_size=N_IN, max_size=N_IN))
    def peek(self, x: list[float]) -> None:
        """What a copy would predict, also where there is no room; and nothing has happened."""
        before = self.learner._block.tobytes()
        try:
            forecast = self.learner.peek(x)
        except InputError as error:
            refusal = type(error)
            assert not np.isfinite(x).all() or max(map(abs, x)) > 1e6
            if self.room:
                with pytest.raises(refusal):
                    copy.copy(self.learner).predict(x)
        else:
            if self.room:
                twin = copy.copy(self.learner)
                np.testing.assert_array_equal(twin.predict(x), forecast)
        assert self.learner._block.tobytes() == before

    @rule(k=st.integers(0, 9), factor=st.floats(0.5, 1.0, width=32), seed=st.integers(0, 9))
    def set_from_outside(self, k: int, factor: float, seed: int) -> None:
        """Then it is the learner of a checkpoint with these numbers."""
        name = self.learner.settable[k % len(self.learner.settable)]
        values = self.learner.array(name) * np.float32(factor)
        self.learner.set_array(name, values)
        self.learner.reseed(seed)
        np.testing.assert_array_equal(self.learner.array(name), values)
        loaded, twin = Learner.from_bytes(self.learner.to_bytes()), copy.copy(self.learner)
        if self.room:
            np.testing.assert_array_equal(loaded.predict([0.5, 0.5]), twin.predict([0.5, 0.5]))
        assert loaded.hash() == twin.hash()

    @rule(y=st.lists(ANYTHING, min_size=N_OUT, max_size=N_OUT), k=st.integers(-1, N_OUT))
    def learn(self, y: list[float], k: int) -> None:
        label: Any = k if self.learner.config.link == "categorical" else y
        before = self.learner.hash()
        try:
            self.learner.learn(label)
        except SequenceError:
            assert self.waiting == 0
            assert self.learner.hash() == before
        except InputError:
            assert self.learner.hash() == before
        else:
            self.waiting -= 1

    @rule(steps=st.integers(0, 20), horizon=st.integers(0, 5), seed=st.integers(0, 9))
    def run(self, steps: int, horizon: int, seed: int) -> None:
        """The loop and ``run`` are the same learner afterwards."""
        config, rng = self.learner.config, np.random.default_rng(seed)
        x = rng.normal(size=(steps, N_IN))
        y = rng.integers(0, 2, (steps, config.n_label)).astype(np.float32)
        if horizon > config.max_delay + 1 or self.waiting > horizon:
            with pytest.raises((InputError, SequenceError)):
                self.learner.run(x, y, horizon=horizon)
            return
        loop = copy.copy(self.learner)
        forecasts = self.learner.run(x, y, horizon=horizon)
        for t in range(steps):
            if horizon and loop.pending == horizon:
                loop.learn(y[t])
            np.testing.assert_array_equal(loop.predict(x[t]), forecasts[t])
            if horizon == 0:
                loop.learn(y[t])
        assert loop.hash() == self.learner.hash()
        assert loop.counters == self.learner.counters
        self.waiting = loop.pending
        self.predicted += steps

    @rule()
    def save_and_load(self) -> None:
        data = self.learner.to_bytes()
        twin = pickle.loads(pickle.dumps(self.learner))
        assert twin.hash() == self.learner.hash()
        assert twin.to_bytes() == data
        self.learner = Learner.from_bytes(data)

    @rule()
    def forget_the_past(self) -> None:
        readout = self.learner.array("readout")
        self.learner.reset_state()
        self.waiting = 0
        assert not self.learner.array("state").any()
        np.testing.assert_array_equal(self.learner.array("readout"), readout)

    @invariant()
    def everything_is_finite_and_counted(self) -> None:
        assert self.learner.pending == self.waiting
        counters = self.learner.counters
        assert counters.predictions == self.predicted
        assert counters.labels + counters.missing <= self.predicted
        for name in self.learner.arrays:
            array = self.learner.array(name)
            assert np.isfinite(array).all(), name
            if name in ("covariance", "noise"):
                assert (array > 0).all(), name


@pytest.mark.filterwarnings("ignore::nbt_embed.errors.DivergenceWarning")
@pytest.mark.parametrize("lives", [60, pytest.param(300, marks=pytest.mark.slow)])
def test_any_sequence_of_calls_keeps_the_promises(lives: int) -> None:
    chosen = settings(
        max_examples=lives,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Life, settings=chosen)
