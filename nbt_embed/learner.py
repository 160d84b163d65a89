"""The learner: the C kernel behind ``predict`` and ``learn``.

A learner's memory is one NumPy block that Python owns; the kernel keeps nothing outside it. What
the kernel is told before there is a learner stands in ``_kernel_config``, how one sample gets into
it in _step.c, and what happens inside one call, threads and forks included, in _calls.h.
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbt_embed._html import html_table
from nbt_embed._kernel import ffi, lib
from nbt_embed._kernel_config import (
    GUARDS,
    Counters,
    Memory,
    aligned_block,
    anchor_of,
    config_of,
    counters_of,
    kernel_config,
    levels_of,
    memory_of,
    status_text,
    tell,
)
from nbt_embed._selfcheck import warn_of_floats
from nbt_embed._step import Step
from nbt_embed.anchor import find_anchor
from nbt_embed.arrays import (
    Float32Array,
    check_finite,
    check_out,
    check_reach,
    float32,
    integer,
    one_sample,
    table,
)
from nbt_embed.config import NAMES, Cell, Config, Estimator, Filter, Link, Norm, changed
from nbt_embed.errors import (
    CheckpointError,
    ConfigError,
    DivergenceWarning,
    InputError,
    InputTypeError,
    SequenceError,
    shown,
    similar,
)
from nbt_embed.files import Readable, Writable, read_file, write_object, write_path

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from 3.11 on

    from nbt_embed.replay import Replay

# Names of the arrays a learner can show, by the kernel's numbers (NBT_ARRAY_*).
_PREFIX = "NBT_ARRAY_"
_NUMBERS = {getattr(lib, name): name for name in dir(lib) if name.startswith(_PREFIX)}
_ARRAYS = {
    _NUMBERS[number].removeprefix(_PREFIX).lower(): number for number in range(lib.NBT_ARRAY_END)
}
_GUARD_BITS = np.uint32(sum(1 << bit for bit in GUARDS.values()))
_SIMD = ("base", "avx2", "avx512")  # in the kernel's numbering (NBT_SIMD_*)

_pending = lib.nbt_shared_pending  # looked up once: a step may take less than a microsecond
_ndarray = np.ndarray


def _address(pointer: Any) -> int:
    return int(ffi.cast("uintptr_t", pointer))


_PREDICT = _address(ffi.addressof(lib, "nbt_shared_predict"))
_LEARN = _address(ffi.addressof(lib, "nbt_shared_learn"))

os.register_at_fork(after_in_child=lib.nbt_forked)


@dataclass(frozen=True)
class Run:
    """The result of ``Learner.run`` with intervals or anomaly scores.

    Attributes: y (T, n_out), the forecasts; intervals (T, n_out, 2 L), those of
    ``Learner.interval`` for each forecast; anomaly (T, n_out), the score of the label that was
    learnt in the row, NaN without a label. An array that was not requested is None.
    """

    y: Float32Array
    intervals: Float32Array | None = None
    anomaly: Float32Array | None = None

    def _repr_html_(self) -> str:
        rows = {"forecasts": f"{len(self.y):,} rows of {self.y.shape[1]}"}
        if len(self.y):
            rows["the newest"] = ", ".join(f"{one:.4g}" for one in self.y[-1])
        if self.intervals is not None:
            rows["intervals"] = f"{self.intervals.shape[2] // 2} levels of each forecast"
        if self.anomaly is not None and not np.isnan(self.anomaly).all():
            scores = np.fmax.reduce(self.anomaly, axis=1)
            row = np.nanargmax(scores)
            rows["largest anomaly score"] = f"{scores[row]:.4g}, at row {row:,}"
        return html_table("Run", rows)


_Init = TypeVar("_Init", bound=Callable[..., None])
_Answer = TypeVar("_Answer")


def _with_settings(init: _Init) -> _Init:
    """Let help() and notebooks show every setting with its default."""
    first, *rest = inspect.signature(Config).parameters.values()
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    settings = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in rest[1:]]
    n_in = first.replace(annotation="int | Config")
    n_out = rest[0].replace(annotation="int | None", default=None)
    init.__dict__["__signature__"] = inspect.Signature([own, n_in, n_out, *settings])
    return init


class Learner:
    """A small recurrent network that learns online, sample by sample, in a fixed number of bytes.

    Two calls: ``predict(x)`` advances the state and forecasts; ``learn(y)`` takes the label of the
    oldest forecast that still waits for one. Equations: docs/design.md (NoBackTrack: Ollivier,
    Tallec and Charpiat 2015, arXiv 1507.07680).

    Examples:
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
        n_in: input channels, or a ``Config`` with all settings.
        n_out: outputs; for the categorical link, classes.
        settings: any other field of ``Config`` by name, with its default.

    Errors: ConfigError (a setting), InputError and InputTypeError (an array), SequenceError
    (predict and learn out of turn, or two threads at once). A refused call leaves the learner
    unchanged, and an interrupt (Ctrl-C) leaves it usable. Different learners are independent in
    any number of threads.
    """

    __slots__ = (
        "__dict__",  # of subclasses, and of whoever adds something: kept in copies and pickles
        "__weakref__",
        "_block",
        "_config",
        "_decided",
        "_guarded",
        "_handle",
        "_label",
        "_memory",
        "_scratch",
        "_shared",
        "_step",
        "_x",
        "_y",
    )

    @overload
    def __init__(self, n_in: Config) -> None: ...

    @overload
    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        hidden: int = 16,
        lags: int | None = None,
        max_delay: int = 0,
        cell: Cell | None = None,
        estimator: Estimator | None = None,
        norm: Norm = "metric",
        filter: Filter = "kalman",
        link: Link = "gaussian",
        scale_steps: int = 300,
        hold_missing: bool = False,
        anneal_steps: int = 100_000,
        seed: int = 0,
        scale_rate: float | None = None,
        tau_min: float | None = None,
        tau_max: float | None = None,
        recurrent_gain: float = 0.6,
        input_gain: float | None = None,
        decay: float = 0.95,
        rate: float | None = None,
        info_rate: float = 1e-3,
        info_floor: float | None = None,
        forget: float | None = None,
        prior: float | None = None,
        prior_hidden: float | None = None,
        noise_rate: float = 0.01,
        sgd_rate: float = 0.003,
        stuck_steps: int = 0,
        drift_steps: int = 300,
        rollback_steps: int = 0,
        gate: float | None = None,
        input_limit: float | None = None,
        follow: bool = True,
        anchored: bool | None = None,
        linear_lags: int | None = None,
        prior_units: bool | None = None,
        linear_forget: float | None = None,
        slow_forget: float | None = None,
        mix_forget: float | None = None,
        resonators: int | None = None,
        head: int | None = None,
        head_gain: float | None = None,
        intervals: int | None = None,
        anomaly: bool | None = None,
        anchor: tuple[int | None, ...] | None = None,
        levels: tuple[float, ...] | None = None,
    ) -> None: ...

    @_with_settings
    def __init__(self, n_in: int | Config, n_out: int | None = None, **settings: Any) -> None:
        if hasattr(self, "_step"):  # its calls rely on the sizes of the configuration
            raise SequenceError("this learner is initialised already: build another Learner")
        self._config = _config_from(n_in, n_out, settings)
        handle = self._allocate()
        lib.nbt_init(self._memory, self._block.nbytes, kernel_config(self._config), handle)
        tell(self._config, handle[0])
        self._pin(handle[0])

    @classmethod
    def _over(cls, config: Config, block: NDArray[np.uint8]) -> Self:
        """A handle to the learner in a block; other handles to the block see its steps."""
        self = cls.__new__(cls)
        self._config, self._block = config, block
        self._memory = ffi.from_buffer(block, require_writable=True)
        self._pin(ffi.cast("nbt_learner *", self._memory))  # the block has no pointers: nbt_init
        return self

    def _allocate(self) -> Any:
        """Make the block; the kernel stores the learner's address in what is returned."""
        self._block = aligned_block(memory_of(self._config))
        # A pointer from from_buffer keeps the block alive as long as it is held itself.
        self._memory = ffi.from_buffer(self._block, require_writable=True)
        return ffi.new("nbt_learner **")

    def _pin(self, handle: Any) -> None:
        self._handle = handle
        self._shared = ffi.new("nbt_shared *", {"learner": handle})
        config = self._config
        widths = config.n_in, config.n_label, config.n_out
        self._x, self._label, self._y = (np.zeros(width, np.float32) for width in widths)
        addresses = _address(self._shared), _PREDICT, _LEARN
        self._step = Step((self._shared, self._memory), addresses, widths)
        self._scratch: NDArray[np.uint8] | None = None  # of peek, from the first one on
        self._guarded = (np.empty(0, np.intp), np.empty(0, np.uint32))
        self._decided = False  # whether anchors have been looked for
        lib.nbt_simd_limit(handle, _simd_limit())

    @property
    def estimate_is_exact(self) -> bool:
        """Whether the recurrent weights follow the exact derivative of the state.

        True with ``rtrl``, and with ``snap1`` where units have no weights between them
        (``columnar``, ``resonator``). Exact means exact for fixed weights: as in any online
        method, learning changes them; and the traces of a unit with a recurrent weight above 1
        are bounded.
        """
        config = self._config
        return config.estimator == "rtrl" or (
            config.estimator == "snap1" and config.traces_are_exact
        )

    @property
    def x(self) -> Float32Array:
        """(n_in,) the learner's own input buffer: fill it, pass it, and nothing is allocated.

        Only the caller writes to it, and only calls with it as an argument read it.
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
            x: (n_in,) inputs in your units; a scalar where n_in is 1. NaN or masked (``numpy.ma``)
                is missing, only with hold_missing.
            out: (n_out,) array for the forecast; with it, and with float32 arrays, nothing is
                allocated.

        Returns: (n_out,) out, or a new array: values in your units, or probabilities. Warns with
        DivergenceWarning if one of them is not finite.
        Errors: InputError, InputTypeError; SequenceError if max_delay + 1 forecasts already wait.
        Cost: R D multiply-adds; with max_delay 0 about as many more as ``learn`` then saves.
        """
        answer = self._step.predict(x, out)
        if type(answer) is _ndarray:
            return answer
        if answer is None:  # no plain arrays of float32
            x = one_sample("x", x, self._config.n_in)
            if out is not None:
                check_out(out, self._y)
            answer = self._step.predict(x, None)
        if isinstance(answer, tuple):
            status, answer = answer
            if status:
                self._report(status, "predict", x)
        assert answer is not None  # x is a plain array now
        if out is None:
            return answer
        out[...] = answer
        return out

    @overload
    def peek(
        self,
        x: ArrayLike,
        out: Float32Array | None = None,
        *,
        intervals: Literal[False] = False,
    ) -> Float32Array: ...

    @overload
    def peek(
        self, x: ArrayLike, out: Float32Array | None = None, *, intervals: bool
    ) -> Float32Array | tuple[Float32Array, Float32Array]: ...

    def peek(
        self, x: ArrayLike, out: Float32Array | None = None, *, intervals: bool = False
    ) -> Float32Array | tuple[Float32Array, Float32Array]:
        """The forecast of ``predict(x)``, without a change of the learner.

        The same bits as ``copy.copy(learner).predict(x)``. It also works while max_delay + 1
        forecasts wait, where ``predict`` is refused. ``interval``,
        ``variance`` and ``student`` stay those of the last ``predict``.

        Args:
            x: (n_in,) as for ``predict``.
            out: (n_out,) array for the forecast, as for ``predict``.
            intervals: whether to return the intervals of the forecast too.

        Returns: (n_out,) the forecast; with intervals a pair of the forecast and the (n_out, 2 L)
        bounds.
        Errors and warnings: as ``predict``; ConfigError for intervals that the configuration
        leaves out.
        Cost: a copy of the learner, and a predict. The first peek allocates ``memory.total``
        bytes, which later ones use again.
        """
        if intervals:
            self._need("intervals")
        if self._scratch is None:
            self._scratch = aligned_block(self.memory)
        scratch = self._scratch
        shape = self._config.n_out, 2 * len(self.levels)
        bounds = np.empty(shape, np.float32) if intervals else None
        row, y = one_sample("x", x, self._config.n_in), np.empty(self._config.n_out, np.float32)
        if out is not None:
            check_out(out, y)
        block = ffi.from_buffer(scratch, require_writable=True)
        status = lib.nbt_shared_peek(
            self._shared, _floats(y), _floats(row), block, scratch.nbytes, _floats(bounds)
        )
        if status:
            self._report(status, "peek", row)
        if out is None:
            out = y
        else:
            out[...] = y
        return out if bounds is None else (out, bounds)

    def learn(self, y: ArrayLike) -> None:
        """Learn the label of the oldest forecast that still waits for one.

        Args:
            y: (n_out,) label, or one class index (categorical); NaN or masked is missing. An
                output without a label is not learnt; without any label only the state advances.

        Errors: InputError, InputTypeError; SequenceError if no forecast waits. Warns with
        DivergenceWarning if the update was skipped because its result is not finite.
        Cost: about 20 R D + 3 D^2 operations, the same every step.
        """
        status = self._step.learn(y)
        if status is None:  # no plain array of float32
            y = one_sample("y", y, self._config.n_label)
            status = self._step.learn(y)
        if status:
            self._report(status, "learn", y)

    @overload
    def run(self, X: ArrayLike, Y: ArrayLike, *, horizon: int) -> Float32Array: ...

    @overload
    def run(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        *,
        horizon: int,
        intervals: Literal[True],
        anomaly: bool = False,
    ) -> Run: ...

    @overload
    def run(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        *,
        horizon: int,
        intervals: bool = False,
        anomaly: Literal[True],
    ) -> Run: ...

    def run(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        *,
        horizon: int,
        intervals: bool = False,
        anomaly: bool = False,
    ) -> Float32Array | Run:
        """Feed a stream in one call: the same bits as the loop over ``learn`` and ``predict``.

        With horizon 0 each step predicts from X[t], then learns Y[t]: labels that belong to the
        inputs of their row. With horizon h each step first learns Y[t], the label of the forecast
        made at t - h, then predicts from X[t]; the first h labels of a fresh learner have no
        forecast and are not used. So ``run(z, z, horizon=1)`` forecasts the next row of a series,
        and with horizon 0 it would learn to repeat the present one. A stream may be split into
        several calls.
        Other threads run meanwhile. A learner that has predicted nothing, whose ``anchor`` is open,
        first looks for it in this piece (``find_anchor``).

        Args:
            X: (T, n_in) inputs; (T,) where n_in is 1.
            Y: (T, n_out) labels, (T,) where n_out is 1; categorical: (T,) class indices. NaN or
                masked: missing.
            horizon: 0 .. max_delay + 1, steps between a forecast and its label.
            intervals: whether to return a ``Run`` that has the intervals of every forecast too.
            anomaly: whether to return a ``Run`` that has the score of every label too.

        Returns: (T, n_out): row t is what was predicted at t before any later label was seen; with
        intervals or anomaly a ``Run``.
        Errors and warnings: as ``predict`` and ``learn``; the arrays are checked before the first
        step.
        """
        warn_of_floats("run")
        inputs = table("X", float32("X", X), self._config.n_in)
        check_finite("X", inputs, self._config.hold_missing)
        labels = table("Y", float32("Y", Y), self._config.n_label)
        check_finite("Y", labels, allow_nan=True)
        steps = len(inputs)
        if steps != len(labels):
            raise InputError(f"Y has {len(labels)} rows and X has {steps}: pass one label row each")
        self._check_labels(labels)
        horizon = self._check_horizon(horizon)
        if intervals:
            self._need("intervals")
        if anomaly:
            self._need("anomaly")
        self._find_anchor(inputs, labels, horizon)
        shape = steps, self._config.n_out
        out = np.empty(shape, np.float32)
        bounds = np.full((*shape, 2 * len(self.levels)), np.nan, np.float32) if intervals else None
        scores = np.full(shape, np.nan, np.float32) if anomaly else None
        guards = np.zeros(steps, np.uint32)
        words = ffi.from_buffer("uint32_t[]", guards)
        rows = ffi.new("nbt_rows *", (_floats(out), _floats(bounds), _floats(scores), words))
        done, waiting, skipped = ffi.new("size_t *"), ffi.new("size_t *"), ffi.new("uint64_t *")
        status = lib.nbt_shared_run(
            self._shared,
            rows,
            _floats(inputs),
            _floats(labels),
            steps,
            horizon,
            done,
            waiting,
            skipped,
        )
        guarded = np.flatnonzero(guards & _GUARD_BITS)
        self._guarded = (guarded, guards[guarded])
        if status == lib.NBT_ERR_HORIZON:
            raise SequenceError(
                f"horizon = {horizon}, but {waiting[0]} forecasts wait for labels: "
                "learn them first, or reset_state()"
            )
        if status < 0:
            where, row = f"row {done[0]}: ", done[0]
            if status == lib.NBT_ERR_INPUT:
                check_reach("x", inputs[row], where)
            elif status == lib.NBT_ERR_LABEL:
                check_reach("y", labels[row], where)
            self._report(status, "run", where=where)
        if status == lib.NBT_NOT_FINITE:
            self._report(status, "run")
        if skipped[0]:
            self._report(lib.NBT_SKIPPED, "run")
        return Run(out, bounds, scores) if intervals or anomaly else out

    def find_anchor(self, X: ArrayLike, Y: ArrayLike, *, horizon: int) -> None:
        """Find the input whose future each output is, before the first forecast.

        Output o is anchored to the input channel that equals every label of it h rows later
        (``Config.anchor`` defines anchors, ``anchor`` has the result). ``run`` does this with its
        first piece that has rows. Labels that are all 0, or constant and equal to two channels,
        give no anchor: the channels of an idle machine cannot be distinguished. Call it with more
        of the stream, or before a loop over ``predict`` and ``learn``. Nothing happens if the
        configuration has an anchor, or cannot have one, or after the first forecast.

        Args:
            X: (T, n_in) inputs, as for ``run``.
            Y: (T, n_out) labels.
            horizon: 0 .. max_delay + 1.

        Errors: InputError, InputTypeError.
        """
        inputs = table("X", float32("X", X), self._config.n_in)
        labels = table("Y", float32("Y", Y), self._config.n_label)
        if len(inputs) != len(labels):
            raise InputError(
                f"Y has {len(labels)} rows and X has {len(inputs)}: pass one label row each"
            )
        self._find_anchor(inputs, labels, self._check_horizon(horizon))

    def _find_anchor(self, inputs: Float32Array, labels: Float32Array, horizon: int) -> None:
        if self._decided or not self._config.anchored or self._config.anchor or not len(inputs):
            return
        fresh = not self.counters.predictions
        anchor = find_anchor(inputs, labels, horizon) if fresh else ()
        if any(one is not None for one in anchor):
            channels = [-1 if one is None else one for one in anchor]
            _check_turn(lib.nbt_shared_anchor_set(self._shared, channels), "find_anchor")
            self._config = changed(self._config, anchor=anchor)
        self._decided = True

    def variance(self) -> Float32Array:
        """Predictive variance of the last forecast, r (1 + f^T C f), (n_out,), your units squared.

        With mix_forget it is the mean square of the mixture's errors, once there is one.

        Errors: ConfigError unless the link is gaussian. Warns with DivergenceWarning if a variance
        is beyond float32. Cost: D^2 / 2 multiply-adds.
        """
        out = np.empty(self._config.n_out, np.float32)
        status = lib.nbt_shared_variance(self._shared, _floats(out))
        if status == lib.NBT_NOT_FINITE:
            self._report(status, "variance")
        elif status:
            _check_turn(status, "variance")
            raise ConfigError(f"link = {self._config.link!r}: {status_text(status)}")
        return out

    def interval(self) -> Float32Array:
        """Prediction intervals of the last forecast, (n_out, 2 L) for L ``levels``, your units.

        Lower and upper bound of the first level, then of the next. Over a long run, 80 % of the
        labels fall inside the 80 % interval, for any distribution, and the others in equal parts
        below and above it (csrc/nbt_interval.h has the equations). Before the first label the
        width is that of the output's own range, and 0 while the output has not varied.

        Errors: ConfigError without intervals. Warns with DivergenceWarning if a bound is beyond
        float32.
        """
        self._need("intervals")
        out = np.empty((self._config.n_out, 2 * len(self.levels)), np.float32)
        status = lib.nbt_shared_interval(self._shared, _floats(out))
        if status:
            self._report(status, "interval")
        return out

    def student(self) -> tuple[Float32Array, Float32Array]:
        """Scale and degrees of freedom of Student's t around the last forecast, (n_out,) each.

        A predictive distribution with the tails of the errors: its standard deviation is
        scale sqrt(freedom / (freedom - 2)), and freedom is 2.5, 4, 8 or 50.

        Errors and warnings: as ``interval``.
        """
        self._need("intervals")
        scale, freedom = np.empty((2, self._config.n_out), np.float32)
        status = lib.nbt_shared_student(self._shared, _floats(scale), _floats(freedom))
        if status:
            self._report(status, "student")
        return scale, freedom

    @property
    def anomaly(self) -> Float32Array:
        """How unusual the last label was, (n_out,): from 0, usual, to 1; NaN without label.

        On streams without faults a share of about 1 - t of the labels, or fewer, scores above a
        threshold t up to 0.999 (docs/evidence/uncertainty.md). ``nbt_embed.alarm`` makes alarms
        of scores.

        Errors: ConfigError without anomaly.
        """
        self._need("anomaly")
        out = np.empty(self._config.n_out, np.float32)
        _check_turn(lib.nbt_shared_anomaly(self._shared, _floats(out)), "anomaly")
        return out

    def to_bytes(self) -> bytes:
        """Checkpoint of everything that a resumed run depends on (docs/reference/checkpoint.md).

        The same bytes on every machine. Pickling and copying go through them.

        Errors: CheckpointError if a number is not finite. Cost: O(bytes).
        """
        warn_of_floats("save")
        out = bytearray(lib.nbt_checkpoint_bytes(kernel_config(self._config)))
        buffer = ffi.from_buffer("unsigned char[]", out)
        status = lib.nbt_shared_save(self._shared, buffer, len(out))
        if status:
            _check_turn(status, "to_bytes")
            raise CheckpointError(f"the learner cannot be saved: {status_text(status)}")
        return bytes(out)

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Self:
        """The learner of a checkpoint.

        Args:
            data: bytes, or any buffer; it is copied first, so it may change meanwhile.

        Errors: CheckpointError, with the fault of the bytes and the remedy;
        InputTypeError (no bytes).
        """
        warn_of_floats("load")
        try:
            data = bytes(memoryview(data))  # the kernel reads it three times
        except TypeError:
            raise InputTypeError(f"data is {type(data).__name__}: expected bytes") from None
        buffer = ffi.from_buffer("unsigned char[]", data)
        config = ffi.new("nbt_config *")
        status = lib.nbt_load_config(buffer, len(data), config)
        if status == lib.NBT_OK:
            self = cls.__new__(cls)
            self._config = config_of(config)
            handle = self._allocate()
            status = lib.nbt_load(self._memory, self._block.nbytes, buffer, len(data), handle)
        if status != lib.NBT_OK:
            raise CheckpointError(f"{len(data)} bytes: {status_text(status)}")
        anchor, levels = anchor_of(self._config, handle[0]), levels_of(self._config, handle[0])
        self._config = replace(self._config, anchor=anchor, levels=levels)
        self._pin(handle[0])
        return self

    def save(self, file: str | os.PathLike[str] | Writable) -> None:
        """Write a checkpoint to a path or an open binary file.

        The file is replaced atomically: after a failure it has its old content
        (``nbt_embed.files``).

        Errors: CheckpointError (a number is not finite: the file stays as it was), OSError;
        InputTypeError, InputError (a file that is opened as text, or closed).
        """
        data = self.to_bytes()
        if isinstance(file, (str, bytes, os.PathLike)):
            write_path(os.fsdecode(file), data)
        else:
            write_object(file, data)

    @classmethod
    def load(cls, file: str | os.PathLike[str] | Readable) -> Self:
        """The learner of a checkpoint, from a path or from an open binary file, read to its end.

        Errors: CheckpointError, which names the file; OSError; InputTypeError, InputError.
        """
        name, data = read_file(file)
        try:
            return cls.from_bytes(data)
        except CheckpointError as error:
            raise CheckpointError(f"{name}: {error}") from None

    def replay(self, log: str | Path | Iterable[str]) -> Replay:
        """Make the calls of a device's log and compare its hashes (``nbt_embed.replay``).

        Args:
            log: a path, or the lines of a log in the format of docs/guide/export.md.

        Errors: StreamError, which names the line. The learner advances by the steps of the log;
        other threads are refused meanwhile.
        """
        from nbt_embed.replay import replay  # few need it, and it would be a tenth of the import

        return self._alone("replay", lambda: replay(self, log))

    def _alone(self, name: str, calls: Callable[[], _Answer]) -> _Answer:
        """Make several calls of this learner and keep other threads out between them too.

        Errors: SequenceError if another thread is using it.
        """
        shared = self._shared
        # An interrupt may keep the last line from being reached: then the hold ends when it is
        # collected, by compiled code alone. What ends it keeps what it points to.
        hold = ffi.gc(ffi.new("nbt_hold *"), partial(lib.nbt_hold_end, shared))
        try:
            _check_turn(lib.nbt_hold_begin(shared, hold), name)
            return calls()
        finally:
            lib.nbt_hold_end(shared, hold)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy as a checkpoint, with what a subclass has added."""
        arguments = (type(self), self.to_bytes(), self._config.anchor)
        return _restored, arguments, self.__getstate__()

    def __getstate__(self) -> object:
        """What a subclass has added: its attributes and slots, or None."""
        slots = {
            name: getattr(self, name)
            for kind in type(self).__mro__[: type(self).__mro__.index(Learner)]
            for name in _slots(kind)
            if hasattr(self, name)
        }
        return (self.__dict__ or None, slots) if self.__dict__ or slots else None

    def reset_state(self) -> None:
        """Reset states, estimate, lags and waiting forecasts; keep the weights."""
        _check_turn(lib.nbt_shared_reset_state(self._shared), "reset_state")

    def hash(self) -> int:
        """64-bit hash of everything that later forecasts depend on: equal on every target."""
        warn_of_floats("hash")
        out = ffi.new("uint64_t *")
        _check_turn(lib.nbt_shared_hash(self._shared, out), "hash")
        return int(out[0])

    @property
    def config(self) -> Config:
        """The settings this learner was built with, and the anchor that it found."""
        return self._config

    @property
    def anchor(self) -> tuple[int | None, ...]:
        """For every output the input channel whose future it is, or None."""
        return self._config.anchor or (None,) * self._config.n_out

    @property
    def levels(self) -> tuple[float, ...]:
        """The levels of the prediction intervals."""
        return self._config.levels or ()

    @property
    def guard_rows(self) -> dict[str, NDArray[np.intp]]:
        """The rows of the last ``run`` in which the guards acted.

        Name of a counter (``Counters``: skipped, clipped, limited, stuck, reopened, rolled_back,
        moved, restarted) -> the rows, counted from the start of that run, in which it grew.
        """
        rows, guards = self._guarded
        return {name: rows[(guards >> bit & 1) != 0] for name, bit in GUARDS.items()}

    @property
    def simd(self) -> str:
        """The version of the kernel in use: "base", "avx2" or "avx512"; all give the same bits.

        The widest that the processor has; the environment variable NBT_EMBED_SIMD sets a limit.
        """
        return _SIMD[lib.nbt_simd(self._handle)]

    @property
    def memory(self) -> Memory:
        """Bytes of the learner by purpose."""
        return memory_of(self._config)

    @property
    def pending(self) -> int:
        """Forecasts that wait for a label."""
        count: int = _pending(self._shared)
        if count < 0:
            _check_turn(count, "pending")
        return count

    @property
    def counters(self) -> Counters:
        """Health counters since the learner was built."""
        counters = ffi.new("nbt_counters *")
        _check_turn(lib.nbt_shared_counters_get(self._shared, counters), "counters")
        return counters_of(counters)

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names that ``array`` accepts in this configuration."""
        return tuple([name for name in _ARRAYS if self._shape(name) is not None])

    def array(self, name: str) -> Float32Array:
        """One of the learner's arrays as it is now, read-only.

        The kernel stores matrices in blocks of rows, so this is a row-major copy that later steps
        do not change.

        Args:
            name: theta (R, D), readout (n_out, D), w (R, D), v (S,), covariance (R, D),
                readout_covariance (D, D), state (S,), learning_state (S,), noise (n_out,),
                input_scale (2, n_in) and label_scale (2, n_out): mean and variance; traces (R, D),
                balance (1 + 2 hidden,). For unitwise v is (hidden, hidden), one row per unit.
                With follow, means are relative to the first row of units (6, n_in) and label_units
                (6, n_out): reference, applied mean and deviation, mean, variance and count of a
                block.
                anchor (n_out,): input channel or -1. weight (n_out, K): of last value, linear,
                readout and slow readout in the mixture. mix_error (2, n_out), slow_noise and
                linear_noise: mean square and labels. slow (n_out, D), on [1; x; h]; linear
                (n_out, linear_lags + 1), on [1; newest; ...; oldest].
                level (L,); reach (n_out, 2 L): of the bounds, in mean absolute errors; error
                (3, n_out): mean absolute error of about 20 and of about 200 labels, labels.

        Errors: ConfigError for a name that this configuration does not have.
        """
        shape = self._shape(name)
        if shape is None:
            expected = f"expected one of {', '.join(self.arrays)}"
            raise ConfigError(f"array {shown(name)}: {similar(name, self.arrays)}{expected}")
        out = np.empty(shape, np.float32)
        rows, cols = ffi.new("size_t *"), ffi.new("size_t *")
        pointer = ffi.from_buffer("float[]", out)
        index = _ARRAYS[name]
        _check_turn(lib.nbt_shared_array_get(self._shared, index, pointer, rows, cols), "array")
        out = out[0] if lib.nbt_array_dimensions(self._handle, index) == 1 else out
        out.flags.writeable = False
        return out

    @property
    def settable(self) -> tuple[str, ...]:
        """Names that ``set_array`` accepts in this configuration."""
        return tuple([name for name in self.arrays if self._is_settable(name)])

    def set_array(self, name: str, values: ArrayLike) -> None:
        """Set weights: for a warm start, an ablation, or weights of a learner of another size.

        The learner continues with the bits of one that was loaded from a checkpoint with these
        numbers. States, estimate and scalers stay; ``reset_state`` resets the first two. The
        readouts are in scaled units, so those of another learner fit only as well as its
        scalers do.

        Examples:
            >>> teacher, learner = Learner(1, 1, hidden=8), Learner(1, 1, hidden=8, seed=1)
            >>> for name in learner.settable:
            ...     learner.set_array(name, teacher.array(name))

        Args:
            name: one of ``settable``: theta, readout, head, slow, linear (weights), covariance,
                head_covariance, coupling. Not the estimate (w, v, traces), whose parts have to fit
                each other, nor the readouts' covariances, which the learner keeps as factors.
            values: real numbers in the shape of ``array(name)``; they are copied.

        Errors: ConfigError (the name); InputError (the shape; a number that is not finite, masked,
        or that no checkpoint may hold) and InputTypeError. The learner is then unchanged.
        """
        if name not in self.arrays or not self._is_settable(name):
            expected = f"expected one of {', '.join(self.settable)}"
            raise ConfigError(f"array {shown(name)}: {similar(name, self.settable)}{expected}")
        shape = self._shape(name)
        array = float32(name, values)
        if array.shape != shape:
            raise InputError(f"{name} has shape {array.shape}: expected {shape}")
        array = array.copy()  # the kernel reads it twice
        status = lib.nbt_shared_array_set(self._shared, _ARRAYS[name], _floats(array), *shape)
        if status:
            _check_turn(status, "set_array")
            index, wrong = _refused(array, positive="covariance" in name)
            raise InputError(f"{name}{index} is {array[tuple(index)]:g}: {wrong}")

    def reseed(self, seed: int) -> None:
        """Draw all later random directions of the estimate from another seed.

        The estimators nobacktrack, residual and unitwise draw them; with the others only the hash
        changes. ``config.seed`` remains the seed of the initial weights, so
        ``Learner(..., seed=w)`` and ``reseed(d)`` vary the two separately.

        Args:
            seed: 0 .. 2^64 - 1.

        Errors: InputTypeError, InputError.
        """
        seed = integer("seed", seed)
        if not 0 <= seed < 2**64:
            raise InputError(f"seed = {shown(seed)}: expected 0..2^64 - 1")
        _check_turn(lib.nbt_shared_reseed(self._shared, seed), "reseed")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._config.arguments()})"

    def _repr_html_(self) -> str:
        rows = {"memory": f"{self.memory.total:,} bytes", "kernel": self.simd}
        try:
            counters = self.counters
            rows |= {"forecasts that wait": f"{self.pending:,}"}
            rows |= {name: f"{getattr(counters, name):,}" for name in vars(counters)}
        except SequenceError as error:  # another thread is inside
            rows |= {"refused": str(error)}
        return html_table(repr(self), rows)

    def _shape(self, name: str) -> tuple[int, int] | None:
        rows, cols = ffi.new("size_t *"), ffi.new("size_t *")
        if name not in _ARRAYS:
            return None
        if lib.nbt_array_get(self._handle, _ARRAYS[name], ffi.NULL, rows, cols):
            return None
        return rows[0], cols[0]

    def _is_settable(self, name: str) -> bool:
        rows, cols = self._shape(name) or (0, 0)
        status = lib.nbt_array_set(self._handle, _ARRAYS[name], ffi.NULL, rows, cols)
        return bool(status == lib.NBT_OK)

    def _need(self, name: str) -> None:
        """Refuse what the configuration leaves out. Errors: ConfigError."""
        if not getattr(self._config, name):
            raise ConfigError(
                f"{name} = {getattr(self._config, name)!r}: this learner has none; build it with "
                f'{name}, which needs link="gaussian" and follow=True'
            )

    def _check_inputs(self, x: Float32Array) -> None:
        """What can be said of one sample's inputs without the learner. Errors: InputError."""
        check_finite("x", x, self._config.hold_missing)
        check_reach("x", x)

    def _check_label(self, label: Float32Array) -> None:
        """What can be said of one sample's label without the learner. Errors: InputError."""
        check_finite("y", label, allow_nan=True)
        self._check_labels(label)
        check_reach("y", label)

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
        horizon = integer("horizon", horizon)
        most = self._config.max_delay + 1
        if not 0 <= horizon <= most:
            raise InputError(
                f"horizon = {shown(horizon)}: max_delay = {self._config.max_delay} allows "
                f"0..{most}"
                + (
                    f"; build the learner with max_delay >= {shown(horizon - 1)}"
                    if horizon > 0
                    else ""
                )
            )
        return horizon

    def _report(
        self, status: int, name: str, given: ArrayLike | None = None, where: str = ""
    ) -> None:
        """Turn a status into the package's own warning or exception; guards only count.

        given: the inputs or the label of the one sample that the call was about.
        """
        if status > lib.NBT_SKIPPED and status != lib.NBT_NOT_FINITE:
            return
        _check_turn(status, name)
        message = where + status_text(status)
        if status in (lib.NBT_SKIPPED, lib.NBT_NOT_FINITE):
            warnings.warn(message, DivergenceWarning, stacklevel=3)
        elif status == lib.NBT_ERR_FULL:
            raise SequenceError(
                f"{message}; max_delay = {self._config.max_delay} (learn(float('nan')) if a label "
                "will never arrive, or a larger max_delay)"
            )
        elif status == lib.NBT_ERR_EMPTY:
            raise SequenceError(message)
        else:
            # The kernel has said no; these name the value where that can be told from it alone.
            if given is not None and status == lib.NBT_ERR_INPUT:
                self._check_inputs(one_sample("x", given, self._config.n_in))
            elif given is not None and status == lib.NBT_ERR_LABEL:
                self._check_label(one_sample("y", given, self._config.n_label))
            raise InputError(message)


