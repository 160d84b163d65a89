"""The kernel's view of a configuration: its struct, and the bytes that it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed._defaults import KERNEL_FIELDS, number_of
from nbt_embed._html import html_table
from nbt_embed._kernel import ffi, lib
from nbt_embed.config import CHOICES, Config
from nbt_embed.errors import ConfigError, shown

_CACHE_LINE = 64


@dataclass(frozen=True)
class Memory:
    """Bytes of a learner by purpose, equal to the kernel's ``NBT_BYTES`` on every target.

    Attributes: header (config, counters), parameters (theta, readouts, weights of the mixture),
    estimate (v, w, traces, exact derivative), covariance (recurrent block, factors of the readouts,
    noise), state (live, learning), ring (waiting inputs and forecasts, lag taps), scaler
    (statistics, units), guard (runs of equal values, last good copy), workspace (one step's).
    """

    header: int
    parameters: int
    estimate: int
    covariance: int
    state: int
    ring: int
    scaler: int
    guard: int
    workspace: int

    @property
    def total(self) -> int:
        """All bytes together."""
        return sum(getattr(self, name) for name in _PURPOSES)

    def _repr_html_(self) -> str:
        rows = {name: f"{getattr(self, name):,}" for name in _PURPOSES}
        return html_table("Memory, bytes", {**rows, "total": f"{self.total:,}"})


@dataclass(frozen=True)
class Counters:
    """What has happened since the learner was built.

    Attributes: predictions (accepted ``predict`` calls), labels (``learn`` calls with at least one
    label), missing (``learn`` calls with none), skipped (steps whose update would have left the
    finite numbers and was dropped), clipped (predictions with an input brought to input_limit),
    limited (labels brought to the gate), stuck (predictions with a stuck input, and stuck labels),
    reopened (times the learner reset its adaptation), rolled_back (times it took its last good
    parameters), moved (times the units of a channel moved), restarted (times the readouts
    restarted because the first values of a stream were not like the later ones).
    """

    predictions: int
    labels: int
    missing: int
    skipped: int
    clipped: int
    limited: int
    stuck: int
    reopened: int
    rolled_back: int
    moved: int
    restarted: int

    def _repr_html_(self) -> str:
        return html_table("Counters", {name: f"{getattr(self, name):,}" for name in _COUNTED})


# Guards by name -> their bit in the guards of nbt_run.
GUARDS = {
    name: number
    for number, (name, _) in enumerate(ffi.typeof("nbt_counters").fields)
    if name not in ("predictions", "labels", "missing")
}

# Looked up once: fields() makes a new tuple at every call, of which CPython keeps two thousand.
_PURPOSES = tuple(field.name for field in fields(Memory))
_COUNTED = tuple(field.name for field in fields(Counters))


# Field -> what it needs, if it is not off: another field, whether its value will do, what will.
_Need = tuple[str, Callable[[Any], bool], str]
_LINK: _Need = ("link", lambda link: link == "gaussian", 'link="gaussian"')
_FILTER: _Need = ("filter", lambda name: name != "sgd", "a kalman filter")
_FOLLOW: _Need = ("follow", bool, "follow=True")
_MIX: _Need = ("mix_forget", bool, "mix_forget above 0")
_NEEDS: dict[str, tuple[_Need, ...]] = {
    "rollback_steps": (
        ("drift_steps", bool, "drift_steps above 0"),
        (
            "follow",
            lambda follow: not follow,
            "mix_forget above 0 or follow=False (a copy keeps the units of its time)",
        ),
    ),
    "anchored": (_LINK, _FOLLOW),
    "mix_forget": (_LINK, _FOLLOW),
    "slow_forget": (_MIX, _FILTER),
    "linear_lags": (("anchored", bool, "anchored=True"), _MIX, _FILTER),
    "linear_forget": (("linear_lags", bool, "linear_lags above 0"),),
    "prior_units": (_LINK, _FILTER),
    "resonators": (
        ("cell", lambda cell: cell in ("columnar", "resonator"), 'cell="columnar" or "resonator"'),
    ),
    "head_gain": (("head", bool, "head above 0"),),
    "intervals": (_LINK, _FOLLOW),
    "anomaly": (_LINK, _FOLLOW),
}


def memory_of(config: Config) -> Memory:
    """Bytes that a learner of this configuration needs, without building it.

    Errors: ConfigError names a field out of range. Cost: O(1).
    """
    breakdown = ffi.new("nbt_breakdown *")
    struct = kernel_config(config)
    if lib.nbt_bytes_breakdown(struct, breakdown) != lib.NBT_OK:
        raise _refusal(config, struct)
    return Memory(**{name: getattr(breakdown, name) for name in _PURPOSES})


def shape_of(config: Config) -> tuple[int, int, int]:
    """State floats S, pre-activations R, columns D. Errors: as ``memory_of``."""
    sizes = [ffi.new("size_t *") for _ in range(3)]
    struct = kernel_config(config)
    if lib.nbt_shape(struct, *sizes) != lib.NBT_OK:
        raise _refusal(config, struct)
    states, rows, cols = (size[0] for size in sizes)
    return states, rows, cols


def counters_of(struct: Any) -> Counters:
    """The kernel's counters."""
    return Counters(**{name: getattr(struct, name) for name in _COUNTED})


def kernel_config(config: Config) -> Any:
    """The kernel's struct; names become the kernel's numbers. Errors: ConfigError (the seed)."""
    struct = ffi.new("nbt_config *")
    for kernel_name, name, ctype in KERNEL_FIELDS:
        value = getattr(config, name)
        if ctype == "uint64_t" and not 0 <= value < 1 << 64:
            raise ConfigError(
                f"{name} = {shown(value)}: expected a value from 0 to {(1 << 64) - 1}"
            )
        setattr(struct, kernel_name, number_of(name, ctype, value))
    return struct


def tell(config: Config, learner: Any) -> None:
    """Tell a fresh learner its anchors, where they are known, and the levels of its intervals."""
    if config.anchor is not None:
        lib.nbt_anchor_set(learner, [-1 if one is None else one for one in config.anchor])
    if config.levels:
        lib.nbt_levels_set(learner, list(config.levels))


def anchor_of(config: Config, learner: Any) -> tuple[int | None, ...] | None:
    """The anchors of a learner as ``Config.anchor``; None where no output has one."""
    if not config.anchored:
        return None
    out = _row(learner, lib.NBT_ARRAY_ANCHOR, config.n_out)
    anchor = tuple([int(one) if one >= 0 else None for one in out])
    return None if anchor == (None,) * config.n_out else anchor


def levels_of(config: Config, learner: Any) -> tuple[float, ...]:
    """The levels of a learner's intervals as ``Config.levels``."""
    if not config.intervals:
        return ()
    return tuple([float(str(one)) for one in _row(learner, lib.NBT_ARRAY_LEVEL, config.intervals)])


def _row(learner: Any, array: int, n: int) -> NDArray[np.float32]:
    """An array of one dimension."""
    out = np.empty(n, np.float32)
    sizes = ffi.new("size_t[2]")
    lib.nbt_array_get(learner, array, ffi.from_buffer("float[]", out), sizes, sizes + 1)
    return out


def config_of(struct: Any) -> Config:
    """The other way round."""
    settings: dict[str, Any] = {}
    for kernel_name, name, _ in KERNEL_FIELDS:
        value = getattr(struct, kernel_name)
        settings[name] = CHOICES[name][value] if name in CHOICES else value
    return Config(**settings)


def aligned_block(memory: Memory) -> NDArray[np.uint8]:
    """A zeroed block whose arrays (behind the header) start on a cache line."""
    raw = np.zeros(memory.total + _CACHE_LINE, np.uint8)
    address = int(ffi.cast("uintptr_t", ffi.from_buffer(raw)))
    start = -(address + memory.header) % _CACHE_LINE
    return raw[start : start + memory.total]


def status_text(status: int) -> str:
    """What a status means, as a sentence."""
    text = ffi.string(lib.nbt_status_text(status))
    return text.decode() if isinstance(text, bytes) else text


def _refusal(config: Config, struct: Any) -> ConfigError:
    """The error that names the field which the kernel refused, its value and its range."""
    index, low, high = _refused(struct)
    name = KERNEL_FIELDS[index][1]
    for other, has_room, remedy in _NEEDS.get(name, ()):
        if not has_room(getattr(config, other)):
            # Who asks for intervals may have named their levels.
            levels = f" (levels = {shown(config.levels)})" if name == "intervals" else ""
            out = "intervals and levels" if name == "intervals" else name
            return ConfigError(
                f"{name} = {shown(getattr(config, name))}{levels}: needs {remedy}, and "
                f"{other} = {getattr(config, other)!r}; change that, or leave {out} out"
            )
    if low == high:
        expected = _bound(low)
    elif _is_excluded(struct, index, low):
        expected = f"a value above {_bound(low)} and up to {_bound(high)}"
    else:
        expected = f"a value from {_bound(low)} to {_bound(high)}"
    if name in CHOICES:
        expected = "one of " + ", ".join(repr(choice) for choice in _accepted(struct, index))
    message = f"{name} = {shown(getattr(config, name))}: expected {expected}"
    if config.estimator == "rtrl" and name in ("hidden", "estimator") and _is_for_small(struct):
        message += (
            "; rtrl keeps one float per state float and recurrent weight, hidden^2 (hidden + n_in "
            "lags + 1) or more: fewer units or another estimator"
        )
    elif name in ("estimator", "filter", "resonators"):
        message += f" with cell = {config.cell!r} and hidden = {config.hidden}; or leave it out"
    return ConfigError(message)


def _refused(struct: Any) -> tuple[int, float, float]:
    """The place of the first field that the kernel refuses, beyond all if none, and its range."""
    index, low, high = ffi.new("uint32_t *"), ffi.new("double *"), ffi.new("double *")
    if lib.nbt_config_check(struct, index, low, high) == lib.NBT_OK:
        return len(KERNEL_FIELDS), 0.0, 0.0
    return index[0], low[0], high[0]


def _is_excluded(struct: Any, index: int, low: float) -> bool:
    """Whether the range of a field begins above its lower bound."""
    kernel_name, _, ctype = KERNEL_FIELDS[index]
    other = ffi.new("nbt_config *", struct[0])
    setattr(other, kernel_name, low if ctype == "float" else int(low))
    return _refused(other)[0] == index


def _bound(value: float) -> str:
    """An integer with all its digits."""
    return str(int(value)) if value.is_integer() else f"{value:g}"


def _accepted(struct: Any, index: int) -> Iterator[str]:
    """The choices for a field that the kernel takes together with the fields before it.

    What comes after it and needs another choice is refused by its own name.
    """
    kernel_name, name, _ = KERNEL_FIELDS[index]
    for number, choice in enumerate(CHOICES[name]):
        other = ffi.new("nbt_config *", struct[0])
        setattr(other, kernel_name, number)
        if _refused(other)[0] > index:
            yield choice


def _is_for_small(struct: Any) -> bool:
    """Whether a learner of one unit and one input would have this estimator."""
    small = ffi.new("nbt_config *", struct[0])
    small.n_in = small.lags = 1
    small.n_hidden = min(small.n_hidden, 1)
    index = _refused(small)[0]
    return index == len(KERNEL_FIELDS) or KERNEL_FIELDS[index][1] != "estimator"
