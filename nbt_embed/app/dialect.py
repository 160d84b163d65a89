"""Recognise the format of a text table by its first lines; ``lines`` checks all lines."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nbt_embed.app import times
from nbt_embed.app.numerals import ERRORS, Missing, is_missing, is_number
from nbt_embed.app.options import ReadOptions
from nbt_embed.errors import StreamError

SAMPLE = 1 << 18  # bytes that are examined
_LINES = 1000
_JOINED = 10  # lines of the sample that one quoted cell may contain
_UNITS = 3  # most rows of units below the header
DELIMITERS = ("\t", ";", "|", ",", " ")  # order of preference if several fit equally well
# The start of a comment; errors of spreadsheets start with the same character.
_ERRORS = "|".join(re.escape(text[1:]) for text in ("#na", *ERRORS))
COMMENT = rf"[ \t]*(?:#(?!(?i:{_ERRORS})(?![A-Za-z0-9]))|%|//)"
_COMMENT = re.compile(COMMENT)
_SEPARATOR = re.compile(r"\s*\"?sep=(.)\"?\s*")  # written by spreadsheets
_COMMA_PAIR = re.compile(r"[+\-\u2212]?[0-9]+,[0-9]+(?:[eE][+-]?[0-9]+)?")
_COMMA_NUMBER = re.compile(r"[+\-\u2212]?[0-9]+(?:,[0-9]*)?(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Dialect:
    """The format of a text table.

    Attributes:
        names: of the columns, as in the header; "" for a column without a name.
        first: line of the first row, counted from 1.
        delimiter: one character; a space stands for any number of spaces and tabs.
        quote: the character around cells, or "".
        numeric: for each column whether its cells are numbers.
        sample: first cells of each column, stripped.
        comments: (line, text) of comment lines between the header and the first row.
        notes: sentences about what was recognised.
    """

    names: tuple[str, ...]
    first: int
    delimiter: str
    quote: str
    numeric: tuple[bool, ...]
    sample: tuple[tuple[str, ...], ...]
    comments: tuple[tuple[int, str], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Line:
    """A line, or several that are joined by a quoted cell."""

    number: int
    text: str


def shown_delimiter(delimiter: str) -> str:
    """Return the name of a delimiter."""
    return {"\t": "tab", " ": "space"}.get(delimiter, repr(delimiter))


def count_of_cells(count: int) -> str:
    """Return a number of cells in words."""
    return "1 cell" if count == 1 else f"{count} cells"


def split(text: str, delimiter: str, quote: str) -> list[str]:
    """Return the stripped cells of a line."""
    if delimiter == " ":
        text, delimiter = re.sub(r"[ \t]+", " ", text.strip()), " "
    if quote and quote in text:
        rows = csv.reader([text], delimiter=delimiter, quotechar=quote, skipinitialspace=True)
        try:
            return [cell.strip() for cell in next(rows)]
        except csv.Error:
            pass
    return [cell.strip() for cell in text.split(delimiter)]


def has_rows(text: str) -> bool:
    """Return whether any line has numbers in more than half of its cells, with any delimiter."""
    for line in text.splitlines():
        for delimiter in DELIMITERS:
            cells = split(line, delimiter, '"')
            numbers = sum(is_number(cell) or times.is_time(cell) for cell in cells)
            if 2 * numbers > len(cells):
                return True
    return False


def is_row(cells: Sequence[str], numeric: Sequence[bool]) -> bool:
    """Return whether a line that starts like a comment is a row.

    A row has as many cells as the header, and numbers where columns after the first are numeric.
    """
    return 1 < len(cells) == len(numeric) and all(
        is_number(cell) or is_missing(cell)
        for cell, number in zip(cells[1:], numeric[1:], strict=True)
        if number
    )


def recognise(title: str, text: str, options: ReadOptions) -> Dialect:
    """Return the format of a file that starts with this text (whole lines). Errors: StreamError."""
    lines, comments = _lines(text, options)
    if lines and (said := _SEPARATOR.fullmatch(lines[0].text)):
        options = replace(options, delimiter=options.delimiter or said[1])
        del lines[0]
    if not lines:
        what = "contains only comment lines (# % //)" if comments else "is empty"
        raise StreamError(
            f"{title}: the file {what}: name one with a header line and rows below it"
        )
    delimiter, mode = _delimiter(lines, options)
    lines = _with_rows(lines, comments, delimiter, mode, options)
    rows = [split(line.text, delimiter, options.quote) for line in lines]
    head, names, notes = _body(title, lines, rows, mode, delimiter, options)
    missing = Missing.of(options.missing)
    body = [row for row in rows[head:] if len(row) == (len(names) if names else mode)]
    header: int | None = None  # its line, if it is a comment
    if names is None:
        body_kinds = _kinds(body[1:], mode, missing)
        above = _comment_names(comments, lines[head].number, delimiter, mode)
        if _is_header(body, body_kinds, missing, options.header):
            names, head, body = tuple(body[0]), head + 1, body[1:]
        elif above is not None:
            names = above
            header = max(line.number for line in comments if line.number < lines[head].number)
            notes.append("the last comment line before the rows holds the names of the columns")
        else:
            _check_unheaded(title, lines, rows, head, mode, delimiter, options)
            if delimiter == "," and mode == 2 and options.delimiter is None:
                notes += _check_pairs(title, lines[head:])
            names = tuple([f"x{i + 1}" for i in range(mode)])
            notes.append(
                f"line {lines[head].number} is the first row, there is no header: the columns are "
                f"named x1 to x{mode}" if mode > 1 else
                f"line {lines[head].number} is the first row, there is no header: the column is "
                "named x1"
            )  # fmt: skip
    head, body = _without_units(lines, rows, head, body, len(names), missing, notes)
    if not body:
        raise StreamError(
            f"{title}: no row below the header (line {lines[head - 1].number}) holds a value: "
            "name a file with rows, or use --no-header if the first line is a row"
        )
    _check_names(title, names, lines[head - 1].number)
    _check_head(title, lines[:head], mode, delimiter)
    if delimiter != "," and len(names) > 1:
        notes.append(f"cells are separated by {shown_delimiter(delimiter)}")
    first = lines[head].number
    if header is None:
        header = lines[head - 1].number if head else first
    sample = tuple(zip(*body, strict=True))
    return Dialect(
        names,
        first,
        delimiter,
        options.quote,
        tuple(_numeric(names, _kinds(body, len(names), missing), sample)),
        sample,
        tuple([(one.number, one.text) for one in comments if header < one.number < first]),
        tuple(notes),
    )


def _with_rows(
    lines: Sequence[_Line],
    comments: Sequence[_Line],
    delimiter: str,
    mode: int,
    options: ReadOptions,
) -> list[_Line]:
    """Return lines, including rows that start like comments."""
    rows = [(line, split(line.text, delimiter, options.quote)) for line in lines]
    table = [(line.number, row) for line, row in rows if len(row) == mode]
    if not table:
        return list(lines)
    below = [(line, split(line.text, delimiter, options.quote)) for line in comments
             if line.number > table[0][0]]  # fmt: skip
    body = [row for _, row in table[1:]] or [row for _, row in below if len(row) == mode]
    numeric = [kind == "number" for kind in _kinds(body, mode, Missing.of(options.missing))]
    back = [line for line, row in below if is_row(row, numeric)]
    return sorted((*lines, *back), key=lambda line: line.number)


def _lines(text: str, options: ReadOptions) -> tuple[list[_Line], list[_Line]]:
    """Return lines with content after the skipped ones, and the comment lines."""
    plain = re.sub(r"\r+\n", "\n", text).replace("\r", "\n").split("\n")
    kept: list[_Line] = []
    comments: list[_Line] = []
    number = options.skip or 0
    opening = re.compile(rf"(?:^|\W){re.escape(options.quote)}")  # around a cell; not 5" pipe
    while number < len(plain) and len(kept) < _LINES:
        line, start = plain[number], number + 1
        number += 1
        if _COMMENT.match(line):
            comments.append(_Line(start, line))
            continue
        if options.quote and line.count(options.quote) % 2 and opening.search(line):
            for more in range(1, _JOINED):
                joined = "\n".join(plain[start - 1 : start + more])
                if joined.count(options.quote) % 2 == 0:
                    line, number = joined, start + more
                    break
        if line.strip():
            kept.append(_Line(start, line))
    return kept, comments


def _delimiter(lines: Sequence[_Line], options: ReadOptions) -> tuple[str, int]:
    """Return the delimiter, and the number of cells of most rows."""
    candidates: Sequence[str] = DELIMITERS
    if options.delimiter is not None:
        candidates = (options.delimiter,)
    elif options.decimal == "," and not (
        options.quote and any(options.quote in line.text for line in lines)
    ):
        candidates = [one for one in DELIMITERS if one != ","]  # unless quotes distinguish the two
    best: tuple[tuple[bool, bool, float, float, int], str, int] | None = None
    for rank, delimiter in enumerate(candidates):
        rows = [split(line.text, delimiter, options.quote) for line in lines]
        counts = Counter(len(row) for row in rows[1:] or rows)
        mode, often = counts.most_common(1)[0]
        if 2 * counts[len(rows[0])] >= often:
            mode, often = len(rows[0]), counts[len(rows[0])]
        start = next((i for i, row in enumerate(rows) if len(row) == mode), 0)  # of the table
        share = often / len(rows[max(start, 1) :] or rows)
        cells = [cell for row in rows[1:] if len(row) == mode for cell in row]
        fit = sum(map(_is_value, cells)) / len(cells) if cells else 0.0
        headed = abs(len(rows[0]) - mode) <= 1 and (len(rows[0]) > 1 or mode == 1)
        many = mode > 1 and (share > 0.9 or len(rows[0]) == mode)
        score = (many, headed, round(share * fit, 1), share, -rank)
        if best is None or score > best[0]:
            best = score, delimiter, mode
    assert best is not None
    (many, *_), delimiter, mode = best
    if not many and options.delimiter is None and mode == 1:
        # A single column: commas in its numbers are decimal marks, not delimiters.
        below = lines[1:] if len(lines) > 1 or not is_number(lines[0].text.strip()) else lines
        delimiter = ";" if any("," in line.text for line in below) else ","
    elif options.delimiter is None and delimiter == "," and mode == 2 and _one_column(lines):
        delimiter, mode = ";", 1
    return delimiter, mode


def _one_column(lines: Sequence[_Line]) -> bool:
    """Return whether the text is a name, and units, above numbers with a decimal comma."""
    texts = [line.text.strip() for line in lines]
    start = next((i for i, text in enumerate(texts) if _COMMA_NUMBER.fullmatch(text)), 0)
    return (
        0 < start <= 1 + _UNITS
        and not any(mark in text for text in texts[:start] for mark in "\t;|,")
        and not any(is_number(text) or times.is_time(text) for text in texts[:start])
        and all(_COMMA_NUMBER.fullmatch(text) or is_missing(text) for text in texts[start:])
    )


def _check_pairs(title: str, lines: Sequence[_Line]) -> list[str]:
    """Note that rows like 20,19 without a header are two columns; refuse rows like 20,05."""
    texts = [line.text.strip() for line in lines]
    if not all(_COMMA_PAIR.fullmatch(text) or is_missing(text) for text in texts):
        return []
    for line, text in zip(lines, texts, strict=True):
        if re.search(r",0[0-9]", text):
            raise StreamError(
                f"{title}: line {line.number}: {text!r} may be a number with a decimal comma or "
                "two numbers: use --decimal , or --delimiter ,"
            )
    return [
        f"rows such as {texts[0]!r} are read as two columns: --decimal , reads it as one number"
    ]


def _is_value(cell: str) -> bool:
    return is_missing(cell) or is_number(cell) or times.is_time(cell)


def _kind(cell: str, missing: Missing) -> str:
    if cell in missing.texts or is_missing(cell):
        return "missing"
    if is_number(cell):
        return "number"
    return "time" if times.is_time(cell) else "text"


def _kinds(rows: Sequence[Sequence[str]], count: int, missing: Missing) -> list[str]:
    """Return the kind of most cells of each column."""
    kinds = []
    for column in range(count):
        found = Counter(_kind(row[column], missing) for row in rows)
        del found["missing"]
        kinds.append(found.most_common(1)[0][0] if found else "number")
    return kinds


def _numeric(
    names: Sequence[str], kinds: Sequence[str], sample: Sequence[Sequence[str]]
) -> list[bool]:
    """Return which columns are numeric: without hours like 18.30, and nanoseconds since 1970."""
    found = [kind == "number" for kind in kinds]
    for column, name in enumerate(names):
        neighbours = [kinds[i] for i in (column - 1, column + 1) if 0 <= i < len(kinds)]
        if found[column] and (
            ("time" in neighbours and times.is_dotted_clock(name, sample[column]))
            or times.is_nanoseconds(sample[column])
        ):
            found[column] = False
    return found


def _body(
    title: str,
    lines: Sequence[_Line],
    rows: Sequence[Sequence[str]],
    mode: int,
    delimiter: str,
    options: ReadOptions,
) -> tuple[int, tuple[str, ...] | None, list[str]]:
    """Return the start of header or rows, names if more or fewer than cells, and notes."""
    notes: list[str] = []
    head = next((i for i, row in enumerate(rows) if len(row) == mode), None)
    if head is None:  # cells were split by decimal marks, which these lines lack
        raise StreamError(
            f"{title}: the first lines have different numbers of cells: name the delimiter and "
            "the decimal mark (--delimiter, --decimal)"
        )
    if options.skip:
        lines_said = "line is" if options.skip == 1 else f"{options.skip} lines are"
        notes.append(f"the first {lines_said} skipped, as requested")
    if head == 0 or options.header is False:
        return (head if options.skip is None else 0), None, notes
    above, below = list(rows[head - 1]), [row for row in rows[head:] if len(row) == mode]
    named = bool(above) and not any(is_number(cell) or times.is_time(cell) for cell in above)
    names: tuple[str, ...] | None = None
    headless = not _is_header(below, _kinds(below[1:], mode, Missing.of(())), Missing.of(()), None)
    if named and headless and len(above) == mode - 1:
        if all(row[-1] == "" for row in below):
            names = (*above, "")
        elif _are_row_names([row[0] for row in below]):
            names = ("", *above)
            notes.append(f"line {lines[head - 1].number} names all columns except the first")
    elif named and headless and len(above) == mode + 1 and above[-1] == "":
        names = tuple(above[:-1])
    skipped = head if names is None else head - 1
    if skipped and options.skip:
        raise StreamError(
            f"{title}: line {lines[0].number} has {count_of_cells(len(rows[0]))} and the lines "
            f"below have {mode}, separated by {shown_delimiter(delimiter)}: skip another number of "
            "lines (--skip) or name the delimiter (--delimiter)"
        )
    if skipped:
        text = lines[0].text.strip().split("\n")[0]
        what = "the first line is" if skipped == 1 else f"the first {skipped} lines are"
        notes.append(f"{what} left out as a preamble ({text[:40]!r})")
    return head, names, notes


def _are_row_names(cells: Sequence[str]) -> bool:
    """Return whether the cells of a first column name or number their rows."""
    if not all(is_number(cell) for cell in cells):
        return not any(is_number(cell) for cell in cells)
    start = int(cells[0]) if cells[0].isdigit() else 0
    return len(cells) > 1 and list(cells) == [str(start + i) for i in range(len(cells))]


def _check_unheaded(
    title: str,
    lines: Sequence[_Line],
    rows: Sequence[Sequence[str]],
    head: int,
    mode: int,
    delimiter: str,
    options: ReadOptions,
) -> None:
    """Refuse lines of another width above rows without a header: one may be the header."""
    if head and options.header is None and options.skip is None:
        above = lines[head - 1]
        raise StreamError(
            f"{title}: line {above.number} has {count_of_cells(len(rows[head - 1]))} and line "
            f"{lines[head].number} has {mode}, separated by {shown_delimiter(delimiter)}: name "
            f"every column in the header, skip the lines above (--skip {lines[head].number - 1}), "
            "or name the delimiter (--delimiter)"
        )


def _is_header(
    body: Sequence[Sequence[str]], kinds: Sequence[str], missing: Missing, said: bool | None
) -> bool:
    """Return whether the first row contains names."""
    if said is not None:
        return said
    cells = body[0]
    found = [_kind(cell, missing) for cell in cells]
    values = [cell for cell, kind in zip(cells, found, strict=True) if kind in ("number", "time")]
    texts = sum(
        kind == "text" and below != "text" for kind, below in zip(found, kinds, strict=True)
    )
    if not values:  # names; but a row of missing values and repeated texts is not a header
        names = [(i, cell) for i, cell in enumerate(cells) if found[i] == "text"]
        again = all(any(row[i] == cell for row in body[1:]) for i, cell in names)
        return bool(names) and not (again and "missing" in found)
    whole = [cell for cell in values if cell.isascii() and cell.isdigit()]
    if len(whole) < len(values) or len(set(whole)) < len(whole):
        return texts > len(values) and len(body) > 1
    numbers = list(map(int, whole))
    rest_named = texts + len(numbers) == len(cells)
    if not texts:  # columns numbered by a program, from 0, or from 1 if there are many
        numbered = [str(i) for i in range(len(cells))] == list(cells) or (
            cells[0] == "" and [str(i) for i in range(len(cells) - 1)] == list(cells[1:])
        )
        numbered = numbered or (len(cells) > 2 and numbers == list(range(1, len(cells) + 1)))
        below = [cell for row in body[1:4] for cell in row if is_number(cell)]
        return numbered and len(body) > 1 and (cells[0] == "" or not all(map(str.isdigit, below)))
    return texts > 0 and rest_named and len(body) > 1


def _comment_names(
    comments: Sequence[_Line], first: int, delimiter: str, mode: int
) -> tuple[str, ...] | None:
    """Return the names in the last comment line before the rows, if their number fits."""
    above = [line for line in comments if line.number < first]
    if not above:
        return None
    text = re.sub(r"^[ \t]*(?:#+|%+|//+)", "", above[-1].text)
    cells = split(text, delimiter, '"')
    if len(cells) != mode or any(is_number(cell) or times.is_time(cell) for cell in cells):
        return None
    return tuple(cells) if any(cells) else None


def _without_units(
    lines: Sequence[_Line],
    rows: Sequence[Sequence[str]],
    head: int,
    body: list[list[str]],
    count: int,
    missing: Missing,
    notes: list[str],
) -> tuple[int, list[list[str]]]:
    """Return the start of the rows after rows of units."""
    for _ in range(_UNITS):
        if len(body) < 2 or head >= len(rows) or rows[head] != body[0]:
            break
        below = _kinds(body[1:], count, missing)
        cells = [_kind(cell, missing) for cell in body[0]]
        if any(cell in ("number", "time") for cell in cells) or not any(
            cell == "text" and kind in ("number", "time")
            for cell, kind in zip(cells, below, strict=True)
        ):
            break
        notes.append(f"line {lines[head].number} is left out as a row of units")
        head, body = head + 1, body[1:]
    return head, body


def _check_head(title: str, above: Sequence[_Line], mode: int, delimiter: str) -> None:
    """Refuse a quote above the rows that includes some of them."""
    for line in above:
        if any(len(split(one, delimiter, "")) == mode for one in line.text.split("\n")[1:-1]):
            raise StreamError(
                f"{title}: line {line.number}: a quote is not closed and includes the lines "
                "below: close or remove it, or use --quote none if quotes are text here"
            )


def _check_names(title: str, names: Sequence[str], line: int) -> None:
    for name in names:
        if name and names.count(name) > 1:
            places = [str(i + 1) for i, other in enumerate(names) if other == name]
            raise StreamError(
                f"{title}: line {line}: columns {' and '.join(places)} are both named {name!r}: "
                "rename one"
            )
