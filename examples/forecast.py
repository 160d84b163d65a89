"""Forecast a chaotic series one, five and ten samples ahead, each with its 95 % interval.

The Mackey-Glass series (delay 17) is smooth, so that the last value or a straight line go far one
step ahead and nowhere ten steps ahead. Every forecast is made before its value is known.
"""

import numpy as np

from nbt_embed import Learner
from nbt_embed.baselines import Rls

SAMPLES, SCORED = 6000, 3000
x = [1.2] * 171
while len(x) < 10 * SAMPLES + 1000:
    late = x[-171]
    x.append(x[-1] + 0.1 * (0.2 * late / (1 + late**10) - 0.1 * x[-1]))
series = np.array(x[1000::10][:SAMPLES]) + 0.005 * np.random.default_rng(0).normal(size=SAMPLES)

print("samples ahead   last value   RLS, 10 lags   frozen   learner   in its 95 % interval")
for horizon in (1, 5, 10):
    learner = Learner(n_in=1, n_out=1, hidden=24, max_delay=horizon - 1)
    errors: list[float] = []
    inside: list[bool] = []
    waiting: list[tuple[float, float, float]] = []
    for t, sample in enumerate(series):
        if learner.pending == horizon:
            forecast, low, high = waiting.pop(0)
            if t >= SCORED:
                errors.append(forecast - sample)
                inside.append(low <= sample <= high)
            learner.learn(sample)
        forecast = learner.predict(sample)[0]
        low, high = learner.interval()[0, 4:]  # levels are 50, 80 and 95 %
        waiting.append((forecast, low, high))

    past = slice(SCORED - horizon, SAMPLES - horizon)
    misses = [series[SCORED:] - series[past]]
    for model in (
        Rls(1, 1, lags=10, max_delay=horizon - 1),
        Learner(n_in=1, n_out=1, hidden=24, max_delay=horizon - 1, estimator="frozen"),
    ):
        misses.append(series[SCORED:] - model.run(series, series, horizon=horizon)[past, 0])
    misses.append(np.array(errors))
    figures = [np.std(miss) / series.std() for miss in misses]
    print(
        f"{horizon:13d}{figures[0]:13.4f}{figures[1]:15.4f}{figures[2]:9.4f}{figures[3]:10.4f}"
        f"{100 * np.mean(inside):14.0f} %"
    )
