"""Switch off in the middle of a stream and go on as if nothing had happened."""

import tempfile
from pathlib import Path

import numpy as np

from nbt_embed import Learner

rng = np.random.default_rng(0)
signal = np.sin(0.2 * np.arange(3000)) + 0.05 * rng.normal(size=3000)

learner = Learner(n_in=1, n_out=1, hidden=8)
learner.run(signal[:1500], signal[:1500], horizon=1)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "learner.nbt"
    learner.save(path)  # whole or not at all, even if the power goes
    resumed = Learner.load(path)
    print(f"{path.stat().st_size} bytes saved of {learner.memory.total} in memory")

never_off = learner.run(signal[1500:], signal[1500:], horizon=1)
switched_off = resumed.run(signal[1500:], signal[1500:], horizon=1)
print(f"same forecasts: {np.array_equal(never_off, switched_off)}")
print(f"same learner:   {learner.hash() == resumed.hash()}")
