"""What is compared: learners by their settings, and what a user would have written instead."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from nbt_embed import Learner
from nbt_embed.baselines import LastValue, Rls
from nbt_embed.evaluate import Model
from nbt_embed.streams import Stream
from tools.streams.echo_state import EchoState

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 5


def _learner(stream: Stream, max_delay: int, seed: int, settings: dict[str, Any]) -> Model:
    held = stream.has_missing_inputs
    if settings.get("anchored"):
        names = stream.input_names
        anchor = tuple(names.index(one) if one in names else None for one in stream.target_names)
        settings = {**settings, "anchor": anchor}
    return Learner(
        stream.n_in, stream.n_out, max_delay=max_delay, hold_missing=held, seed=seed, **settings
    )


def _echo(stream: Stream, max_delay: int, seed: int, settings: dict[str, Any]) -> Model:
    return EchoState(stream.n_in, stream.n_out, max_delay=max_delay, seed=seed, **settings)


def _rls(stream: Stream, max_delay: int, _: int, settings: dict[str, Any]) -> Model:
    return Rls(stream.n_in, stream.n_out, max_delay=max_delay, **settings)


def _last(stream: Stream, max_delay: int, _: int, settings: dict[str, Any]) -> Model:
    return LastValue(stream.n_in, stream.n_out, max_delay=max_delay, **settings)


@dataclass(frozen=True)
class Kind:
    """How a kind of model is built, whether chance is in it, and the files that decide about it."""

    build: Callable[[Stream, int, int, dict[str, Any]], Model]
    random: bool
    sources: tuple[str, ...]


_SIMPLE = ("nbt_embed/baselines.py",)
KINDS = {
    "learner": Kind(_learner, True, ("csrc/*.[ch]", "nbt_embed/config.py")),
    "rls": Kind(_rls, False, _SIMPLE),
    "last": Kind(_last, False, _SIMPLE),
    "echo": Kind(_echo, True, (*_SIMPLE, "tools/streams/echo_state.py")),
}


@dataclass(frozen=True)
class Entrant:
    """A kind of model with its settings, as JSON so that it can be a key.

    Results are kept under the fingerprint of the files that decide about the kind, so that a
    changed kernel is measured anew and a changed document is not.
    """

    kind: str
    settings: str = "{}"

    @classmethod
    def of(cls, kind: str, **settings: Any) -> Entrant:
        """An entrant from keyword arguments of its class."""
        return cls(kind, json.dumps(settings, sort_keys=True))

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds it is run with: one where there is no chance."""
        return tuple(range(SEEDS)) if KINDS[self.kind].random else (0,)

    @property
    def fingerprint(self) -> str:
        """Hash of the sources of its kind."""
        return _hash(KINDS[self.kind].sources)

    def build(self, stream: Stream, horizon: int, seed: int) -> Model:
        """A fresh model for forecasts ``horizon`` rows ahead."""
        return KINDS[self.kind].build(stream, horizon - 1, seed, json.loads(self.settings))


@cache
def _hash(patterns: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


# Units that follow the stream, differences to the last value, and a mixture of forecasts
# (docs/design.md, section 11), with settings chosen over all recordings together.
FOLLOWING: dict[str, Any] = {
    "lags": 2,
    "follow": True,
    "scale_rate": 2e-3,
    "input_limit": 10,
    "gate": 5,
    "anchored": True,
    "linear_lags": 10,
    "linear_forget": 0.999,
    "slow_forget": 0.9998,
    "mix_forget": 0.998,
    "prior_units": True,
    "prior_hidden": 0.05,
    "info_floor": 0.005,
    "input_gain": 1.2,
    "drift_steps": 0,
}
# The learners in the tables, by name; the first is what the references are compared with.
LEARNERS = {
    "default": Entrant.of("learner"),
    "lags 3": Entrant.of("learner", lags=3),
    "lags 3, watch off": Entrant.of("learner", lags=3, drift_steps=0),
    "following": Entrant.of("learner", **FOLLOWING),
    "following, frozen": Entrant.of("learner", **FOLLOWING, estimator="frozen"),
}
FROZEN = Entrant.of("learner", estimator="frozen")
LAST = Entrant.of("last")
# The best of a group is chosen afterwards, task by task.
RLS = tuple(Entrant.of("rls", lags=lags) for lags in (1, 3, 10))
ECHO = tuple(Entrant.of("echo", forget=forget) for forget in (0.998, 0.9995))
