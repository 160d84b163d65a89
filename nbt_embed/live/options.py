"""Options for reading a live stream; what is not given is recognised."""

from __future__ import annotations

from dataclasses import dataclass

from nbt_embed.app.options import named_delimiter


@dataclass(frozen=True)
class SourceOptions:
    """How to read a source. None: recognise it in the first row.

    Attributes:
        inputs: names of the input columns or fields; None: every one with a number.
        targets: names of the targets; None: the inputs.
        time: column of the time, ``Date+Time`` for two; "none": no time column.
        time_format: of the time, as for ``strptime``, a unit (``s``, ``ms``, ``us``, ``ns``, ...)
            or a count of days (``excel``, ``matlab``, ``julian``, ``mjd``).
        names: of the columns of text without a header.
        missing: further spellings of a missing value; numbers are compared as numbers.
        delimiter: one character, or its name ``tab`` or ``space``, which is replaced by it.
        decimal: ``.`` or ``,``.
        classes: names of the classes of the one target, in the order of their numbers.
        targets_as_inputs: whether targets are also inputs if no inputs are named.
        once: whether a file is read to its end instead of being followed.
        retained: whether retained messages of an MQTT broker are rows.
        identity: distinguishes this reader from others of the same topics, also after a restart:
            the client identifier, under which the broker keeps messages, is derived from it. "": a
            number distinguishes the running readers of this machine.

    Errors: StreamError (the delimiter).
    """

    inputs: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None
    time: str | None = None
    time_format: str | None = None
    names: tuple[str, ...] | None = None
    missing: tuple[str, ...] = ()
    delimiter: str | None = None
    decimal: str | None = None
    classes: tuple[str, ...] | None = None
    targets_as_inputs: bool = True
    once: bool = False
    retained: bool = False
    identity: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "delimiter", named_delimiter(self.delimiter))
