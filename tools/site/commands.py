"""The command line as a page: what ``--help`` prints of every command."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from nbt_embed import commands


def help_of(*command: str) -> str:
    """What a command prints of itself, for a screen of a hundred columns."""
    return subprocess.run(
        [sys.executable, "-m", "nbt_embed", *command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
    ).stdout


def page() -> str:
    """Every command under its name."""
    names = [module.name for module in pkgutil.iter_modules(commands.__path__)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        texts = pool.map(help_of, names)
    parts = [
        f"## `nbt-embed {name}`\n\n```text\n{text}```"
        for name, text in zip(names, texts, strict=True)
    ]
    return "\n\n".join(parts) + "\n"
