"""The real output of the commands that README.md and guides show: ``make readme``.

With ``--document FILE`` it goes there; ``python -m tools.readme demo test`` runs some only.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tools.document import put


def paragraphs(*shown: int) -> Callable[[str], str]:
    """Pick some of the parts that empty lines separate."""

    def pick(output: str) -> str:
        parts = output.split("\n\n")
        return "\n\n".join(parts[i] for i in shown)

    return pick


def last_line(output: str) -> str:
    """Pick the summary that pytest ends with."""
    return output.splitlines()[-1]


def but_last_line(output: str) -> str:
    """Leave out the counters."""
    return output.rsplit("\n", 1)[0]


# Command, and what of its output is shown.
COMMANDS: dict[str, tuple[list[str], Callable[[str], str]]] = {
    "demo": ([sys.executable, "-m", "nbt_embed", "demo"], paragraphs(0, 1, 3)),
    "test": (["make", "--no-print-directory", "test"], last_line),
    "guards": ([sys.executable, "examples/guards.py"], but_last_line),
    "faults": ([sys.executable, "examples/machine_faults.py"], str),
}


def main() -> int:
    """Print the output of each command, or replace what stands between its markers by it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(COMMANDS)} (all)")
    parser.add_argument("--document", type=Path, help="Markdown file to put the output into")
    options = parser.parse_args()
    for name in options.names or COMMANDS:
        command, pick = COMMANDS[name]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            print(done.stdout, done.stderr, f"{' '.join(command)}: failed", sep="\n")
            return 1
        output = pick("\n".join(line.rstrip() for line in done.stdout.splitlines()))
        print(output)
        if options.document is not None:
            put(options.document, name, output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
