"""A machine's state told from its sensors, through river: late labels, and a sensor that is new.

    pip install 'nbt-embed[river]'

It is compared with river's logistic regression, which needs a scaler and sees one row alone.
"""

from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
from river import evaluate, linear_model, metrics, preprocessing

from nbt_embed.river import NbtClassifier

ROWS = 4000


def machine() -> Iterator[tuple[dict[str, float | None], str]]:
    """Temperature and pressure; the state is which way the load went. Vibration comes later."""
    rng = np.random.default_rng(0)
    load = np.sin(np.arange(ROWS + 1) / 30)
    for t in range(ROWS):
        row: dict[str, float | None] = {
            "celsius": 21 + 4 * load[t] + 0.2 * rng.normal(),
            "pascal": 101325 + 80 * load[t] + 4 * rng.normal(),
        }
        if t % 50 == 7:
            row["pascal"] = None  # no reading
        if t >= ROWS // 2:
            row["vibration"] = (load[t + 1] - load[t]) * 100 + rng.normal()
        yield row, "rising" if load[t + 1] > load[t] else "falling"


for name, model in (
    ("NbtClassifier", NbtClassifier(hidden=16)),
    ("logistic regression", preprocessing.StandardScaler() | linear_model.LogisticRegression()),
):
    rows: list[tuple[dict[Hashable, Any], bool]] = [
        ({key: value for key, value in x.items() if value is not None}, y == "rising")
        for x, y in machine()
    ]
    for delay in (None, 10):
        score = evaluate.progressive_val_score(rows, model.clone(), metrics.Accuracy(), delay=delay)
        print(f"{name}, labels {delay or 0} rows late: {score}")

watch = NbtClassifier(hidden=16)
for x, state in machine():
    watch.learn_one(x, state)
probabilities = watch.predict_proba_one({"celsius": 25.0, "pascal": 101405.0, "vibration": 3.0})
print({state: round(share, 3) for state, share in sorted(probabilities.items())})
print(f"{watch._raw_memory_usage:,} bytes")
