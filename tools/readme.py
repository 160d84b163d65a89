"""Put the real output of the commands that README.md shows into it: ``make readme``.

``python tools/readme.py demo bars`` refreshes some of them only.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

README = Path("README.md")
# Command, and the paragraphs of its output that are shown.
COMMANDS = {
    "demo": ([sys.executable, "-m", "nbt_embed", "demo"], (0, 1, 4, 6)),
    "test": ([sys.executable, "-m", "pytest", "-q"], (-1,)),
    "bars": ([sys.executable, "tools/bars.py"], (0,)),
}


def main() -> int:
    """Replace what stands between the markers of each command by its output."""
    for name in sys.argv[1:] or COMMANDS:
        command, shown = COMMANDS[name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        lines = [line.rstrip() for line in done.stdout.splitlines()]
        if name == "test":
            lines = lines[-1:]
        paragraphs = "\n".join(lines).split("\n\n")
        output = "\n\n".join(paragraphs[i] for i in shown)
        text = README.read_text(encoding="utf-8")
        before, rest = text.split(f"<!-- {name} -->")
        _, after = rest.split(f"<!-- /{name} -->")
        block = f"<!-- {name} -->\n```\n{output}\n```\n<!-- /{name} -->"
        README.write_text(before + block + after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
