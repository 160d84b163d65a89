"""The identity of a run, and its division into jobs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nbt_embed._kernel_config import memory_of
from nbt_embed.arrays import integer
from nbt_embed.config import Config
from nbt_embed.errors import ConfigError, InputTypeError, shown
from nbt_embed.fleet.columns import readable
from nbt_embed.fleet.settings import Setting

# Work is learner bytes times rows, since the time per row is about proportional to the bytes.
_UNIT = 8000  # bytes of a learner of 8 units
_LEAST, _MOST = 50_000 * _UNIT, 1_000_000 * _UNIT  # work per job: about 0.1 s, and some seconds
_PER_RUN = 256  # jobs per run, within these limits
_FILES = 10_000  # jobs per run at most: each is a file
_USUAL_ROWS = 10_000  # rows per device, if unknown


def settings_of(
    configs: Config | Sequence[Config] | Mapping[str, Config | Sequence[Config]], devices: int
) -> tuple[Setting, ...]:
    """Return the settings by name. Errors: ConfigError, InputTypeError."""
    named = configs if isinstance(configs, Mapping) else {"default": configs}
    if not named:
        raise ConfigError("configs is empty: expected a Config, or names and Configs")
    return tuple([_setting(name, given, devices) for name, given in named.items()])


def _setting(name: object, given: object, devices: int) -> Setting:
    if not isinstance(name, str) or not name or name != readable(name):
        raise InputTypeError(f"configs: {shown(name)} is not a name: expected text")
    if isinstance(given, Config):
        return Setting(name, given)
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise InputTypeError(
            f"configs of {name!r} is {shown(given)}: expected a Config, or one for each device"
        )
    for device, config in enumerate(given):
        if not isinstance(config, Config):
            raise InputTypeError(
                f"configs of {name!r}, device {device}: {shown(config)}: expected a Config"
            )
    if len(given) != devices:
        raise ConfigError(
            f"configs of {name!r} has {len(given)} for {devices} devices: pass one for each, or "
            "one Config, of which device i gets the seed config.seed + i"
        )
    return Setting(name, tuple(given))


def horizons_of(horizon: int | Sequence[int]) -> tuple[int, ...]:
    """Return the horizons. Errors: ConfigError, InputTypeError."""
    many = isinstance(horizon, Sequence) or np.ndim(horizon)
    given: Iterable[object] = horizon if many else [horizon]  # type: ignore[assignment]
    horizons = tuple([integer("horizon", one) for one in given])
    if not horizons or min(horizons) < 0 or len(set(horizons)) < len(horizons):
        raise ConfigError(f"horizon = {shown(horizon)}: expected different numbers from 0")
    return horizons


def check_settings(
    settings: Sequence[Setting], horizons: Sequence[int], devices: int, n_in: int, n_label: int
) -> None:
    """Refuse settings that no device can use. Errors: ConfigError names setting and field."""
    for setting in settings:
        seen = set()
        for device in range(1 if isinstance(setting.configs, Config) else devices):
            config = setting.config(device, max(horizons))
            key = _without_seed(config)
            if key in seen:
                continue
            seen.add(key)
            where = f"configs of {setting.name!r}, device {device}: "
            if config.n_in != n_in:
                raise ConfigError(f"{where}n_in = {config.n_in}: the streams have {n_in} inputs")
            if config.n_label != n_label:
                raise ConfigError(
                    f"{where}n_out = {config.n_out} with link = {config.link!r}: that takes "
                    f"{config.n_label} values in a label, the streams have {n_label}"
                )
            try:
                memory_of(config)
            except ConfigError as error:
                raise ConfigError(f"{where}{error}") from None


def described(setting: Setting) -> dict[str, object]:
    """Describe a setting as JSON; several configurations as a hash."""
    if isinstance(setting.configs, Config):
        return {name: _json(value) for name, value in vars(setting.configs).items()}
    digest = hashlib.blake2b(digest_size=16)
    for config in setting.configs:
        digest.update(repr([_json(value) for value in vars(config).values()]).encode())
    return {"devices": len(setting.configs), "digest": digest.hexdigest()}


def cuts(
    lengths: NDArray[np.int64] | None,
    devices: int,
    settings: Sequence[Setting],
    horizons: Sequence[int],
) -> Iterator[range]:
    """Return the devices of each job: ranges of similar work, determined by the arguments alone.

    Jobs are large enough that files and scheduling cost little. They are small enough that all
    workers are busy until the end and that a lost one costs little.
    """
    work = sum(memory_of(one.config(0, horizon)).total for one in settings for horizon in horizons)
    rows = np.broadcast_to(_USUAL_ROWS, devices) if lengths is None else lengths
    costs = np.maximum(rows, 1).astype(np.float64) * work
    sums = np.cumsum(costs)
    total = float(sums[-1])
    size = max(min(max(total / _PER_RUN, _LEAST), _MOST), total / _FILES)
    numbers = np.floor((sums - costs / 2) / size)
    starts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), devices]
    for start, stop in zip(starts, starts[1:]):  # noqa: B905, RUF007  # pairs of neighbours
        yield range(start, stop)


def _without_seed(config: Config) -> tuple[object, ...]:
    return tuple([value for name, value in vars(config).items() if name != "seed"])


def _json(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
