"""Build recipe of ``nbt_embed._kernel``: the C kernel behind cffi in API mode.

``setup.py`` runs this file by its path, before the package can be imported. The declarations that
Python sees are cut from ``nbt.h`` and the headers next to this file, between two marker
lines, so a header is the only place where they are written. cffi releases the GIL around every
call.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cffi import FFI

# setuptools wants source paths relative to the project, and runs with the project as directory.
SOURCES = Path("csrc")
OWN = Path("nbt_embed")
# What Python calls for one sample, what it asks about the build, and a forecaster to compare with.
CALLS = (OWN / "_calls.c", OWN / "_selfcheck.c", OWN / "_nlms.c")
CHOICES = OWN / "_choices.py"  # made here, for type checkers and editors
BEGIN = "/* <declarations> */"
END = "/* </declarations> */"

# Rows that one vector instruction may work on; any value gives the same bits.
LANES = 16

# The optimisation. It decides over speed alone, so a compiler goes without what it does not know.
FAST = (
    # -O3 unrolls the short loops over lanes one by one: ten times the code, and no faster.
    "-O2",
    "-ftree-vectorize",
    "-fvect-cost-model=dynamic",  # gcc's -O2 vectorises only what cannot become larger
    "-g0",  # debugging information of loops for every case takes as long as their code
    # Python's own flags say -fwrapv or, since 3.13, -fno-strict-overflow: gcc then vectorises less.
    "-fno-wrapv",
    "-fstrict-overflow",
)
# The opposite of every option that would change the bits. They come last, so they win over what
# CC, CFLAGS, CPPFLAGS and LDFLAGS say; for the linker too, where -ffast-math and -Ofast bring
# start-up code that makes the whole process flush denormal numbers.
EXACT = (
    "-std=gnu11",  # the language of Python's headers
    "-ffp-model=precise",  # clang; before the others, because it sets several of them
    "-fno-fast-math",
    "-fno-unsafe-math-optimizations",
    "-fno-associative-math",
    "-fno-reciprocal-math",
    "-fno-finite-math-only",
    "-fhonor-nans",
    "-fhonor-infinities",
    "-fsigned-zeros",
    "-fno-approx-func",
    "-fno-rounding-math",
    "-fno-single-precision-constant",
    "-fexcess-precision=standard",
    "-ffp-eval-method=source",
    "-fdenormal-fp-math=ieee",
    "-mfpmath=sse",
    "-mno-recip",
    "-mno-daz-ftz",
    # Speed alone: a root is one instruction, of many lanes at once, with the same bits. It has to
    # come behind -fno-fast-math, which switches it off.
    "-fno-math-errno",
    "-ffp-contract=off",  # a fused multiply-add rounds once where other targets round twice
)
# A compiler that does not know these may be doing what they switch off.
REQUIRED = ("-fno-fast-math", "-ffp-contract=off")


def flags_for(compiler: Sequence[str]) -> list[str]:
    """Return those of FAST and EXACT that a compiler takes, for compiling and for linking.

    Args:
        compiler: the command as words: wrappers, the program, options of the user.

    The compiler is asked, since its name says little: ``cc`` may be any, behind any wrapper.
    Raises RuntimeError if the command compiles nothing, or does not know a required flag.
    Cost: about thirty runs of the compiler on an empty file, half a second.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "empty.c"
        source.write_text("typedef int empty;\n", encoding="utf-8")
        command = [*compiler, "-S", str(source), "-o", str(Path(folder) / "empty.s")]
        try:
            _compile(command)
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", None) or error
            raise RuntimeError(
                f"the compiler does not work: {shlex.join(compiler)}\n{said}\n"
                "Set CC to another one, or unset CC, CFLAGS and CPPFLAGS."
            ) from None
        known = [flag for flag in (*FAST, *EXACT) if _knows(command, flag)]
    for flag in REQUIRED:
        if flag not in known:
            raise RuntimeError(
                f"{shlex.join(compiler)} does not know {flag}, and without it the learner would "
                "compute other bits than on other machines: build with gcc or clang (CC=gcc)."
            )
    return known


def _compile(command: Sequence[str]) -> str:
    """Run a compiler. Return its warnings."""
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stderr


def _knows(command: Sequence[str], flag: str) -> bool:
    """Return whether a compiler takes a flag without saying that it ignores it."""
    try:
        said = _compile([*command, flag])
    except subprocess.CalledProcessError:
        return False
    # clang also names a flag that overrides another one, which is what it is for.
    return not any(flag in line and "overrid" not in line for line in said.splitlines())


def declarations(header: str) -> str:
    """Return the part of a header's text that cffi may parse.

    Raises ValueError if a marker line is missing or repeated.
    """
    for marker in (BEGIN, END):
        if header.count(marker) != 1:
            raise ValueError(f"the header must hold the line {marker!r} exactly once")
    return header.split(BEGIN)[1].split(END)[0]


def choices(tables: str) -> str:
    """Return the module with the names of every list of choices in ``csrc/nbt_tables.h``.

    Raises ValueError if a list is missing.
    """
    lines = [
        '"""The choices of csrc/nbt_tables.h in the order of their numbers; made by the build."""',
        "",
        "from typing import Any, Literal, get_args",
        "",
    ]
    found = {}
    for field in ("cell", "estimator", "norm", "filter", "link"):
        rows = re.search(rf"#define NBT_{field.upper()}_LIST\(X\)((?:.*\\\n)+.*\n)", tables)
        names = re.findall(r"\bX\(\w+, (\w+)", rows[1]) if rows else []
        if not names:
            raise ValueError(f"nbt_tables.h has no names in NBT_{field.upper()}_LIST")
        found[field] = field.capitalize()
        lines.append(f"{found[field]} = Literal[{', '.join(map(json.dumps, names))}]")
    lines += ["", "CHOICES: dict[str, tuple[Any, ...]] = {"]
    lines += [f'    "{field}": get_args({name}),' for field, name in found.items()]
    return "\n".join([*lines, "}", ""])


def builder() -> FFI:
    """Return the cffi builder of the extension module, and write the module of the choices.

    Errors: those of ``declarations`` and ``choices``.
    """
    CHOICES.write_text(choices((SOURCES / "nbt_tables.h").read_text("utf-8")), encoding="utf-8")
    ffi = FFI()
    headers = [SOURCES / "nbt.h", *(path.with_suffix(".h") for path in CALLS)]
    for header in headers:
        ffi.cdef(declarations(header.read_text(encoding="utf-8")))
    ffi.set_source(
        "nbt_embed._kernel",
        "\n".join(f'#include "{header.name}"' for header in headers),
        sources=sorted(path.as_posix() for path in [*SOURCES.glob("*.c"), *CALLS]),
        include_dirs=[SOURCES.as_posix(), OWN.as_posix()],
        define_macros=[("NBT_LANES", str(LANES)), ("NBT_DISPATCH", "1")],
        libraries=["m"],
        py_limited_api=True,
    )
    return ffi
