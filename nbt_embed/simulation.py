"""A simulated sensor: a stream that needs no file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count, islice

import numpy as np

from nbt_embed.errors import InputError
from nbt_embed.streams import Stream, from_arrays

# Usual swing of a channel, by which its noise is measured.
SWING = (1.0, 1.0, 2.0)


def simulated_sensor(
    steps: int = 6000, seed: int = 0, missing: float = 0.02, noise: float = 0.02
) -> Stream:
    """A simulated vibrating machine part with three sensors, which are inputs and targets.

    A mass on a hardening spring is driven by a motor with a drifting speed:

        x'' = −c x' − k (x + x³) + F cos φ,   φ' = ω (1 + slow random walk)
        T'  = (heat x'² − (T − T_air)) / τ,   T_air drifts slowly

    Sensors: position (mm), motor current (A, a saturating function of the force and the speed),
    temperature (°C), each with white noise and lost samples. Half way a part comes loose: the
    spring softens and the damping falls.

    Args:
        steps: samples, at least 1; about 12 per revolution.
        seed: any integer from 0; the same seed gives the same numbers.
        missing: probability that a reading is lost (NaN), 0..1, each channel by itself.
        noise: standard deviation of the sensor noise, as a fraction of the amplitude (``SWING``).

    Errors: InputError. Cost: about 8 µs per step.
    """
    if steps < 1:
        raise InputError(f"steps = {steps}: expected at least 1")
    if not 0 <= missing <= 1:
        raise InputError(f"missing = {missing}: expected a probability, 0..1")
    if not (math.isfinite(noise) and noise >= 0):
        raise InputError(f"noise = {noise}: expected a finite number from 0")
    if seed < 0:
        raise InputError(f"seed = {seed}: expected an integer from 0")
    rng = np.random.default_rng(seed)
    clean = np.array(list(islice(machine(rng, steps // 2), steps)))
    readings = clean + noise * np.array(SWING) * rng.standard_normal(clean.shape)
    readings[rng.random(clean.shape) < missing] = np.nan
    return from_arrays(readings, input_names=("position_mm", "current_A", "temperature_C"))


def machine(rng: np.random.Generator, loose_from: int) -> Iterator[tuple[float, float, float]]:
    """Noise-free readings of the simulated machine, an endless iterator.

    Time runs in units of the sample interval. Args: rng, for the random walks of speed and air;
    loose_from, the step at which a part comes loose.
    """
    substeps = 8
    dt = 0.5 / substeps
    x, speed, phase, wander, air, temperature = 0.5, 0.0, 0.0, 0.0, 20.0, 21.0
    for step in count():
        loose = step >= loose_from
        stiffness, damping = (0.6, 0.1) if loose else (1.0, 0.2)
        wander = 0.995 * wander + 0.004 * float(rng.standard_normal())
        air += 0.01 * float(rng.standard_normal())
        for _ in range(substeps):
            phase += dt * 1.05 * (1 + wander)
            force = 1.2 * math.cos(phase)
            speed += dt * (force - damping * speed - stiffness * (x + x**3))
            x += dt * speed
            temperature += dt * (8 * speed * speed - (temperature - air)) / 60
        yield x, math.tanh(0.8 * force + 0.5 * speed), temperature
