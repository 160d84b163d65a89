"""The streams of the claims: symbols as in the paper, and a sensor."""

from __future__ import annotations

from functools import cache

import numpy as np

from nbt_embed.simulation import simulated_sensor
from tools.learning.tasks import TASKS, Float64Array, SeriesTask, Task

ANBN, BRACKETS, SENSOR = "anbn(1,32)", "brackets(1,5,10)", "simulated sensor, 5 ahead"


@cache
def position(length: int, seed: int) -> Float64Array:
    """Readings of the simulated machine's position, none lost, (length, 1)."""
    return np.asarray(simulated_sensor(length, seed, missing=0.0).inputs[:, :1], np.float64)


STREAMS: dict[str, Task] = {
    ANBN: TASKS[ANBN],
    BRACKETS: TASKS[BRACKETS],
    SENSOR: SeriesTask(SENSOR, 5, position),
}
