"""Labels that arrive late, in part or never: the learner pairs each with its own forecast."""

import math

import numpy as np

from nbt_embed import Learner

DELAY = 5
rng = np.random.default_rng(0)
load = np.cumsum(rng.normal(size=4000)) * 0.1
heat = np.convolve(load, np.exp(-np.arange(20) / 6), mode="full")[: load.size]

learner = Learner(n_in=1, n_out=1, max_delay=DELAY, seed=3)
forecasts: list[float] = []
for t, x in enumerate(load):
    if learner.pending == DELAY:
        measured = heat[t - DELAY] if rng.random() > 0.2 else math.nan  # a fifth is lost
        learner.learn(measured)
    forecasts.append(float(learner.predict(x)[0]))

late = slice(2000, None)
error = np.sqrt(np.mean(np.square(np.array(forecasts)[late] - heat[late])))
print(f"error {error:.3f} on a signal with standard deviation {heat[late].std():.3f}")
print(f"counters: {learner.counters}")
