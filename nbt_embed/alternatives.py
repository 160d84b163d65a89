"""Bytes of other methods that train the same network, from formulas.

All in addition to the learner's own bytes, with everything else (filter, ring, scaler) as it is:
only what the method itself stores is exchanged. Symbols: S state floats, R pre-activation rows,
D columns (docs/design.md, section 1); a float has 4 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from nbt_embed._kernel_config import memory_of, shape_of
from nbt_embed.config import Config, Estimator
from nbt_embed.errors import ConfigError

BPTT_STEPS = 100
ECHO_FACTOR = 4

_FLOAT = 4


@dataclass(frozen=True)
class Alternative:
    """One other method: key (for JSON), name, formula (text) and what it gives."""

    key: str
    name: str
    formula: str
    memory_bytes: int


def alternatives(config: Config) -> tuple[Alternative, ...]:
    """Exact RTRL, backpropagation through 100 steps and echo state networks, in bytes.

    RTRL keeps the whole derivative of the state by the weights where NoBackTrack keeps v and w; it
    is left out where the traces of snap1 are that derivative (``columnar``). Backpropagation keeps
    100 steps of inputs, pre-activations and states, and one gradient; work space is not counted,
    so both figures are lower bounds. An echo state network trains the readout alone; how many units
    it needs for the same accuracy depends on the stream (compare with ``estimator="frozen"``), so
    it is given at the same width and at four times the width, where a learner can be that wide.

    None of a learner without units. Errors: ConfigError, as ``memory_of``. Cost: O(1).
    """
    if config.hidden == 0:
        return ()
    estimator: Estimator = "snap1" if config.traces_are_exact else "nobacktrack"
    trained = memory_of(replace(config, estimator=estimator))
    rest = trained.total - trained.estimate
    state, rows, cols = shape_of(config)
    weights = rows * cols
    history = BPTT_STEPS * (state + rows + config.n_in)
    rtrl = Alternative(
        "rtrl",
        "exact RTRL",
        f"rest + 4·S·R·D = {rest} + 4·{state}·{weights}",
        rest + _FLOAT * state * weights,
    )
    return (
        *(() if config.traces_are_exact else (rtrl,)),
        Alternative(
            f"bptt_{BPTT_STEPS}",
            f"backpropagation, {BPTT_STEPS} steps",
            f"rest + 4·(R·D + {BPTT_STEPS}·(S + R + n_in)) = {rest} + 4·({weights} + {history})",
            rest + _FLOAT * (weights + history),
        ),
        *_echo_state(config, "echo_state", "same width", 1),
        *_echo_state(
            config, f"echo_state_{ECHO_FACTOR}x", f"{ECHO_FACTOR}x the units", ECHO_FACTOR
        ),
    )


def _echo_state(config: Config, key: str, width: str, factor: int) -> Iterator[Alternative]:
    """One echo state network, or none where a learner of that width cannot be built."""
    hidden, resonators = (factor * (count or 0) for count in (config.hidden, config.resonators))
    formula = f"this learner with --estimator frozen --hidden {hidden}"
    formula += " --head 0" if config.head else ""  # a learnt layer is no part of such a network
    config = replace(config, estimator="frozen", hidden=hidden, resonators=resonators)
    config = replace(config, head=0, head_gain=0.0)
    with suppress(ConfigError):
        memory_bytes = memory_of(config).total
        yield Alternative(key, f"echo state network, {width}", formula, memory_bytes)
