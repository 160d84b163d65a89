"""Put the real output of the commands that README.md shows into it: ``make readme``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

README = Path("README.md")
COMMANDS = {
    "demo": ([sys.executable, "-m", "nbt_embed", "demo"], slice(0, None)),
    "test": ([sys.executable, "-m", "pytest", "-q"], slice(-1, None)),
    "bars": ([sys.executable, "tools/bars.py"], slice(0, None)),
}


def main() -> int:
    """Replace what stands between the markers of each command by its output."""
    for name, (command, lines) in COMMANDS.items():
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        output = "\n".join(line.rstrip() for line in done.stdout.splitlines()[lines])
        text = README.read_text(encoding="utf-8")
        before, rest = text.split(f"<!-- {name} -->")
        _, after = rest.split(f"<!-- /{name} -->")
        block = f"<!-- {name} -->\n```\n{output}\n```\n<!-- /{name} -->"
        README.write_text(before + block + after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
