"""How much of the spread over seeds comes from the initial weights, how much from the directions?

Estimators that draw random directions have two sources of chance. ``Config.seed`` draws the initial
weights, and ``Learner.reseed`` another stream of directions behind the same weights. With errors
e[w, d] of every weights' seed w and directions' seed d, the variance within a row is that of the
directions, and the variance of the rows' means, less what the directions leave in a mean of so
many, is that of the weights.
"""

import numpy as np

from nbt_embed import Learner
from nbt_embed.config import Estimator

STEPS, WEIGHTS, DIRECTIONS = 3000, 6, 6
ESTIMATORS: tuple[Estimator, ...] = (
    "frozen",
    "nobacktrack",
    "residual",
    "snap1",
    "unitwise",
    "rtrl",
)

# A product of past signs: only the recurrent weights can remember them.
x = np.random.default_rng(0).choice([-1.0, 1.0], STEPS)
y = 0.7 * np.roll(x, 2) + 0.5 * np.roll(x, 1) * np.roll(x, 3)


def error(estimator: Estimator, weights: int, directions: int) -> float:
    """Root mean square error of the second half."""
    learner = Learner(1, 1, hidden=8, cell="tanh", estimator=estimator, lags=1, seed=weights)
    learner.reseed(directions)
    forecasts = learner.run(x, y, horizon=0)[:, 0]
    return float(np.sqrt(np.mean((forecasts - y)[STEPS // 2 :] ** 2)))


print(f"{'estimator':12} {'error':>7} {'weights':>9} {'directions':>11}  (standard deviations)")
for estimator in ESTIMATORS:
    errors = np.array([[error(estimator, w, d) for d in range(DIRECTIONS)] for w in range(WEIGHTS)])
    of_directions = errors.var(axis=1, ddof=1).mean()
    of_weights = max(0.0, errors.mean(axis=1).var(ddof=1) - of_directions / DIRECTIONS)
    print(f"{estimator:12} {errors.mean():7.3f} {of_weights**0.5:9.3f} {of_directions**0.5:11.3f}")
