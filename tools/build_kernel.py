"""Build recipe of ``nbt_embed._kernel``: the C kernel behind cffi in API mode.

setuptools runs this file through ``cffi_modules`` in ``setup.py``. The declarations that Python
sees are cut from ``csrc/nbt.h`` and ``kernel_calls.h``, between their two marker lines, so a
header is the only place where they are written. cffi releases the GIL around every call.
"""

from pathlib import Path

from cffi import FFI

# setuptools wants source paths relative to the project, and runs with the project as directory.
SOURCES = Path("csrc")
CALLS = Path("tools", "kernel_calls.c")  # what Python calls for one sample
BEGIN = "/* <declarations> */"
END = "/* </declarations> */"

# Rows that one vector instruction may work on; any value gives the same bits.
LANES = 16

COMPILE_ARGS = [
    # -O3 unrolls the short loops over lanes one by one: ten times the code, and no faster.
    "-O2",
    "-ftree-vectorize",
    "-fvect-cost-model=dynamic",
    "-g0",  # debugging information of loops for every case takes as long as their code
    "-ffp-contract=off",  # a fused multiply-add rounds once where other targets round twice
    "-fno-math-errno",  # lets sqrtf be one instruction
    # Python's own flags say -fwrapv or, since 3.13, -fno-strict-overflow: gcc then vectorises less.
    "-fno-wrapv",
    "-fstrict-overflow",
]


def declarations(header: str) -> str:
    """Return the part of a header's text that cffi may parse.

    Raises ValueError if a marker line is missing or repeated.
    """
    for marker in (BEGIN, END):
        if header.count(marker) != 1:
            raise ValueError(f"the header must hold the line {marker!r} exactly once")
    return header.split(BEGIN)[1].split(END)[0]


def builder() -> FFI:
    """Return the cffi builder of the extension module. Errors: those of ``declarations``."""
    ffi = FFI()
    headers = [SOURCES / "nbt.h", CALLS.with_suffix(".h")]
    for header in headers:
        ffi.cdef(declarations(header.read_text(encoding="utf-8")))
    ffi.set_source(
        "nbt_embed._kernel",
        "\n".join(f'#include "{header.name}"' for header in headers),
        sources=sorted(path.as_posix() for path in [*SOURCES.glob("*.c"), CALLS]),
        depends=sorted(
            path.as_posix() for path in [*SOURCES.glob("*.h"), *SOURCES.glob("*.inc"), headers[-1]]
        ),
        include_dirs=[SOURCES.as_posix(), CALLS.parent.as_posix()],
        define_macros=[("NBT_LANES", str(LANES)), ("NBT_DISPATCH", "1")],
        extra_compile_args=COMPILE_ARGS,
        py_limited_api=True,
    )
    return ffi


ffibuilder = builder()
