"""Words of our own that a reader from outside cannot know: ``make lint`` finds them.

Each pattern has the plain English that replaces it. Checked are the documents, the public headers,
and every comment, docstring and message of kernel, package, examples and tools. The change log of
released versions is history and is left out.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from tools.sources import ROOT, tracked

INSTEAD: dict[str, str] = {
    r"bars?(?! charts?)": "target, limit",
    r"not met": "below the target: give both figures",
    r"the first plan": "the alternative that was rejected",
    r"asked for is": "the target is",
    r"as far as it goes": "the limit, as a number",
    r"out of reach": "what was measured",
    r"hoped for": "the target",
    r"anew": "again",
    r"for good": "permanently",
    r"beside": "compared with, next to, in addition to",
    r"open(?:s|ed|ing)? again": "resets, reset",
    r"shout\w*": "outlier",
    r"st(?:and|ands|anding|ood) still": "stuck (of a channel), fixed (of units)",
    r"earn(?:s|ed|ing)?": "contributes, gains",
    r"what (?:learns|earns) what": "what each part contributes",
    r"sensors? that lies?": "sensor faults",
    r"at the desk": "offline, on recordings",
    r"from the desk": "offline, on recordings",
    r"unheard of": "unprecedented",
    r"looked at by somebody": "inspected",
    r"somebody has looked at": "inspected",
    r"no number that cannot be": "no NaN, infinity or value outside its range",
    r"numbers? that cannot be": "NaN, infinite or outside the valid range",
    r"nobody reads": "broken pipe",
    r"yardstick": "reference",
}
PATTERN = re.compile("|".join(rf"(?P<_{i}>\b{one}\b)" for i, one in enumerate(INSTEAD)), re.I)

CHECKED = (
    "*.md",
    "*.py",
    "*.c",
    "*.h",
    "*.inc",
    "*.j2",
    "*.js",
    "*.toml",
    "*.yml",
    "*.ipynb",
    "Makefile",
)
LEFT_OUT = ("tools/vocabulary.py", "tests/test_vocabulary.py")
RELEASED = re.compile(r"^## \[?\d", re.MULTILINE)


class Finding(NamedTuple):
    """A word of our own and where it stands."""

    path: str
    line: int
    word: str
    instead: str


def findings(path: str, text: str) -> Iterator[Finding]:
    """The words of one file that ``INSTEAD`` replaces."""
    if path == "CHANGELOG.md":
        text = RELEASED.split(text)[0]
    for number, line in enumerate(text.splitlines(), 1):
        for match in PATTERN.finditer(line):
            assert match.lastgroup is not None
            if path.startswith("nbt_embed/") and match[0].lower() in ("bar", "bars"):
                continue  # of progress and of pictures
            instead = list(INSTEAD.values())[int(match.lastgroup[1:])]
            yield Finding(path, number, match[0], instead)


def main() -> int:
    """Print every finding as ``file:line: word: use ...``; 1 if there is any."""
    found = [
        one
        for path in tracked(*(sys.argv[1:] or CHECKED))
        if path not in LEFT_OUT
        for one in findings(path, (ROOT / path).read_text(encoding="utf-8"))
    ]
    for one in found:
        print(f"{one.path}:{one.line}: {one.word!r}: write {one.instead}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
