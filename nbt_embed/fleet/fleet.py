"""The results of a fleet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed._html import html_table
from nbt_embed.arrays import integer
from nbt_embed.errors import ConfigError, InputError, shown, similar
from nbt_embed.fleet.columns import PER_TARGET, SCHEMA, TEXT, Columns
from nbt_embed.fleet.store import frame

if TYPE_CHECKING:
    import polars as pl

_RANKED = tuple([name for name in SCHEMA if name not in (*TEXT, *PER_TARGET)])


@dataclass(frozen=True)
class Summary:
    """The errors of the devices for one setting and horizon.

    Attributes: setting, horizon; devices; refused, the number with an ``error``; diverged, the
    number with a forecast that is not finite; memory_bytes, the largest; rmse, nrmse,
    relative_error and bits: median, 90th percentile and worst over the other devices, NaN if there
    is none; beaten, share of these for which the last value has a smaller error.
    """

    setting: str
    horizon: int
    devices: int
    refused: int
    diverged: int
    memory_bytes: int
    rmse: tuple[float, float, float]
    nrmse: tuple[float, float, float]
    relative_error: tuple[float, float, float]
    bits: tuple[float, float, float]
    beaten: float


@dataclass(frozen=True, eq=False)
class Fleet:
    """Results, one row per device, setting and horizon.

    Attributes:
        columns: name -> array, as docs/guide/fleet.md describes them.
        input_names, target_names: of the streams.
        directory: folder with the same results in files, or None.
    """

    columns: Columns
    input_names: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    directory: str | None = None

    def __len__(self) -> int:
        """Rows of results."""
        return len(self.columns["device"])

    def __getitem__(self, name: str) -> NDArray[Any]:
        """One column. Errors: ConfigError."""
        if not isinstance(name, str) or name not in self.columns:
            raise ConfigError(
                f"column {shown(name)}: {similar(name, self.columns)}expected one of "
                f"{', '.join(self.columns)}"
            )
        return self.columns[name]

    @property
    def settings(self) -> tuple[str, ...]:
        """Names of the settings, in the order of the rows."""
        return tuple(dict.fromkeys(self.columns["setting"].tolist()))

    @property
    def horizons(self) -> tuple[int, ...]:
        """The horizons, in the order of the rows."""
        return tuple(dict.fromkeys(self.columns["horizon"].tolist()))

    def frame(self) -> pl.DataFrame:
        """The columns as a polars frame. Errors: MissingExtraError."""
        return frame(self.columns)

    def select(self, setting: str | None = None, horizon: int | None = None) -> Fleet:
        """The rows of one setting, one horizon, or both. Errors: ConfigError."""
        keep = np.ones(len(self), np.bool_)
        for name, value in (("setting", setting), ("horizon", horizon)):
            if value is not None:
                here = self.columns[name] == (value if np.isscalar(value) else None)
                if not here.any():
                    known = ", ".join(map(str, dict.fromkeys(self.columns[name].tolist())))
                    raise ConfigError(f"{name} = {shown(value)}: expected one of {known}")
                keep &= here
        return self._rows(np.flatnonzero(keep))

    def worst(self, n: int = 10, by: str = "nrmse") -> Fleet:
        """The n rows with the largest value in a column, the largest first.

        Rows that diverged are first; those with an ``error`` are left out (``refused``).

        Errors: ConfigError (a column that cannot be ranked), InputError, InputTypeError (n).
        """
        if integer("n", n) < 1:
            raise InputError(f"n = {shown(n)}: expected one or more")
        if not isinstance(by, str) or by not in _RANKED:
            expected = f"{similar(by, _RANKED)}expected one of {', '.join(_RANKED)}"
            raise ConfigError(f"by = {shown(by)}: {expected}")
        values = self.columns[by].astype(np.float64)
        values = np.where(self.columns["diverged"] & ~np.isfinite(values), np.inf, values)
        rows = np.flatnonzero(self._scored() & ~np.isnan(values))
        order = np.argsort(-values[rows], kind="stable")[:n]
        return self._rows(rows[order])

    @property
    def refused(self) -> Fleet:
        """The rows that have an ``error``: refused streams, and streams with nothing to score."""
        return self._rows(np.flatnonzero(~self._scored()))

    def summary(self) -> list[Summary]:
        """One entry per setting and horizon, in the order of the rows."""
        return [
            _summary(self.select(setting, horizon), setting, horizon)
            for setting in self.settings
            for horizon in self.horizons
        ]

    def _scored(self) -> NDArray[np.bool_]:
        scored: NDArray[np.bool_] = self.columns["error"] == ""
        return scored

    def _rows(self, rows: NDArray[np.intp]) -> Fleet:
        columns = {name: values[rows] for name, values in self.columns.items()}
        return Fleet(columns, self.input_names, self.target_names, self.directory)

    def __repr__(self) -> str:
        count = len(np.unique(self.columns["device"]))
        return (
            f"Fleet({count:,} devices, settings {', '.join(self.settings)}, horizons "
            f"{', '.join(map(str, self.horizons))})"
        )

    def _repr_html_(self) -> str:
        rows = {}
        for one in self.summary():
            kind = "nrmse" if not np.isnan(one.nrmse[0]) else "bits"
            median, p90, worst = getattr(one, kind)
            rows[f"{one.setting}, horizon {one.horizon}"] = (
                f"{kind} {median:.4g} (90 % below {p90:.4g}, worst {worst:.4g}), "
                f"{one.memory_bytes:,} bytes, {one.refused:,} refused, {one.diverged:,} diverged"
            )
        return html_table(repr(self), rows)


def _summary(fleet: Fleet, setting: str, horizon: int) -> Summary:
    columns, scored = fleet.columns, fleet.columns["error"] == ""
    relative = columns["relative_error"][scored]
    compared = ~np.isnan(relative)
    figures = {
        name: _distribution(columns[name][scored])
        for name in ("rmse", "nrmse", "relative_error", "bits")
    }
    return Summary(
        setting=setting,
        horizon=horizon,
        devices=len(fleet),
        refused=int((~scored).sum()),
        diverged=int(columns["diverged"].sum()),
        memory_bytes=int(columns["memory_bytes"].max()),
        beaten=float((relative[compared] > 1).mean()) if compared.any() else np.nan,
        **figures,
    )


def _distribution(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the median, 90th percentile and largest value; infinite values count as largest."""
    known = values[~np.isnan(values)]
    if not len(known):
        return np.nan, np.nan, np.nan
    median, most, worst = np.quantile(known, [0.5, 0.9, 1.0], method="higher").tolist()
    return median, most, worst
