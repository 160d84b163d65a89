"""The kernel as a library for the build systems of boards: ``make ecosystems``.

The top of the repository is such a library: Arduino, PlatformIO, ESP-IDF, Zephyr and CMake each
find their manifest there, which names src/nbt.c and src/nbt.h. In the repository these two include
the kernel's files, and are written here when one of them comes or goes. In the folder that is made
for copying and publishing they are the whole kernel; everything else is the same.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from nbt_embed.amalgamation import PREAMBLE, source_names
from tools import amalgamate

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# What the library has of the repository, besides its sources.
SHARED = (
    "CMakeLists.txt",
    "LICENSE",
    "idf_component.yml",
    "library.json",
    "library.properties",
    "examples/Forecast/Forecast.ino",
    "zephyr/CMakeLists.txt",
    "zephyr/Kconfig",
    "zephyr/module.yml",
)
_WRITTEN = "written by `make ecosystems`"


def including() -> dict[str, str]:
    """Name -> text of the repository's folder src, all that some builders compile of a library."""
    files = "".join(f'#include "../csrc/{name}"\n' for name in source_names(ROOT / "csrc"))
    return {
        "nbt.h": f'/* The interface of the kernel; {_WRITTEN}. */\n#include "../csrc/nbt.h"\n',
        "nbt.c": f"/* The kernel; {_WRITTEN}. */\n{PREAMBLE}\n{files}",
    }


def write(folder: Path) -> None:
    """Write the library. Errors: OSError."""
    for name in SHARED:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    shutil.copyfile(HERE / "README.md", folder / "README.md")
    amalgamate.write(folder / "src")
    (folder / "src" / "LICENSE").unlink()


def main(arguments: list[str] | None = None) -> int:
    """Write the library and say where it is; bring the sources of the repository up to date."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/library/nbt_embed"))
    options = parser.parse_args(arguments)
    for name, text in including().items():
        (ROOT / "src" / name).write_text(text, encoding="utf-8")
    write(options.out)
    print(options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
