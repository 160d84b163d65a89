"""A claim of the paper: how it is measured, and how the record of that becomes text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tools.learning.summary import Spread
from tools.paper.runs import Runs
from tools.sources import fingerprint

Data = dict[str, Any]
_COMMON = tuple(f"tools/paper/{name}.py" for name in ("claim", "methods", "runs", "streams"))
KERNEL = (
    "csrc/*.[ch]",
    "csrc/*.inc",
    "nbt_embed/config.py",
    "nbt_embed/learner.py",
    "tools/learning/ours.py",
    "tools/learning/tasks.py",
)


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes: name (of its record, picture and place in the page); measure (the numbers, from
    nothing); text (Markdown from the numbers alone); sources (files that decide about the numbers,
    besides the common ones).
    """

    name: str
    measure: Callable[[Runs], Data]
    text: Callable[[Data], str]
    sources: tuple[str, ...]

    @property
    def patterns(self) -> tuple[str, ...]:
        """All files that decide about the numbers."""
        return (*_COMMON, f"tools/paper/{self.name}.py", *self.sources)

    @property
    def fingerprint(self) -> str:
        """Hash of these files as they are now."""
        return fingerprint(self.patterns)


def spread(losses: Sequence[float | None]) -> Spread:
    """Median and range; a run that left the finite numbers failed."""
    return Spread.of([float("nan") if loss is None else loss for loss in losses])


def median(losses: Sequence[float | None]) -> float:
    """The median of the runs that stayed finite; nan if none did."""
    found = spread(losses).median
    return float("nan") if found is None else found


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table, numbers to the right."""
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (header, *rows)]
    return "\n".join([lines[0], "|---|" + "--:|" * (len(header) - 1), *lines[1:]])
