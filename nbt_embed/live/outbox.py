"""Queue of messages to an MQTT broker."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode

from nbt_embed.live.link import Work

MOST = 10_000  # messages in the queue; one more drops the oldest
_OPEN = 500  # messages that were sent and not yet acknowledged


class Outbox(Work):
    """Sends payloads to one topic, in order.

    Args: topic; quality, 0 or 1; retain, whether the broker keeps the last one.
    """

    def __init__(self, topic: str, quality: int, retain: bool) -> None:
        self._topic, self._quality, self._retain = topic, quality, retain
        self._waiting: deque[bytes] = deque()
        self._open: deque[mqtt.MQTTMessageInfo] = deque()
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Mapping[str, int]:
        """Counts of sent and dropped messages."""
        return {name: count for name, count in dict(self._counts).items() if count}

    @property
    def is_empty(self) -> bool:
        """Whether all messages were sent."""
        return not self._waiting and not self._open

    def add(self, payload: bytes) -> None:
        """Queue a message; called from another thread than the other methods."""
        if len(self._waiting) >= MOST:
            try:
                self._waiting.popleft()
                self._counts["messages dropped"] += 1
            except IndexError:  # it has just been sent
                pass
        self._waiting.append(payload)

    def ready(self, client: mqtt.Client, resumed: bool) -> None:
        """Nothing to do: there is no subscription."""

    def message(self, client: mqtt.Client, message: mqtt.MQTTMessage) -> None:
        """Nothing to do: there is no subscription."""

    def acknowledged(self, code: ReasonCode) -> None:
        """Count messages that the broker refused; MQTT 3.1.1 and quality 0 do not report them."""
        if code.is_failure:
            self._counts["messages sent"] -= 1
            self._counts[f"messages refused ({str(code).lower()})"] += 1

    def step(self, client: mqtt.Client) -> bool:
        """Send queued messages while the broker keeps up."""
        while self._open and self._open[0].is_published():
            self._open.popleft()
        while self._waiting and len(self._open) < _OPEN and client.is_connected():
            info = client.publish(self._topic, self._waiting.popleft(), self._quality, self._retain)
            self._counts["messages sent"] += 1
            self._open.append(info)
        return True
