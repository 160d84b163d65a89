"""Which fields of a live stream are inputs and targets: the first row decides."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nbt_embed.app import times
from nbt_embed.app.numerals import is_missing, is_number
from nbt_embed.arrays import Float32Array, Float64Array
from nbt_embed.errors import StreamError, shown, similar
from nbt_embed.live import moments
from nbt_embed.live.arrivals import Arrivals
from nbt_embed.live.moments import Moments, is_sure
from nbt_embed.live.options import SourceOptions
from nbt_embed.live.remarks import Remark

_LISTED = 20  # names that a message lists
_LONGEST = 80  # characters per name
_INDEX = ("column 1", "Unnamed: 0")  # first column without a name, as pandas writes its index
_COUNTING = re.compile(
    r"(?:^|[^a-z])(?:n|i|k|index|idx|id|no|nr|rows?|rec|records?|seq|sequence|samples?|steps?"
    r"|ticks?|uptime|packet|line|entry)(?:[^a-z]|$)"
)


@dataclass(frozen=True, eq=False)
class Rows:
    """Parsed rows.

    Attributes:
        time: (n,) seconds, NaN where there is none.
        table: (n, columns) the columns of a layout, then the class number if there is one.
    """

    time: Float64Array
    table: Float32Array


@dataclass(frozen=True)
class Layout:
    """The roles of fields.

    Attributes:
        columns: names of the fields that are read as numbers.
        coded: name of the field that is read as a class, or None.
        inputs, targets: indices in ``columns``; the class has the index after the last one.
        classes: their names, or None.
        moments: the time, or None.
    """

    columns: tuple[str, ...]
    coded: str | None
    inputs: tuple[int, ...]
    targets: tuple[int, ...]
    classes: tuple[str, ...] | None
    moments: Moments | None

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return tuple(self.columns[i] for i in self.inputs)

    @property
    def target_names(self) -> tuple[str, ...]:
        """Names of the targets."""
        return tuple((*self.columns, self.coded or "")[i] for i in self.targets)

    @property
    def anchor(self) -> tuple[int | None, ...]:
        """For each target the index of the input of the same column."""
        return tuple(self.inputs.index(i) if i in self.inputs else None for i in self.targets)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of all fields that are read."""
        times = () if self.moments is None else self.moments.fields
        coded = () if self.coded is None else (self.coded,)
        return tuple(dict.fromkeys((*self.columns, *coded, *times)))

    def at(self, moments: Moments | None) -> Layout:
        """Return the layout with this time."""
        return replace(self, moments=moments)

    def arrivals(
        self, rows: Rows, position: object = None, remarks: tuple[Remark, ...] = ()
    ) -> Arrivals:
        """Return rows as a source's arrivals."""
        return Arrivals(
            rows.time,
            np.ascontiguousarray(rows.table[:, self.inputs]),
            np.ascontiguousarray(rows.table[:, self.targets]),
            position,
            remarks,
        )


