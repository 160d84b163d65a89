"""Messages of an MQTT broker as rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from nbt_embed.app.objects import flattened, text_of
from nbt_embed.errors import StreamError
from nbt_embed.live import layout as layouts
from nbt_embed.live import moments
from nbt_embed.live.arrivals import Arrivals, Health
from nbt_embed.live.flow import Flow
from nbt_embed.live.inbox import Inbox, Message
from nbt_embed.live.layout import Layout, Rows
from nbt_embed.live.lines import LONGEST
from nbt_embed.live.link import SOURCE_OPTIONS, Link, address
from nbt_embed.live.moments import Days, is_sure
from nbt_embed.live.names import ClientName
from nbt_embed.live.options import SourceOptions
from nbt_embed.live.records import RecordRows
from nbt_embed.live.remarks import excerpt
from nbt_embed.live.table import text_of as text_of_line
from nbt_embed.live.topics import Topics, check_topics
from nbt_embed.live.values import Classes, Values

MALFORMED_MESSAGES = "malformed messages"
_EARLY = 1000  # messages that are kept until every topic has sent one
_EXCERPT = 200  # bytes of a message that a remark may show
_LOOK = 0.5  # seconds between checks for messages


class MqttSource(Flow):
    """Each message of a topic is a row: a JSON object, an array, or plain numbers.

    An array of objects is one row per object, and several lines of numbers are one row per line.
    With several topics, each reading of the first one makes a row, with the newest reading of each
    other topic since the previous row. A topic without a new reading is missing in this row.

    Args: where, ``mqtt://[user@]host[:port]/topic[,topic...]?field=a,b&...``, ``mqtts://`` with
    TLS; options. Opening waits for the broker, and for a first message of each topic unless the
    fields are named.
    Errors: StreamError: no broker, or it refuses; a topic has a wildcard.
    """

    def __init__(self, where: str, options: SourceOptions) -> None:
        found = address(where, SOURCE_OPTIONS)
        super().__init__(found.title)
        self._options, self._fields = options, found.names("field")
        topics = found.topics
        check_topics(self.title, topics)
        self._topics = Topics(self.title, topics, self._fields, options, self.counts)
        self._values = Values(options.missing, options.decimal, self.counts)
        self._days = Days()
        self._layout: Layout | None = None
        self._rows: RecordRows | None = None
        self._early: list[Message] = []
        quality = found.whole("qos", 1, 0, 1)
        self._inbox = Inbox(topics, quality, options.retained, self.counts)
        session = found.whole("session", 3600, 0, (1 << 32) - 1)
        name = ClientName(f"{found.user} {found.title} watch", options.identity)
        self._link = Link(found, name, session, self._inbox)
        self._link.start()
        try:
            self._link.wait()
            if self._fields is None:
                self._wait_for_names()
            else:
                self._take_names(self._fields)
        except BaseException:
            self.close()
            raise

    @property
    def health(self) -> Health:
        """State of the connection."""
        self.state = self._link.state
        return super().health

    def _take_names(self, fields: Sequence[str]) -> None:
        """Use the given names; a message will show which field is the time, and its format."""
        options = self._options
        more = (*(options.inputs or ()), *(options.targets or ()))
        if options.time is None:
            times = {name for name in fields if is_sure(name)} - {*more}
        else:
            times = {options.time, *options.time.split("+")}
        names = [name for name in dict.fromkeys((*fields, *more)) if name not in times]
        inputs = options.inputs
        if inputs is None:
            apart = () if options.targets_as_inputs and not options.classes else options.targets
            inputs = tuple(name for name in names if name not in (apart or ()))
        untimed = replace(options, inputs=inputs, time="none", time_format=None)
        self._layout = layouts.decide(self.title, names, [""] * len(names), untimed, [])
        self.adopt(self._layout, [])

    def _wait_for_names(self) -> None:
        """Wait for a first message of each topic, and for more if the time needs them."""
        samples: list[dict[str, Any]] = []
        while self._layout is None:
            for message in self._inbox.take(_LOOK):
                self._early.append(message)
                if self._layout is not None:
                    continue
                try:
                    sample = self._topics.sample(message.topic, message.payload)
                except StreamError:  # it is a ValueError, too
                    raise
                except ValueError:
                    continue
                if sample is not None and (not samples or self._topics.is_first(message.topic)):
                    samples.append(dict(sample))
                    self._decide(samples)
            self._inbox.done(self._early[:-_EARLY])
            del self._early[:-_EARLY]

    def _decide(self, samples: Sequence[dict[str, Any]]) -> None:
        """Decide the layout by the first readings, if they are enough."""
        flat = [flattened(one) for one in samples]
        names = tuple(flat[0])
        rows = [[text_of(one.get(name)) for name in names] for one in flat]
        if moments.asks(self.title, names, rows, self._options):
            return
        notes = self._topics.notes
        layout = layouts.decide(self.title, names, rows[0], self._options, notes, rows[1:])
        first = flat[0]
        texts = {
            name: one if isinstance(one := first[name], str) else "" for name in layout.columns
        }
        self._values.begin(self.title, texts, self._topics.delimiter)
        self._layout = layout
        self.adopt(layout, notes)
        self._begin(layout, samples[0])

    def _begin(self, layout: Layout, first: dict[str, Any]) -> RecordRows:
        names = layout.classes
        classes = None if names is None else Classes(names, self._values, layout.coded or "")
        self._rows = RecordRows(layout, tuple(first), self._values, classes, self.counts)
        return self._rows

    def _first_time(self, first: dict[str, Any]) -> RecordRows:
        """Find the time among named fields. Errors: StreamError: it is ambiguous."""
        assert self._layout is not None
        fields = flattened(first)
        cells = [text_of(value) for value in fields.values()]
        found = moments.find(self.title, tuple(fields), cells, self._options)
        if found is not None and {*found.fields} & {*self._layout.columns}:
            found = None  # it was named as a reading
        self._layout = self._layout.at(found)
        self.adopt(self._layout, [])
        return self._begin(self._layout, first)

    def arrivals(self, patience: float) -> Iterator[Arrivals]:
        """Yield rows as they arrive, without an end.

        A message is acknowledged when the next rows are requested, because its rows are learnt
        then.
        """
        messages, self._early = self._early, []
        while True:
            for some in _pieces(messages):
                yield self._taken(some)
                self._inbox.done(some)
                self._link.wake()
            messages = self._inbox.take(patience)

    def _taken(self, messages: Sequence[Message]) -> Arrivals:
        """Return the rows of messages."""
        rows, wanted = self._rows, list[dict[str, Any]]()
        for message in messages:
            try:
                records = self._topics.records(message.topic, message.payload)
            except ValueError as error:
                self._malformed(message, len(wanted), f"is neither JSON nor numbers ({error})")
                continue
            for record in records:
                rows = rows or self._first_time(record)
                if rows.concerns(record):
                    wanted.append(record)
                else:
                    self._malformed(message, len(wanted), "has none of the fields")
        if rows is None or not wanted:
            return replace(self.nothing(), remarks=self._values.remarks.take())
        assert self._layout is not None
        found = rows.rows(wanted)
        found_at = self._layout.moments
        if found_at is not None and found_at.form.kind == "clock":
            found = Rows(self._days.unwrapped(found.time), found.table)
        return self._layout.arrivals(found, remarks=self._values.remarks.take())

    def _malformed(self, message: Message, row: int, problem: str) -> None:
        self.counts[MALFORMED_MESSAGES] += 1
        text = excerpt(text_of_line(message.payload[:_EXCERPT]))
        self._values.remarks.add("message", row, f"message {text} {problem}: it is dropped")

    def close(self) -> None:
        """Disconnect; the broker keeps later messages for the session's time."""
        self._link.close()


def _pieces(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """Split messages into pieces of few bytes, since the parsed objects need much more memory."""
    piece: list[Message] = []
    size = 0
    for message in messages:
        piece.append(message)
        size += len(message.payload)
        if size >= LONGEST:
            yield piece
            piece, size = [], 0
    yield piece
