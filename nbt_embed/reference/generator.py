"""The random numbers of a learner: docs/design.md, section 4."""

from __future__ import annotations

import numpy as np

from nbt_embed.reference.arrays import Array


class Generator:
    """xoshiro128++ (Blackman and Vigna 2018) on four words from splitmix64 of the seed."""

    def __init__(self, seed: int) -> None:
        words = []
        for _ in range(2):
            seed = (seed + 0x9E3779B97F4A7C15) % 2**64
            z = seed
            z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
            z ^= z >> 31
            words += [z % 2**32, z >> 32]
        self.words = words

    def word(self) -> int:
        """Draw the next 32 bits."""

        def rotate(x: int, k: int) -> int:
            return (x << k | x >> (32 - k)) % 2**32

        a, b, c, d = self.words
        result = (rotate((a + d) % 2**32, 7) + a) % 2**32
        c, d, shifted = c ^ a, d ^ b, (b << 9) % 2**32
        b, a = b ^ c, a ^ d
        self.words = [a, b, c ^ shifted, rotate(d, 11)]
        return result

    def signs(self, n_rows: int) -> Array:
        """One step's signs, (R): bit r mod 32 of word r div 32, 1 meaning -1."""
        words = [self.word() for _ in range(-(-n_rows // 32))]
        bits = [words[r // 32] >> r % 32 & 1 for r in range(n_rows)]
        return 1.0 - 2.0 * np.array(bits)

    def uniform(self) -> float:
        """Draw a word and read its upper 24 bits as a number in [-1, 1)."""
        return (self.word() >> 8) / 2**23 - 1.0
