"""Messages of one or several topics become records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from nbt_embed.app.numerals import is_missing, is_number
from nbt_embed.app.objects import decoded, objects_of
from nbt_embed.errors import StreamError
from nbt_embed.live.lines import LONGEST
from nbt_embed.live.records import EMPTY_ARRAYS


def check_topics(title: str, topics: Sequence[str]) -> None:
    """Refuse topics of which nobody knows what they are. Errors: StreamError."""
    for topic in topics:
        if not topic or "+" in topic or "#" in topic or "\x00" in topic:
            raise StreamError(
                f"{title}: topic {topic!r}: a wildcard, or nothing, does not tell which channels "
                "come: name the topics, separated by commas"
            )
    if len(set(topics)) < len(topics):
        raise StreamError(f"{title}: a topic is named twice: name each once")


class Topics:
    """Joins messages: a record for each reading of the first topic.

    A message holds one reading, or several as an array of objects.

    Args: topics; fields, the names of the values of an array or of a number alone, if they are
    said; counts, of what happened; texts, whether a text alone may be a value: the name of a class.
    """

    def __init__(
        self,
        topics: Sequence[str],
        fields: Sequence[str] | None,
        counts: Counter[str],
        texts: bool = False,
    ) -> None:
        last = [topic.rpartition("/")[2] for topic in topics]
        names = last if len(set(last)) == len(last) else topics
        self._names = dict(zip(topics, names, strict=True))
        self._first, self._fields, self._texts = topics[0], fields, texts
        self._counts = counts
        self._newest: dict[str, Any] = {}
        self._seen: dict[str, Any] = {}

    def sample(self, topic: str, payload: bytes) -> dict[str, Any] | None:
        """A record with the first reading of a message of every topic, once each has sent one.

        Errors: as of ``records``.
        """
        name, values = self._named(topic, payload)
        if not values:
            return None
        if len(self._names) == 1:
            return self._single(name, values[0])
        self._seen[name] = values[0]
        return self._seen if len(self._seen) == len(self._names) else None

    def records(self, topic: str, payload: bytes) -> list[dict[str, Any]]:
        """The records that a message completes.

        Errors: ValueError: the payload is neither JSON nor a number, or too long, or an array that
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

    def _named(self, topic: str, payload: bytes) -> tuple[str, list[Any]]:
        name = self._names.get(topic)
        if name is None:
            raise ValueError("a topic that nobody asked for")
        value = self._value(payload)
        objects = objects_of(value)
        return name, [value] if objects is None else objects

    def _single(self, name: str, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        fields = self._fields
        if fields and isinstance(value, list) and len(fields) == len(value):
            return dict(zip(fields, value, strict=True))
        return {fields[0] if fields and len(fields) == 1 else name: value}

    def _value(self, payload: bytes) -> Any:
        if len(payload) > LONGEST:
            raise ValueError("too long")
        text = payload.decode("utf-8-sig").strip()
        try:
            return decoded(text)
        except ValueError:
            if text and (self._texts or is_number(text) or is_missing(text)):
                return text
            raise
