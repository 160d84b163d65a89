"""Forecasts next to the observed values, as CSV or Parquet: what ``--out`` writes.

There is one line per row of the stream, and one per later row that is forecast. The columns are
row, time (if the stream has one), and for each target ``temp``:

* ``temp``: its label.
* ``temp_forecast``: the forecast for this row, made ``horizon`` rows earlier.
* ``temp_low_80``, ``temp_high_80``: bounds of its intervals.
* ``temp_score``: the anomaly score of the label.
* ``temp_alarm``: whether an alarm began.

With several horizons the names end in the horizon (``temp_forecast_5``). A class target has the
names of its classes, the most probable class as forecast, and its probability
(``status_probability``). Without a value, a cell is empty. Numbers have nine digits, which identify
every float32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from nbt_embed.app.classes import most_probable
from nbt_embed.app.recording import Block, Recording
from nbt_embed.app.spool import temporary_folder
from nbt_embed.app.trial import Told
from nbt_embed.arrays import Float32Array
from nbt_embed.config import Config

_PARQUET = (".parquet", ".pq")
_PIECE = 1 << 16  # rows per row group
_DIGITS = 9  # of a number as text


class Writer:
    """Writes forecasts piece by piece (``trial.Listener``) into a temporary file.

    Args:
        recording: has the names and classes.
        config: the learner's; its link and levels determine the columns.
        horizons: of the trial.
        name: of the output file; Parquet if it ends so, else CSV.

    Use as a context manager; ``file`` is complete after ``finish``.
    """

    def __init__(
        self, recording: Recording, config: Config, horizons: tuple[int, ...], name: str
    ) -> None:
        self._names, self._classes = recording.target_names, recording.classes
        self._config, self._horizons = config, horizons
        self._parquet = name.lower().endswith(_PARQUET)
        self._folder = temporary_folder()
        self._path = Path(self._folder.name) / "forecasts"
        self.file: BinaryIO = self._path.open("w+b")
        self._parts: list[Path] = []
        self._frames: list[pl.DataFrame] = []
        self._rows = self._held = 0
        self._last_time: NDArray[Any] | None = None

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self._folder.cleanup()

    def add(self, block: Block, told: list[Told]) -> None:
        """As ``trial.Listener.add``."""
        self._rows = block.start + len(block.inputs)
        rows = np.arange(block.start, self._rows)
        if block.time is not None:
            self._last_time = block.time[:0]
        self._take(self._frame(rows, block.time, block.targets, told))

    def finish(self, waiting: list[tuple[Float32Array, Float32Array | None]]) -> None:
        """As ``trial.Listener.finish``: write lines of later rows, and complete the file."""
        ahead = max(len(forecasts) for forecasts, _ in waiting)
        if ahead:
            rows = np.arange(self._rows, self._rows + ahead)
            told = [
                Told(
                    horizon,
                    _filled(forecasts, ahead),
                    None if bounds is None else _filled(bounds, ahead),
                    None,
                    [np.empty(0, np.intp) for _ in self._names],
                )
                for horizon, (forecasts, bounds) in zip(self._horizons, waiting, strict=True)
            ]
            labels = np.full((ahead, len(self._names)), np.nan, np.float32)
            time = None
            if self._last_time is not None:
                nothing = "NaT" if self._last_time.dtype.kind == "M" else np.nan
                time = np.full(ahead, nothing, self._last_time.dtype)
            self._take(self._frame(rows, time, labels, told))
        self._flush()
        if self._parquet:
            pl.scan_ipc(self._parts).sink_parquet(self._path)
        self.file.flush()

    def _take(self, frame: pl.DataFrame) -> None:
        self._frames.append(frame)
        self._held += len(frame)
        if self._held >= _PIECE:
            self._flush()

    def _flush(self) -> None:
        if not self._frames:
            return
        frame = pl.concat(self._frames)
        self._frames, self._held = [], 0
        if self._parquet:
            part = self._path.with_name(f"part{len(self._parts)}")
            frame.write_ipc(part)
            self._parts.append(part)
        else:
            exact = frame.with_columns(
                pl.selectors.by_dtype(pl.Float32).cast(pl.Float64).round_sig_figs(_DIGITS)
            )
            exact.write_csv(self.file, include_header=self.file.tell() == 0)

    def _frame(
        self,
        rows: NDArray[np.intp],
        time: NDArray[Any] | None,
        labels: Float32Array,
        told: list[Told],
    ) -> pl.DataFrame:
        columns: dict[str, pl.Series] = {}

        def put(name: str, values: Any) -> None:
            while name in columns:  # a target may be named like a column of another target
                name += "_"
            series = values if isinstance(values, pl.Series) else pl.Series(values)
            columns[name] = series.fill_nan(None) if series.dtype.is_float() else series

        put("row", rows)
        if time is not None:
            put("time", time)
        for target, name in enumerate(self._names):
            put(name, self._label(labels[:, target]))
            for one in told:
                ending = f"_{one.horizon}" if len(told) > 1 else ""
                for what, values in self._said(one, target, rows):
                    put(f"{name}_{what}{ending}", values)
        return pl.DataFrame(columns)

    def _said(self, one: Told, target: int, rows: NDArray[np.intp]) -> list[tuple[str, Any]]:
        """Yield name and values of the columns of one target at one horizon."""
        if self._config.link == "categorical":
            best = most_probable(one.forecast)[:, 0]
            return [("forecast", self._label(best)), ("probability", one.forecast.max(axis=1))]
        said: list[tuple[str, Any]] = [("forecast", one.forecast[:, target])]
        if one.bounds is not None:
            for index, level in enumerate(self._config.levels or ()):
                percent = f"{100 * level:.6g}"
                said.append((f"low_{percent}", one.bounds[:, target, 2 * index]))
                said.append((f"high_{percent}", one.bounds[:, target, 2 * index + 1]))
        if self._config.anomaly:
            nothing = np.full(len(rows), np.nan, np.float32)
            alarm = pl.Series(np.isin(rows, one.alarms[target]).astype(np.int8))
            if one.anomaly is None:  # of later rows
                alarm = pl.Series([None] * len(rows), dtype=pl.Int8)
            said.append(("score", nothing if one.anomaly is None else one.anomaly[:, target]))
            said.append(("alarm", alarm))
        return said

    def _label(self, values: NDArray[Any]) -> Any:
        """Return labels for the file: classes by their names."""
        if self._classes is None:
            return values
        names = [None if value != value else self._classes[int(value)] for value in values.tolist()]
        return pl.Series(names, dtype=pl.String)


def _filled(values: Float32Array, rows: int) -> Float32Array:
    """Extend an array to a number of rows with NaN."""
    filled = np.full((rows, *values.shape[1:]), np.nan, np.float32)
    filled[: len(values)] = values
    return filled
