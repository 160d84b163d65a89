"""The published files build, install and test themselves: ``make package``.

Makes the sdist, unpacks it, builds the package from it with gcc and with clang, each with options
that a user might have and that would change bits, and installs every result into an environment of
its own. All of them have to give the same hashes in every version of the kernel. The unpacked sdist
then collects all of its tests and runs a short part of them.

Nothing is fetched: the environments see the libraries of the one that runs this.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = "-Ofast -ffast-math -funsafe-math-optimizations -ffp-contract=fast -fwrapv -std=gnu89"
HOSTILE = {"CFLAGS": OPTIONS, "CPPFLAGS": "-freciprocal-math", "LDFLAGS": "-Ofast -ffast-math"}
# What is asked of the compiler, and how.
BUILDS = {
    "gcc": {"CC": "gcc"},
    "clang": {"CC": "clang"},
    "gcc, hostile options": {"CC": "gcc -ffinite-math-only", **HOSTILE},
    "clang, hostile options": {"CC": "clang -ffp-model=fast", **HOSTILE},
}
# Run away from the tree. It prints a line for each version of the kernel.
HASHES = """
import os, sys
import numpy as np
import nbt_embed
assert nbt_embed.__file__.startswith(sys.prefix), nbt_embed.__file__
KINDS = (
    ("gated", "unitwise", "kalman", "gaussian"),
    ("lstm", "nobacktrack", "kalman_quasi", "bernoulli"),
    ("leaky", "residual", "kalman", "categorical"),
    ("tanh", "snap1", "sgd", "gaussian"),
)
X = np.random.default_rng(0).standard_normal((2000, 3)).astype(np.float32)
X[1000:] *= np.float32(1e-20)  # its squares are denormal numbers
Y = np.where(X[:, :2] > 0, 1, 0).astype(np.float32)
for version in ("base", "avx2", "avx512"):
    os.environ["NBT_EMBED_SIMD"] = version
    for cell, estimator, kind, link in KINDS:
        learner = nbt_embed.Learner(
            3, 2, hidden=9, cell=cell, estimator=estimator, filter=kind, link=link, seed=5
        )
        learner.run(X, Y[:, 0] if link == "categorical" else Y, horizon=1)
        print(f"{learner.hash():016x}", end=" ")
    print("denormals kept" if (np.float32(1e-40) * np.ones(8, np.float32)).all() else "FLUSHED")
"""
# Some of the sdist's tests: enough to see that what they need is there.
SHORT = ("tests/test_load.py", "tests/test_arrays.py", "tests/test_metrics.py")


def run(
    *command: str | Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> str:
    """What a command prints. Errors: RuntimeError with the end of its messages."""
    plain = {k: v for k, v in os.environ.items() if k not in ("CC", *HOSTILE, "PYTHONPATH")}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**plain, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stdout + done.stderr)[-4000:]
        raise RuntimeError(f"{environment} {' '.join(map(str, command))}\n{said}")
    return done.stdout


def clean_copy(folder: Path) -> Path:
    """Copy the tree without what was built in it: old lists and objects must not help."""
    built = (".git", ".venv*", "build", "dist", "*.egg-info", "*.so", "__pycache__", ".*_cache")
    return shutil.copytree(ROOT, folder / "clean", ignore=shutil.ignore_patterns(*built))


def unpacked_sdist(folder: Path) -> Path:
    """Make the sdist and unpack it: the folder that a packager starts from."""
    command = (sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", folder)
    run(*command, clean_copy(folder))
    (archive,) = folder.glob("*.tar.gz")
    run("tar", "-xzf", archive, "-C", folder)
    return folder / archive.name.removesuffix(".tar.gz")


def installed(source: Path, place: Path, environment: dict[str, str]) -> Path:
    """Build a copy of the source and install it. Return the new environment's Python."""
    tree = shutil.copytree(source, place / "tree")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    alone = ("--quiet", "--no-index", "--no-deps")
    run(*pip, "wheel", *alone, "--no-build-isolation", "-w", place, tree, environment=environment)
    run(sys.executable, "-m", "venv", "--without-pip", place / "venv")
    python = place / "venv" / "bin" / "python"
    (wheel,) = place.glob("*.whl")
    run(*pip, "--python", python, "install", *alone, wheel)
    libraries = python.parent.parent / Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
    (libraries / "libraries.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return python


def collect(python: Path | str, tree: Path, package: Path) -> str:
    """Collect every test of an unpacked sdist, with what is compiled in a package's folder.

    Returns the last line.
    """
    for compiled in package.glob("_*.so"):
        shutil.copy(compiled, tree / "nbt_embed")
    command = (python, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider")
    return run(*command, cwd=tree).splitlines()[-1]


def main() -> int:
    """Exit 1 if two builds differ."""
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(os.cpu_count()) as pool:
        folder = Path(name)
        source = unpacked_sdist(folder)
        places = [folder / f"{i}" for i in range(len(BUILDS))]
        pythons = list(pool.map(installed, [source] * len(places), places, BUILDS.values()))
        hashes = [run(python, "-c", HASHES, cwd=folder).splitlines() for python in pythons]
        good = [set(lines) == {hashes[0][0]} and lines[0].endswith("kept") for lines in hashes]
        for build, lines, same in zip(BUILDS, hashes, good, strict=True):
            print(f"{build:24} {lines[0]}" if same else f"{build:24} DIFFERENT: {lines}")
        (package,) = (places[0] / "venv").glob("lib/*/site-packages/nbt_embed")
        print(collect(pythons[0], source, package))
        print(run(pythons[0], "-m", "pytest", "-q", *SHORT, cwd=source).splitlines()[-1])
        return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
