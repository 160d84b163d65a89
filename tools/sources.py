"""Files of the repository: their list, and fingerprints under which measured results are kept."""

from __future__ import annotations

import hashlib
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@cache
def fingerprint(patterns: tuple[str, ...]) -> str:
    """Hash of the files that the patterns find in the project, names and contents."""
    digest = hashlib.sha256()
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def tracked(*patterns: str) -> list[str]:
    """Paths of the files in the repository that match any of the patterns of git, in order."""
    command = ["git", "ls-files", "--", *patterns]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
