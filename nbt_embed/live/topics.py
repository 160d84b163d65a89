"""Messages of one or several topics become records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbt_embed.app.numerals import is_missing, is_number
from nbt_embed.app.objects import decoded
from nbt_embed.errors import StreamError
from nbt_embed.live.lines import LONGEST


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
    """Joins messages: a record for each message of the first topic.

    Args: topics; fields, the names of the values of an array or of a number alone, if they are
    said; texts, whether a text alone may be a value: the name of a class.
    """

    def __init__(
        self, topics: Sequence[str], fields: Sequence[str] | None, texts: bool = False
    ) -> None:
        last = [topic.rpartition("/")[2] for topic in topics]
        names = last if len(set(last)) == len(last) else topics
        self._names = dict(zip(topics, names, strict=True))
        self._first, self._fields, self._texts = topics[0], fields, texts
        self._newest: dict[str, Any] = {}
        self._seen: dict[str, Any] = {}

    def sample(self, topic: str, payload: bytes) -> dict[str, Any] | None:
        """A record with a value of every topic, once each has sent one.

        Errors: as of ``record``.
        """
        name, value = self._named(topic, payload)
        if len(self._names) == 1:
            return self._single(name, value)
        self._seen[name] = value
        return self._seen if len(self._seen) == len(self._names) else None

    def record(self, topic: str, payload: bytes) -> dict[str, Any] | None:
        """The record that a message completes, or None.

        Errors: ValueError: the payload is neither JSON nor a number, or too long.
        """
        name, value = self._named(topic, payload)
        if len(self._names) == 1:
            return self._single(name, value)
        self._newest[name] = value
        if topic != self._first:
            return None
        record, self._newest = self._newest, {}
        return record

    def _named(self, topic: str, payload: bytes) -> tuple[str, Any]:
        name = self._names.get(topic)
        if name is None:
            raise ValueError("a topic that nobody asked for")
        return name, self._value(payload)

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
