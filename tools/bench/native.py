"""C outside the package, compiled when needed with the kernel's flags, called through cffi."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from cffi import FFI

from nbt_embed._build import LANES, declarations, flags_for

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
COMPILER = "cc"


@cache
def flags() -> tuple[str, ...]:
    """The package's, for the machine that measures: nobody could call a peer held back by them."""
    return (*flags_for([COMPILER]), "-march=native")


def run(*command: str) -> str:
    """What a command prints. Errors: RuntimeError with its messages."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{result.stderr}")
    return result.stdout


def compile_library(sources: tuple[str, ...], target: Path, *extra: str) -> None:
    """Compile C files into a shared library. Errors: RuntimeError."""
    common = ("-std=c11", f"-DNBT_LANES={LANES}", f"-I{ROOT / 'csrc'}", "-shared", "-fPIC")
    run(COMPILER, *common, *flags(), *extra, *sources, "-o", str(target), "-lm")


@cache
def library(name: str, *extra: str) -> tuple[FFI, Any]:
    """``tools/bench/name.c``, or for "kernel" csrc/, with the declarations of its header.

    The library stays loaded; its file does not. Errors: RuntimeError.
    """
    kernel = name == "kernel"
    header = ROOT / "csrc" / "nbt.h" if kernel else HERE / f"{name}.h"
    sources = sorted((ROOT / "csrc").glob("*.c")) if kernel else [HERE / f"{name}.c"]
    ffi = FFI()
    ffi.cdef(declarations(header.read_text(encoding="utf-8")))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"{name}.so"
        compile_library(tuple(map(str, sources)), target, *extra)
        return ffi, ffi.dlopen(str(target))
