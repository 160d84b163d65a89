"""Which columns are inputs and targets, and why the others are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from nbt_embed.app import markers
from nbt_embed.app.columns import CLASSES, ONE_HOT, NumberColumn, TextColumn
from nbt_embed.app.options import ReadOptions
from nbt_embed.app.recording import Channel
from nbt_embed.app.spool import Spool
from nbt_embed.app.times import counts, looks_like_date
from nbt_embed.arrays import VALUE_LIMIT, Float32Array
from nbt_embed.errors import StreamError, similar

LINKS = ("gaussian", "bernoulli", "categorical")
_SLIPS = 3  # most cells that are not numbers in a column of numbers
_NAMED = 3  # constant columns that a note names
Column = NumberColumn | TextColumn


@dataclass(frozen=True, eq=False)
class Columns:
    """All columns of a recording.

    Attributes:
        title: of the recording.
        names: of the columns; an unnamed column has its number.
        unnamed: which have no name.
        facts: about each column.
        times: which are the time, or another time.
        rows: their number.
        words: (row, column) -> file, line, column and cell.
        short: (row, column) -> line and cell.
    """

    title: str
    names: tuple[str, ...]
    unnamed: frozenset[int]
    facts: Sequence[Column]
    times: frozenset[int]
    rows: int
    words: Callable[[int, int], str]
    short: Callable[[int, int], str]

    def find(self, name: str) -> int:
        """Return the number of a column. Errors: StreamError."""
        if name not in self.names:
            raise StreamError(
                f"{self.title}: no column {name!r}: {similar(name, self.names)}it has "
                f"{', '.join(self.names)}"
            )
        return self.names.index(name)


@dataclass(frozen=True, eq=False)
class Roles:
    """Inputs and targets, the class names of the class target, and the anchor."""

    inputs: tuple[Channel, ...]
    targets: tuple[Channel, ...]
    classes: tuple[str, ...] | None
    anchor: tuple[int | None, ...] | None


def roles(columns: Columns, options: ReadOptions, spool: Spool, notes: list[str]) -> Roles:
    """Decide the role of every column. Errors: StreamError."""
    if options.link not in (None, *LINKS):
        raise StreamError(f"link {options.link!r}: name one of {', '.join(LINKS)}")
    for role, names in (("inputs", options.inputs), ("targets", options.targets)):
        if names is not None and (not names or len(set(names)) != len(names)):
            raise StreamError(
                f"{columns.title}: {role} {', '.join(names) or 'are none'}: name at least one "
                "column, each once"
            )
    if options.targets is None and not options.targets_as_inputs:
        raise StreamError(
            f"{columns.title}: name the targets (--targets): the inputs must not contain the "
            f"targets of the same row; it has {', '.join(columns.names)}"
        )
    said = {columns.find(name) for name in (*(options.inputs or ()), *(options.targets or ()))}
    default: list[int] = []
    if options.inputs is None or options.targets is None:
        default = _default(columns, said, options, notes)
    inputs = default if options.inputs is None else [columns.find(name) for name in options.inputs]
    targets = inputs if options.targets is None else [columns.find(n) for n in options.targets]
    if options.inputs is None and not options.targets_as_inputs:
        inputs = [i for i in inputs if i not in targets]
        if not inputs:
            raise StreamError(
                f"{columns.title}: no input is left apart from the targets "
                f"{', '.join(columns.names[i] for i in targets)}: name fewer targets (--targets), "
                "or the inputs (--inputs)"
            )
    channels = tuple([one for i in inputs for one in _input(columns, i)])
    outputs, classes = _targets(columns, targets, options, spool, notes)
    numbers = outputs if classes is None else ()
    _note_numbers(columns, dict.fromkeys(one.column for one in (*channels, *numbers)), notes)
    return Roles(channels, outputs, classes, _anchor(columns, channels, outputs, classes))


def _default(columns: Columns, said: set[int], options: ReadOptions, notes: list[str]) -> list[int]:
    """Return the default input columns."""
    usable, counters, left = [], [], []
    for i, (name, facts) in enumerate(zip(columns.names, columns.facts, strict=True)):
        if i in columns.times:
            continue
        reason = _problem(columns, i, columns.short)
        if isinstance(facts, TextColumn):
            if i in said:  # a class target
                continue
            if facts.filled or i not in columns.unnamed:
                left.append((name, reason or _texts(columns, i)))
        elif facts.filled == 0 and i in columns.unnamed:
            continue  # a delimiter at the end of every line
        elif options.inputs is None and (slips := _slips(columns, i)):
            raise StreamError(slips)
        elif reason and not (facts.beyond is not None and facts.text is None):
            left.append((name, reason))
        elif i not in said and (
            facts.is_counter(columns.rows)
            or (facts.is_even(columns.rows) and counts("" if i in columns.unnamed else name))
        ):
            counters.append(i)
        else:
            _check(columns, i)
            usable.append(i)
    if not usable and counters and options.targets is None:
        usable, counters = counters, []
        names = ", ".join(repr(columns.names[i]) for i in usable)
        notes.append(
            f"column {names} only counts rows, and it is the only one" if len(usable) == 1 else
            f"columns {names} only count rows, and there are no others"
        )  # fmt: skip
    for i in counters:
        facts = columns.facts[i]
        assert isinstance(facts, NumberColumn)
        left.append((columns.names[i], _counted(columns.names[i], facts)))
    if not usable:
        reasons = "; ".join(f"column {name!r}: {reason}" for name, reason in left)
        if columns.times:
            reasons = "; ".join(filter(None, [reasons, "the time is an input only if it is named"]))
        raise StreamError(
            f"{columns.title}: no column of numbers is left ({reasons or 'all are empty'}): "
            "correct the cells, declare missing values with --missing, or name what was not "
            "recognised (--skip, --delimiter, --quote)"
        )
    notes += [f"column {name!r} is left out: {reason}" for name, reason in left]
    return usable


def _counted(name: str, facts: NumberColumn) -> str:
    """Return the reason why a column with equal steps is not an input."""
    if facts.counter:
        return "it numbers the rows"
    return (
        f"it rises by {facts.slope:g} in every row, like a row counter; name it with --inputs if "
        "it is "
        f"a sensor, with --time {name!r} if it is the time"
    )


def _slips(columns: Columns, i: int) -> str | None:
    """Return the fault of a column of numbers with a few other cells, or None."""
    facts = columns.facts[i]
    if not isinstance(facts, NumberColumn) or facts.text is None:
        return None
    if facts.texts > min(_SLIPS, facts.filled - 1):
        return None
    many = "1 cell" if facts.texts == 1 else f"{facts.texts} cells"
    return (
        f"{columns.words(facts.text[0], i)}, which is not a number, as {many} of "
        f"{facts.filled + facts.texts} in this column: correct or remove the line, declare the "
        f"cell as missing (--missing {facts.text[1]!r}), or name the columns to use (--inputs)"
    )


def _texts(columns: Columns, i: int) -> str:
    """Return the reason why a column of texts is not an input."""
    facts = columns.facts[i]
    assert isinstance(facts, TextColumn)
    if not facts.filled or facts.first is None:
        return "no row holds a value"
    where = columns.short(facts.first[0], i)
    if facts.many or len(facts.codes) > ONE_HOT:
        time = f"; {_as_time(columns.names[i])}" if looks_like_date(facts.first[1]) else ""
        return f"it holds many different texts ({where}){time}"
    held = "one text" if len(facts.codes) == 1 else f"{len(facts.codes)} different texts"
    if looks_like_date(facts.first[1]):
        return f"it holds {held} ({where}); {_as_time(columns.names[i])}"
    return (
        f"it holds {held} ({where}); name it with --inputs to have an input for each, or with "
        "--targets to learn it as classes"
    )


def _as_time(name: str) -> str:
    """Return the remedy for texts that look like dates."""
    return (
        f"if these are times, --time {name!r} --time-format FORMAT reads them, with a format such "
        "as %d/%m/%Y %H:%M"
    )


def _problem(
    columns: Columns, i: int, words: Callable[[int, int], str] | None = None
) -> str | None:
    """Return the reason why the numbers of a column cannot be used, or None."""
    words = words or columns.words
    facts = columns.facts[i]
    if facts.filled == 0 and not (isinstance(facts, NumberColumn) and facts.text):
        return "no row holds a value"
    if isinstance(facts, TextColumn):
        return None
    if facts.text is not None:
        return (
            f"{words(facts.text[0], i)}, which is not a number; correct it or declare it "
            f"as missing (--missing {facts.text[1]!r})"
        )
    if facts.beyond is not None:
        return (
            f"{words(facts.beyond, i)}, which is beyond {VALUE_LIMIT:g}, the limit of a learner's "
            "values; correct it, scale the column or declare it as missing "
            "with --missing"
        )
    return None


def _check(columns: Columns, i: int) -> None:
    """Refuse a chosen column that cannot be used."""
    problem = _problem(columns, i)
    if problem is None:
        return
    if problem.startswith("no row"):
        raise StreamError(
            f"{columns.title}: column {columns.names[i]!r}: {problem}: leave the column out"
        )
    raise StreamError(problem)


def _input(columns: Columns, i: int) -> list[Channel]:
    """Return the channels of an input column: one, or one per text."""
    facts, name = columns.facts[i], columns.names[i]
    _check(columns, i)
    if isinstance(facts, NumberColumn):
        return [Channel(name, i)]
    if facts.many or len(facts.codes) > ONE_HOT:
        assert facts.first is not None
        count = f"more than {CLASSES}" if facts.many else str(len(facts.codes))
        raise StreamError(
            f"{columns.words(facts.first[0], i)}; it has {count} different texts, and an input for "
            f"each is made for {ONE_HOT} at most: leave the column out"
        )
    return [Channel(f"{name}={text}", i, one_hot=facts.codes[text]) for text in facts.names]


def _targets(
    columns: Columns,
    targets: Sequence[int],
    options: ReadOptions,
    spool: Spool,
    notes: list[str],
) -> tuple[tuple[Channel, ...], tuple[str, ...] | None]:
    """Return the target channels, and the names of the classes."""
    for i in targets:
        _check(columns, i)
    texts = [i for i in targets if isinstance(columns.facts[i], TextColumn)]
    if options.link == "bernoulli":
        for i in targets:
            if i not in texts:
                _check_binary(columns, i, spool)
    if options.targets is None and options.link != "categorical":
        # one-hot inputs are unchanged as targets
        return tuple([one for i in targets for one in _input(columns, i)]), None
    if not texts and options.link != "categorical":
        return tuple([Channel(columns.names[i], i) for i in targets]), None
    if len(targets) > 1:
        listed = ", ".join(repr(columns.names[i]) for i in targets)
        where = "as no targets are named, the inputs are the targets: " * (options.targets is None)
        why = (
            f"--link {options.link} learns one target of classes"
            if options.link == "categorical"
            else f"target {columns.names[texts[0]]!r} holds classes"
        )
        raise StreamError(
            f"{columns.title}: {why}, and there are {len(targets)} targets ({where}{listed}): name "
            "one target of classes alone (--targets)"
        )
    i = targets[0]
    facts = columns.facts[i]
    if isinstance(facts, TextColumn):
        channels, names = _text_classes(columns, i, facts, options)
        if options.link != "bernoulli":
            return channels, names
        notes.append(f"target {columns.names[i]!r} is 0 where it is {names[0]!r}, else 1")
        return channels, None
    values = _distinct(columns, i, spool)
    classes = tuple([f"{value:g}" for value in values.tolist()])
    _check_classes(columns, i, len(classes), options)
    return (Channel(columns.names[i], i, classes=values),), classes


def _text_classes(
    columns: Columns, i: int, facts: TextColumn, options: ReadOptions
) -> tuple[tuple[Channel, ...], tuple[str, ...]]:
    name = columns.names[i]
    assert facts.first is not None
    if options.link == "gaussian":
        raise StreamError(
            f"{columns.words(facts.first[0], i)}, which is a text: the link gaussian needs "
            "numbers; use --link categorical, or name another target"
        )
    if facts.many:
        raise StreamError(
            f"{columns.words(facts.first[0], i)}; the column has more than {CLASSES} different "
            "texts: name a target with fewer classes"
        )
    _check_classes(columns, i, len(facts.codes), options)
    numbers = np.empty(len(facts.codes), np.float32)
    for number, text in enumerate(facts.names):
        numbers[facts.codes[text]] = number
    return (Channel(name, i, numbers),), facts.names


def _check_classes(columns: Columns, i: int, count: int, options: ReadOptions) -> None:
    if count < 2 or (options.link == "bernoulli" and count != 2):
        wanted = "two" if options.link == "bernoulli" else "at least two"
        raise StreamError(
            f"{columns.title}: target {columns.names[i]!r} has {count} "
            f"{'class' if count == 1 else 'classes'}, and {wanted} are needed: name another target"
            f"{' or --link categorical' if count > 2 else ''}"
        )


def _distinct(columns: Columns, i: int, spool: Spool) -> Float32Array:
    """Return the sorted values of a column. Errors: StreamError if there are too many."""
    found: Float32Array = np.empty(0, np.float32)
    for _, rows in spool.chunks(0, spool.rows):
        values = rows[:, i]
        found = np.union1d(found, values[~np.isnan(values)])
        if len(found) > CLASSES:
            raise StreamError(
                f"{columns.title}: target {columns.names[i]!r} has more than {CLASSES} different "
                "values: these are not classes; use --link gaussian, or name another target"
            )
    return found


def _check_binary(columns: Columns, i: int, spool: Spool) -> None:
    for first, rows in spool.chunks(0, spool.rows):
        values = rows[:, i]
        bad = np.flatnonzero(~np.isnan(values) & (values != 0) & (values != 1))
        if len(bad):
            raise StreamError(
                f"{columns.words(first + int(bad[0]), i)}: the link bernoulli needs targets of 0 "
                "and 1; use --link categorical or gaussian, or name another target"
            )


def _anchor(
    columns: Columns,
    inputs: Sequence[Channel],
    targets: Sequence[Channel],
    classes: tuple[str, ...] | None,
) -> tuple[int | None, ...] | None:
    """Return each target's input of the same column, like ``nbt_embed.anchor.find_anchor``."""
    if classes is not None:
        return None
    places = {(one.column, one.one_hot): i for i, one in enumerate(inputs)}
    found: list[int | None] = []
    for target in targets:
        place = places.get((target.column, target.one_hot))
        facts = columns.facts[target.column]
        if place is not None and isinstance(facts, NumberColumn) and facts.constant:
            twins = sum(
                isinstance(other := columns.facts[one.column], NumberColumn)
                and other.constant
                and other.low == facts.low
                for one in inputs
            )
            if facts.low == 0 or twins > 1:  # with an idle machine, its input is ambiguous
                place = None
        found.append(place)
    return tuple(found)


