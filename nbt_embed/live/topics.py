"""Messages of one or several topics as records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from nbt_embed.app.objects import decoded, objects_of
from nbt_embed.errors import StreamError
from nbt_embed.live.lines import LONGEST
from nbt_embed.live.options import SourceOptions
from nbt_embed.live.payload import Payload
from nbt_embed.live.records import EMPTY_ARRAYS


def check_topics(title: str, topics: Sequence[str]) -> None:
    """Refuse topics whose channels are unknown. Errors: StreamError."""
    for topic in topics:
        if not topic or "+" in topic or "#" in topic or "\x00" in topic:
            raise StreamError(
                f"{title}: topic {topic!r}: the channels of a wildcard or an empty topic are "
                "unknown: name the topics, separated by commas"
            )
    if len(set(topics)) < len(topics):
        raise StreamError(f"{title}: a topic is named twice: name each once")


class Topics:
    """Joins messages into one record per reading of the first topic.

    A message contains one reading, or several as an array of objects or as lines.

    Args: title, name of the stream in messages; topics; fields, the names of the values of an
    array, of a single number, or of delimited numbers, or None; options; counts, of events.

    Errors: StreamError: names are given for several topics.
    """

    def __init__(
        self,
        title: str,
        topics: Sequence[str],
        fields: Sequence[str] | None,
        options: SourceOptions,
        counts: Counter[str],
    ) -> None:
        if options.names is not None and len(topics) > 1:
            raise StreamError(
                f"{title}: names {', '.join(options.names)}: cannot be assigned to several "
                "topics: leave them out (the fields are topic.x1, topic.x2, ...)"
            )
        said = options.names if options.names is not None else fields
        if len(topics) > 1:
            said = None  # fields may belong to any topic
        self._payloads = {
            topic: Payload(title, said, options, options.classes is not None) for topic in topics
        }
        last = [topic.rpartition("/")[2] for topic in topics]
        names = last if len(set(last)) == len(last) else topics
        self._names = dict(zip(topics, names, strict=True))
        self._first, self._fields = topics[0], said
        self._counts = counts
        self._newest: dict[str, Any] = {}
        self._seen: dict[str, Any] = {}
        self._begun: set[str] = set()  # topics whose first reading has come

    def sample(self, topic: str, payload: bytes) -> dict[str, Any] | None:
        """Return a record of first readings, once every topic has sent a message.

        Errors: as of ``records``; StreamError: it may be one number or two.
        """
        name, values = self._named(topic, payload, begins=topic not in self._begun)
        if not values:
            return None
        self._begun.add(topic)
        if len(self._names) == 1:
            return self._single(name, values[0])
        self._seen[name] = values[0]
        return self._seen if len(self._seen) == len(self._names) else None

    def is_first(self, topic: str) -> bool:
        """Return whether each reading of this topic makes a record."""
        return topic == self._first

    def records(self, topic: str, payload: bytes) -> list[dict[str, Any]]:
        """Return the records that a message completes.

        Errors: ValueError: the payload is neither JSON nor numbers, or too long, or an array that
        mixes objects and other values.
        """
        name, values = self._named(topic, payload)
        if not values:
            self._counts[EMPTY_ARRAYS] += 1
        if len(self._names) == 1:
            return [self._single(name, value) for value in values]
        found = []
        for value in values:
            self._newest[name] = value
            if topic == self._first:
                found.append(self._newest)
                self._newest = {}
        return found

    @property
    def delimiter(self) -> str:
        """Delimiter of the numbers in a payload; "" if unknown, or if topics may differ."""
        return self._payloads[self._first].delimiter if len(self._payloads) == 1 else ""

    @property
    def notes(self) -> list[str]:
        """Sentences about what was recognised."""
        return [note for one in self._payloads.values() for note in one.notes]

    def _named(self, topic: str, payload: bytes, begins: bool = False) -> tuple[str, Sequence[Any]]:
        name = self._names.get(topic)
        if name is None:
            raise ValueError("a topic without a subscription")
        if len(payload) > LONGEST:
            raise ValueError("too long")
        text = payload.decode("utf-8-sig").strip()
        try:
            value = decoded(text)
        except ValueError:
            if not text:
                raise
            if begins:
                self._payloads[topic].begin(text)
            return name, self._payloads[topic].values(text)
        objects = objects_of(value)
        return name, [value] if objects is None else objects

    def _single(self, name: str, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        fields = self._fields
        if fields and isinstance(value, list) and len(fields) == len(value):
            return dict(zip(fields, value, strict=True))
        return {fields[0] if fields and len(fields) == 1 else name: value}
