"""Options for reading a file; what is not given is recognised."""

from __future__ import annotations

from dataclasses import dataclass

from nbt_embed.errors import StreamError

_NAMED = {
    "tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";", "bar": "|",
}  # fmt: skip


def named_delimiter(said: str | None) -> str | None:
    """Return the named character. Errors: StreamError."""
    delimiter = None if said is None else _NAMED.get(said, said)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in "\r\n"):
        raise StreamError(f"delimiter {said!r}: name one character, tab or space")
    return delimiter


@dataclass(frozen=True)
class ReadOptions:
    """How to read files. None: recognise it.

    Attributes:
        time: column of the time, ``Date+Time`` for two; "": no time column.
        time_format: of the time column, as for ``strptime`` (``%d/%m/%Y %H:%M``), a unit since the
            start: ``s``, ``ms``, ``us``, ``ns``, ``min``, ``h``, ``d``, or a count of days:
            ``excel``, ``matlab``, ``julian``, ``mjd``.
        inputs: names of the input columns; None: every numeric column.
        targets: names of the target columns; None: the inputs.
        targets_as_inputs: whether targets are also inputs if no inputs are named. False: the inputs
            of a row do not contain its own targets (horizon 0).
        missing: further spellings of a missing value; numbers are compared as numbers.
        delimiter: one character, or its name ``tab`` or ``space``, which is replaced by it.
        decimal: ``.`` or ``,``.
        skip: number of lines to skip before the header.
        header: whether the first line contains names.
        quote: the character around cells; "": none, quotes are text.
        encoding: by its name in Python.
        gap: seconds; the learner's state is reset after a longer pause.
        resample: seconds; means over intervals of this length.
        link: of the targets: ``gaussian``, ``bernoulli`` or ``categorical``.

    Errors: StreamError (the delimiter).
    """

    time: str | None = None
    time_format: str | None = None
    inputs: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None
    targets_as_inputs: bool = True
    missing: tuple[str, ...] = ()
    delimiter: str | None = None
    decimal: str | None = None
    skip: int | None = None
    header: bool | None = None
    quote: str = '"'
    encoding: str | None = None
    gap: float | None = None
    resample: float | None = None
    link: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "delimiter", named_delimiter(self.delimiter))
