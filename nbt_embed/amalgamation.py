"""The kernel as two files, ``nbt.c`` and ``nbt.h``, for builds that want nothing else.

Headers are put in where they are first included, then the C files one after the other; ``nbt.h``
stays a file of its own, with the tables that it includes. The result compiles as C99 and as C++,
and gives the bits of the separate files: names are unique across the kernel, and the order of the
files means nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

PUBLIC = "nbt.h"
# Parts that only the host's dispatch at run time compiles (NBT_DISPATCH).
HOST_ONLY = "nbt_avx*.c"

_INCLUDE = re.compile(r'#\s*include\s+"([^"]+)"')
_OPENING = re.compile(r"#\s*if")
_CLOSING = re.compile(r"#\s*endif")
# Reads of a layout's member and of a setting, and the files in which they stay.
_MEMBER = re.compile(r"(\bl|\(l\))(->|\.)(?!config\b|floats\b|m\b)(\w+)")
_SETTING = re.compile(r"((?:(?:\b\w+|\(l\))->)?\bconfig)(->|\.)(?!seed\b)([a-z]\w+)")
_GENERAL = frozenset({"nbt.h", "nbt_tables.h", "nbt_build.h", "nbt_fixed.h"})
_ANY_SETTINGS = _GENERAL | {"nbt_config.c"}  # asks whether they are the model's
_GUARD = re.compile(r"^#ifndef (\w+)\n#define \1$", re.MULTILINE)

# GCC contracts unless told otherwise, and not every build system gives a library flags of its own.
PREAMBLE = """\
/* A multiplication and an addition in one instruction would give other bits than Python's. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
/* With constant sizes some versions take a loop that has no rounds for an endless one. */
#pragma GCC diagnostic ignored "-Waggressive-loop-optimizations"
#endif
#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wmissing-braces" /* {0} is C's way to clear a structure */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#endif
"""


@dataclass(frozen=True)
class Amalgamation:
    """Text of ``nbt.h`` and of ``nbt.c``."""

    header: str
    source: str


def kernel_folder() -> Path:
    """Where the kernel's sources are: inside an installed package, next to it in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "csrc"
    return installed if installed.is_dir() else package.parent / "csrc"


def source_names(folder: Path) -> list[str]:
    """The C files of the kernel without those that only a host compiles, in order."""
    names = sorted(path.name for path in folder.glob("*.c"))
    return [name for name in names if not fnmatch(name, HOST_ONLY)]


def amalgamate(
    title: str, options: str = "", folder: Path | None = None, *, fixed: bool = False
) -> Amalgamation:
    """Join the kernel.

    Args:
        title: first line of ``nbt.c``, without the marks of a comment.
        options: preprocessor lines that shape the kernel; they come before everything else.
        folder: where the sources are; None: those of this package.
        fixed: read sizes and settings as constants (csrc/nbt_fixed.h), which options then define.

    Errors: OSError. Cost: reads some fifty small files; those of this package once in a process.
    """
    header, body = _own(fixed) if folder is None else _joined(folder, fixed)
    opening = f"/* {title} */\n{options}" + ("\n" if options else "")
    return Amalgamation(header, f'{opening}{PREAMBLE}\n#include "{PUBLIC}"\n{body}')


@cache
def _own(fixed: bool) -> tuple[str, str]:
    return _joined(kernel_folder(), fixed)


def _joined(folder: Path, fixed: bool) -> tuple[str, str]:
    """Text of ``nbt.h``, and of the C files with the other headers."""
    joiner = _Joiner(folder, fixed)
    header = joiner.public_header()
    return header, "".join(joiner.text_of(name) for name in source_names(folder))


class _Joiner:
    """Puts in every header once, where it is first included without a condition."""

    def __init__(self, folder: Path, fixed: bool) -> None:
        self._folder = folder
        self._fixed = fixed
        self._done = {PUBLIC}

    def public_header(self) -> str:
        """``nbt.h`` with the headers of the kernel that it includes, in a file of its own."""
        return self.text_of(PUBLIC).removeprefix(_title(PUBLIC))

    def text_of(self, name: str) -> str:
        """The file with what it includes."""
        text = (self._folder / name).read_text(encoding="utf-8")
        if self._fixed and name not in _ANY_SETTINGS:
            text = _with_settings(text)
        if self._fixed and name not in _GENERAL:
            text = _with_sizes(text)
        guarded = _GUARD.search(text) is not None
        depth = -1 if guarded else 0  # the guard of a header is no condition
        lines = [_title(name)]
        for line in text.splitlines(keepends=True):
            include = _INCLUDE.match(line)
            if include is None:
                depth += (_OPENING.match(line) is not None) - (_CLOSING.match(line) is not None)
                lines.append(line)
            elif include[1] not in self._done:
                lines.append(self._included(include[1], conditional=depth > 0))
        return "".join(lines)

    def _included(self, name: str, conditional: bool) -> str:
        """A header behind a condition may be needed again elsewhere, as may one without a guard."""
        text = self.text_of(name)
        if not conditional and _GUARD.search(text) is not None:
            self._done.add(name)
        return text


def _with_settings(text: str) -> str:
    """``l->config->gate`` as ``nbt_setting_gate(l->config)``."""
    return _SETTING.sub(lambda read: f"nbt_setting_{read[3]}({_pointer(read[1], read[2])})", text)


def _with_sizes(text: str) -> str:
    """``l->H`` as ``nbt_fixed_H(l)``, and so for arrays."""
    return _MEMBER.sub(lambda read: f"nbt_fixed_{read[3]}({_pointer(read[1], read[2])})", text)


def _pointer(name: str, access: str) -> str:
    return name if access == "->" else f"&{name}"


def _title(name: str) -> str:
    return f"\n/* ---- {name} ---- */\n"
