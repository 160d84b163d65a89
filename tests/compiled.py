"""Objects and programs that are compiled once, however many tests and processes want them.

Compiling the kernel for every kind of build is most of what the tests have to do. Everything lies
in ``build/tests`` under the hash of what it depends on: the compiler, its options, every source and
the processor of this machine. What system headers hold is not part of it, so nothing serves for
longer than a day.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KERNEL = ROOT / "csrc"
FOLDER = ROOT / "build" / "tests"
SERVES = 24 * 3600  # seconds

# Runs a command, and does not return if the command failed.
Run = Callable[..., object]


def kernel_sources() -> list[str]:
    """Return the paths of the kernel's C files."""
    return sorted(str(path) for path in KERNEL.glob("*.c"))


def kernel_objects(run: Run, compiler: str, options: Sequence[str]) -> list[Path]:
    """Return the kernel's objects; as many as there are processors are compiled at a time."""

    def compiled(source: str) -> Path:
        def make(target: Path) -> None:
            run(compiler, *options, "-c", source, "-o", str(target))

        return _kept(lambda: _key(compiler, options, [Path(source)]), ".o", make)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compiled, kernel_sources()))


def program(
    run: Run, compiler: str, options: Sequence[str], source: Path, own: Sequence[str] = ()
) -> Path:
    """Return the program of the kernel and a source, which may have options of its own."""
    objects = kernel_objects(run, compiler, options)
    both = [*options, *own]

    def make(target: Path) -> None:
        run(compiler, *both, str(source), *map(str, objects), "-o", str(target), "-lm")

    return _kept(lambda: _key(compiler, both, [source, *objects]), "", make)


def forget_old() -> None:
    """Delete what has not served for a day, so that it is in nobody's hands."""
    for path in FOLDER.glob("*/*"):
        if _age(path) > 2 * SERVES:
            path.unlink(missing_ok=True)


def _kept(key: Callable[[], str], suffix: str, make: Callable[[Path], None]) -> Path:
    """Return the file of a key, made by the first who asks; others wait for it."""
    now = key()
    path = FOLDER / now[:2] / f"{now[2:]}{suffix}"
    with _alone(path.parent):
        if not path.exists() or _age(path) > SERVES:
            unfinished = path.with_name("unfinished" + suffix)
            make(unfinished)
            if key() != now:
                raise RuntimeError("a source was changed while it was compiled: start again")
            unfinished.replace(path)
    return path


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other threads and processes out of a folder; one that dies lets go of it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (FOLDER / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def _key(compiler: str, options: Sequence[str], sources: Sequence[Path]) -> str:
    """Return the hash of all that the result depends on; an option may name a file."""
    digest = hashlib.sha256(_about(compiler).encode())
    headers = sorted([*KERNEL.glob("*.h"), *KERNEL.glob("*.inc"), *(ROOT / "tests").glob("*.h")])
    for one in [*options, *map(str, sources), *map(str, headers)]:
        path = Path(one)
        if not one.startswith("-") and path.is_file():
            digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
        else:
            digest.update(f"\0{one}".encode())
    return digest.hexdigest()


@functools.cache
def _about(compiler: str) -> str:
    """Return the compiler's version and, as -march=native asks for it, the processor's features."""
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    features = {line for line in lines if line.startswith(("flags", "Features"))}
    return "\0".join([compiler, version.stdout, platform.machine(), *sorted(features)])