def _note_numbers(columns: Columns, used: Iterable[int], notes: list[str]) -> None:
    """Note peculiarities of the columns that are used."""
    facts = {i: one for i in used if isinstance(one := columns.facts[i], NumberColumn)}
    constant = [i for i, one in facts.items() if one.constant and one.filled > 1]
    if len(constant) > _NAMED:
        names = ", ".join(repr(columns.names[i]) for i in constant[:_NAMED])
        notes.append(
            f"columns {names} and {len(constant) - _NAMED} more are constant and kept as they are"
        )
    else:
        notes += [
            f"column {columns.names[i]!r} is constant ({facts[i].low:g}) and kept" for i in constant
        ]
    notes += markers.sentences({columns.names[i]: one.markers for i, one in facts.items()})
    for i, one in facts.items():
        largest, spacing = max(abs(one.low), abs(one.high)), one.resolution
        if one.rounded:
            notes.append(
                f"column {columns.names[i]!r}: whole numbers such as {largest:.15g} are "
                "above 16777216 and are rounded in float32: subtract a reference value"
            )
        elif spacing is not None:
            notes.append(
                f"column {columns.names[i]!r}: steps of {one.step:.2g} are below what a float32 "
                f"holds at {largest:.10g} ({spacing:.2g}): subtract a reference value"
            )
