"""Messages that wait to be sent to an MQTT broker."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode

from nbt_embed.live.link import Work

MOST = 10_000  # messages that wait; the oldest is dropped for one more
_OPEN = 500  # messages that were sent and not yet acknowledged


class Outbox(Work):
    """Sends payloads to one topic, in their order.

    Args: topic; quality, 0 or 1; retain, whether the broker keeps the last one.
    """

    def __init__(self, topic: str, quality: int, retain: bool) -> None:
        self._topic, self._quality, self._retain = topic, quality, retain
        self._waiting: deque[bytes] = deque()
        self._open: deque[mqtt.MQTTMessageInfo] = deque()
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Mapping[str, int]:
        """What was sent, and what was dropped."""
        return {name: count for name, count in dict(self._counts).items() if count}

    @property
    def is_empty(self) -> bool:
        """Whether everything was sent."""
        return not self._waiting and not self._open

    def add(self, payload: bytes) -> None:
        """One more; called by another thread than the others."""
        if len(self._waiting) >= MOST:
            try:
                self._waiting.popleft()
                self._counts["messages dropped"] += 1
            except IndexError:  # it was sent just now
                pass
        self._waiting.append(payload)

    def ready(self, client: mqtt.Client, resumed: bool) -> None:
        """Nothing is to be subscribed."""

    def message(self, client: mqtt.Client, message: mqtt.MQTTMessage) -> None:
        """Nobody asked for messages."""

    def acknowledged(self, code: ReasonCode) -> None:
        """Count what the broker did not take; MQTT 3.1.1 and quality 0 cannot tell."""
        if code.is_failure:
            self._counts["messages sent"] -= 1
            self._counts[f"messages refused ({str(code).lower()})"] += 1

    def step(self, client: mqtt.Client) -> bool:
        """Send what waits, as long as the broker keeps up."""
        while self._open and self._open[0].is_published():
            self._open.popleft()
        while self._waiting and len(self._open) < _OPEN and client.is_connected():
            info = client.publish(self._topic, self._waiting.popleft(), self._quality, self._retain)
            self._counts["messages sent"] += 1
            self._open.append(info)
        return True
