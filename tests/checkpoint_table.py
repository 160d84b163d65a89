"""Where things stand in the header of a checkpoint, as docs/reference/checkpoint.md says it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from compiled import ROOT

TEXT = (ROOT / "docs/reference/checkpoint.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Row:
    """A line of the table: offset, bytes, content."""

    offset: int
    size: int
    content: str

    @property
    def names(self) -> list[str]:
        """What stands there, one after the other: words of a config, or counters of 8 bytes."""
        listed = self.content.rpartition(": ")[2]
        return re.findall(r"[a-z_]+", re.sub(r"\([^)]*\)|8 bytes each", "", listed))


ROWS = [
    Row(int(offset), int(size), content)
    for offset, size, content in re.findall(
        r"^\| (\d+) \| (\d+) \| (.*) \|$", TEXT.partition("\n## Payload")[0], re.MULTILINE
    )
]
(VERSION,) = re.findall(r"^# Checkpoint format, version 1\.(\d+)$", TEXT, re.MULTILINE)
MINOR = int(VERSION)
PAYLOAD = ROWS[-1].offset + ROWS[-1].size


def place(field: str) -> int:
    """Return the offset of a field of nbt_config."""
    (found,) = (
        row.offset + row.size // len(row.names) * row.names.index(field)
        for row in ROWS
        if row.content.startswith("config") and field in row.names
    )
    return found


def counters() -> list[tuple[int, str]]:
    """Return the offset and the name of every counter."""
    return [
        (row.offset + 8 * i, name)
        for row in ROWS
        if row.content.startswith("counters")
        for i, name in enumerate(row.names)
    ]
