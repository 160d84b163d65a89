"""Outliers, a stuck sensor, and one that is then mounted the other way round, with counters."""

from typing import Any

import numpy as np

from nbt_embed import Learner

rng = np.random.default_rng(0)
signal = np.sin(0.2 * np.arange(9000)) + 0.05 * rng.normal(size=9000)
signal[3000:3010] = 65535.0  # outliers: what a converter returns without a reading
signal[4000:4300] = signal[4000]  # stuck
signal[6000:] = 20 - 3 * signal[6000:]  # mounted the other way round

guards = {"gate": 6, "input_limit": 8, "stuck_steps": 20, "drift_steps": 100}
off = {"gate": 0, "input_limit": 0, "drift_steps": 0}


def error(settings: dict[str, Any]) -> tuple[list[float], Learner]:
    """Median error one sample ahead in the 300 samples after each event, and the learner."""
    learner = Learner(1, 1, hidden=8, **settings)
    forecast = learner.run(signal, signal, horizon=1)[:-1, 0]
    missed = np.abs(signal[1:] - forecast)
    return [float(np.median(missed[t : t + 300])) for t in (2700, 3010, 4300, 6000, 6300)], learner


guarded, learner = error(guards)
unguarded, _ = error(off)
print("                        guarded  unguarded")
events = (
    "quiet",
    "after the outliers",
    "after the stuck sensor",
    "after the new mounting",
    "300 samples later",
)
for event, with_guards, without in zip(events, guarded, unguarded, strict=True):
    print(f"{event:22}{with_guards:9.3f}{without:11.3f}")
print(learner.counters)
