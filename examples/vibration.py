"""Follow the tone of a machine that speeds up, in noise as large as the tone, with one resonator.

A resonator is a damped oscillation whose frequency and time constant are weights. Both are learnt
online and can be read: omega and nu of docs/design.md, section 2.
"""

import math

import numpy as np

from nbt_embed import Config, Learner

RATE, SAMPLES, PIECE = 1000, 20_000, 2_000  # samples a second; samples; samples between two reports
hz = np.interp(np.arange(SAMPLES), [4_000, 16_000], [80, 110])
tone = np.sin(2 * np.pi * np.cumsum(hz) / RATE)
reading = tone + np.random.default_rng(0).normal(size=SAMPLES)

# The tone never stops moving, so steps do not shrink, and what was known of it fades sooner.
moving = Config(
    n_in=1,
    n_out=1,
    cell="resonator",
    hidden=1,
    head=0,
    lags=1,
    tau_min=30,
    rate=0.8,
    info_rate=0.01,
    anneal_steps=0,
)
resonator = Learner(moving)
learners = {
    "one resonator": resonator,
    "16 gated columns": Learner(1, 1, hidden=16, resonators=0),
    "8 of each (default)": Learner(1, 1, hidden=16),
}
forecasts: dict[str, list[float]] = {name: [] for name in learners}

print("second   tone, Hz   learnt, Hz   time constant, ms")
for start in range(0, SAMPLES, PIECE):
    part = slice(start, start + PIECE)
    for name, learner in learners.items():
        forecasts[name].extend(learner.run(reading[part], reading[part], horizon=1)[:, 0])
    nu, omega = resonator.array("theta")[:, 0]
    print(
        f"{(start + PIECE) / RATE:6.0f}{hz[part][-1]:11.1f}{omega * RATE / (2 * math.pi):13.1f}"
        f"{math.exp(-nu) * 1000 / RATE:20.0f}"
    )

print("root mean square error one sample ahead, from second 2 on (the noise alone: 1)")
for name in ("last value", *learners):
    forecast = np.array(forecasts.get(name, reading))
    error = reading[PIECE + 1 :] - forecast[PIECE:-1]
    size = f"{learners[name].memory.total:8,} bytes" if name in learners else ""
    print(f"  {name:20}{np.sqrt(np.mean(error**2)):7.3f}{size}")
