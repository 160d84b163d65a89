"""Load the compiled kernel first of all, and say what to do where that fails.

The folder of a clone hides an installed package from a Python that is started in it, and holds the
sources alone until somebody has compiled them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
COMPILED = ("nbt_embed._kernel", "nbt_embed._step")
REBUILD = (
    "Build it again from its sources without options of your own: "
    "`unset CC CFLAGS CPPFLAGS LDFLAGS`, then `pip install --force-reinstall --no-cache-dir` and "
    "the folder, in a clone `make clean demo`"
)


def thread_is_unsound() -> bool:
    """Return whether this thread's float arithmetic is not IEEE's default; known without a kernel.

    Denormal numbers may count as zero, or results be rounded in one direction.
    """
    smallest, bit = sys.float_info.min, sys.float_info.epsilon / 4
    return smallest / 2 == 0.0 or 1.0 + bit != 1.0 or 1.0 - bit / 2 != 1.0


def remedy(why: str) -> str:
    """Return what to do about a failed import, behind its reason."""
    root = FOLDER.parent
    if not FOLDER.is_dir():
        return (
            f"{why}. It is in an archive, and Python loads no compiled module from one: unpack "
            f"{root}, or install the package with this Python, {sys.executable}"
        )
    if not (root / "setup.py").exists():
        return f"{why}. Install it again with this Python, {sys.executable}"
    use = f"`make -C {root} demo`, then `. {root}/.venv/bin/activate`"
    return (
        f"{why}. To use this clone: {use}, or `pip install --editable {root}`. To use an installed "
        f"package instead: start Python in another folder than {root}"
    )


def load(name: str) -> None:
    """Import what the package cannot do without. Errors: ImportError, which says what to do."""
    try:
        import_module(name)
    except ImportError as error:
        why = f"nbt_embed needs {name}: {error}"
        if name in COMPILED and isinstance(error, ModuleNotFoundError):
            why = f"{FOLDER} holds the sources of nbt_embed without a compiled kernel"
        raise ImportError(remedy(why), name=name) from None


for _name in ("numpy", "_cffi_backend"):
    load(_name)
_was_sound = not thread_is_unsound()
for _name in COMPILED:
    load(_name)
if _was_sound and thread_is_unsound():
    raise ImportError(
        "the compiled kernel of nbt_embed was linked with -ffast-math or the like: loading it has "
        f"changed the float arithmetic of the process. {REBUILD}"
    )
