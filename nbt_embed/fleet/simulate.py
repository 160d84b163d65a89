"""Simulate a fleet: every device with its own learner, on all cores or on many machines."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import nbt_embed
from nbt_embed.config import Config
from nbt_embed.errors import ConfigError, InputTypeError, shown
from nbt_embed.fleet.columns import SCHEMA, Columns, joined, readable
from nbt_embed.fleet.fleet import Fleet
from nbt_embed.fleet.job import Job
from nbt_embed.fleet.plan import check_settings, cuts, described, horizons_of, settings_of
from nbt_embed.fleet.resident import run_resident
from nbt_embed.fleet.series import Series
from nbt_embed.fleet.settings import Setting
from nbt_embed.fleet.sources import TimeBlocks, as_series
from nbt_embed.fleet.store import Store, run_directory
from nbt_embed.parallel import run_all


def simulate(
    configs: Config | Sequence[Config] | Mapping[str, Config | Sequence[Config]],
    streams: object,
    *,
    horizon: int | Sequence[int] = 1,
    devices: int | None = None,
    out: str | Path | None = None,
    scheduler: Any = None,
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
    checkpoint_seconds: float = 10.0,
) -> Fleet:
    """Feed every device's stream to its own learner, and score every forecast.

    Each learner ends with the bits of ``Learner(config).run(X, Y, horizon=horizon)`` over its whole
    stream. Learners and scores do not depend on the scheduler or the number of parallel jobs. The
    guide is docs/guide/fleet.md.

    Examples:
        >>> import numpy as np
        >>> waves = np.sin(np.arange(500) / 5 + np.arange(3)[:, np.newaxis])  # three devices
        >>> fleet = simulate({"4 units": Config(1, 1, hidden=4), "8 units": Config(1, 1)}, waves)
        >>> fleet
        Fleet(3 devices, settings 4 units, 8 units, horizons 1)
        >>> bool((fleet["relative_error"] < 1).all())  # better than the last value
        True

    Args:
        configs: one ``Config``, of which device i has the seed ``config.seed + i``; a list with one
            per device; or a dictionary of names and either of them, so that every device runs with
            each. max_delay is raised to what a horizon needs.
        streams: an array (n, T, I) or (n, T) whose rows are forecast, a pair (X, Y) of them,
            Streams, a path, a function, a generator (``as_series``).
        horizon: steps between a forecast and its target, one or several.
        devices: their number, if the streams do not define it (a function, one Stream).
        out: the run directory, for results as Parquet and checkpoints. The same call again resumes
            a stopped run, or returns its results.
        scheduler: None, threads of this process; "processes", as many processes as ``jobs`` on this
            machine (Dask); "tcp://host:port" or a ``distributed.Client``, a running cluster.
        jobs: threads or processes at once; None: the number of processors of this process.
        progress: called with the rows of devices since the last call, one call at a time; rows that
            an earlier run has fed count too.
        checkpoint_seconds: time between two checkpoints of a job, and so the most work that a lost
            worker costs.

    Errors: ConfigError (settings; the field and its value), InputError, InputTypeError (streams);
    FleetError (``out`` holds another run, or is in use), OSError (``out``); Interrupted (Ctrl-C;
    the same call resumes). A device whose stream is refused does not stop the others: its row has
    an ``error``.
    Cost: that of ``Learner.run``; memory of one learner per thread, setting and horizon, but of all
    learners for a generator.
    """
    if progress is not None and not callable(progress):
        raise InputTypeError(
            f"progress = {shown(progress)}: expected a function of a number of rows, or None"
        )
    if out is not None and not (isinstance(out, (str, Path)) and str(out)):
        raise InputTypeError(f"out = {shown(out)}: expected the path of a folder, or None")
    series = as_series(streams, devices)
    horizons = horizons_of(horizon)
    settings = settings_of(configs, series.devices)
    n_in, n_label = len(series.input_names), len(series.target_names)
    check_settings(settings, horizons, series.devices, n_in, n_label)
    if isinstance(series, TimeBlocks) and scheduler is not None:
        raise ConfigError(
            f"scheduler = {shown(scheduler)}: a generator is read once, in this process; pass what "
            "can be read device by device (nbt_embed.fleet.Series), or leave scheduler out"
        )
    if not isinstance(checkpoint_seconds, Real) or not checkpoint_seconds >= 0:
        raise ConfigError(f"checkpoint_seconds = {shown(checkpoint_seconds)}: expected 0 or more")

    def run(store: Store | None) -> Columns:
        if isinstance(series, TimeBlocks):
            return _at_once(series, settings, horizons, store, jobs, progress)
        planned = _jobs(series, settings, horizons, store, checkpoint_seconds)
        if scheduler is None:
            parts = run_all([job.run for job in planned], jobs, progress, "jobs")
        else:
            from nbt_embed.fleet.cluster import run_on  # needs Dask

            parts = run_on(scheduler, planned, jobs, progress)
        return joined(parts)

    if out is None:
        columns = run(None)
    else:
        with run_directory(out, _description(series, settings, horizons)) as store:
            columns = run(store)
    directory = None if out is None else str(out)
    return Fleet(columns, series.input_names, series.target_names, directory)


def _jobs(
    series: Series,
    settings: tuple[Setting, ...],
    horizons: tuple[int, ...],
    store: Store | None,
    checkpoint_seconds: float,
) -> list[Job]:
    lengths = series.lengths
    return [
        Job(
            number=number,
            devices=devices,
            settings=tuple([setting.only(devices) for setting in settings]),
            horizons=horizons,
            series=series.only(devices),
            store=store,
            rows=0 if lengths is None else int(lengths[devices.start : devices.stop].sum()),
            checkpoint_seconds=checkpoint_seconds,
        )
        for number, devices in enumerate(cuts(lengths, series.devices, settings, horizons))
    ]


def _at_once(
    blocks: TimeBlocks,
    settings: tuple[Setting, ...],
    horizons: tuple[int, ...],
    store: Store | None,
    jobs: int | None,
    progress: Callable[[int], None] | None,
) -> Columns:
    """All devices in one job without checkpoints."""
    columns = store.part(0) if store else None
    if columns is None:
        columns = run_resident(blocks, settings, horizons, jobs, progress)
        if store:
            store.write_part(0, columns)
    return columns


def _description(
    series: Series | TimeBlocks, settings: Sequence[Setting], horizons: Sequence[int]
) -> dict[str, Any]:
    """Return the identity of the run: everything on which its results depend."""
    names = hashlib.blake2b(digest_size=8)
    if isinstance(series, Series):
        for device in range(series.devices):
            names.update(readable(series.name(device)).encode() + b"\n")
    return {
        "nbt_embed": nbt_embed.__version__,
        "devices": series.devices,
        "names": names.hexdigest(),
        "inputs": list(series.input_names),
        "targets": list(series.target_names),
        "samples": series.fingerprint(),
        "settings": {setting.name: described(setting) for setting in settings},
        "horizons": list(horizons),
        "columns": list(SCHEMA),
    }
