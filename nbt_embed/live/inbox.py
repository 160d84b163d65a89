"""Queue of messages from an MQTT broker."""

from __future__ import annotations

import threading
import zlib
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

import paho.mqtt.client as mqtt
from paho.mqtt.subscribeoptions import SubscribeOptions

from nbt_embed.live.link import RECEIVE, Work

_MOST = 10_000  # messages in the queue; the broker and the connection hold the others
_BYTES = 1 << 24  # and their bytes
_AT_ONCE = 4096  # messages per call of ``take``
_RETAINED_ONCE = 1  # sent for a new subscription, not for a resumed session
_KNOWN = 4 * RECEIVE  # messages that are recognised when sent again; far fewer than numbers


@dataclass(eq=False)
class Message:
    """One message: its topic and bytes, and the data for its acknowledgement."""

    topic: str
    payload: bytes
    number: int  # with quality 1, else 0
    check: int
    connection: int
    taken: bool = False


class Inbox(Work):
    """A bounded queue of messages.

    A message is acknowledged when its row has been learnt. A message that the broker repeats
    because an acknowledgement was lost is recognised by its number and dropped. While the queue is
    full, nothing is read.

    Args: topics; quality, 0 or 1; retained, whether retained messages are accepted; counts.
    """

    subscribes = True

    def __init__(
        self, topics: Sequence[str], quality: int, retained: bool, counts: Counter[str]
    ) -> None:
        self._topics, self._quality, self._retained = topics, quality, retained
        self._counts = counts
        self._waiting: deque[Message] = deque()
        self._size = 0
        self._known: dict[int, Message] = {}  # recent messages by number
        self._done: deque[Message] = deque()  # learnt, to be acknowledged
        self._connection = 0
        self._come = threading.Condition()

    def ready(self, client: mqtt.Client, resumed: bool) -> None:
        """Subscribe; forget open messages if the broker has forgotten the session."""
        self._connection += 1
        if not resumed:
            self._known.clear()
        if self._connection > 1:
            self._counts["connections made again"] += 1
        options = SubscribeOptions(self._quality, retainHandling=_RETAINED_ONCE)
        five = client.protocol == mqtt.MQTTv5
        client.subscribe(
            [(topic, options if five else self._quality) for topic in self._topics]  # type: ignore[arg-type]
        )

    def message(self, client: mqtt.Client, message: mqtt.MQTTMessage) -> None:
        """Queue a message, unless it is a repetition or an unwanted retained message."""
        number = message.mid if message.qos else 0
        check = zlib.crc32(message.payload)
        if message.dup and number:
            self._counts["messages sent again"] += 1
            before = self._known.get(number)
            if before is not None and before.check == check:
                before.connection = self._connection
                if before.taken:
                    self._acknowledge(client, before)
                return
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        kept = Message(topic, bytes(message.payload), number, check, self._connection)
        if number:
            self._known.pop(number, None)
            self._known[number] = kept
            if len(self._known) > _KNOWN:
                del self._known[next(iter(self._known))]
        if message.retain and not self._retained:
            self._counts["retained messages"] += 1
            self._acknowledge(client, kept)
            return
        with self._come:
            self._waiting.append(kept)
            self._size += len(kept.payload)
            self._come.notify()

    def step(self, client: mqtt.Client) -> bool:
        """Acknowledge learnt messages."""
        while self._done:
            self._acknowledge(client, self._done.popleft())
        return len(self._waiting) < _MOST and self._size < _BYTES

    def _acknowledge(self, client: mqtt.Client, message: Message) -> None:
        message.taken = True
        if message.number and message.connection == self._connection:
            client.ack(message.number, 1)

    def take(self, patience: float) -> list[Message]:
        """Return queued messages; if there are none, wait ``patience`` seconds for the first."""
        with self._come:
            if not self._waiting:
                self._come.wait(patience)
            some = [self._waiting.popleft() for _ in range(min(len(self._waiting), _AT_ONCE))]
            self._size -= sum(len(one.payload) for one in some)
        return some

    def done(self, messages: Sequence[Message]) -> None:
        """Mark messages as learnt."""
        self._done.extend(messages)
