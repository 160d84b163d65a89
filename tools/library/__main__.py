"""The kernel as a library for the build systems of boards: ``make ecosystems``.

One folder that Arduino, PlatformIO, Zephyr, ESP-IDF and plain CMake each take as it is: the kernel
in two files, and what each of them wants to be told. What they share (name, version, description)
stands here once; the files are templates in which ``@name`` is replaced.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from importlib.metadata import metadata
from pathlib import Path
from string import Template

from nbt_embed import __version__
from tools import amalgamate

FILES = Path(__file__).resolve().parent / "files"


class _AtTemplate(Template):
    """``@name``, because CMake and C know the dollar themselves; ``@@`` is one @."""

    delimiter = "@"


def facts() -> dict[str, str]:
    """What the templates are filled in with."""
    return {
        "name": "nbt_embed",
        "version": __version__,
        "description": metadata("nbt-embed")["Summary"],
        "license": "MIT",
        "author": "The nbt-embed authors",
    }


def write(folder: Path, values: Mapping[str, str]) -> None:
    """Write the library. Errors: KeyError names a value that a template wants and is missing."""
    for path in sorted(FILES.rglob("*")):
        if path.is_file():
            target = folder / path.relative_to(FILES)
            target.parent.mkdir(parents=True, exist_ok=True)
            text = _AtTemplate(path.read_text(encoding="utf-8")).substitute(values)
            target.write_text(text, encoding="utf-8")
    amalgamate.write(folder / "src")
    (folder / "src" / "LICENSE").rename(folder / "LICENSE")


def main(arguments: list[str] | None = None) -> int:
    """Write the library and say where it is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/library/nbt_embed"))
    options = parser.parse_args(arguments)
    write(options.out, facts())
    print(options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
