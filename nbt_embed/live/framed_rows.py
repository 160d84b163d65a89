"""Values of binary frames as rows."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from nbt_embed.app.objects import text_of
from nbt_embed.app.times import TimeFormat
from nbt_embed.live import layout as layouts
from nbt_embed.live import moments
from nbt_embed.live.arrivals import Arrivals
from nbt_embed.live.frames import MALFORMED_FRAMES, FrameForm, Frames, Unwrapped
from nbt_embed.live.layout import Layout, Rows
from nbt_embed.live.moments import Moments
from nbt_embed.live.options import SourceOptions
from nbt_embed.live.values import Classes, Values

_SEQUENCES = ("seq", "sequence")  # names of a field that numbers the frames


class FramedRows:
    """Takes bytes as they arrive and returns the rows of whole frames.

    Unsigned times and frame numbers are unwrapped when they overflow. Without a time field, the
    frame number is the time: one second per frame.

    Args: title, name of the stream in messages; form, of a frame; options; counts.
    Attributes: layout, None before the first frame; notes, about what was left out.
    """

    def __init__(
        self, title: str, form: FrameForm, options: SourceOptions, counts: Counter[str]
    ) -> None:
        self._title, self._form, self._options, self._counts = title, form, options, counts
        self._frames = Frames(form, counts)
        self._values = Values(options.missing, options.decimal, counts)
        self._classes: Classes | None = None
        self._whole: dict[int, Unwrapped] = {}
        self._sequence = next((i for i, name in enumerate(form.names) if name in _SEQUENCES), None)
        self._number: int | None = None  # number of the last frame
        self._early: list[tuple[Any, ...]] = []  # frames before the time field is known
        self.layout: Layout | None = None
        self.notes: list[str] = []

    def feed(self, data: bytes) -> Arrivals | None:
        """Return the rows that these bytes complete, None before the first. Errors: StreamError."""
        frames = self._frames.feed(data)
        if self._counts[MALFORMED_FRAMES]:
            self._values.remarks.add(
                "frame", 0, "bytes are not a frame, or have a wrong checksum: they are dropped; "
                "once is normal when a port is opened, repeatedly it means a wrong speed (baud) "
                "or wrong fields"
            )  # fmt: skip
        layout = self.layout
        if layout is None:
            self._early += frames
            if not self._early or self._asks():
                return None
            layout = self._begin(self._early)
            frames, self._early = self._early, []
        rows = [self._unwrapped(frame) for frame in frames]
        found = Rows(self._time(rows), self._table(rows))
        return layout.arrivals(found, remarks=self._values.remarks.take())

    def _asks(self) -> bool:
        """Return whether more frames are needed to find the time field."""
        return moments.asks(self._title, self._form.names, _cells(self._early), self._options)

    def _begin(self, first: list[tuple[Any, ...]]) -> Layout:
        names, rows = self._form.names, _cells(first)
        layout = layouts.decide(self._title, names, rows[0], self._options, self.notes, rows[1:])
        number = self._sequence
        if layout.moments is None and number is not None and self._options.time is None:
            name = names[number]
            if name not in layout.columns:
                layout = layout.at(Moments((name,), TimeFormat("numbers of frames", "seconds")))
                self.notes = [note for note in self.notes if repr(name) not in note]
                self.notes.append(f"field {name!r} is the time: one second per frame")
        self.layout = layout
        if layout.classes is not None:
            self._classes = Classes(layout.classes, self._values, layout.coded or "")
        counting = {names.index(name) for name in (layout.moments.fields if layout.moments else ())}
        counting |= set() if number is None else {number}
        for place in counting:
            bits = self._form.bits(names[place])
            if bits is not None:
                self._whole[place] = Unwrapped(bits)
        return layout

    def _unwrapped(self, frame: tuple[Any, ...]) -> tuple[Any, ...]:
        """Unwrap the counters of a frame, and count lost frames."""
        if self._whole:
            values = list(frame)
            for place, whole in self._whole.items():
                values[place] = whole.next(frame[place])
            frame = tuple(values)
        if self._sequence is not None:
            number = int(frame[self._sequence])
            if self._number is not None and number > self._number + 1:
                self._counts["lost frames"] += number - self._number - 1
            self._number = number
        return frame

    def _table(self, rows: list[tuple[Any, ...]]) -> Any:
        assert self.layout is not None
        names = self._form.names
        places = [names.index(name) for name in self.layout.columns]
        numbers = np.array([[row[i] for i in places] for row in rows], np.float64)
        table = self._values.checked(numbers.reshape(len(rows), len(places)), self.layout.columns)
        if self.layout.coded is not None and self._classes is not None:
            place = names.index(self.layout.coded)
            codes = self._classes.codes(row[place] for row in rows)
            table = np.column_stack([table, np.array(codes, np.float32)])
        return table

    def _time(self, rows: list[tuple[Any, ...]]) -> Any:
        assert self.layout is not None
        time = self.layout.moments
        if time is None:
            return np.full(len(rows), np.nan)
        places = [self._form.names.index(name) for name in time.fields]
        texts = [" ".join(text_of(row[i]) for i in places) for row in rows]
        return time.seconds(texts, self._values)

    def doubt(self) -> None:
        """Nothing to do: if the first bytes are the end of a frame, its checksum is wrong."""

    def drop(self) -> None:
        """Drop and count a partial frame."""
        self._frames.drop()


def _cells(frames: list[tuple[Any, ...]]) -> list[list[str]]:
    """Return the first frames as cells of a table."""
    return [[text_of(value) for value in frame] for frame in frames[: moments.HEAD]]
