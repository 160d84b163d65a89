"""Train at home, export a firmware, and follow in Python what the device did, bit by bit."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from nbt_embed import Learner
from nbt_embed.export import export_firmware

rng = np.random.default_rng(0)
signal = np.sin(0.2 * np.arange(2000)) + 0.05 * rng.normal(size=2000)

learner = Learner(n_in=1, n_out=1, hidden=8, estimator="nobacktrack", max_delay=2)
learner.run(signal, signal, horizon=3)

with tempfile.TemporaryDirectory() as name:
    folder = Path(name) / "firmware"
    export_firmware(learner, folder)  # or: nbt-embed export learner.nbt --out firmware
    print("files:", *sorted(path.name for path in folder.iterdir()))
    if shutil.which("make") and shutil.which("cc"):
        # This machine stands for the device; the firmware prints a log of every step.
        subprocess.run(["make", "-s", "-C", str(folder)], check=True)
        done = subprocess.run(folder / "firmware", capture_output=True, text=True, check=True)
        log = done.stdout.splitlines()
        print(*log[:4], sep="\n")
        result = learner.replay(log)  # or: nbt-embed replay learner.nbt log.csv
        print(f"{result.steps} steps replayed, first difference: {result.difference}")
        print(f"the device's learner is now in Python: {learner.hash() == result.hash}")
