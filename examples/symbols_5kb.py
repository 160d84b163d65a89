"""Learn to count in 5 KB: lines of n times a, newline, n times b, newline, n from 1 to 32.

What follows the b's depends on up to 64 symbols before, so no predictor that looks at a fixed
number of them comes near; a table of counts that looked at 8 would already take 77 KB.
"""

import numpy as np
from numpy.typing import NDArray

from nbt_embed import Learner

LENGTH, REPORT, LONGEST = 300_000, 50_000, 32
rng = np.random.default_rng(0)
lines = [[0] * n + [2] + [1] * n + [2] for n in rng.integers(1, LONGEST + 1, size=LENGTH // 30)]
symbols = np.concatenate(lines)[: LENGTH + 1]
one_hot = np.eye(3, dtype=np.float32)[symbols]


def counted(order: int) -> NDArray[np.float64]:
    """Bits for every symbol after the first, by counts of what followed the last few."""
    counts = np.full((3**order, 3), 0.05)
    context, p = 0, np.empty(LENGTH)
    for t, symbol in enumerate(symbols[1:].tolist()):
        context = (3 * context + int(symbols[t])) % 3**order
        row = counts[context]
        p[t] = row[symbol] / row.sum()
        row[symbol] += 1
    return -np.log2(p)


learner = Learner(3, 3, hidden=12, link="categorical")  # and a head of 6
p = learner.run(one_hot[:-1], symbols[1:], horizon=0)
bits = {
    f"learner, {learner.memory.total:,} bytes": -np.log2(p[np.arange(len(p)), symbols[1:]]),
    **{f"last {order}, {4 * 3 ** (order + 1):,} bytes": counted(order) for order in (2, 5, 8)},
}
assert learner.memory.total <= 5120

print("bits per symbol      " + "".join(f"{name:>23}" for name in bits))
for start in range(0, LENGTH, REPORT):
    part = slice(start, start + REPORT)
    row = "".join(f"{np.mean(of[part]):23.3f}" for of in bits.values())
    print(f"up to {start + REPORT:15,}{row}")
floor = np.log2(LONGEST) / (LONGEST + 3)  # of a line of n + 1 + n + 1 symbols only n is news
print(f"who knows the rule needs {floor:.3f}")
