"""A connection to an MQTT broker that reconnects without limit, in its own thread."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from nbt_embed.errors import StreamError
from nbt_embed.live.backoff import Backoff
from nbt_embed.live.lines import LONGEST
from nbt_embed.live.names import ClientName
from nbt_embed.live.where import Where, parse

PASSWORD = "NBT_MQTT_PASSWORD"  # environment variable
OPTIONS = (
    "client", "qos", "keepalive", "version", "wait", "cafile", "certfile", "keyfile",
    "passwordfile",
)  # fmt: skip
SOURCE_OPTIONS, TARGET_OPTIONS = ("field", "session"), ("retain",)
RECEIVE = 1000  # messages that a broker may send before the first is acknowledged
_ANSWER = 10.0  # seconds for a broker to answer
_CONNECT = 5.0  # seconds for a broker to accept a connection
_FAREWELL = 2.0  # seconds for closing
_IDLE = 0.5  # seconds between checks of the time
_UNSPECIFIED = 128  # reason code "unspecified error"
_OFTEN = 2  # consecutive short connections that suggest a second client of the same name
# Reason codes of refusals that are permanent.
_FINAL = {
    132: "it does not support this version of MQTT: use version=3 or version=5",
    133: "it rejects the name of this client: use client=NAME",
    134: f"user name or password is wrong: put user@ before the host, and set {PASSWORD}",
    135: f"this user is not allowed to connect: put user@ before the host, and set {PASSWORD}",
    138: "this client is banned",
}


class Work(ABC):
    """The user of a connection; its methods run in the connection's thread."""

    subscribes = False
    """Whether ``ready`` subscribes; the connection is then complete once the broker accepts."""

    @abstractmethod
    def ready(self, client: mqtt.Client, resumed: bool) -> None:
        """The broker has accepted. Args: client; resumed, whether the broker knows its session."""

    @abstractmethod
    def message(self, client: mqtt.Client, message: mqtt.MQTTMessage) -> None:
        """A message has arrived."""

    def acknowledged(self, code: ReasonCode) -> None:  # noqa: B027  # of no use to who only reads
        """The broker has answered a published message. Args: code, whether it accepted."""

    @abstractmethod
    def step(self, client: mqtt.Client) -> bool:
        """Do pending work, and return whether to read messages."""


def address(where: str, more: Collection[str]) -> Where:
    """Parse an address of MQTT. Args: where; more, further options.

    Errors: StreamError: there is no host or no topic, or an option is wrong.
    """
    found = parse(where, (*OPTIONS, *more))
    if not found.host or not found.path:
        raise StreamError(
            f"{found.title}: name a host and a topic, such as mqtt://host/sensors/room"
        )
    return found


