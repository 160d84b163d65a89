"""The learner: the C kernel behind ``predict`` and ``learn``.

This is the only module that touches the compiled kernel. The learner's memory is one NumPy block
that Python owns; the kernel keeps nothing outside it.
"""

from __future__ import annotations

import operator
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from functools import wraps
from pathlib import Path
from typing import Any, BinaryIO, Concatenate, ParamSpec, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbt_embed._kernel import ffi, lib
from nbt_embed.config import CHOICES, Config
from nbt_embed.errors import (
    CheckpointError,
    ConfigError,
    DivergenceWarning,
    InputError,
    SequenceError,
)
from nbt_embed.files import replace_file
from nbt_embed.inputs import Float32Array, Place, check_finite, check_out, rows
from nbt_embed.replay import Replay, replay

# Names of the arrays a learner can show, in the kernel's numbering (NBT_ARRAY_*).
_ARRAYS = (
    "theta",
    "readout",
    "w",
    "v",
    "covariance",
    "readout_covariance",
    "state",
    "learning_state",
    "noise",
    "input_scale",
    "label_scale",
    "traces",
    "balance",
    "rtrl",
    "coupling",
)
_VECTORS = ("v", "state", "learning_state", "noise", "balance")
_CACHE_LINE = 64
_SIMD = ("base", "avx2", "avx512")  # in the kernel's numbering (NBT_SIMD_*)

# Looked up once: a step may take less than a microsecond.
_predict, _learn, _pending = (
    lib.nbt_sample_predict,
    lib.nbt_sample_learn,
    lib.nbt_sample_pending,
)


@dataclass(frozen=True)
class Memory:
    """Bytes of a learner by purpose, equal to the kernel's ``NBT_BYTES`` on every target.

    Attributes: header (config, counters), parameters (theta, readout), estimate (v, w,
        traces, exact derivative), covariance
    (recurrent block, readout factor, noise), state (live, learning), ring (waiting inputs, lag
    taps), scaler, guard (runs of equal values, last good copy), workspace (scratch of one step).
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
        return sum(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True)
class Counters:
    """What has happened since the learner was built.

    Attributes: predictions (accepted ``predict`` calls), labels (``learn`` calls with at least one
    label), missing (``learn`` calls with none), skipped (steps whose update would have left the
    finite numbers and was dropped), clipped (predictions with an input brought to input_limit),
    limited (labels brought to the gate), stuck (predictions with a stuck input, and stuck labels),
    reopened (times the learner opened again), rolled_back (times it took its last good parameters).
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


def memory_of(config: Config) -> Memory:
    """Bytes that a learner of this configuration needs, without building it.

    Errors: ConfigError names a field out of range. Cost: O(1).
    """
    breakdown = ffi.new("nbt_breakdown *")
    _check_config(config, lib.nbt_bytes_breakdown(_kernel_config(config), breakdown))
    return Memory(**{field.name: getattr(breakdown, field.name) for field in fields(Memory)})


_P = ParamSpec("_P")
_R = TypeVar("_R")