def _floats(array: Float32Array | None) -> Any:
    """Where the numbers of an array lie, NULL for none."""
    return ffi.NULL if array is None else ffi.from_buffer("float[]", array)


def _refused(array: Float32Array, positive: bool) -> tuple[list[int], str]:
    """Index of a number that no learner may hold, and what is expected of it."""
    bad = ~np.isfinite(array)
    expected = "expected a finite float32 value"
    if not bad.any() and positive:
        bad = array <= 0
        expected = "expected a variance above 0"
    if not bad.any():
        bad = np.abs(array) == np.abs(array).max()
        expected = "the number is too large for a learner, scale the values down"
    return [int(i) for i in np.argwhere(bad)[0]], expected


def _restored(kind: type[Learner], data: bytes, anchor: tuple[int | None, ...] | None) -> Learner:
    """A learner as pickled: a checkpoint does not distinguish "no anchor" from an open one."""
    learner = kind.from_bytes(data)
    if anchor is not None:
        learner._config = replace(learner._config, anchor=anchor)
    return learner


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
    unknown = sorted(set(settings) - set(NAMES))
    if unknown:
        expected = f"expected one of {', '.join(NAMES)}"
        raise ConfigError(f"unknown setting {unknown[0]!r}: {similar(unknown[0], NAMES)}{expected}")
    return Config(n_in, n_out, **settings)


def _check_turn(status: int, name: str) -> None:
    """Refuse a call that came while another thread was inside. Errors: SequenceError."""
    if status == lib.NBT_CALL_BUSY:
        raise SequenceError(
            f"{name}: another thread is using this learner; give each thread its own (copy.copy), "
            "or hold a lock around every call"
        )
    if status == lib.NBT_CALL_TORN:
        raise SequenceError(
            f"{name}: this process was forked while another thread was using this learner, which "
            "may be half written here: load a checkpoint (Learner.load, from_bytes), or start "
            'processes without a fork (multiprocessing.set_start_method("spawn"))'
        )


def _slots(kind: type) -> list[str]:
    """The names that a class gives places of their own."""
    names = kind.__dict__.get("__slots__", ())
    names = [names] if isinstance(names, str) else list(names)
    # A private name is kept under one that holds its class's.
    return [
        f"_{kind.__name__.lstrip('_')}{name}"
        if name.startswith("__") and not name.endswith("__")
        else name
        for name in names
        if name not in ("__dict__", "__weakref__")
    ]