class Link:
    """A connection that reconnects whenever it is lost, after waits up to 30 s.

    Args:
        where: of the broker, with the options of ``OPTIONS``.
        name: of the client, unless the address has one (``client=NAME``); released at the end.
        session: seconds for which the broker keeps undelivered messages; 0: none.
        work: the user of the connection.

    Errors: StreamError: a password or a certificate cannot be read, an option is wrong.
    """

    def __init__(self, where: Where, name: ClientName, session: int, work: Work) -> None:
        self._where, self._work, self._session = where, work, session
        self._name = name
        self.title = where.title
        self.state = "connecting"
        self.refused: str | None = None  # why the broker refuses this client
        self.connected = threading.Event()  # and subscribed, if ``work`` subscribes
        self._five = where.choice("version", "5", ("3", "5")) == "5"
        self._port = where.port or (8883 if where.scheme == "mqtts" else 1883)
        self._keepalive = where.whole("keepalive", 30, 5, 65535)
        self._accepted = self._stopping = False
        self._reason = ""
        self._short = 0  # consecutive connections that were lost early
        self._backoff = Backoff()
        try:
            self._client = self._made()
        except BaseException:
            name.release()
            raise
        self._awake, self._wake = socket.socketpair()
        self._awake.setblocking(False)
        self._wake.setblocking(False)
        self._thread = threading.Thread(target=self._run, name=f"mqtt {name.text}", daemon=True)

    def _made(self) -> mqtt.Client:
        where = self._where
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=where.said.get("client", self._name.text),
            protocol=mqtt.MQTTv5 if self._five else mqtt.MQTTv311,
            clean_session=None if self._five else not self._session,
            manual_ack=True,
        )
        client.connect_timeout = _CONNECT
        if where.user is not None:
            client.username_pw_set(where.user, self._password())
        if where.scheme == "mqtts":
            client.tls_set_context(self._context())
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = lambda client, _, message: self._work.message(client, message)
        client.on_publish = lambda _, __, ___, code, ____: self._work.acknowledged(code)
        client.on_socket_open = _undelayed
        return client

    def _password(self) -> str | None:
        file = self._where.said.get("passwordfile")
        if file is None:
            return os.environ.get(PASSWORD)
        try:
            return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise StreamError(
                f"{self.title}: passwordfile={file}: cannot be read ({reason}): check the name and "
                "its permissions"
            ) from None

    def _context(self) -> ssl.SSLContext:
        said = self._where.said
        try:
            context = ssl.create_default_context(cafile=said.get("cafile"))
            if "certfile" in said:
                context.load_cert_chain(said["certfile"], said.get("keyfile"))
        except (OSError, ssl.SSLError) as error:
            raise StreamError(
                f"{self.title}: cafile, certfile or keyfile cannot be read "
                f"({getattr(error, 'strerror', None) or error}): name files in PEM"
            ) from None
        return context

    def start(self) -> None:
        """Start the thread, which connects until ``close``."""
        self._thread.start()

    def wait(self) -> None:
        """Wait until the broker has accepted. Errors: StreamError has the reason if it does not."""
        seconds = self._where.number("wait", 10, 0.1, 1e9)
        until = time.monotonic() + seconds
        while not self.connected.wait(0.05):
            if self.refused is not None:
                raise StreamError(f"{self.title}: the broker refuses: {self.refused}")
            if time.monotonic() > until:
                raise StreamError(
                    f"{self.title}: no broker within {seconds:g} s ({self._reason or self.state}): "
                    "check host and port, or wait longer (wait=SECONDS)"
                )

    def wake(self) -> None:
        """Request a call of ``Work.step``; from any thread, without waiting."""
        with contextlib.suppress(OSError):  # already awake, or closed
            self._wake.send(b"!")

    def close(self) -> None:
        """Disconnect, and end the thread."""
        self._stopping = True
        self.wake()
        if self._thread.is_alive():
            self._thread.join(_FAREWELL)
        self._awake.close()
        self._wake.close()
        self._name.release()

    def _run(self) -> None:
        client = self._client
        while not self._stopping:
            self._accepted, self._reason = False, ""
            try:
                self._connect()
                self._serve()
            except Exception as error:  # whatever a broker sends, reconnect
                self._reason = _words(error)
                if isinstance(error, ssl.SSLCertVerificationError):
                    self.refused = f"{self._reason}: name its authority (cafile=FILE)"
            self.connected.clear()
            if self._stopping:
                break
            self._short = self._short + 1 if self._accepted and not self._backoff.stable else 0
            wait = self._backoff.next()
            if self._short >= _OFTEN:
                self._reason = (
                    f"{self._reason or 'connection lost'}, again and again: another client may "
                    "have the same name: use client=NAME"
                )
            self.state = f"not connected ({self._reason or 'connection lost'})"
            until = time.monotonic() + wait
            while not self._stopping and (left := until - time.monotonic()) > 0:
                time.sleep(min(left, 0.1))
        with contextlib.suppress(OSError, ValueError):
            client.disconnect()
            client.loop_write()

    def _connect(self) -> None:
        properties = None
        options: dict[str, Any] = {}
        if self._five:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = self._session
            properties.ReceiveMaximum = RECEIVE
            properties.MaximumPacketSize = LONGEST
            options = {"clean_start": not self._session, "properties": properties}
        self._client.connect(self._where.host, self._port, self._keepalive, **options)

    def _serve(self) -> None:
        """Read and write until the connection is lost."""
        client, began = self._client, time.monotonic()
        while not self._stopping and (connection := client.socket()) is not None:
            reads = self._work.step(client)
            waiting = reads and getattr(connection, "pending", int)() > 0
            poll = select.poll()
            poll.register(self._awake, select.POLLIN)
            wanted = (select.POLLIN if reads else 0) | (
                select.POLLOUT if client.want_write() else 0
            )
            poll.register(connection, wanted)
            events = dict(poll.poll(0 if waiting else _IDLE * 1000))
            if self._awake.fileno() in events:
                with contextlib.suppress(BlockingIOError):
                    self._awake.recv(4096)
            event = events.get(connection.fileno(), 0)
            lost = MQTTErrorCode.MQTT_ERR_SUCCESS
            if waiting or event & (select.POLLIN | select.POLLHUP | select.POLLERR):
                lost = client.loop_read()
                _answered_at_once(connection)
            if not lost and event & select.POLLOUT:
                lost = client.loop_write()
            if not lost and reads:
                lost = client.loop_misc()
            if lost:
                self._reason = self._reason or "connection lost"
                return
            if not self._accepted and time.monotonic() - began > _ANSWER:
                self._reason = f"no answer within {_ANSWER:g} s: is this an MQTT broker?"
                return

    def _on_connect(
        self, client: mqtt.Client, _: Any, flags: mqtt.ConnectFlags, code: Any, __: Any
    ) -> None:
        if code.is_failure:
            self._reason = f"refused: {code}"
            self.refused = _FINAL.get(code.value, self.refused)
            return
        self._accepted, self.refused = True, None
        self._backoff.succeeded()
        self.state = "subscribing" if self._work.subscribes else "connected"
        self._work.ready(client, flags.session_present)
        if not self._work.subscribes:
            self.connected.set()

    def _on_subscribe(self, _: Any, __: Any, ___: Any, codes: list[Any], ____: Any) -> None:
        refused = next((code for code in codes if code.is_failure), None)
        if refused is None:
            self.state = "connected"
            self.connected.set()
        else:
            self.state = f"connected; the topic is refused ({refused})"
            self.refused = f"the topic ({refused}): name one that this user may read"

    def _on_disconnect(self, _: Any, __: Any, ___: Any, code: Any, ____: Any) -> None:
        if code.is_failure and code.value != _UNSPECIFIED and not self._reason:
            self._reason = str(code).lower()


def _undelayed(_: Any, __: Any, connection: Any) -> None:
    """Disable the delay of small packets."""
    with contextlib.suppress(OSError, AttributeError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _answered_at_once(connection: Any) -> None:
    """Send the TCP acknowledgement at once, since a broker may delay small packets until then."""
    if hasattr(socket, "TCP_QUICKACK"):  # Linux; applies to the next read
        with contextlib.suppress(OSError, AttributeError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted ({error.verify_message})"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
