"""A loop that allocates no array: samples are written into the learner's own buffers.

The least that Python can add to a step. NBT_EMBED_SIMD=base, avx2 or avx512 chooses the version of
the kernel, and no version changes a bit.
"""

import numpy as np

from nbt_embed import Learner

learner = Learner(n_in=1, n_out=1, hidden=8)
x, label, forecast = learner.x, learner.label, learner.y
error = 0.0
for sample in np.sin(np.arange(3000) / 5).tolist():
    if learner.pending:
        label[0] = sample
        learner.learn(label)
        error += 0.01 * (abs(sample - float(forecast[0])) - error)
    x[0] = sample
    learner.predict(x, out=forecast)
print(f"version {learner.simd}, running error {error:.4f}")
