"""Which size is worth its bytes, over a fleet whose sensors are not alike?

Two hundred simulated sensors of one kind differ in phase, speed, gain and noise. Every device runs
with every setting, and the error is compared with that of the last value: below 1 is better. The
worst devices are named.
"""

import numpy as np

from nbt_embed import Config
from nbt_embed.arrays import Float64Array
from nbt_embed.fleet import simulate

DEVICES, ROWS = 200, 1500


def sensor(device: int) -> Float64Array:
    """The readings of a device: the same whenever it is asked for."""
    rng = np.random.default_rng(device)
    angle = np.arange(ROWS) / rng.uniform(3, 12) + rng.uniform(0, 6)
    gain, noise = rng.uniform(0.5, 2), rng.choice([0.02, 0.1, 0.5], p=[0.5, 0.4, 0.1])
    clean = np.sin(angle) + 0.3 * np.sin(2.3 * angle)
    readings: Float64Array = gain * (clean + noise * rng.standard_normal(ROWS))
    return readings


settings = {
    "linear": Config(1, 1, hidden=0),
    "2 units": Config(1, 1, hidden=2),
    "8 units": Config(1, 1, hidden=8),
}
fleet = simulate(settings, sensor, devices=DEVICES, horizon=[1, 5])

print(f"{'setting':8} {'horizon':>7} {'bytes':>6} {'median':>7} {'90 %':>7} {'worst':>7}")
for one in fleet.summary():
    median, most, worst = one.relative_error
    print(
        f"{one.setting:8} {one.horizon:7} {one.memory_bytes:6,} "
        f"{median:7.3f} {most:7.3f} {worst:7.3f}"
    )

print("\nworst devices with 8 units, horizon 1")
worst_of_all = fleet.select("8 units", 1).worst(3, by="relative_error")
for device, error in zip(worst_of_all["device"], worst_of_all["relative_error"], strict=True):
    print(f"device {device:3}: {error:.3f} of the last value's error")
