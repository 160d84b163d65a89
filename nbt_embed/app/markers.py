"""Numbers that may mark missing values, such as -200 or 65535, far from a column's other values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from nbt_embed.arrays import Float64Array

_LOWEST = -99.0  # whole numbers up to here, and
_HIGHEST = (999.0, 9999.0, 99999.0, 999999.0, 32767.0, 65535.0)
_TIMES = 3  # a marker occurs at least this often,
_DIFFERENT = 10  # with more than this many different other values
_LOOKED_AT = 1024  # values per batch that are examined for that
_NAMED = 3  # columns that a sentence names


@dataclass(eq=False)
class Marker:
    """The lowest value of a column while it is read, or the highest if ``sign`` is -1.

    Attributes:
        sign: 1, or -1 for a column whose values are negated.
        value: the lowest value that may be a marker; count, its occurrences.
        rest: the lowest of the other values.
        varied: whether there are many different other values.
    """

    sign: int
    value: float = np.inf
    count: int = 0
    rest: float = np.inf
    varied: bool = False

    def add(self, values: Float64Array, extreme: float) -> None:
        """Examine the next values. Args: extreme, the lowest (highest), NaN if all are missing."""
        low = self.sign * extreme
        if np.isnan(low):
            return
        if low > self.value or not self._may_be(extreme):
            self.rest = min(self.rest, low)
            return
        if low < self.value:
            self.value, self.count, self.rest = low, 0, min(self.rest, self.value)
        here = values == extreme
        self.count += int(np.count_nonzero(here))
        others = self.sign * values[~here]
        self.rest = min(self.rest, float(np.fmin.reduce(others, initial=np.inf)))
        self.varied = self.varied or len(np.unique(others[:_LOOKED_AT])) > _DIFFERENT

    def _may_be(self, extreme: float) -> bool:
        if self.sign < 0:
            return extreme in _HIGHEST
        return extreme <= _LOWEST and extreme.is_integer()

    @property
    def found(self) -> float | None:
        """The value, if all others are less than half as far from 0 on its side."""
        far = self.rest > self.value / 2
        return self.sign * self.value if self.count >= _TIMES and self.varied and far else None


def sentences(columns: Mapping[str, Iterable[Marker]]) -> list[str]:
    """Yield notes about numbers that may be markers, of columns by name."""
    found: dict[float, dict[str, int]] = {}
    for name, markers in columns.items():
        for one in markers:
            if one.found is not None:
                found.setdefault(one.found, {})[name] = one.count
    said = []
    for value, times in found.items():
        names = ", ".join(map(repr, list(times)[:_NAMED]))
        more = f" and {len(times) - _NAMED} more" if len(times) > _NAMED else ""
        where = f"column {names} holds" if len(times) == 1 else f"columns {names}{more} hold"
        rows = f"{'up to ' if len(times) > 1 else ''}{max(times.values()):,} rows"
        said.append(
            f"{where} {value:.15g} in {rows}, far from all other values: if it marks missing "
            f"values, name it with --missing {value:.15g}"
        )
    return said
