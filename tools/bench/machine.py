"""The machine and the versions of a measurement; one thread for all of it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Any

import nbt_embed
from nbt_embed._build import LANES, flags_for
from tools.bench import native

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NPROC": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "JAX_PLATFORMS": "cpu",
}


PACKAGES = (
    *("numpy", "scipy", "cffi", "river", "reservoirpy"),
    *("jax", "jaxlib", "torch", "braintrace"),
)


def restart_with_one_thread(module: str, arguments: list[str]) -> None:
    """Pin to one core; NumPy and XLA read their settings when they load, so start over."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        environment = {**os.environ, **ONE_THREAD}
        os.execve(sys.executable, [sys.executable, "-m", module, *arguments], environment)


def processor() -> str:
    """Its name, as far as the system tells."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = dict(re.findall(r"^(model name|cpu family|model)\s*: (.*)$", text, re.MULTILINE))
    name = found.get("model name", platform.machine())
    return f"{name}, family {found.get('cpu family', '?')} model {found.get('model', '?')}"


def compiler(name: str = native.COMPILER) -> str:
    """First line of its --version."""
    return native.run(name, "--version").splitlines()[0]


def caches() -> dict[str, str]:
    """Sizes by level, as Linux lists them."""
    folders = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))
    read = [
        [(folder / name).read_text().strip() for name in ("level", "type", "size")]
        for folder in folders
    ]
    return {f"L{level} {kind}": size for level, kind, size in read}


def package_compiler() -> str:
    """What compiled the installed package, from its files."""
    folder = Path(nbt_embed.__file__).parent
    data = b"".join(path.read_bytes() for path in folder.glob("_*.so"))
    found = set(re.findall(rb"(?:GCC: \([^)]*\) |clang version )[0-9.]+", data))
    return ", ".join(sorted(text.decode() for text in found)) or "unknown"


def versions() -> dict[str, str]:
    """Of everything in Python that takes part; "not installed" for what does not."""
    out = {"python": platform.python_version(), "nbt_embed": nbt_embed.__version__}
    for name in PACKAGES:
        try:
            out[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            out[name] = "not installed"
    return out


def revision() -> str:
    """Commit of the sources, with a mark if they differ from it; empty outside of git."""
    command = ("git", "-C", str(native.ROOT), "describe", "--always", "--dirty")
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stdout.strip()


def describe() -> dict[str, Any]:
    """All of it."""
    return {
        "processor": processor(),
        "caches": caches(),
        "system": platform.platform(),
        "load_average": os.getloadavg()[0],
        "revision": revision(),
        "versions": versions(),
        "package": {
            "compiler": package_compiler(),
            "python_flags": sysconfig.get_config_var("CFLAGS"),
            "flags": flags_for([native.COMPILER]),
            "lanes": LANES,
        },
        "native": {"compiler": compiler(), "flags": ["-std=c11", *native.flags()]},
        "threads": 1,
    }
