"""Measure the properties of live streams: ``make live``, or ``python -m tools.live PART``.

Each part is a module with ``measure(options) -> (lines, kept)``: results in words, and whether the
target is reached.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from tools.document import put

PARTS = ("parsing", "outage", "unplugged", "stdin", "kills")


def main() -> int:
    """Measure and print. Returns 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (all)")
    parser.add_argument("--seconds", type=float, default=60, help="of the messages (60)")
    parser.add_argument("--document", type=Path, help="put the figures between its markers")
    options = parser.parse_args()
    found: list[str] = []
    kept = True
    for name in options.parts or PARTS:
        if name not in PARTS:
            parser.error(f"part {name!r}: name one of {', '.join(PARTS)}")
        lines, good = importlib.import_module(f"tools.live.{name}").measure(options)
        kept = kept and good
        for line in lines:
            print(line, flush=True)
        found += lines
    if options.document is not None:
        put(options.document, "live", "\n".join(found))
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
