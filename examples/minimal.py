"""Forecast a noisy oscillation one step ahead while learning it: the interface in ten lines."""

import numpy as np

from nbt_embed import Learner

learner = Learner(n_in=1, n_out=1, hidden=16, seed=1)
rng = np.random.default_rng(0)
signal = np.sin(0.2 * np.arange(3000)) + 0.05 * rng.normal(size=3000)

errors = []
forecast = None
for sample in signal:
    if forecast is not None:
        errors.append(abs(forecast[0] - sample))
        learner.learn(sample)  # the label of the oldest forecast has arrived
    forecast = learner.predict(sample)

print(f"mean absolute error, first 100: {np.mean(errors[:100]):.3f}")
print(f"mean absolute error, last 100:  {np.mean(errors[-100:]):.3f}")
print(f"memory: {learner.memory.total} bytes, as many after a million samples")
