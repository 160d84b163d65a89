"""The settings of a learner, each with its unit, default, range and cost.

The kernel owns choices, ranges and defaults (``csrc/nbt_tables.h``) and checks a configuration when
a learner is built. The tests compare the descriptions here with its tables.
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

    A field that is None takes the kernel's default for the link and the cell. Types and names are
    checked here; ranges are checked when a ``Learner`` is built or ``memory_of`` is called. A float
    is rounded to float32 and kept as the shortest decimal of that number, which the kernel computes
    with and a checkpoint returns.

    If a setting that a field needs is off, a field that is None is off too. ``follow=False`` turns
    off the anchor and the mixture, ``mix_forget=0`` the linear and the slow forecast, and
    ``filter="sgd"`` all that needs covariances. ``dataclasses.replace`` keeps these decisions, and
    a new ``Config`` makes them again.

    Below, a columnar layer has the cell "columnar" or "resonator", and a dense cell is any other.
    Symbols are those of docs/design.md: R rows (``hidden`` times the gates of the cell) of D
    columns; I = n_in lags; Z = hidden + resonators + I + 1; F = Z + head features of the readout;
    D = Z, or I + 2 in a columnar layer. A setting without a cost changes neither bytes nor
    operations. Costs in bytes are those that grow with the sizes; ``memory_of`` has the exact sum.

    Attributes:
        n_in: input channels. Range: 1..65535. Cost: 12 R + 8 head + 4 n_out + 4 F bytes per lag and
            channel.
        n_out: outputs; for the categorical link the number of classes, at least 2. Range: 1..4096.
            Cost: 4 F bytes.
        hidden: recurrent units. With 0 and no head the learner is recursive least squares on the
            lags, and the estimator is "frozen". Default: 16. Range: 0..4096. Cost: in a columnar
            layer 24 (I + 2) bytes per unit, in dense cells bytes and operations that are quadratic
            in hidden; and one column of head and readout per unit, two per resonator.
        lags: latest samples of every input that the learner sees. Unit: samples. Default: 2 for the
            gaussian link, else 1. Range: 1..1024. Cost: as n_in.
        max_delay: one less than the predictions that may wait for a label; horizons up to
            max_delay + 1 are possible. Unit: predictions. Default: 0. Range: 0..1048576. Cost per
            prediction: 4 n_in bytes; with follow 4 n_in more, and for every output up to 20 bytes
            for the forecasts of the mixture and 4 + 8 intervals.
        cell: "columnar" (a learnt update gate per unit, no weights between units; some units may be
            resonators), "resonator" (a columnar layer of resonators only), "tanh" (h = tanh a),
            "leaky" (a fixed leak per unit), "gated" (a learnt update gate per unit) or "lstm".
            Default: "columnar", but "gated" if the estimator or filter needs units that see each
            other ("nobacktrack", "residual", "unitwise", "rtrl", "kalman_quasi"). Cost: R rows of D
            columns.
        estimator: how the recurrent weights learn. A columnar layer takes "snap1" (exact traces
            inside each unit, there the exact derivative) or "frozen" (no learning; without a head
            an echo state network with an online readout). Dense cells also take "unitwise" (the
            traces, and one random direction per unit for the rest: least variance, hidden**3
            operations per step), "residual" (the traces, and one random direction for the rest),
            "nobacktrack" (one random direction for all: fewest bytes) and "rtrl" (the exact
            derivative that the others estimate; it ignores norm and decay, and S R D floats, for S
            state floats, must not exceed 4194304). "unitwise", "residual" and "snap1" need one
            state float per unit, so they exclude "lstm". Default: "snap1" in a columnar layer,
            "nobacktrack" for "lstm", "unitwise" for other dense cells, "frozen" without units.
            Cost: 4 R D bytes each for w ("nobacktrack", "residual", "unitwise") and for traces
            ("snap1", "residual", "unitwise"); 8 hidden**2 more for "unitwise"; 4 (S + n_out) R D
            for "rtrl".
        norm: the norm that balances v and w of "nobacktrack": "metric", that of the filter, or
            "euclidean". Default: "metric".
        filter: "kalman" (diagonal covariance of recurrent weights and head, full covariance of the
            readout), "kalman_quasi" (also the covariance of every recurrent weight with the bias of
            its row; dense cells only) or "sgd" (stochastic gradient: fewer bytes, much slower
            learning). Default: "kalman". Cost: 4 R D (not "frozen") + 4 head Z +
            2 F (F + 1) bytes; "kalman_quasi" 4 R D more; "sgd" none.
        link: "gaussian" (real outputs), "categorical" (probabilities of classes) or "bernoulli"
            (independent probabilities). Default: "gaussian".
        scale_steps: inputs and gaussian labels are standardised with the running mean and variance
            of the first scale_steps samples, with follow of all samples. 0 leaves them unscaled.
            Unit: samples. Default: 300. Range: 0..16777216.
        hold_missing: a NaN input repeats the last value of its channel; otherwise it is refused.
            Default: False.
        anneal_steps: after n labels the recurrent step (sgd: every step) is multiplied by
            1/sqrt(1 + n/anneal_steps), at least 0.1. 0 keeps it constant. Unit: labels. Default:
            100000. Range: 0..1073741824.
        seed: seed of the initial weights and the random signs. Default: 0. Range: 0..2**64-1.
        scale_rate: rate of the scaler after scale_steps samples, with follow after 1/scale_rate.
            0 freezes it. Unit: 1/samples. Default: 0.002, without follow 0. Range: [0, 1].
        tau_min: shortest initial time constant of the units, which are log-spaced over the units of
            a kind. Unit: samples. Default: 1.6 for the gaussian link, else 2.2. Range: (1, 1e9].
        tau_max: longest initial time constant, at least tau_min. Unit: samples. Default: 64 for the
            gaussian link, else 32; 16 for dense cells. Range: (1, 1e9].
        recurrent_gain: standard deviation of the initial recurrent weights times sqrt(hidden), in a
            columnar layer that of a unit's weights on itself. Default: 0.6. Range: [0, 100].
        input_gain: standard deviation of the initial input weights times sqrt(I). Default: 1.2 for
            the gaussian link; else 0.97 sqrt(n_in), suited to one-hot inputs, at most 100 and in
            dense cells at least 3.5. Range: [0, 100].
        decay: factor on the random estimate at each step. 1 has no bias; smaller values reduce the
            variance and add a bias. Default: 0.95. Range: [0, 1].
        rate: factor on the Kalman step of the recurrent weights and the head, which is also divided
            by the number of waiting predictions. Default: 0.6 for the gaussian link, else 0.4; for
            dense cells 0.4 and 0.15. Range: [0, 100].
        info_rate: adaptation rate of the information of the recurrent weights and the head. Unit:
            1/samples. Default: 0.001. Range: (0, 0.5].
        info_floor: smallest and initial information of each of these weights; a larger value gives
            smaller and safer steps. Default: 0.005 for the gaussian link, else 0.003. Range:
            [1e-6, 1e6].
        forget: forgetting factor of the readout. Unit: per sample. Default: 0.9985 for the gaussian
            link, which tracks drifting sensors, else 0.99995. Range: (0.5, 1].
        prior: initial variance of the readout's weights on the inputs and the bias. Unit: the noise
            variance, with prior_units the variance of the target. Default: 3 for the gaussian link,
            else 1. Range: [1e-6, 1e6].
        prior_hidden: the same for the weights on recurrent units and head. Default: 0.05 for the
            gaussian link, else 0.12. Range: [1e-6, 1e6].
        noise_rate: rate of the running variance of the innovations. Unit: 1/samples. Default: 0.01.
            Range: (0, 1].
        sgd_rate: step size of the filter "sgd". Default: 0.003. Range: [0, 100].
        stuck_steps: an input that repeats its value for more samples is stuck. Until it changes,
            the labels of all waiting forecasts count as missing. A gaussian label that repeats its
            value for as long is missing too. Use 0, which is off, where a channel may be constant.
            Unit: samples. Default: 0. Range: 0..16777215.
        drift_steps: after so many labels with four times the usual loss, or more labels with at
            least twice the usual loss, the learner resets scalers, readout, rates and covariances;
            recurrent weights and head stay. With mix_forget the mixture adapts to such a loss, and
            any number but 0 makes the readouts, except the slow one, reset after a lasting jump of
            an input. 0 is off. Unit: labels. Default: 300. Range: 0..1048576.
        rollback_steps: keeps a copy of the parameters every so many labels while the loss is usual,
            and restores it before a reset; with mix_forget, after a jump, the copy of the recurrent
            weights, the head and their information. Needs drift_steps, and mix_forget or
            follow=False. 0 is off. Unit: labels. Default: 0. Range: 0..1073741824. Cost: the
            parameters and covariances once more.
        gate: a gaussian label further from its forecast is limited to this distance before it is
            learnt. 0 is off. Unit: standard deviations of the innovation. Default: 5. Range:
            [0, 1e6].
        input_limit: an input further from the running mean is limited to this distance, once the
            scaler has scale_steps samples (with follow: 20). 0 is off. Unit: standard deviations of
            the channel. Default: 10, without follow 0. Range: [0, 1e6].
        follow: the units of inputs and gaussian labels adapt to the stream at scale_rate without
            end, and the learnt parameters are re-expressed when they change. For the other links a
            channel that has only been 0 or 1 is left unscaled. With follow, values up to 1e18 are
            accepted (scale_steps 0: up to 1e6). Default: True. Cost: 24 bytes per channel, 28 per
            gaussian output, and 4 n_in (lags + max_delay).
        anchored: an output whose future is that of an input (``anchor``) learns the difference from
            the input's last value. Gaussian link only; needs follow. Default: True if both hold.
            Cost: 4 bytes per output; without mixture, intervals and anomaly 4 more per waiting
            prediction and output.
        anchor: for every output the channel whose future it is, or None. Needs anchored. Default:
            None, which means that the first ``run`` detects it (``Learner.find_anchor``); a loop
            over ``predict`` and ``learn`` then has no anchors.
        linear_lags: T, the latest samples of an output's anchor in a linear forecast that joins
            the mixture. 0 is off. Needs anchored and mix_forget. Unit: samples. Default: 10. Range:
            0..1024. Cost: 2 (T + 1) (T + 4) bytes per output, and 4 n_in (T - lags) if T > lags.
        linear_forget: forgetting factor of the linear forecast. Unit: per sample. Default: 0.999.
            Range: (0.5, 1]; 0 without linear_lags.
        slow_forget: forgetting factor of a second readout that joins the mixture and learns from
            one label in four. 0 is off. Needs mix_forget. Unit: per label. Default: 0.9998. Range:
            [0, 1]. Cost: 2 F (F + 7) + 4 n_out F bytes, and a quarter of the operations of the
            readout.
        mix_forget: forgetting factor of the mixture, which weights the forecasts of the last value
            and of all readouts by their recent losses. 0 is off. Gaussian link only; needs follow.
            Unit: per label. Default: 0.998. Range: [0, 1]. Cost: 12 K + 12 bytes per output for K
            forecasts, and 4 K + 4 per waiting prediction and output.
        prior_units: the priors of the readouts are in units of the target instead of the noise.
            Gaussian link only; needs a kalman filter. Default: True if both hold.
        resonators: how many units of a columnar layer, counted from the last, are resonators:
            complex linear units s <- lambda s + n (a + i b) with a learnt frequency and decay. Each
            has two state floats, and head and readout see both. Default: hidden for the cell
            "resonator"; for "columnar" half of hidden with the gaussian link, else 0. Range:
            0..4096, at most hidden. Cost: 8 bytes and one column of head and readout per unit.
        head: units of a learnt layer phi = tanh(U [h; x; 1]) in front of the readout, which then
            sees [h; phi; x; 1]. It works with every cell, and learns with every estimator. 0 is
            none. Default: for a columnar layer hidden with the gaussian link, else half of hidden;
            for dense cells 0. Range: 0..4096. Cost per unit: 8 Z bytes, 20 Z operations, and one
            column of the readout.
        head_gain: standard deviation of the head's initial weights times sqrt(hidden + resonators).
            Default: 2 for the gaussian link, else 1; 0 without head. Range: [0, 100].
        intervals: prediction intervals of every output (``Learner.interval``). Gaussian link only;
            needs follow. Default: the number of levels, or 3. Range: 0..8. Cost: 44 + 8 intervals
            bytes per output, and 4 + 8 intervals per waiting prediction and output.
        levels: share of the labels that each interval shall cover, ascending. Default: the first
            values of 0.5, 0.8, 0.95, 0.99, 0.995, 0.998, 0.999 and 0.9995; () means intervals=0.
            Range: above 0 and below 1.
        anomaly: an anomaly score of every label (``Learner.anomaly``). Gaussian link only; needs
            follow. Default: True if both hold. Cost: 112 bytes per output.
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
                f"levels = {shown(self.levels)}: intervals = {self.intervals} is another number "
                "of levels; leave one of the two out (None)"
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
    """A copy with other valid values, without the checks, which take a hundred times as long."""
    other = copy.copy(config)
    for name, value in values.items():
        object.__setattr__(other, name, value)  # no one else has this copy
    return other


def _is_open(name: str, value: object) -> bool:
    """Whether the field takes the kernel's default."""
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

# Fields that the kernel receives by calls of their own: anchor, found by the learner, and levels.
_TOLD = ("anchor", "levels")
# Fields whose default is the kernel's.
_BY_KERNEL = frozenset(
    field.name for field in fields(Config) if field.default is None and field.name not in _TOLD
)
# Fields that the defaults of others depend on.
_DECIDING = frozenset(
    ("hidden", "head", "cell", "estimator", "filter", "link", "follow", "anchored", "mix_forget")
)
# Cells without a weight between units: column `alone` of csrc/nbt_tables.h.
_ALONE = frozenset(("columnar", "resonator"))
