"""Predict the next symbol of a text whose lines are n times a, newline, n times b, newline."""

import numpy as np

from nbt_embed import Learner
from nbt_embed.metrics import SymbolScore

rng = np.random.default_rng(0)
ALPHABET = "ab\n"
text = "".join(f"{'a' * n}\n{'b' * n}\n" for n in rng.integers(1, 9, size=3000))
symbols = np.array([ALPHABET.index(character) for character in text])
one_hot = np.eye(len(ALPHABET), dtype=np.float32)[symbols]

learner = Learner(len(ALPHABET), len(ALPHABET), hidden=24, link="categorical", forget=0.9999)
probabilities = learner.run(one_hot[:-1], symbols[1:], horizon=0)
print(f"{learner.memory.total} bytes, {symbols.size} symbols")
for name, part in (("first", slice(0, 2000)), ("last", slice(-2000, None))):
    score = SymbolScore()
    score.update(probabilities[part], symbols[1:][part])
    print(f"bits per symbol, {name} 2000: {score.bits_per_symbol:.3f}")
