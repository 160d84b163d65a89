"""Read a text once, character by character, and predict each before it is learnt.

    python examples/online_text.py [FILE]

Without a file it reads the beginning of Python's own help texts. For comparison there are counts of
characters after the last one and the last two, learnt in the same single pass.
"""

import sys
from collections import Counter, defaultdict
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np

from nbt_embed import Learner

LENGTH, REPORT = 40_000, 10_000
text = Path(sys.argv[1]).read_text(encoding="utf-8") if sys.argv[1:] else "".join(topics.values())
text = " ".join(text.lower().split())[:LENGTH]
alphabet = sorted(set(text))
symbols = np.array([alphabet.index(character) for character in text])
one_hot = np.eye(len(alphabet), dtype=np.float32)

learner = Learner(len(alphabet), len(alphabet), hidden=32, link="categorical")
counts: dict[str, Counter[str]] = defaultdict(Counter)


def counted(context: str, character: str) -> float:
    """Bits that the counts after a context need for a character, which is then counted."""
    seen = counts[context]
    p = (seen[character] + 0.05) / (seen.total() + 0.05 * len(alphabet))
    seen[character] += 1
    return float(-np.log2(p))


print(f"{len(text):,} characters, {len(alphabet)} kinds, {learner.memory.total:,} bytes")
print("bits per character    learner   after one   after two")
for start in range(0, len(text) - 1, REPORT):
    part = slice(start, min(start + REPORT, len(text) - 1))
    now, following = symbols[part], symbols[1:][part]
    p = learner.run(one_hot[now], following, horizon=0)
    bits = [float(-np.log2(p[np.arange(len(now)), following]).mean())]
    for order in (1, 2):
        spans = range(part.start + 1, part.stop + 1)
        told = [counted(text[max(0, t - order) : t], text[t]) for t in spans]
        bits.append(float(np.mean(told)))
    print(f"up to {part.stop:12,}  " + "".join(f"{value:12.3f}" for value in bits))
print(f"the counts have grown to {sum(map(len, counts.values())):,} entries")
