"""Which functions the sources of the kernel define."""

from __future__ import annotations

import re
from functools import cache

from tools.targets.machines import ROOT

_DEFINITION = re.compile(
    r"^\w[\w\s*]*?\b(\w+)\([^;{}()]*(?:\([^()]*\)[^;{}()]*)*\)\s*\{", re.MULTILINE
)


@cache
def defined_in(*patterns: str) -> frozenset[str]:
    """Names of the functions of the files of csrc/ that match any of the patterns.

    They are names of one file each: the amalgamation is a single translation unit.
    """
    return frozenset(
        name
        for pattern in patterns
        for path in (ROOT / "csrc").glob(pattern)
        for name in _DEFINITION.findall(path.read_text(encoding="utf-8"))
    )
