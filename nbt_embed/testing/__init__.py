"""Assertions on memory growth, bytes and equal bits (docs/guide/testing.md).

``assert_flat`` needs memory-profiler: ``pip install 'nbt-embed[test]'``. For pytest there are
fixtures and the option ``--nbt-steps`` (pytest_nbt_embed.py).
"""

from nbt_embed.testing.bits import assert_same_bits, record_bits
from nbt_embed.testing.budget import assert_bytes
from nbt_embed.testing.flat import STEPS, Growth, assert_flat

__all__ = ["STEPS", "Growth", "assert_bytes", "assert_flat", "assert_same_bits", "record_bits"]
