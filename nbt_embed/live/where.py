"""Parse and check the address of a source or receiver."""

from __future__ import annotations

import math
import urllib.parse
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from nbt_embed.errors import StreamError, similar


@dataclass(frozen=True)
class Where:
    """An address ``scheme://user@host:port/path?name=value&...``.

    Attributes: scheme; user; host; port; path without its first slash, still quoted; said, the
    options after the question mark. A password is never part of it.
    """

    scheme: str
    user: str | None
    host: str
    port: int | None
    path: str
    said: Mapping[str, str]

    @property
    def title(self) -> str:
        """The address for messages, without user and options."""
        port = "" if self.port is None else f":{self.port}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{port}/{urllib.parse.unquote(self.path)}"

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics of MQTT, separated by commas in the path."""
        return tuple(urllib.parse.unquote(topic) for topic in self.path.split(","))

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """Return an option that is a number. Errors: StreamError."""
        text = self.said.get(name)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise StreamError(
                f"{self.title}: {name}={text}: expected a number from {low:g} to {high:g}"
            )
        return value

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """Return an option that is a whole number. Errors: StreamError."""
        value = self.number(name, default, low, high)
        if value != int(value):
            raise StreamError(f"{self.title}: {name}={value:g}: expected a whole number")
        return int(value)

    def choice(self, name: str, default: str, among: Collection[str]) -> str:
        """Return an option that is one of several words. Errors: StreamError."""
        value = self.said.get(name, default)
        if value not in among:
            raise StreamError(f"{self.title}: {name}={value}: name one of {', '.join(among)}")
        return value

    def names(self, name: str) -> tuple[str, ...] | None:
        """Return an option that is a list of names, separated by commas."""
        text = self.said.get(name)
        return None if text is None else tuple(one.strip() for one in text.split(","))


def parse(text: str, options: Collection[str]) -> Where:
    """Parse an address.

    Args: text; options, names that may follow the question mark.
    Errors: StreamError: an option is unknown or repeated, the port is invalid, there is a password.
    """
    scheme, _, rest = text.partition(":")
    rest, _, query = rest.partition("?")
    authority, path = "", rest
    if rest.startswith("//"):
        authority, _, path = rest[2:].partition("/")
    user, at, host = authority.rpartition("@")
    if ":" in user:
        raise StreamError(
            f"{scheme}://...@{host}: a password in an address is visible to every user of the "
            "machine: set NBT_MQTT_PASSWORD, or use passwordfile=FILE"
        )
    host, port = _port(scheme, host)
    said: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, equals, value = part.partition("=")
        if name not in options or not equals:
            raise StreamError(
                f"{scheme}:...?{name}: unknown option: {similar(name, options)}there are "
                f"{', '.join(sorted(options)) or 'none'}"
            )
        if name in said:
            raise StreamError(f"{scheme}:...?{name}: is given twice: give it once")
        said[name] = urllib.parse.unquote(value)
    return Where(scheme, urllib.parse.unquote(user) if at else None, host, port, path, said)


def _port(scheme: str, host: str) -> tuple[str, int | None]:
    """Split a host and its port; a host of IPv6 is in brackets."""
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        return host.strip("[]"), None
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        # The text may be part of a password, so it is not shown.
        raise StreamError(
            f"{scheme}://{name}: the port is not a number from 1 to 65535: write host:port/..., "
            "without a password"
        )
    return name.strip("[]"), int(port)