def decide(
    title: str,
    names: Sequence[str],
    cells: Sequence[str],
    options: SourceOptions,
    notes: list[str],
    more: Sequence[Sequence[str]] = (),
) -> Layout:
    """Return the layout of a stream.

    Args:
        title: name of the stream in messages.
        names: of its fields.
        cells: of the first row, as texts; empty where missing.
        options: replace recognition.
        notes: receives sentences about fields that are left out.
        more: cells of the next rows, as many as the time needs (``moments.asks``).

    Errors: StreamError names the field and the remedy.
    """
    options = replace(
        options,
        inputs=_expanded(options.inputs, names),
        targets=_expanded(options.targets, names),
    )
    for role, said in (("inputs", options.inputs), ("targets", options.targets)):
        if said is not None and (not said or len(set(said)) < len(said)):
            raise StreamError(
                f"{title}: {role} {', '.join(said) or 'are none'}: name at least one field, each "
                "once"
            )
        for name in said or ():
            _check_there(title, name, names)
    first = dict(zip(names, cells, strict=True))
    time = moments.find(title, names, cells, options, more, notes)
    coded = _coded(title, options)
    targets = options.targets
    if targets is None and not options.targets_as_inputs:
        raise StreamError(
            f"{title}: name the targets (--targets): the inputs must not contain the targets of "
            f"the same row; there are {_listed(names)}"
        )
    inputs = options.inputs or _numbers(title, first, time, options, notes)
    if options.inputs is None and not options.targets_as_inputs:
        inputs = tuple(name for name in inputs if name not in (targets or ()))
        if not inputs:
            raise StreamError(
                f"{title}: no input is left apart from the targets {_listed(targets or ())}: name "
                "fewer targets (--targets), or the inputs (--inputs)"
            )
    if targets is None:
        targets = inputs
    numbers = tuple(dict.fromkeys((*inputs, *(() if coded else targets))))
    for name in numbers:
        if not (is_number(first[name]) or is_missing(first[name]) or _said(first[name], options)):
            remedy = (
                "name its classes (--classes), or another target"
                if name not in inputs
                else "name inputs that are numbers"
            )
            raise StreamError(
                f"{title}: field {shown(name)} holds {first[name][:40]!r} in the first row, which "
                f"is not a number: {remedy}"
            )
    places = {name: i for i, name in enumerate(numbers)}
    return Layout(
        numbers,
        coded,
        tuple(places[name] for name in inputs),
        (len(numbers),) if coded else tuple(places[name] for name in targets),
        options.classes if coded else None,
        time,
    )


def _expanded(said: tuple[str, ...] | None, names: Sequence[str]) -> tuple[str, ...] | None:
    """Replace the name of an array or object by the names of all its fields."""
    if said is None:
        return None
    found: list[str] = []
    for name in said:
        parts = [one for one in names if one.startswith(f"{name}.")] if name not in names else []
        found += parts or [name]
    return tuple(found)


def _coded(title: str, options: SourceOptions) -> str | None:
    """Return the field of the classes."""
    if options.classes is None:
        return None
    if options.targets is None or len(options.targets) != 1:
        raise StreamError(
            f"{title}: classes {_listed(options.classes)} belong to one target: name it (--targets)"
        )
    return options.targets[0]


def _check_there(title: str, name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise StreamError(
            f"{title}: no field {shown(name)}: {similar(name, names)}there are {_listed(names)}"
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(name[:_LONGEST] for name in names[:_LISTED]) + more


def _said(cell: str, options: SourceOptions) -> bool:
    """Return whether a cell is one of the given spellings of a missing value."""
    return cell.strip() in [text.strip() for text in options.missing]


def _numbers(
    title: str,
    first: dict[str, str],
    time: Moments | None,
    options: SourceOptions,
    notes: list[str],
) -> tuple[str, ...]:
    """Return the default inputs: fields of numbers that are neither times nor row counters."""
    found, counters, left = [], [], []
    wanted = set(options.targets or ())
    for name, cell in first.items():
        if time is not None and name in time.fields:
            continue
        if not (is_number(cell) or is_missing(cell) or _said(cell, options)):
            if name not in wanted:
                left.append(f"field {shown(name)} is left out: it holds a text ({cell[:40]!r})")
        elif name not in wanted and _counts(name, cell):
            counters.append(name)
        else:
            found.append(name)
    if not found:
        found, counters = counters, []
    if not found:
        raise StreamError(
            f"{title}: no field holds a number in the first row ({'; '.join(left[:3]) or 'none'}): "
            "name the fields (--inputs), or the format of the text (--delimiter, --decimal)"
        )
    left += [
        f"field {shown(name)} is left out: its name suggests a counter of rows or time; name it "
        "with "
        "--inputs if it is a sensor"
        for name in counters
    ]
    notes += left
    return tuple(found)


def _counts(name: str, cell: str) -> bool:
    """Return whether a field is another time or a row counter, by its name and first value."""
    if is_sure(name) or (times.named_time(name) and times.is_nanoseconds([cell])):
        return True
    if name in _INDEX:
        return cell.isdigit()
    return cell.isdigit() and times.counts(name) and _COUNTING.search(name.lower()) is not None
