"""The models that are compared: learners by their settings, and simple forecasters."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nbt_embed import Learner
from nbt_embed.baselines import LastValue, Rls
from nbt_embed.evaluate import Model
from nbt_embed.streams import Stream
from tools.sources import fingerprint
from tools.streams.echo_state import EchoState

SEEDS = 5


def _learner(stream: Stream, max_delay: int, seed: int, settings: dict[str, Any]) -> Model:
    held = stream.has_missing_inputs
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
    changed kernel is measured again and a changed document is not.
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
        return fingerprint(KINDS[self.kind].sources)

    def build(self, stream: Stream, horizon: int, seed: int) -> Model:
        """A fresh model for forecasts ``horizon`` rows ahead."""
        return KINDS[self.kind].build(stream, horizon - 1, seed, json.loads(self.settings))


FROZEN = Entrant.of("learner", estimator="frozen")
# The learners in the tables, by name; the first is what the references are compared with.
LEARNERS = {
    "default": Entrant.of("learner"),
    "default, frozen": FROZEN,
    "no mixture": Entrant.of("learner", mix_forget=0),
}
LAST = Entrant.of("last")
# The best of a group is chosen afterwards, task by task.
RLS = tuple(Entrant.of("rls", lags=lags) for lags in (1, 3, 10))
ECHO = tuple(Entrant.of("echo", forget=forget) for forget in (0.998, 0.9995))
