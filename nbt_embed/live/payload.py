"""Payloads that are not JSON: a single number, or delimited numbers as in a table."""

from __future__ import annotations

from collections.abc import Sequence

from nbt_embed.app.dialect import DELIMITERS, recognise, split
from nbt_embed.app.numerals import is_missing, is_number
from nbt_embed.app.options import ReadOptions
from nbt_embed.errors import StreamError
from nbt_embed.live.head import has_value
from nbt_embed.live.options import SourceOptions

Value = str | dict[str, str]


class Payload:
    """Parses the payloads of one topic; each line is a value.

    A line of one cell is a text, a line of several cells an object with a field per cell. The
    names, or else the first payload, determine the number of cells. The first payload is read like
    the first row of a table without a header.

    Args: title, name of the stream in messages; names, of the cells, or None; options; texts,
    whether a single text may be a value: the name of a class.

    Attributes: delimiter, between several cells, else ""; notes, about what was recognised.
    """

    def __init__(
        self, title: str, names: Sequence[str] | None, options: SourceOptions, texts: bool
    ) -> None:
        self._title, self._names, self._options, self._texts = title, names, options, texts
        self.delimiter = ""
        self.notes: list[str] = []

    def begin(self, text: str) -> None:
        """Recognise the cells of a first payload.

        Errors: StreamError: it may be one number or two (20,05), or does not fit the names.
        """
        line = text.splitlines()[0].strip()
        if not has_value(line, self._options.delimiter):
            return
        if self._names is not None:
            self._check(line)
            return
        form = recognise(self._title, line + "\n", self._read())
        self._names = form.names
        if len(form.names) > 1:
            self.delimiter = form.delimiter
            self.notes = [note for note in form.notes if note.startswith("rows such as")]
            self.notes.append(
                f"payloads such as {line[:40]!r} are read as columns x1 to x{len(form.names)}: "
                "--names names them"
            )

    def _check(self, line: str) -> None:
        assert self._names is not None
        try:
            self._value(line)
        except ValueError:
            raise StreamError(
                f"{self._title}: {len(self._names)} names are given ({', '.join(self._names)}), "
                f"and the first payload ({line[:40]!r}) has another number of values: name "
                "every value (--names), or the delimiter (--delimiter)"
            ) from None

    def values(self, text: str) -> list[Value]:
        """Return the values of a payload, without blank lines.

        Errors: ValueError: a line has another number of cells, or no value.
        """
        return [self._value(line.strip()) for line in text.splitlines() if line.strip()]

    def _read(self) -> ReadOptions:
        options = self._options
        return ReadOptions(
            header=False,
            delimiter=options.delimiter,
            decimal=options.decimal,
            missing=options.missing,
        )

    def _value(self, line: str) -> Value:
        if self._names is not None and len(self._names) > 1:
            return dict(zip(self._names, self._cells(line, len(self._names)), strict=True))
        if self._texts or is_number(line) or is_missing(line) or line in self._options.missing:
            return line
        raise ValueError("neither JSON nor a number")

    def _cells(self, line: str, width: int) -> list[str]:
        known = self._options.delimiter or self.delimiter
        for delimiter in (known,) if known else DELIMITERS:
            cells = split(line, delimiter, '"')
            if len(cells) == width and has_value(line, delimiter):
                self.delimiter = delimiter
                return cells
        raise ValueError(f"not a line of {width} cells")
