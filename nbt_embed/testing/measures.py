"""Bytes of this process, by three measures."""

from __future__ import annotations

import ctypes
import gc
import tracemalloc
from collections.abc import Callable
from functools import cache
from typing import Any

from nbt_embed._extras import needs

MEANINGS = {
    "resident": "resident memory (all pages of this process)",
    "heap": "the C library's heap (malloc without free)",
    "traced": "traced memory (Python objects and arrays)",
}
# Bytes of a round that are noise: pages, and what allocators take in advance; what malloc keeps at
# hand for a thread; what Python keeps of objects that were freed.
FLOORS = {"resident": 64 << 10, "heap": 32 << 10, "traced": 2 << 10}

Levels = dict[str, int]


def levels() -> Levels:
    """Bytes by measure, garbage left out; without "heap" where the C library does not count.

    Errors: MissingExtraError.
    """
    gc.collect()
    traced = tracemalloc.get_traced_memory()[0]
    heap, trim = _malloc()
    trim()
    found = {"resident": _resident(), "traced": traced}
    return found if heap is None else {**found, "heap": heap()}


def _resident() -> int:
    """Bytes of the pages that this process has for itself.

    Those that it shares with others, such as the code of libraries, come and go with the others;
    and the total that Linux keeps is late by some pages on each processor.
    """
    with needs("assert_flat"):
        from memory_profiler import memory_usage
    mib: Any = memory_usage(-1, interval=1e-4, max_usage=True, backend="psutil_uss")
    return int(mib * 2**20)


class _Mallinfo2(ctypes.Structure):
    """glibc's struct mallinfo2, from 2.33 on."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


@cache
def _malloc() -> tuple[Callable[[], int] | None, Callable[[], object]]:
    """Bytes that malloc has given out, and what gives its free pages back to the system.

    A leak is first served from pages that are there and free: without the latter, resident memory
    would not see it before these are used up.
    """
    try:
        library = ctypes.CDLL(None)
        mallinfo2, trim = library.mallinfo2, library.malloc_trim
    except (AttributeError, OSError, TypeError):  # no glibc, or an old one
        return None, lambda: None
    mallinfo2.restype, trim.argtypes = _Mallinfo2, (ctypes.c_size_t,)

    def given_out() -> int:
        found = mallinfo2()
        return int(found.uordblks + found.hblkhd)  # small blocks, and those mapped on their own

    return given_out, lambda: trim(0)
