"""JSON objects as rows: fields by their dotted names, in any order, some of them missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from nbt_embed.app.objects import MOST, text_of
from nbt_embed.live.layout import Layout, Rows
from nbt_embed.live.values import Classes, Values

EMPTY_ARRAYS = "empty arrays"
_ABSENT = object()


def lookup(record: dict[str, Any], name: str) -> Any:
    """Return the field of a dotted name, or a marker of absence."""
    if name in record:
        return record[name]
    for end in (i for i, sign in enumerate(name) if sign == "."):
        inner = record.get(name[:end], _ABSENT)
        if isinstance(inner, list):
            inner = {str(i): one for i, one in enumerate(inner)}
        if isinstance(inner, dict):
            found = lookup(inner, name[end + 1 :])
            if found is not _ABSENT:
                return found
    return _ABSENT


class RecordRows:
    """Converts objects to rows.

    Args: layout, of their fields; known, the top-level fields of the first object; values, classes
    and counts as of ``TableRows``.
    """

    def __init__(
        self,
        layout: Layout,
        known: Sequence[str],
        values: Values,
        classes: Classes | None,
        counts: Counter[str],
    ) -> None:
        self._layout, self._values, self._classes, self._counts = layout, values, classes, counts
        self._known = set(known)
        self._fields = layout.fields
        self._get: Any = itemgetter(*self._fields)
        self._roots = {
            name[:end]
            for name in self._fields
            for end in (len(name), *(i for i, sign in enumerate(name) if sign == "."))
        }
        if len(self._fields) == 1:
            only = self._fields[0]
            self._get = lambda record: (record[only],)

    def concerns(self, record: dict[str, Any]) -> bool:
        """Return whether an object has any of the fields."""
        return not self._roots.isdisjoint(record)

    def rows(self, records: Sequence[dict[str, Any]]) -> Rows:
        """Return one row per object."""
        found = [self._cells(record) for record in records]
        columns = dict(zip(self._fields, zip(*found, strict=True), strict=True)) if found else {}
        layout, count = self._layout, len(found)
        numbers = np.empty((count, len(layout.columns)), np.float64)
        for place, name in enumerate(layout.columns):
            if count:
                numbers[:, place] = self._numbers(name, columns[name])
        table = self._values.checked(numbers, layout.columns)
        if layout.coded is not None:
            assert self._classes is not None
            codes = self._classes.codes(map(_plain, columns.get(layout.coded, ())))
            table = np.column_stack([table, np.array(codes, np.float32)])
        if layout.moments is None:
            return Rows(np.full(count, np.nan), table)
        parts = [
            [text_of(_plain(one)) for one in columns.get(name, ())]
            for name in layout.moments.fields
        ]
        texts = (
            parts[0] if len(parts) == 1 else [" ".join(pair) for pair in zip(*parts, strict=True)]
        )
        return Rows(layout.moments.seconds(texts, self._values), table)

    def _cells(self, record: dict[str, Any]) -> tuple[Any, ...]:
        if len(record) > len(self._known):
            self._count_new(record)
        try:
            return self._get(record)  # type: ignore[no-any-return]
        except KeyError:
            self._count_new(record)
            return tuple(lookup(record, name) for name in self._fields)

    def _count_new(self, record: dict[str, Any]) -> None:
        """Count fields that the first object did not have, each once."""
        new = record.keys() - self._known
        if new and len(self._known) < MOST:
            self._known |= new
            self._counts["new fields"] += len(new)

    def _numbers(self, name: str, cells: tuple[Any, ...]) -> Any:
        if set(map(type, cells)) == {float}:
            return cells
        return [self._values.of_json(_plain(cell), name, row) for row, cell in enumerate(cells)]


def _plain(value: Any) -> Any:
    return None if value is _ABSENT else value
