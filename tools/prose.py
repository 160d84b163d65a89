"""proselint on the documents, without their code, tables and formulas: a part of ``make lint``.

tools/proselint.json turns off what does not fit: typography, since the documents are read in
plain-text editors too; repetitions, which it finds between a heading and the text behind it; times
of day, for which it takes AM in a formula; and very, which it wants to be replaced by an oath.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path

from tools.sources import ROOT, tracked

CODE = re.compile(r"^```.*?^```|<!--.*?-->|`[^`\n]+`|^\|.*$|^ {4,}.*$", re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    """The text with a word of its own for each piece of code, and every line where it was."""
    number = count()
    return CODE.sub(lambda match: f"X{next(number)}" + "\n" * match[0].count("\n"), text)


def main() -> int:
    """Check the documents that are named, or all; the exit code is that of proselint."""
    listed = tracked(*(sys.argv[1:] or ["*.md"]))
    program = Path(sys.executable).with_name("proselint")
    with tempfile.TemporaryDirectory() as folder:
        for name in listed:
            copy = Path(folder, name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(prose((ROOT / name).read_text(encoding="utf-8")), encoding="utf-8")
        # The options stand behind the command: proselint 0.16 forgets those before it.
        done = subprocess.run(
            [program, "check", "--config", ROOT / "tools/proselint.json", *listed],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    print(done.stdout.replace(f"{Path(folder).resolve()}/", ""), end="")
    print(done.stderr, end="", file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