def _exclusive(
    method: Callable[Concatenate[Learner, _P], _R],
) -> Callable[Concatenate[Learner, _P], _R]:
    """Refuse a call while another thread is inside: the kernel runs without the global lock.

    The thread that is inside may call again: a replay makes calls, and so may what it reads from.
    """

    @wraps(method)
    def call(self: Learner, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        if not lib.nbt_turn_take(self._turn):
            raise _busy(method.__name__)
        try:
            return method(self, *args, **kwargs)
        finally:
            lib.nbt_turn_return(self._turn)

    return call


def _busy(name: str) -> SequenceError:
    return SequenceError(
        f"{name}: another thread is using this learner; give each thread its own (copy.copy), or "
        "hold a lock around every call"
    )


class _Sample:
    """The buffers of a predict or learn, and their addresses for tools/kernel_calls.h."""

    __slots__ = ("call", "label", "x", "y")

    def __init__(self, config: Config, handle: Any, turn: Any) -> None:
        self.x = Place("x", config.n_in)
        self.label = Place("y", config.n_label)
        self.y = np.zeros(config.n_out, np.float32)
        arrays = (self.x.array, self.label.array, self.y)
        x, label, y = (ffi.from_buffer("float[]", array) for array in arrays)
        self.call = ffi.new("nbt_sample *", (handle, turn, x, label, y))


class Learner:
    """A small recurrent network that learns online, sample by sample, in a fixed number of bytes.

    Two calls: ``predict(x)`` advances the state and forecasts; ``learn(y)`` takes the label of the
    oldest forecast that still waits for one. Equations: docs/design.md (NoBackTrack: Ollivier,
    Tallec and Charpiat 2015, arXiv 1507.07680).

    >>> import numpy as np
    >>> learner = Learner(n_in=1, n_out=1, hidden=8)
    >>> wave = np.sin(np.arange(2000) / 5)
    >>> for z in wave:                       # forecast one step ahead
    ...     if learner.pending:
    ...         learner.learn(z)
    ...     forecast = learner.predict(z)
    >>> bool(abs(forecast[0] - np.sin(2000 / 5)) < 0.02)
    True

    Args:
        n_in: input channels, or a ``Config`` that says everything.
        n_out: outputs; for the categorical link, classes.
        settings: any other field of ``Config`` by name.

    Errors: ConfigError (a setting), InputError and InputTypeError (an array), SequenceError
    (predict and learn out of turn, or two threads at once). A refused call leaves the learner as it
    was. Different learners are independent of one another in any number of threads.
    """

    def __init__(self, n_in: int | Config, n_out: int | None = None, **settings: Any) -> None:
        self._config = _config_from(n_in, n_out, settings)
        kernel_config = _kernel_config(self._config)
        handle = self._allocate()
        lib.nbt_init(self._memory, self._block.nbytes, kernel_config, handle)
        self._handle = handle[0]
        self._pin()

    def _allocate(self) -> Any:
        """Make the block; the kernel stores the learner's address in what is returned."""
        self._block = _aligned_block(memory_of(self._config))
        # A pointer from from_buffer keeps the block alive as long as it is held itself.
        self._memory = ffi.from_buffer(self._block, require_writable=True)
        return ffi.new("nbt_learner **")

    def _pin(self) -> None:
        self._turn = ffi.new("nbt_turn *")
        pinned = self._new_sample()
        self._x, self._label, self._y = pinned.x.array, pinned.label.array, pinned.y
        self._pinned, self._call = pinned, pinned.call
        # Any other call has a sample to itself until it has given its answer: a call in between, by
        # another thread or by an input's __array__, cannot change what it reads. There are as many
        # samples as calls were ever open at once: one.
        self._spare: list[_Sample] = []
        lib.nbt_simd_limit(self._handle, _simd_limit())

    def _new_sample(self) -> _Sample:
        return _Sample(self._config, self._handle, self._turn)

    @property
    def x(self) -> Float32Array:
        """(n_in,) the learner's own input buffer: fill it, pass it, and nothing is copied.

        Only you write to it, and only calls that are given it read it.
        """
        return self._x

    @property
    def label(self) -> Float32Array:
        """(n_out,), categorical (1,): the same for ``learn``."""
        return self._label

    @property
    def y(self) -> Float32Array:
        """(n_out,) the same for ``predict(x, out=learner.y)``: the forecast, until the next one."""
        return self._y

    def predict(self, x: ArrayLike, out: Float32Array | None = None) -> Float32Array:
        """Advance the live state by one sample and forecast.

        Args:
            x: (n_in,) inputs in your units; a scalar where n_in is 1. NaN only with hold_missing.
            out: (n_out,) array for the forecast; ``predict(learner.x, out=learner.y)`` copies
                nothing.

        Returns: (n_out,) out, or a new array: values in your units, or probabilities. Warns with
        DivergenceWarning if one of them is not finite.
        Errors: InputError, InputTypeError; SequenceError if max_delay + 1 forecasts already wait.
        Cost: R D multiply-adds; with max_delay 0 about as many more as ``learn`` then saves.
        """
        if x is self._x and out is self._y:
            status = _predict(self._call)
            if status:
                self._report(status, "predict", self._pinned)
            return self._y
        spare = self._spare
        try:
            sample = spare.pop()
        except IndexError:
            sample = self._new_sample()
        try:
            sample.x.fill(x)
            if out is not None and out is not self._y:
                check_out(out, sample.y)
            status = _predict(sample.call)
            if status:
                self._report(status, "predict", sample)
            if out is None:
                return sample.y.copy()
            out[...] = sample.y
            return out
        finally:
            spare.append(sample)

    def learn(self, y: ArrayLike) -> None:
        """Learn the label of the oldest forecast that still waits for one.

        Args:
            y: (n_out,) label, or one class index (categorical); NaN means missing. An output
                without label learns nothing; with no label at all only the state advances.

        Errors: InputError, InputTypeError; SequenceError if no forecast waits. Warns with
        DivergenceWarning if the update would have left the finite numbers and was dropped.
        Cost: about 20 R D + 3 D^2 operations, the same every step.
        """
        if y is self._label:
            status = _learn(self._call)
            if status:
                self._report(status, "learn", self._pinned)
            return
        spare = self._spare
        try:
            sample = spare.pop()
        except IndexError:
            sample = self._new_sample()
        try:
            sample.label.fill(y)
            status = _learn(sample.call)
            if status:
                self._report(status, "learn", sample)
        finally:
            spare.append(sample)

    @_exclusive
    def run(self, X: ArrayLike, Y: ArrayLike, horizon: int = 0) -> Float32Array:
        """Feed a stream in one call: the same bits as the loop over ``learn`` and ``predict``.

        With horizon 0 each step predicts from X[t], then learns Y[t]. With horizon h each step
        first learns Y[t], the label of the forecast made at t - h, then predicts from X[t]; the
        first h labels of a fresh learner have no forecast and are not used. A stream may be fed in
        pieces. Other threads run meanwhile.

        Args:
            X: (T, n_in) inputs; (T,) where n_in is 1.
            Y: (T, n_out) labels, (T,) where n_out is 1; categorical: (T,) class indices. NaN:
                missing.
            horizon: 0 .. max_delay + 1, steps between a forecast and its label.

        Returns: (T, n_out): row t is what was predicted at t before any later label was seen.
        Errors and warnings: as ``predict`` and ``learn``; the arrays are checked before the first
        step.
        """
        steps, inputs = rows("X", X, self._config.n_in, self._config.hold_missing)
        label_steps, labels = rows("Y", Y, self._config.n_label, True)
        if steps != label_steps:
            raise InputError(f"Y has {label_steps} rows and X has {steps}: pass one label row each")
        self._check_labels(labels)
        horizon = self._check_horizon(horizon)
        out = np.empty((steps, self._config.n_out), np.float32)
        done = ffi.new("size_t *")
        skipped = self.counters.skipped
        status = lib.nbt_run(
            self._handle,
            ffi.from_buffer("float[]", out),
            ffi.from_buffer("float[]", inputs),
            ffi.from_buffer("float[]", labels),
            steps,
            horizon,
            done,
        )
        if status < 0:
            self._report(status, "run", where=f"row {done[0]}: ")
        if status == lib.NBT_NOT_FINITE:
            self._report(status, "run")
        if self.counters.skipped > skipped:
            self._report(lib.NBT_SKIPPED, "run")
        return out

    @_exclusive
    def variance(self) -> Float32Array:
        """Predictive variance of the last forecast, r (1 + f^T C f), (n_out,), your units squared.

        Errors: ConfigError unless the link is gaussian. Warns with DivergenceWarning if a variance
        is beyond float32. Cost: D^2 / 2 multiply-adds.
        """
        out = np.empty(self._config.n_out, np.float32)
        status = lib.nbt_variance(self._handle, ffi.from_buffer("float[]", out))
        if status == lib.NBT_NOT_FINITE:
            self._report(status, "variance")
        elif status:
            raise ConfigError(f"link = {self._config.link!r}: {_text(status)}")
        return out

    @_exclusive
    def to_bytes(self) -> bytes:
        """Checkpoint with everything that makes a resumed run the run (docs/checkpoint.md).

        The same bytes on every machine. Pickling and copying go through them.

        Errors: CheckpointError if a number is not finite. Cost: O(bytes).
        """
        out = bytearray(lib.nbt_checkpoint_bytes(_kernel_config(self._config)))
        status = lib.nbt_save(self._handle, ffi.from_buffer("unsigned char[]", out), len(out))
        if status:
            raise CheckpointError(f"the learner cannot be saved: {_text(status)}")
        return bytes(out)

    @classmethod
    def from_bytes(cls, data: bytes) -> Learner:
        """The learner of a checkpoint.

        Errors: CheckpointError, which says what is wrong with the bytes and what to do.
        """
        data = bytes(data)  # the kernel reads three times: nobody may write meanwhile
        buffer = ffi.from_buffer("unsigned char[]", data)
        config = ffi.new("nbt_config *")
        status = lib.nbt_load_config(buffer, len(data), config)
        if status == lib.NBT_OK:
            self = cls.__new__(cls)
            self._config = _config_of(config)
            handle = self._allocate()
            status = lib.nbt_load(self._memory, self._block.nbytes, buffer, len(data), handle)
        if status != lib.NBT_OK:
            raise CheckpointError(f"{len(data)} bytes: {_text(status)}")
        self._handle = handle[0]
        self._pin()
        return self

    def save(self, file: str | Path | BinaryIO) -> None:
        """Write a checkpoint to a path or an open binary file.

        A path gets its new content at once or keeps its old one, whatever happens meanwhile.

        Errors: CheckpointError (a number is not finite: the file stays as it was), OSError.
        """
        data = self.to_bytes()
        if isinstance(file, (str, Path)):
            replace_file(Path(file), data)
        else:
            file.write(data)

    @classmethod
    def load(cls, file: str | Path | BinaryIO) -> Learner:
        """The learner of a checkpoint, from a path or from an open binary file, read to its end.

        Errors: CheckpointError, which names the file; OSError.
        """
        try:
            if isinstance(file, (str, Path)):
                return cls.from_bytes(Path(file).read_bytes())
            return cls.from_bytes(file.read())
        except CheckpointError as error:
            name = file if isinstance(file, (str, Path)) else getattr(file, "name", "the file")
            raise CheckpointError(f"{name}: {error}") from None

    @_exclusive
    def replay(self, log: str | Path | Iterable[str]) -> Replay:
        """Make the calls of a device's log and compare its hashes (``nbt_embed.replay``).

        Args:
            log: a path, or the lines of a log in the format of docs/export.md.

        Errors: StreamError, which names the line. The learner is moved on by the steps of the log.
        """
        return replay(self, log)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy as a checkpoint."""
        return type(self).from_bytes, (self.to_bytes(),)

    @_exclusive
    def reset_state(self) -> None:
        """Forget the recent past (states, estimate, lag taps, waiting forecasts), keep weights."""
        lib.nbt_reset_state(self._handle)

    @_exclusive
    def hash(self) -> int:
        """64-bit hash of everything that shapes the future: equal on every target."""
        return int(lib.nbt_hash(self._handle))

    @property
    def config(self) -> Config:
        """The settings this learner was built with."""
        return self._config

    @property
    def simd(self) -> str:
        """The version of the kernel in use: "base", "avx2" or "avx512"; all give the same bits.

        The widest that the processor has, or what the environment variable NBT_EMBED_SIMD says.
        """
        return _SIMD[lib.nbt_simd(self._handle)]

    @property
    def memory(self) -> Memory:
        """Bytes of the learner by purpose."""
        return memory_of(self._config)

    @property
    def pending(self) -> int:
        """Forecasts that wait for a label."""
        count: int = _pending(self._call)
        if count < 0:
            raise _busy("pending")
        return count

    @property
    @_exclusive
    def counters(self) -> Counters:
        """Health counters since the learner was built."""
        counters = ffi.new("nbt_counters *")
        lib.nbt_counters_get(self._handle, counters)
        return Counters(**{field.name: getattr(counters, field.name) for field in fields(Counters)})

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names that ``array`` accepts in this configuration."""
        return tuple(name for name in _ARRAYS if self._shape(name) is not None)

    @_exclusive
    def array(self, name: str) -> Float32Array:
        """One of the learner's arrays as it is now, read-only.

        The kernel stores matrices in blocks of rows, so this is a row-major copy of the moment: it
        stays valid for as long as it is held and never changes under its holder.

        Args:
            name: theta (R, D), readout (n_out, D), w (R, D), v (S,), covariance (R, D),
                readout_covariance (D, D), state (S,), learning_state (S,), noise (n_out,),
                input_scale (2, n_in) and label_scale (2, n_out): mean and variance; traces (R, D),
                balance (1 + 2 hidden,). For unitwise v is (hidden, hidden), one row per unit.

        Errors: ConfigError for a name that this configuration does not have.
        """
        shape = self._shape(name)
        if shape is None:
            raise ConfigError(f"array {name!r}: expected one of {', '.join(self.arrays)}")
        out = np.empty(shape, np.float32)
        rows, cols = ffi.new("size_t *"), ffi.new("size_t *")
        pointer = ffi.from_buffer("float[]", out)
        lib.nbt_array_get(self._handle, _ARRAYS.index(name), pointer, rows, cols)
        per_unit = name == "v" and self._config.estimator == "unitwise"
        out = out[0] if name in _VECTORS and not per_unit else out
        out.flags.writeable = False
        return out

    def __repr__(self) -> str:
        return f"Learner({self._config!r})"

    def _shape(self, name: str) -> tuple[int, int] | None:
        rows, cols = ffi.new("size_t *"), ffi.new("size_t *")
        if name not in _ARRAYS:
            return None
        if lib.nbt_array_get(self._handle, _ARRAYS.index(name), ffi.NULL, rows, cols):
            return None
        return rows[0], cols[0]

    def _check_labels(self, labels: Float32Array) -> None:
        """Range of the link, so that a stream is refused before its first step."""
        link = self._config.link
        if link == "gaussian":
            return
        known = labels[~np.isnan(labels)]
        if link == "bernoulli":
            bad = known[(known < 0) | (known > 1)]
            expected = "a value in [0, 1]"
        else:
            bad = known[(known < 0) | (known >= self._config.n_out) | (known != np.floor(known))]
            expected = f"a class index in 0..{self._config.n_out - 1}"
        if bad.size:
            raise InputError(f"y holds {bad[0]:g}: the {link} link expects {expected} or NaN")

    def _check_horizon(self, horizon: int) -> int:
        horizon = operator.index(horizon)
        most = self._config.max_delay + 1
        if not 0 <= horizon <= most:
            raise InputError(
                f"horizon = {horizon}: max_delay = {self._config.max_delay} allows 0..{most}; "
                f"build the learner with max_delay >= {max(horizon - 1, 0)}"
            )
        if self.pending > horizon:
            raise SequenceError(
                f"horizon = {horizon}, but {self.pending} forecasts wait for labels: "
                "learn them first, or reset_state()"
            )
        return horizon

    def _report(
        self, status: int, name: str, sample: _Sample | None = None, where: str = ""
    ) -> None:
        """Turn a status into the package's own warning or exception; guards only count."""
        if status > lib.NBT_SKIPPED and status != lib.NBT_NOT_FINITE:
            return
        if status == lib.NBT_CALL_BUSY:
            raise _busy(name)
        message = where + _text(status)
        if status in (lib.NBT_SKIPPED, lib.NBT_NOT_FINITE):
            warnings.warn(message, DivergenceWarning, stacklevel=3)
        elif status == lib.NBT_ERR_FULL:
            raise SequenceError(
                f"{message}; max_delay = {self._config.max_delay} (learn(float('nan')) if a label "
                "will never come, or a larger max_delay)"
            )
        elif status == lib.NBT_ERR_EMPTY:
            raise SequenceError(message)
        else:
            # The kernel has said no; these name the value where that can be told from it alone.
            if sample is not None and status == lib.NBT_ERR_INPUT:
                check_finite("x", sample.x.array, self._config.hold_missing)
            elif sample is not None and status == lib.NBT_ERR_LABEL:
                check_finite("y", sample.label.array, allow_nan=True)
                self._check_labels(sample.label.array)
            raise InputError(message)


def _simd_limit() -> int:
    """The widest version of the kernel that may be used. Errors: ConfigError."""
    name = os.environ.get("NBT_EMBED_SIMD", _SIMD[-1])
    if name not in _SIMD:
        raise ConfigError(f"NBT_EMBED_SIMD={name}: expected one of {', '.join(_SIMD)}, or unset it")
    return _SIMD.index(name)


def _config_from(n_in: int | Config, n_out: int | None, settings: dict[str, Any]) -> Config:
    if isinstance(n_in, Config):
        if n_out is not None or settings:
            raise ConfigError("pass either a Config or its fields, not both: use Config alone")
        return n_in
    if n_out is None:
        raise ConfigError("n_out is missing: pass the number of outputs")
    unknown = sorted(set(settings) - {field.name for field in fields(Config)})
    if unknown:
        known = ", ".join(field.name for field in fields(Config))
        raise ConfigError(f"unknown setting {unknown[0]!r}: expected one of {known}")
    return Config(n_in, n_out, **settings)


def _kernel_config(config: Config) -> Any:
    """The kernel's struct; names become the kernel's numbers."""
    out = ffi.new("nbt_config *")
    for name, _ in ffi.typeof("nbt_config").fields:
        value = getattr(config, "hidden" if name == "n_hidden" else name)
        value = CHOICES[name].index(value) if name in CHOICES else value
        try:
            setattr(out, name, value)
        except (TypeError, OverflowError) as error:
            raise ConfigError(f"{name} = {value!r}: {error}") from None
    return out


def _config_of(kernel_config: Any) -> Config:
    """The other way round; floats as the shortest decimals that give the kernel's float32."""
    settings: dict[str, Any] = {}
    for name, field in ffi.typeof("nbt_config").fields:
        value = getattr(kernel_config, name)
        if name in CHOICES:
            value = CHOICES[name][value]
        elif field.type.cname == "float":
            value = float(str(np.float32(value)))
        settings["hidden" if name == "n_hidden" else name] = value
    settings["hold_missing"] = bool(settings["hold_missing"])
    return Config(**settings)


def _check_config(config: Config, status: int) -> None:
    """Name the field, its value and the permitted range when the kernel refused the config."""
    if status == lib.NBT_OK:
        return
    index, low, high = ffi.new("uint32_t *"), ffi.new("double *"), ffi.new("double *")
    lib.nbt_config_check(_kernel_config(config), index, low, high)
    name = ffi.typeof("nbt_config").fields[index[0]][0]
    name = "hidden" if name == "n_hidden" else name
    expected = f"a value from {low[0]:g} to {high[0]:g}"
    if name in CHOICES:
        expected = "one of " + ", ".join(repr(choice) for choice in _accepted(config, name))
    message = f"{name} = {getattr(config, name)!r}: expected {expected}"
    if config.estimator == "rtrl" and name in ("hidden", "estimator"):
        message += (
            "; rtrl keeps one float per state float and recurrent weight, hidden^2 (hidden + n_in "
            "lags + 1) or more: fewer units or another estimator"
        )
    raise ConfigError(message)


def _accepted(config: Config, field: str) -> Iterator[str]:
    """The choices for one field that the kernel takes beside the rest of the configuration."""
    for choice in CHOICES[field]:
        changed: dict[str, Any] = {field: choice}
        other = _kernel_config(replace(config, **changed))
        if lib.nbt_config_check(other, ffi.NULL, ffi.NULL, ffi.NULL) == lib.NBT_OK:
            yield choice


def _aligned_block(memory: Memory) -> NDArray[np.uint8]:
    """A zeroed block whose arrays (behind the header) start on a cache line."""
    raw = np.zeros(memory.total + _CACHE_LINE, np.uint8)
    start = -(raw.ctypes.data + memory.header) % _CACHE_LINE
    return raw[start : start + memory.total]


def _text(status: int) -> str:
    text = ffi.string(lib.nbt_status_text(status))
    return text.decode() if isinstance(text, bytes) else text
