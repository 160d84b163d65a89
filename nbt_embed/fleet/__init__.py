"""A fleet of devices, each with its own learner, simulated on all cores or on several machines."""

from nbt_embed.fleet.batch import Batch
from nbt_embed.fleet.fleet import Fleet, Summary
from nbt_embed.fleet.series import Series
from nbt_embed.fleet.simulate import simulate
from nbt_embed.fleet.sources import as_series

__all__ = ["Batch", "Fleet", "Series", "Summary", "as_series", "simulate"]
