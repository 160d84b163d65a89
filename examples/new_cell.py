"""Try a cell that the kernel does not have: the leak in front of tanh, not behind it.

    c <- (1 - k) c + k a   h = tanh c      k = 1 / tau fixed per unit   (a continuous-time network)

One function is all: the estimators, the filter and the readout of nbt_embed.reference take it as it
is. What is learnt is a slow mean of noise, squashed, which only a state that remembers can tell.
"""

import numpy as np

from nbt_embed.reference import Array, ReferenceLearner, Settings, Step, cell, check_cell


@cell(gates=1, parts=2)
def inner_leak(a: Array, s: Array, leak: Array) -> Step:
    """Integrate, then squash: the state is [h; c]."""
    c = (1 - leak) * s[leak.size :] + leak * a
    h = np.tanh(c)
    slope = 1 - h**2
    return Step(
        np.concatenate([h, c]),
        gain=np.array([slope * leak, leak]),  # dh/da, dc/da
        carry=np.array([slope * (1 - leak), 1 - leak]),  # dh/dc, dc/dc
    )


check_cell("inner_leak")  # gain and carry against finite differences
print("the derivatives of inner_leak are those of finite differences")

rng = np.random.default_rng(0)
X = rng.normal(size=(1500, 1))
Y, slow = np.empty_like(X), 0.0
for t, x in enumerate(X):
    slow += 0.15 * (x[0] - slow)
    Y[t] = np.tanh(4 * slow)

print("cell        RMSE of the last third, by estimator")
for name in ("tanh", "leaky", "gated", "inner_leak"):
    line = f"{name:11}"
    for estimator in ("nobacktrack", "rtrl"):
        config = Settings(1, 1, n_hidden=4, cell=name, estimator=estimator, info_rate=0.01)
        learner = ReferenceLearner(config)
        error = []
        for x, y in zip(X, Y, strict=True):
            error.append(learner.predict(x) - y)
            learner.learn(y)
        line += f" {estimator} {np.sqrt(np.mean(np.square(error[1000:]))):.3f}"
    print(line)
