"""Whether this build computes the bits of every other one, and whether the thread lets it.

A compiler that was told to (``-ffast-math``) changes the order and the rounding of what it
compiles. Whoever loads a library that was linked so, or calls for it, switches off denormal numbers
or changes the rounding for a whole thread. The first is an error when the package is imported, the
second a warning where it shapes what is kept.
"""

from __future__ import annotations

import warnings

from nbt_embed._kernel import lib
from nbt_embed._load import REBUILD
from nbt_embed.errors import FloatWarning

# The hash of nbt_selfcheck's learner on every target.
KNOWN_HASH = 0x977736124830CA48

_WRONG = {
    lib.NBT_FLOATS_FLUSHED: "denormal numbers become zero",
    lib.NBT_FLOATS_ROUNDED: "results are not rounded to the nearest number",
}


def check_build() -> None:
    """Compare a few steps of each version of the kernel with what they give everywhere.

    Raises ImportError. Cost: a fraction of a millisecond.
    """
    for version in (lib.NBT_SIMD_BASE, lib.NBT_SIMD_AVX2, lib.NBT_SIMD_AVX512):
        got = lib.nbt_selfcheck(version)
        if got != KNOWN_HASH:
            raise ImportError(
                "the compiled kernel of nbt_embed computes wrong results (self-check "
                f"{version}: {got:016x}, expected {KNOWN_HASH:016x}): a compiler option changed "
                f"float arithmetic, or the kernel is damaged. {REBUILD}"
            )


def warn_of_floats(call: str) -> None:
    """Warn with FloatWarning where this thread's arithmetic gives other bits. Cost: below 1 µs."""
    wrong = lib.nbt_floats_of_thread()
    if wrong:
        what = " and ".join(text for bit, text in _WRONG.items() if wrong & bit)
        warnings.warn(
            f"{call}: {what} in this thread, because a library or a call has set the mode of the "
            "processor (-ffast-math, torch.set_flush_denormal, fesetround): the learner computes "
            "other bits "
            "than elsewhere. Reset the mode, or use the learner in another process",
            FloatWarning,
            stacklevel=3,  # the method lies between
        )


check_build()
