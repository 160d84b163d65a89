"""A real MQTT broker that a test starts, kills and starts again."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import time
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

_STARTED = 10.0  # seconds in which the broker must be there


class Broker:
    """mosquitto on a port of its own.

    Args: folder, for its files; lines, more of its configuration.
    """

    def __init__(self, folder: Path, *lines: str) -> None:
        program = shutil.which("mosquitto")
        assert program is not None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._command = [program, "-c", str(folder / "mosquitto.conf")]
        access = () if any(line.startswith("password") for line in lines) else (
            "allow_anonymous true",
        )  # fmt: skip
        user = f"user {getpass.getuser()}"  # root gives up its rights otherwise, files with them
        text = "\n".join([f"listener {self.port} 127.0.0.1", user, *access, *lines])
        (folder / "mosquitto.conf").write_text(text + "\n", encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + _STARTED
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > until:
                    self.kill()
                    raise
                time.sleep(0.02)

    def kill(self) -> None:
        """Kill it: whatever it has not written is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None


class Sender:
    """A client that publishes, and waits until the broker has each message."""

    def __init__(self, broker: Broker) -> None:
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()

    def send(self, topic: str, *payloads: bytes | str, retain: bool = False) -> None:
        """Publish at least once each."""
        for payload in payloads:
            info = self.client.publish(topic, payload, 1, retain)
            info.wait_for_publish(_STARTED)
            assert info.is_published()

    def close(self) -> None:
        """Leave the broker."""
        self.client.disconnect()
        self.client.loop_stop()
