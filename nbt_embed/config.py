"""What a learner is: every setting, with unit, range and default.

The kernel owns choices, ranges and defaults (``csrc/nbt_tables.h``) and checks a configuration when
a learner is built. What stands here for readers and editors is compared with it by the tests.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from nbt_embed._choices import CHOICES, Cell, Estimator, Filter, Link, Norm
from nbt_embed._defaults import settled
from nbt_embed._html import html_table
from nbt_embed.errors import ConfigError, shown, similar

__all__ = ["CHOICES", "NAMES", "Cell", "Config", "Estimator", "Filter", "Link", "Norm", "changed"]


@dataclass(frozen=True, repr=False)
class Config:
    """Settings of one learner.

    Symbols as in docs/design.md: R rows (``hidden`` times the gates of the cell) of D columns, Z =
    hidden + resonators + n_in * lags + 1; D = Z, or n_in * lags + 2 in a columnar layer.
    Types and names are checked here, ranges when a ``Learner`` is built or ``memory_of`` is asked.
    A float is kept as the shortest decimal of its float32: the kernel computes with that number,
    and a checkpoint gives it back.

    A field that is None, its default, becomes the kernel's default for the link and the cell.
    Below, a columnar layer has the cell "columnar" or "resonator", and dense cells are the others.
    Where what a field needs is off, it is off: ``follow=False`` alone turns off the anchor and the
    mixture, ``mix_forget=0`` the linear and the slow forecast, ``filter="sgd"`` what needs
    covariances.
    ``dataclasses.replace`` keeps what has been decided; build a new ``Config`` to decide again.

    Attributes:
        n_in: input channels, 1..65535.
        n_out: outputs (categorical: classes, at least 2), 1..4096.
        hidden: recurrent units, 0..4096. Cost: in a columnar layer 24 (n_in lags + 2) bytes a unit,
            for dense cells quadratic in bytes and time; and a column of head and readout, two for
            a resonator. With 0 and no head the learner is recursive least squares on the lags; the
            estimator is then "frozen".
        lags: last samples of every input that are seen at once, 1..1024. None means 2 for the
            gaussian link and 1 for the others.
        max_delay: max_delay + 1 predictions may wait for labels, so horizons up to max_delay + 1
            are possible; 0..1048576. Cost: 4 n_in bytes each.
        cell: "columnar" (one learnt update gate per unit, no weights between units, some units may
            be resonators), "resonator" (a columnar layer of resonators alone), "tanh" (h = tanh a),
            "leaky" (fixed leak per unit), "gated" (one learnt update gate per unit) or "lstm". None
            means columnar; but gated where estimator or filter is one for units that see each
            other ("nobacktrack", "residual", "unitwise", "rtrl", "kalman_quasi").
        estimator: how the recurrent weights learn. A columnar layer takes "snap1" (exact traces
            inside each unit, there the exact derivative) or "frozen" (not at all: without a head an
            echo state network with an online readout). Dense cells also take "unitwise" (the
            traces, and for every unit a random direction for what passes between units: the least
            variance; hidden**3 operations a step), "residual" (the traces and one random direction
            for all the rest), "nobacktrack" (one random direction for everything: the smallest, any
            dense cell) and "rtrl" (the exact derivative that the others estimate: 4 S R D bytes
            for S state floats, refused above 16 MiB; it ignores norm and decay). unitwise, residual
            and snap1 need a cell with one state float per unit, so not "lstm". None means snap1 in
            a columnar layer, nobacktrack for lstm and unitwise for the other dense cells.
        norm: "metric" balances v and w of nobacktrack in the filter's own metric, "euclidean"
            plainly.
        filter: "kalman", "kalman_quasi" (keeps the covariance of every recurrent weight with its
            row's bias: 4 R D bytes more; dense cells only) or "sgd" (plain stochastic
            gradient, less memory, much slower learning).
        link: "gaussian" (real outputs), "categorical" (class probabilities) or "bernoulli"
            (independent probabilities).
        scale_steps: inputs and gaussian labels are standardised with the running mean and variance
            of the first scale_steps samples (with follow: of all); 0 leaves them as they are.
        hold_missing: a NaN input repeats the channel's last value instead of being refused.
        anneal_steps: labels, 0..2**30: after n labels the recurrent step (sgd: every step) is
            multiplied by 1/sqrt(1 + n/anneal_steps), at least 0.1; 0 keeps it constant.
        seed: seeds the initial weights and the random signs, 0..2**64-1.
        scale_rate: 1/samples, [0, 1]: rate of the scaler after scale_steps samples (with follow:
            after 1/scale_rate); 0 freezes it. None means 0.002, and 0 without follow.
        tau_min, tau_max: samples, 1 < tau_min <= tau_max: initial time constants of the units,
            log-spaced over those of a kind. tau_min None means 1.6 for the gaussian link and 2.2
            for the others. tau_max None means 64 for the gaussian link and 32 for the others, and
            16 for dense cells.
        recurrent_gain, input_gain: [0, 100]: standard deviation of the initial weights times
            sqrt(number of recurrent units), in a columnar layer of a unit's weights on itself, and
            times sqrt(number of inputs). input_gain None means 1.2 for
            the gaussian link; for the others, whose inputs are usually one-hot, 0.97 sqrt(n_in),
            but at most 100, and in dense cells at least 3.5.
        decay: [0, 1]: factor on the old random estimate; 1 is unbiased, less has less variance.
        rate: [0, 100]: multiplies the kalman step of the recurrent weights and of the head, which
            is also divided by the number of forecasts that wait. None means 0.6 for the gaussian
            link and 0.4 for the others, for dense cells 0.4 and 0.15.
        info_rate: 1/samples, (0, 0.5]: how fast the information of these weights adapts.
        info_floor: [1e-6, 1e6]: information none of these weights falls below; larger is safer.
            None means 0.005 for the gaussian link and 0.003 for the others.
        forget: (0.5, 1]: forgetting factor of the readout per sample. None means 0.9985 for the
            gaussian link, which follows drifting sensors, and 0.99995 for the others.
        prior, prior_hidden: [1e-6, 1e6]: initial readout variance of the weights on the inputs and
            on units and head, in units of the noise variance (prior_units: of the target's).
            None means 3 and 0.05 for the gaussian link, 1 and 0.12 for the others.
        noise_rate: 1/samples, (0, 1]: rate of the running innovation variance.
        sgd_rate: [0, 100]: step size of the sgd filter.
        stuck_steps: samples, 0..16777215, 0 is off: an input that repeats its value for more
            samples is stuck, and nothing is learnt from what is forecast with it; a gaussian label
            that does is missing. Leave it off where a channel may stand still for good reasons.
        drift_steps: labels, 0..2**20, 0 is off: after so many labels with four times the usual
            loss, or more with less, but at least twice, the learner opens again: scalers, readout,
            rates and covariances start again, recurrent weights and head stay. With mix_forget
            the mixture watches the losses; whatever the number, the readouts but the slow one
            start again once an input has jumped for good.
        rollback_steps: labels, 0..2**30, 0 is off: keep a copy of the parameters every so many
            labels while the loss is as usual, and go back to it before opening again. With
            mix_forget the recurrent weights, the head and their information go back after a jump.
            Needs drift_steps, and mix_forget or follow=False. Cost: the parameters and covariances
            once more.
        gate: standard deviations of the innovation, [0, 1e6], 0 is off: a gaussian label that is
            further from its forecast is learnt as if it were so far. None means 5.
        input_limit: standard deviations of the channel, [0, 1e6], 0 is off: an input further from
            the running mean is brought so far, once the scaler has seen scale_steps samples (with
            follow: 20). None means 10, and 0 without follow.
        follow: the units of inputs and gaussian labels follow the stream at scale_rate for ever,
            and what was learnt is re-expressed when they move. For the other links a channel that
            has only ever been 0 or 1 is taken as it is. Values up to 1e18 are taken, however far
            from the others (with scale_steps 0, up to 1e6).
        anchored: an output whose future is that of an input (``anchor``) learns the difference to
            its last value. Gaussian, needs follow. None means whether both are given.
        anchor: for every output the input channel that it is the future of, or None. None instead
            of a tuple means that the learner's first ``run`` finds out (``Learner.find_anchor``);
            a loop over ``predict`` and ``learn`` then goes without. Needs anchored.
        linear_lags: samples, 0..1024, 0 is off: a linear forecast from the last samples of the
            output's anchor takes part in the mixture. Needs anchored and mix_forget. None means 10.
        linear_forget: (0.5, 1]: its forgetting factor per sample; 0 without linear_lags. None means
            0.999.
        slow_forget: [0, 1], 0 is off: forgetting factor per label of a second readout that takes
            part in the mixture and learns from one label in four. Needs mix_forget. None means
            0.9998.
        mix_forget: [0, 1], 0 is off: forecasts of the last value and of all readouts are mixed by
            what they lost lately; the forgetting factor per label of that. Gaussian, needs follow.
            None means 0.998.
        prior_units: the priors of the readouts are in units of the target instead of the noise.
            Gaussian, needs a kalman filter. None means whether both are given.
        resonators: how many units of a columnar layer, the last ones, are resonators: complex
            linear units s <- lambda s + n (a + i b) that ring at a learnt frequency and decay at a
            learnt rate; 0..hidden. They have two state floats, and head and readout see both. None
            means hidden for the cell "resonator"; for "columnar" half of hidden with the gaussian
            link and 0 with the others.
        head: units of a learnt layer phi = tanh(U [h; x; 1]) in front of the readout, which then
            sees [h; phi; x; 1], 0..4096, 0 is none. It works with every cell and learns with every
            estimator. Cost: 8 Z bytes a unit, and a column of the readout. None means, for a
            columnar layer, hidden with the gaussian link and half of it with the others, and 0 for
            dense cells.
        head_gain: standard deviation of the head's initial weights times sqrt(hidden + resonators),
            [0, 100]; 0 without head. None means 2 for the gaussian link and 1 for the others.
        intervals: prediction intervals of every output, 0..8 (``Learner.interval``). Gaussian,
            needs follow. Cost: 8 bytes each and 44 for an output, and 4 + 8 intervals for every
            forecast of it that may wait. None means the number of levels, or 3.
        levels: what share of the labels each of them shall cover, ascending, between 0 and 1. None
            means the first of 0.5, 0.8, 0.95, 0.99, 0.995, 0.998, 0.999 and 0.9995; () is the same
            as intervals=0.
        anomaly: how unusual every label is (``Learner.anomaly``). Gaussian, needs follow. Cost: 112
            bytes for an output. None means whether both are given.
    """

    n_in: int
    n_out: int
    hidden: int = 16
    lags: int | None = None
    max_delay: int = 0
    cell: Cell | None = None
    estimator: Estimator | None = None
    norm: Norm = "metric"
    filter: Filter = "kalman"
    link: Link = "gaussian"
    scale_steps: int = 300
    hold_missing: bool = False
    anneal_steps: int = 100_000
    seed: int = 0
    scale_rate: float | None = None
    tau_min: float | None = None
    tau_max: float | None = None
    recurrent_gain: float = 0.6
    input_gain: float | None = None
    decay: float = 0.95
    rate: float | None = None
    info_rate: float = 1e-3
    info_floor: float | None = None
    forget: float | None = None
    prior: float | None = None
    prior_hidden: float | None = None
    noise_rate: float = 0.01
    sgd_rate: float = 0.003
    stuck_steps: int = 0
    drift_steps: int = 300
    rollback_steps: int = 0
    gate: float | None = None
    input_limit: float | None = None
    follow: bool = True
    anchored: bool | None = None
    linear_lags: int | None = None
    prior_units: bool | None = None
    linear_forget: float | None = None
    slow_forget: float | None = None
    mix_forget: float | None = None
    resonators: int | None = None
    head: int | None = None
    head_gain: float | None = None
    intervals: int | None = None
    anomaly: bool | None = None
    anchor: tuple[int | None, ...] | None = None
    levels: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name, names in CHOICES.items():
            value = getattr(self, name)
            if (not isinstance(value, str) or value not in names) and not _is_open(name, value):
                expected = ", ".join(repr(one) for one in names)
                raise ConfigError(
                    f"{name} = {shown(value)}: {similar(value, names)}expected one of {expected}"
                )
            if value is not None:
                object.__setattr__(self, name, str.__str__(value))  # not np.str_, nor an enum
        for name, (convert, expected) in _CONVERSIONS.items():
            value = getattr(self, name)
            if _is_open(name, value):
                continue
            try:
                object.__setattr__(self, name, convert(value))
            except (TypeError, ValueError, OverflowError):
                raise ConfigError(f"{name} = {shown(value)}: expected {expected}") from None
        levels = self._checked_levels()
        if levels is not None and self.intervals is None:
            object.__setattr__(self, "intervals", len(levels))
        for name, value in settled(vars(self)).items():
            convert = _CONVERSIONS[name][0] if name in _CONVERSIONS else str
            object.__setattr__(self, name, convert(value))
        object.__setattr__(self, "levels", self._usual_levels() if levels is None else levels)
        object.__setattr__(self, "anchor", self._checked_anchor())

    def _usual_levels(self) -> tuple[float, ...]:
        return _USUAL_LEVELS[: max(self.intervals or 0, 0)]

    def _checked_levels(self) -> tuple[float, ...] | None:
        if self.levels is None:
            return None
        try:
            levels = tuple([_float(level) for level in self.levels])
        except (TypeError, ValueError, OverflowError):
            levels = (0.0,)
        ascending = all(
            low < high for low, high in zip((0.0, *levels), (*levels, 1.0), strict=True)
        )
        if not ascending or len(levels) > len(_USUAL_LEVELS):
            raise ConfigError(
                f"levels = {shown(self.levels)}: expected up to {len(_USUAL_LEVELS)} numbers "
                "between 0 and 1, ascending, such as (0.5, 0.8, 0.95); or leave levels out"
            )
        if self.intervals not in (None, len(levels)):
            raise ConfigError(
                f"levels = {shown(self.levels)}: intervals = {self.intervals} asks for another "
                "number of them; leave one of the two out (None)"
            )
        return levels

    def _checked_anchor(self) -> tuple[int | None, ...] | None:
        if self.anchor is None:
            return None
        try:
            anchor = tuple([None if one is None else operator.index(one) for one in self.anchor])
        except TypeError:
            anchor = ()
        if not self.anchored:
            raise ConfigError(
                f"anchor = {shown(self.anchor)}: needs anchored=True, which needs "
                f'link="gaussian" and follow=True, and link = {self.link!r}, follow = '
                f"{self.follow}, anchored = {self.anchored}; change that, or leave anchor out"
            )
        good = all(one is None or 0 <= one < self.n_in for one in anchor)
        if len(anchor) != self.n_out or not good:
            raise ConfigError(
                f"anchor = {shown(self.anchor)}: expected {self.n_out} of None or an input channel "
                f"from 0 to {self.n_in - 1}, one for every output; or leave anchor out"
            )
        return anchor

    @property
    def traces_are_exact(self) -> bool:
        """Whether the traces of ``snap1`` are the exact derivative: no unit sees another one."""
        return self.cell in _ALONE

    @property
    def n_label(self) -> int:
        """Values in one label: 1 class index (categorical), else n_out."""
        return 1 if self.link == "categorical" else self.n_out

    def arguments(self) -> str:
        """The arguments that make this configuration, as few as there can be."""
        given: dict[str, object] = {}
        plain = Config(self.n_in, self.n_out)
        for name in sorted(NAMES[2:], key=lambda name: name not in _DECIDING):
            value = getattr(self, name)
            if value != getattr(plain, name):
                given[name] = value
                plain = Config(self.n_in, self.n_out, **given)  # type: ignore[arg-type]
        named = [f"{name}={given[name]!r}" for name in NAMES if name in given]
        return ", ".join([repr(self.n_in), repr(self.n_out), *named])

    def __repr__(self) -> str:
        return f"Config({self.arguments()})"

    def _repr_html_(self) -> str:
        return html_table("Config", {name: repr(getattr(self, name)) for name in NAMES})


# The kernel's levels (csrc/nbt_assess.c).
_USUAL_LEVELS = (0.5, 0.8, 0.95, 0.99, 0.995, 0.998, 0.999, 0.9995)

# Looked up once: fields() makes a new tuple at every call.
NAMES = tuple(field.name for field in fields(Config))


def changed(config: Config, **values: Any) -> Config:
    """A copy with other values, known to be good: the checks take a hundred times as long."""
    other = copy.copy(config)
    for name, value in values.items():
        object.__setattr__(other, name, value)  # of a copy that nobody else has
    return other


def _is_open(name: str, value: object) -> bool:
    """Whether the kernel's default is asked for."""
    return value is None and name in _BY_KERNEL


def _flag(value: Any) -> bool:
    if operator.index(bool(value) if isinstance(value, np.bool_) else value) not in (0, 1):
        raise ValueError
    return bool(value)


def _integer(value: Any) -> int:
    return int(operator.index(value))  # int(): a bool is an index


def _float(value: Any) -> float:
    """The shortest decimal of the float32; a number beyond its range stays, to be refused by it."""
    if isinstance(value, (str, bytes)):
        raise TypeError
    with np.errstate(over="ignore"):
        rounded = np.float32(float(value))
    return float(str(rounded)) if np.isfinite(rounded) else float(value)


# How a value of a field becomes one of its type, and what to pass instead of one that cannot.
_BY_TYPE: dict[str, tuple[Callable[[Any], object], str]] = {
    "int": (_integer, "an integer"),
    "float": (_float, "a number"),
    "bool": (_flag, "True or False"),
}
_CONVERSIONS = {
    field.name: _BY_TYPE[kind]
    for field in fields(Config)
    if (kind := str(field.type).removesuffix(" | None")) in _BY_TYPE
}

# Fields that the kernel is told one by one: anchor, found by the learner, and levels.
_TOLD = ("anchor", "levels")
# Fields whose default is the kernel's.
_BY_KERNEL = frozenset(
    field.name for field in fields(Config) if field.default is None and field.name not in _TOLD
)
# Fields that decide what the default of others is.
_DECIDING = frozenset(
    ("hidden", "head", "cell", "estimator", "filter", "link", "follow", "anchored", "mix_forget")
)
# Cells without a weight between units: column `alone` of csrc/nbt_tables.h.
_ALONE = frozenset(("columnar", "resonator"))
