"""The C interface as a page: every declaration of a header under its name, with its comment."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

COMMENT = re.compile(r"/\*(.*?)\*/", re.DOTALL)
DECLARATION = re.compile(
    r"(?P<comment>^/\*(?:[^*]|\*(?!/))*\*/\n)?"
    r"(?P<code>^(?:typedef (?:enum|struct) \w+ \{.*?^\} \w+;|typedef [^;{]+;"
    r"|(?:const |static inline )?\w[\w ]* \*?nbt_\w+\([^;{]*\);))",
    re.MULTILINE | re.DOTALL,
)
# Of a macro the call is shown, and not what it becomes.
MACRO = re.compile(
    r"(?P<comment>^/\*(?:[^*]|\*(?!/))*\*/\n)?(?:^#if.*\n)?"
    r"^#define (?P<code>NBT_(?:ARENA|(?:\w+_)?BYTES)\([^)]*\))",
    re.MULTILINE,
)
BODY = re.compile(r"\} (\w+);\Z")
CALL = re.compile(r"(\w+)\)?\(")
LAST = re.compile(r"(\w+);\Z")
PART = re.compile(r"^(Arguments|Returns|Errors|Cost): ?", re.MULTILINE)


def prose(comment: str) -> str:
    """The text of a C comment as Markdown: its parts as paragraphs, code lines as blocks."""
    plain = re.sub(r" ?---- (.*?) -+", r"\1.", COMMENT.sub(r"\1", comment))
    lines = [re.sub(r"^ ?\* ?", "", line) for line in plain.splitlines()]
    text = textwrap.dedent("\n".join(lines)).strip()
    text = re.sub(r"^Purpose: (.)", lambda match: match[1].upper(), text)
    text = PART.sub(r"\n**\1.** ", text)
    text = re.sub(r"(?<=\S) (Errors|Returns|Cost): ", r"\n\n**\1.** ", text)
    if not text:
        return ""
    blocks = []
    for block in re.split(r"\n\s*\n", text):
        code = all(line.startswith("    ") for line in block.splitlines())
        body = textwrap.dedent(block) if code else " ".join(block.split())
        blocks.append(f"```c\n{body}\n```" if code else literal(body))
    return "\n\n".join(blocks).strip()


def literal(text: str) -> str:
    """Text whose characters Markdown would take for marks; bold parts stay."""
    escaped = re.sub(r"(?<!\*)\*(?!\*)|[_<\[]", lambda match: "\\" + match[0], text)
    return re.sub(
        r"\b(nbt\\_\w+(?:\\_\w+)*(?:\.[ch]\b)?|NBT(?:\\_\w+)+(?:\\_\\\*)?)", unescaped, escaped
    )


def unescaped(match: re.Match[str]) -> str:
    """A name of the interface, set as code."""
    return "`" + match[0].replace("\\", "") + "`"


def declarations(header: str) -> Iterator[tuple[str, str, str]]:
    """Name, comment and code of every type, function-like macro and function, in their order."""
    found = sorted(
        [*DECLARATION.finditer(header), *MACRO.finditer(header)], key=lambda match: match.start()
    )
    seen = set()
    for match in found:
        code = match["code"]
        named = (BODY if code.endswith(";") and "}" in code else CALL).search(code) or LAST.search(
            code
        )
        assert named is not None, code
        name = named[1]
        if name not in seen:  # the header has some macros once for each compiler
            yield name, match["comment"] or "", re.sub(r" *\\\n", "\n", match["code"]).rstrip()
        seen.add(name)


def page(header: str) -> str:
    """The declarations of a header, each with a heading that can be linked to."""
    parts = [prose(header[: header.index("*/") + 2])]
    for name, comment, code in declarations(header):
        parts += [f"## `{name}`", prose(comment), f"```c\n{code}\n```"]
    return "\n\n".join(part for part in parts if part) + "\n"
