"""Memory of this process in bytes, by three measures."""

from __future__ import annotations

import ctypes
import gc
import re
import tracemalloc
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from nbt_embed._extras import needs

MEANINGS = {
    "resident": "resident memory (all pages that this process has written)",
    "heap": "the C library's heap (malloc without free)",
    "traced": "traced memory (Python objects and arrays)",
}
# Bytes of a round that are noise: pages, and what allocators reserve in advance; blocks that malloc
# caches per thread; freed objects that Python caches.
FLOORS = {"resident": 64 << 10, "heap": 32 << 10, "traced": 2 << 10}

Levels = dict[str, int]


def levels() -> Levels:
    """Return bytes by measure after a garbage collection.

    "heap" is absent where the C library does not count. Errors: MissingExtraError.
    """
    gc.collect()
    traced = tracemalloc.get_traced_memory()[0]
    heap, trim = _malloc()
    trim()
    found = {"resident": _resident(), "traced": traced}
    return found if heap is None else {**found, "heap": heap()}


def _resident() -> int:
    """Return the bytes of the private pages of this process, on Linux those that it has written.

    Shared pages, such as the code of libraries, come and go with the other processes. Pages of
    files that were only read come and go with the free memory of the system. The total that Linux
    keeps lags behind by some pages on each processor.
    """
    with needs("assert_flat"):
        from memory_profiler import memory_usage
    mib: Any = memory_usage(-1, interval=1e-4, max_usage=True, backend="psutil_uss")
    return int(mib * 2**20) - _read_only()


_READ_ONLY = re.compile(rb"^Private_Clean: +([0-9]+) kB$", re.MULTILINE)


def _read_only() -> int:
    """Return the bytes of private pages that this process has not written; 0 if unknown."""
    try:
        found = Path("/proc/self/smaps_rollup").read_bytes()
    except OSError:  # not Linux, or a kernel before 4.14
        return 0
    return sum(int(one) << 10 for one in _READ_ONLY.findall(found))


class _Mallinfo2(ctypes.Structure):
    """struct mallinfo2 of glibc 2.33 and later."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


@cache
def _malloc() -> tuple[Callable[[], int] | None, Callable[[], object]]:
    """Return two functions: the bytes that malloc has allocated, and the return of its free pages.

    malloc first serves a leak from free pages, so resident memory shows it only after these are
    used up. The second function returns them to the system.
    """
    try:
        library = ctypes.CDLL(None)
        mallinfo2, trim = library.mallinfo2, library.malloc_trim
    except (AttributeError, OSError, TypeError):  # no glibc, or an old one
        return None, lambda: None
    mallinfo2.restype, trim.argtypes = _Mallinfo2, (ctypes.c_size_t,)

    def given_out() -> int:
        found = mallinfo2()
        return int(found.uordblks + found.hblkhd)  # small blocks, and separately mapped ones

    return given_out, lambda: trim(0)
