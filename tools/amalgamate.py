"""The kernel in two files: ``make amalgamation``."""

from __future__ import annotations

import argparse
from pathlib import Path

from nbt_embed import __version__
from nbt_embed.amalgamation import amalgamate


def write(folder: Path) -> None:
    """Write nbt.c, nbt.h and the license into a folder, which is made if need be."""
    kernel = amalgamate(f"nbt_embed {__version__}, the kernel. MIT license, see LICENSE.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nbt.c").write_text(kernel.source, encoding="utf-8")
    (folder / "nbt.h").write_text(kernel.header, encoding="utf-8")
    license_text = Path(__file__).resolve().parent.parent / "LICENSE"
    (folder / "LICENSE").write_bytes(license_text.read_bytes())


def main(arguments: list[str] | None = None) -> int:
    """Write the files and say where they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/amalgamation"))
    options = parser.parse_args(arguments)
    write(options.out)
    print(f"{options.out}/nbt.c, nbt.h")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
