"""How unusual the newest value of a channel is, in plain numbers.

Written from the equations at the top of csrc/nbt_anomaly.h and nbt_tail.h. stream.py moves it with
the units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

SHARE = 0.02
STATISTICS = ("innovation", "level", "slow level", "burst", "bias")
STUCK = 4.0


@dataclass
class Tail:
    """The upper tail of a statistic: quantile q and mean excess m of its logarithm."""

    q: float = 0.0
    m: float = 0.0

    def count(self, value: float, n: int, pace: float) -> float:
        """The surprise of a value that comes after n others."""
        x = math.log(value + 1e-9)
        if n < 1:
            self.q, self.m = x, 0.5
            return 0.0
        over, surprise = x - self.q, 0.0
        if over > 0:
            surprise = (-math.log(SHARE) + over / max(self.m, 0.15)) / math.log(10)
            rate = max(1 / (SHARE * (n + 1) + 1), 0.02)
            self.m += pace * rate * (min(over, 2 * self.m) - self.m)
        rate = min(max(20 / (n + 1), 0.01), 1.0)
        self.q += pace * rate * ((over > 0) - SHARE)
        return surprise


@dataclass
class Channel:
    """What is remembered of one channel; the names are those of csrc/nbt_anomaly.h.

    Attributes: n, values; last; square: E e^2; short: means of about 5 and 24 values, of z^2 and of
    z; mean, variance, low, high; run, longest; records, their share; hold; calm; gap. margin: how
    far the last surprise was above the hold.
    """

    n: int = 0
    last: float = 0.0
    square: float = 0.0
    short: dict[str, float] = field(default_factory=dict)
    mean: float = 0.0
    variance: float = 0.0
    low: float = 0.0
    high: float = 0.0
    run: int = 0
    longest: float = 0.0
    records: float = 0.0
    hold: float = 0.0
    margin: float = 0.0
    calm: int = 0
    gap: int = 0
    tails: dict[str, Tail] = field(default_factory=lambda: {name: Tail() for name in STATISTICS})

    def count(self, reading: float, value: float, forecast: float) -> float:
        """The score of a value, given as a reading in other units, which is counted then."""
        if self.n == 0:
            self.last, self.low, self.high = reading, value, value
            self.short = {"level": value, "slow level": value, "burst": 0.0, "bias": 0.0}
        e = value - forecast if self.n > 0 else 0.0
        d = reading - self.last
        pace = 0.3 if self.calm > 0 else 1.0
        surprise = self.surprise(value, e, d, pace) if self.n >= 2 else 0.0
        tells, self.margin = surprise > self.hold, surprise - self.hold
        long = 1.5 * self.longest + 5
        tells = tells or (self.n >= 100 and long < self.run <= long + 1)  # it has just stuck
        self.hold = max(self.hold * 2 ** (-1 / 250), surprise)
        self.rest(surprise)
        if not self.follows_gap:
            rate = pace * max(1 / (self.n + 1), 1 / 200)
            most = 64 * self.square if self.n > 20 else np.inf
            self.square += rate * (min(e**2, most) - self.square)
        self.gap = max(self.gap - 1, 0)
        self.take(value, pace)
        self.last = reading
        return 1 - 10 ** (-surprise / 3) if tells else 0.0

    def miss(self) -> None:
        """A value is missing."""
        self.gap = 2

    @property
    def follows_gap(self) -> bool:
        """Whether the value that comes was forecast from less."""
        return self.gap > 0 and self.n >= 20

    def statistics(self, value: float, e: float) -> dict[str, float]:
        """The statistics with a tail; the short means move on the way."""
        rounding = 1e-6 * abs(value) + 1e-15
        ratio = e / (math.sqrt(self.square) + rounding)
        z = min(max(ratio, -10.0), 10.0)
        if self.follows_gap:
            z = -1.0 if ratio < 0 else 1.0
        news = {"level": (value, 5), "slow level": (value, 24), "burst": (z**2, 8), "bias": (z, 16)}
        for name, (new, length) in news.items():
            self.short[name] += (new - self.short[name]) / min(self.n + 1, length)
        deviation = math.sqrt(self.variance) + rounding
        return {
            "innovation": abs(ratio),
            "level": abs(self.short["level"] - self.mean) / deviation,
            "slow level": abs(self.short["slow level"] - self.mean) / deviation,
            "burst": self.short["burst"],
            "bias": abs(self.short["bias"]),
        }

    def surprise(self, value: float, e: float, d: float, pace: float) -> float:
        """The largest of the measures."""
        s = {
            name: self.tails[name].count(statistic, self.n - 2, pace)
            for name, statistic in self.statistics(value, e).items()
            if not (name == "innovation" and self.follows_gap)
        }
        s = {"innovation": 0.0} | s
        if self.n < 50:
            s = dict.fromkeys(s, 0.0)
        known = self.n >= 100
        together = s["innovation"] + s["level"] + s["slow level"]
        if known:
            together += 2 * self.record(value)
        alone = 2.5 * max(s[name] for name in ("innovation", "burst", "bias", "slow level"))
        self.repeat(d)
        stuck = known and self.run > 1.5 * self.longest + 5
        return max(together, alone, 3 * STUCK if stuck else 0.0)

    def record(self, value: float) -> float:
        """The surprise of a value beyond all before, 0 for others."""
        is_record = not self.low <= value <= self.high
        surprise = -math.log10(max(self.records, 5e-4)) if is_record else 0.0
        self.records += max(1 / (self.n - 100 + 1), 1e-3) * (is_record - self.records)
        return surprise

    def repeat(self, d: float) -> None:
        """How often the value has been repeated, and the longest time before."""
        if d != 0:
            most = 2 * self.longest + 8  # one run is no habit
            self.longest = max(self.longest, min(self.run, most))
        self.longest *= 1 - 2e-4
        self.run = self.run + 1 if d == 0 else 0

    def rest(self, surprise: float) -> None:
        """60 values at a slow pace after a surprise above 6, then 100 at least without."""
        if self.calm > 0:
            self.calm = self.calm - 1 if self.calm > 1 else -100
        elif self.calm < 0:
            self.calm += 1
        elif surprise > 6:
            self.calm = 60

    def take(self, value: float, pace: float) -> None:
        """Mean, deviation and range; the range at most doubles at one value, once there is one."""
        rate, off = pace / min(self.n + 1, 4000), value - self.mean
        self.mean += rate * off
        self.variance += rate * (off**2 - self.variance)
        reach = self.high - self.low if self.n >= 100 else np.inf
        self.low, self.high = (
            min(self.low, max(value, self.low - reach)),
            max(self.high, min(value, self.high + reach)),
        )
        self.n += 1

    def rescale(self, a: float, b: float) -> None:
        """The values are v' = a v + b."""
        for name in ("mean", "low", "high"):
            setattr(self, name, a * getattr(self, name) + b)
        for name in ("level", "slow level"):
            if name in self.short:
                self.short[name] = a * self.short[name] + b
        self.square *= a**2
        self.variance *= a**2
