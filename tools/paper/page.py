"""docs/evidence/paper.md: its tables, written from its records."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tools.document import put
from tools.paper.claim import Claim
from tools.paper.record import Record


def write(document: Path, claims: Iterable[Claim]) -> None:
    """Put the tables of every claim between its markers, and the origin of all numbers."""
    folder = document.with_suffix("")
    records = {}
    for claim in claims:
        record = records[claim.name] = Record.load(folder / f"{claim.name}.json")
        put(document, claim.name, claim.text(record.data), fenced=False)
    put(document, "origin", origin(records), fenced=False)


def origin(records: dict[str, Record]) -> str:
    """Which versions made which records, and how long that took."""
    makers: dict[str, list[str]] = {}
    for name, record in records.items():
        who = record.made_by
        maker = (
            f"nbt_embed {who['nbt_embed']} ({who['commit']}), Python {who['python']}, NumPy "
            f"{who['numpy']}; {who['processor']}, {who['processors']} processors"
        )
        makers.setdefault(maker, []).append(name)
    rows = [
        f"* {', '.join(names)}: {maker}; {_time([records[name] for name in names])}"
        for maker, names in makers.items()
    ]
    return "\n".join([*rows, f"* in total: {_time(list(records.values()))}"])


def _time(records: list[Record]) -> str:
    seconds, work = sum(one.seconds for one in records), sum(one.work for one in records)
    return f"{seconds:.0f} s of wall time, {work:.0f} s of processor time"
