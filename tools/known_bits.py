"""Bits that tests and the import compare with, as the kernel that is there computes them.

    .venv/bin/python -m tools.known_bits

A change of results is a decision. Once it is made, this writes the hash of the self-check
(nbt_embed/_selfcheck.py) and the golden checkpoint of the present format with its hash, the last
one in tests/test_checkpoint.py. Checkpoints of earlier formats keep their bits and are left alone.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SELFCHECK = ROOT / "nbt_embed" / "_selfcheck.py"
TEST = ROOT / "tests" / "test_checkpoint.py"
# In a process of its own, which imports the package with the new hash.
GOLDEN = """
from test_checkpoint import GOLDEN, GOLDEN_FILES, trained
name, config, _ = GOLDEN_FILES[-1]
learner = trained(config)
learner.save(GOLDEN / name)
print(name, f"{learner.hash():016X}")
"""


def self_check() -> str:
    """Return the hash of nbt_selfcheck, compiled here and now."""
    sources = [ROOT / "tests" / "selfcheck.c", *sorted((ROOT / "csrc").glob("nbt_*.c"))]
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "selfcheck"
        options = ["-std=c99", "-O2", "-ffp-contract=off", f"-I{ROOT / 'csrc'}"]
        subprocess.run(["cc", *options, *map(str, sources), "-o", str(program), "-lm"], check=True)
        return subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()[
            0
        ]


def replace(path: Path, pattern: str, digits: str) -> None:
    """Put digits in the place of those that end the only match of a pattern."""
    text, count = re.subn(
        rf"({pattern}0x)[0-9A-F]+", rf"\g<1>{digits.upper()}", path.read_text(encoding="utf-8")
    )
    if count != 1:
        raise SystemExit(f"{path}: {count} places for {pattern}, expected 1")
    path.write_text(text, encoding="utf-8")


def main() -> int:
    """Write all of them."""
    replace(SELFCHECK, "KNOWN_HASH = ", self_check())
    done = subprocess.run(
        [sys.executable, "-c", GOLDEN],
        cwd=ROOT / "tests",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    name, digits = done.stdout.split()
    replace(TEST, rf'"{re.escape(name)}",[^"]*?', digits)
    print(done.stdout, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
