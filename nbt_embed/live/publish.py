"""Publish answers as messages to an MQTT broker."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from nbt_embed._extras import needs
from nbt_embed.errors import StreamError
from nbt_embed.live.arrivals import Health

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from 3.11 on

_FAREWELL = 2.0  # seconds at the end for sending the queue


def check_apart(source: str, where: str) -> None:
    """Refuse to publish to a topic that is read. Args: addresses. Errors: StreamError."""
    with needs("publish"):
        from nbt_embed.live.link import SOURCE_OPTIONS, TARGET_OPTIONS, address
    sent = address(where, TARGET_OPTIONS)
    if not source.startswith(("mqtt:", "mqtts:")):
        return
    read = address(source, SOURCE_OPTIONS)
    one_broker = (read.host.lower(), read.port) == (sent.host.lower(), sent.port)
    if one_broker and not {*read.topics}.isdisjoint(sent.topics):
        raise StreamError(
            f"{sent.title}: is also the topic of the source: the published messages would return "
            "as rows; name another topic to publish"
        )


class Publisher:
    """Sends each row as a JSON object to a topic.

    ``send`` never blocks: a thread sends the queued rows, and when ``MOST`` are queued, one more
    drops the oldest. Messages without an acknowledgement are sent again after a lost connection, so
    a subscriber may get a message twice.

    Args: where, ``mqtt://[user@]host[:port]/topic`` or ``mqtts://``; ``retain=1``: the broker keeps
    the last message.
    Errors: StreamError: no broker, or it refuses, or the topic has a wildcard; MissingExtraError.
    """

    def __init__(self, where: str) -> None:
        with needs("publish"):
            from nbt_embed.live.link import TARGET_OPTIONS, Link, address
            from nbt_embed.live.names import ClientName
            from nbt_embed.live.outbox import Outbox
        found = address(where, TARGET_OPTIONS)
        topic = unquote(found.path)
        if found.scheme not in ("mqtt", "mqtts") or "+" in topic or "#" in topic:
            raise StreamError(
                f"{found.title}: name one topic without a wildcard, such as mqtt://host/forecasts"
            )
        self.title = found.title
        retain = found.choice("retain", "0", ("0", "1")) == "1"
        self._outbox = Outbox(topic, found.whole("qos", 1, 0, 1), retain)
        name = ClientName(f"{found.user} {found.title} publish")
        self._link = Link(found, name, 0, self._outbox)
        self._link.start()
        try:
            self._link.wait()
        except BaseException:
            self._link.close()
            raise

    def send(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Queue rows for sending, in order. A number that is not finite becomes null."""
        for row in rows:
            self._outbox.add(_json(row))
        self._link.wake()

    @property
    def health(self) -> Health:
        """State of the connection."""
        return Health(self._link.state, self._outbox.counts)

    def close(self) -> None:
        """Send the queue if the broker accepts it within two seconds, then disconnect."""
        until = time.monotonic() + _FAREWELL
        while not self._outbox.is_empty and time.monotonic() < until:
            self._link.wake()
            time.sleep(0.01)
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _json(row: Mapping[str, Any]) -> bytes:
    plain = {name: _plain(value) for name, value in row.items()}
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    """Convert a value to a type of JSON."""
    if hasattr(value, "item"):  # a scalar of NumPy
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
