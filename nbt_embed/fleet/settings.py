"""The settings of a fleet's learners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from nbt_embed.config import Config, changed


@dataclass(frozen=True)
class Setting:
    """One way to set up every device.

    Attributes:
        name: in the results.
        configs: one Config, of which device i has the seed ``config.seed + i`` (modulo 2^64), or
            one per device, used unchanged.
        first: device of the first of several configs.
    """

    name: str
    configs: Config | tuple[Config, ...]
    first: int = 0

    def config(self, device: int, horizon: int) -> Config:
        """Return a device's configuration; max_delay is at least what the horizon needs."""
        if isinstance(self.configs, Config):
            config, seed = self.configs, (self.configs.seed + device) % 2**64
        else:
            config = self.configs[device - self.first]
            seed = config.seed
        return changed(config, seed=seed, max_delay=max(config.max_delay, horizon - 1))

    def only(self, devices: range) -> Setting:
        """Return the setting of these devices alone."""
        if isinstance(self.configs, Config):
            return self
        part = self.configs[devices.start - self.first : devices.stop - self.first]
        return Setting(self.name, part, devices.start)


@dataclass(frozen=True)
class Configs(Sequence[Config]):
    """The configurations of devices' learners, created on access.

    Ordered by device, then setting, then horizon.
    """

    settings: tuple[Setting, ...]
    horizons: tuple[int, ...]
    devices: range

    def __len__(self) -> int:
        """Number of learners."""
        return len(self.devices) * len(self.settings) * len(self.horizons)

    @overload
    def __getitem__(self, i: int) -> Config: ...

    @overload
    def __getitem__(self, i: slice) -> list[Config]: ...

    def __getitem__(self, i: int | slice) -> Config | list[Config]:
        if isinstance(i, slice):
            return [self[one] for one in range(*i.indices(len(self)))]
        if not 0 <= i < len(self):
            raise IndexError(i)
        pair, horizon = divmod(i, len(self.horizons))
        device, setting = divmod(pair, len(self.settings))
        return self.settings[setting].config(self.devices[device], self.horizons[horizon])
