"""The learner on a stream whose units change: docs/design.md, section 11, in float64 NumPy.

What `follow`, `anchor` and the mixture add to the learner of learner.py. Everything that the
readouts see or predict stands in applied units (units.py); the network sees live ones.

    f = [h; phi; taps; 1],  p_0 = anchor,  p_k = p_0 + V_k f_k,  y = reference + M + S sum_k w_k p_k
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbt_embed.reference.anomaly import Channel
from nbt_embed.reference.arrays import Array
from nbt_embed.reference.intervals import FREEDOMS, Intervals
from nbt_embed.reference.learner import ReferenceLearner
from nbt_embed.reference.links import prediction
from nbt_embed.reference.mixture import Mixture, Rls, SpreadRls
from nbt_embed.reference.settings import Settings
from nbt_embed.reference.units import (
    AS_IT_IS,
    BLOCK,
    SETTLED,
    Change,
    Unit,
    affine,
    re_express_covariance,
    re_expressed,
)


class StreamLearner(ReferenceLearner):
    """`ReferenceLearner` with `follow`.

    Attributes: units (n_in), label_units (O): per channel, per output; the latter count only for
    outputs without anchor. anchor (O): input channel or None. taps (max_delay + max(lags,
    linear_lags), n_in): inputs in applied units, newest first. slow: a second readout on f, or
    None. linear: one Rls an output on [1; last linear_lags taps of its anchor], or none. mixture:
    one per output; without `mix_forget` the readout has all the weight for ever. last_label (O).
    forecasts: the (O, K) forecasts and the answers (O) that wait. intervals, channels: what is said
    of each output, or none; bounds: the scales (O) and the bounds (O, L, 2) that wait; scores (O)
    of the last label. quarantine: how many of the oldest teach nothing. reopened: how often
    readouts started again after a jump.
    """

    def __init__(self, config: Settings, theta: ArrayLike | None = None) -> None:
        O, T = config.n_out, config.linear_lags  # noqa: E741
        super().__init__(config, theta)
        gaussian, follows = config.link == "gaussian", config.scale_steps > 0
        unit = Unit(config.scale_rate, config.input_limit, S=0.0 if follows else AS_IT_IS)
        flags = follows and not gaussian
        self.units = [replace(unit, flags=flags) for _ in range(config.n_in)]
        self.label_units = [replace(unit) for _ in range(O)]
        self.anchor = config.anchor or (None,) * O
        self.slow = (
            SpreadRls(O, self.prior, self.covariance_order(), config.slow_forget, config)
            if config.slow_forget > 0
            else None
        )
        prior = np.full(T + 1, config.prior)
        self.linear = [
            Rls(1, prior, np.arange(T + 1), config.linear_forget, config)
            for _ in range(O if T > 0 else 0)
        ]
        self.last_label = np.zeros(O)
        self.reopened = 0
        self.intervals: list[Intervals] = []
        self.restart()
        assessed = O if gaussian and config.follow else 0
        self.intervals = [Intervals(config.levels) for _ in range(assessed) if config.levels]
        self.channels = [Channel() for _ in range(assessed) if config.anomaly]
        self.scores = np.full(O, np.nan)

    @property
    def K(self) -> int:  # noqa: N802
        """Forecasts of an output: anchor, [linear], readout, [slow readout]."""
        return 2 + (self.config.linear_lags > 0) + (self.config.slow_forget > 0)

    def covariance_order(self) -> NDArray[np.int_]:
        """[1; x; h; phi]: the constant first, so that moving units leave the factors triangular."""
        hidden, F = self.config.n_seen + self.config.head, self.config.n_features
        return np.concatenate([[F - 1], np.arange(hidden, F - 1), np.arange(hidden)])

    def restart(self) -> None:
        """What was learnt of the first values is worthless, and so is what waits."""
        self.know_nothing()
        self.widen()
        self.taps[:] = 0.0
        self.quarantine = len(self.waiting)

    def widen(self) -> None:
        """What is known of the errors may not hold any more."""
        for one in self.intervals:
            one.widen()

    def know_nothing(self) -> None:
        """Readouts and mixture as at the start."""
        self.readout = np.zeros_like(self.readout)
        self.covariance.restart()
        self.noise, self.label_count = np.ones_like(self.noise), np.zeros_like(self.noise)
        for expert in self.experts():
            expert.restart()
        self.mixture = [Mixture.start(self.K) for _ in range(self.config.n_out)]
        if self.config.mix_forget == 0:
            for one in self.mixture:
                one.weight = np.eye(self.K)[1]  # the readout alone

    def jump(self) -> None:
        """An input has jumped permanently: all but the slow readout starts again."""
        if self.config.mix_forget == 0 or self.config.drift_steps == 0:
            return
        self.reopened += 1
        self.widen()
        self.readout = np.zeros_like(self.readout)
        self.covariance.restart()
        self.noise, self.label_count = np.ones_like(self.noise), np.zeros_like(self.noise)
        self.start_recurrent()
        for expert in self.linear:
            expert.restart()
        self.mixture = [Mixture.start(self.K) for _ in range(self.config.n_out)]

    def reset_state(self) -> None:
        """Forget the recent past; units, readouts and weights stay."""
        config = self.config
        super().reset_state()
        depth = config.max_delay + max(config.lags, config.linear_lags)
        self.taps = np.zeros((depth, config.n_in))
        self.forecasts: deque[tuple[Array, Array]] = deque()
        self.bounds: deque[tuple[Array, Array]] = deque()
        self.quarantine = 0

    def experts(self) -> list[Rls]:
        """The readouts that learn by themselves."""
        return self.linear + ([self.slow] if self.slow else [])

    # ---- units -----------------------------------------------------------------------------------

    def unit_of(self, o: int) -> Unit:
        """The units of output o: those of its anchor, if it has one."""
        channel = self.anchor[o]
        return self.label_units[o] if channel is None else self.units[channel]

    def direct(self, age: int) -> Array:
        """The taps that f holds of the sample `age` steps before the newest, (I)."""
        direct: Array = self.taps[age : age + self.config.lags].ravel()
        return direct

    def lagged(self, o: int, age: int) -> Array:
        """The features of output o's linear expert, (linear_lags + 1), 0 without an anchor."""
        T, channel = self.config.linear_lags, self.anchor[o]
        own = np.zeros(T) if channel is None else self.taps[age : age + T, channel]
        return np.concatenate([[1.0], own])

    def move_input(self, channel: int, change: Change) -> None:
        """Re-express all that stands in the applied units of an input: V f stays what it was."""
        config, a, b = self.config, change.a, change.b
        for o, anchor in enumerate(self.anchor):
            if anchor == channel:
                self.move_output(o, a, b, shift=0.0)  # it learns differences to its anchor
        if change.first:
            return  # all taps are 0 and nothing was learnt of them
        self.taps[:, channel] = a * self.taps[:, channel] + b
        first = config.n_seen + config.head + channel
        places = first + config.n_in * np.arange(config.lags)
        shift = 0.0 if change.jump else b  # after a jump, what was learnt is kept about the mean
        A = affine(config.n_features, places, config.n_features - 1, a, shift)
        self.readout = re_expressed(self.readout, A)
        re_express_covariance(self.covariance, A)
        if self.slow:
            self.slow.re_express(A)
        A = affine(config.linear_lags + 1, np.arange(1, config.linear_lags + 1), 0, a, shift)
        for o, expert in enumerate(self.linear):
            if self.anchor[o] == channel:
                expert.re_express(A)
        if self.units[channel].count <= (SETTLED + 1 if config.link == "gaussian" else BLOCK):
            self.know_nothing()  # units of a start are no ground to stand on

    def move_output(self, o: int, a: float, b: float, shift: float) -> None:
        """Re-express output o: forecasts p' = a p + b, what readouts learn t' = a t + shift."""
        for p, answer in self.forecasts:
            p[o], answer[o] = a * p[o] + b, a * answer[o] + b
        for scale, bounds in self.bounds:
            scale[o], bounds[o] = a * scale[o], a * bounds[o] + b
        self.last_label[o] = a * self.last_label[o] + b
        if a == 0:  # the first units of the output: nothing was learnt
            if self.channels:
                self.channels[o] = Channel()
            return
        if self.intervals:
            self.intervals[o].rescale(a)
        if self.channels:
            self.channels[o].rescale(a, b)
        self.readout[o] *= a
        self.readout[o, -1] += shift
        self.noise[o] = max(a**2 * self.noise[o], 1e-8)
        if self.slow:
            self.slow.rescale(o, a, shift, constant=-1)
        if self.linear:
            self.linear[o].rescale(0, a, shift, constant=0)
        self.mixture[o].error *= a**2

    # ---- predict and learn -----------------------------------------------------------------------

    def take_input(self, values: Array) -> Array:
        """Count, move the units, and put the values in front of x and of the taps."""
        changes = [
            None if np.isnan(z) else unit.take(z)
            for unit, z in zip(self.units, values, strict=True)
        ]
        for channel, change in enumerate(changes):
            if change and change.moved:
                self.move_input(channel, change)
        if any(change and change.jump for change in changes):
            self.jump()
        if any(change and change.restart for change in changes):
            self.restart()
        live = [x if one is None else one.live for one, x in zip(changes, self.x, strict=False)]
        newest = [
            x if one is None else one.applied for one, x in zip(changes, self.taps[0], strict=True)
        ]
        self.x = np.concatenate([live, self.x])[: self.x.size]
        self.taps = np.vstack([newest, self.taps[:-1]])
        return self.direct(0)

    def answer(self, values: Array) -> Array:
        """Mix the forecasts (O), caller's units; they wait for their label."""
        if self.config.link != "gaussian":
            return prediction(self.config.link, self.readout @ self.live_f)
        p = np.array([self.forecast(o, values) for o in range(self.config.n_out)])
        answer = np.array([one.weight @ row for one, row in zip(self.mixture, p, strict=True)])
        self.forecasts.append((p, answer))
        self.bounds.append(self.intervals_around(answer))
        return np.array([self.unit_of(o).restore(y) for o, y in enumerate(answer)])

    def intervals_around(self, answer: Array) -> tuple[Array, Array]:
        """Scales (O) and bounds (O, L, 2) of answers (O), applied units; 0 before any varied."""
        O, L = answer.size, len(self.config.levels)  # noqa: E741
        scale, bounds = np.zeros(O), np.zeros((O, L, 2))
        for o, one in enumerate(self.intervals):
            scale[o] = one.scale() if self.unit_of(o).S != 0 else 0.0
            bounds[o] = one.bounds(answer[o], scale[o])
        return scale, bounds

    def interval(self) -> Array:
        """Bounds of the newest answers, (O, L, 2), caller's units."""
        _, bounds = self.bounds[-1]
        restored = [
            [[self.unit_of(o).restore(x) for x in pair] for pair in rows]
            for o, rows in enumerate(bounds)
        ]
        return np.array(restored)

    def student(self, freedom: tuple[float, ...]) -> Array:
        """Scale (O) of the newest answers with these degrees of freedom, caller's units."""
        S = np.array([self.unit_of(o).S for o in range(self.config.n_out)])
        k = [one.k[FREEDOMS.index(nu)] for one, nu in zip(self.intervals, freedom, strict=True)]
        return np.asarray(self.bounds[-1][0] * np.exp(k) * np.where(S > 0, S, 1.0))

    def forecast(self, o: int, values: Array) -> Array:
        """The K forecasts of output o, applied units: anchor, [linear], readout, [slow]."""
        channel, unit = self.anchor[o], self.unit_of(o)
        if unit.S == 0:
            return np.zeros(self.K)
        p_0, base = self.last_label[o], 0.0
        if channel is not None:
            missing = np.isnan(values[channel])
            p_0 = base = self.taps[0, channel] if missing else unit.apply(values[channel])
        read = [self.linear[o].V[0] @ self.lagged(o, 0)] if self.linear else []
        read += [self.readout[o] @ self.live_f]
        read += [self.slow.V[o] @ self.live_f] if self.slow else []
        return np.array([p_0, *(base + one for one in read)])

    def variance(self) -> Array:
        """As without `follow`; with a mixture, S^2 r of its answers, from the first label on."""
        S = np.array([self.unit_of(o).S for o in range(self.config.n_out)])
        plain = self.noise * (1 + self.spread(self.live_f))
        for o, one in enumerate(self.mixture):
            plain[o] = one.error if one.count > 0 else plain[o]
        return np.asarray(plain * np.where(S > 0, S, 1.0) ** 2)

    def learn_label(self, target: Array) -> None:
        """Learn the label (O), or (1) with a class index."""
        n_waiting, taught = len(self.waiting), self.quarantine == 0
        self.quarantine = max(self.quarantine - 1, 0)
        x = self.advance()
        f = self.features(self.learning_state, x, self.direct(n_waiting - 1))
        if self.config.link != "gaussian":
            self.fit(f, target if taught else np.full_like(target, np.nan), n_waiting)
            return
        p, answer = self.forecasts.popleft()
        truth = np.array([self.truth(o, y) for o, y in enumerate(target)])
        self.assess(target, truth, answer, taught)
        truth = truth if taught else np.full_like(truth, np.nan)
        anchored = np.array([channel is not None for channel in self.anchor])
        difference = truth - np.where(anchored, p[:, 0], 0.0)
        self.fit(f, difference, n_waiting)
        for o, one in enumerate(self.mixture):
            if self.config.mix_forget > 0 and not np.isnan(truth[o]):
                one.learn(p[o], answer[o], truth[o], self.config.mix_forget)
        for o, expert in enumerate(self.linear):
            expert.learn(self.lagged(o, n_waiting - 1), difference[o : o + 1])
        if self.slow:
            self.slow.learn_part(f, difference, self.labels_learnt - 1)  # counted by fit
        self.count_labels(target)

    def assess(self, target: Array, truth: Array, answer: Array, taught: bool) -> None:
        """Score labels (O), as given and in applied units; intervals learn if readouts do."""
        scale, bounds = self.bounds.popleft()
        self.scores = np.full(truth.size, np.nan)
        for o, y in enumerate(truth.tolist()):
            is_there = not np.isnan(y)
            if self.intervals and taught and is_there:
                self.intervals[o].learn(y, answer[o], scale[o], bounds[o])
            if self.channels and is_there:
                self.scores[o] = self.channels[o].count(target[o], y, answer[o])
            elif self.channels:
                self.channels[o].miss()

    def truth(self, o: int, label: float) -> float:
        """The label of output o in applied units; NaN as long as it has none."""
        unit = self.unit_of(o)
        return unit.apply(label) if unit.S != 0 else np.nan

    def count_labels(self, target: Array) -> None:
        """Labels without anchor have units of their own, which move after the label was learnt."""
        changes = {
            o: self.label_units[o].take(y)
            for o, y in enumerate(target)
            if self.anchor[o] is None and not np.isnan(y)
        }
        for o, change in changes.items():
            if change.moved:
                shift = 0.0 if change.jump else change.b
                self.move_output(o, change.a, change.b, shift)
            self.last_label[o] = self.label_units[o].apply(target[o])
        if any(change.restart for change in changes.values()):
            self.restart()
