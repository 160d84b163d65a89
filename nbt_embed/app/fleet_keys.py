"""Read a TOML file key by key; errors have the line and path of the key."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from nbt_embed.errors import ConfigError, shown, similar

T = TypeVar("T")
D = TypeVar("D")
Path = tuple[str | int, ...]

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


class Lines:
    """Lines of the keys of a TOML text.

    Args: name, of the file; text, valid TOML.
    """

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self._lines: dict[Path, int] = {}
        table: Path = ()
        counts: dict[Path, int] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if header := _HEADER.match(line):
                table = _parts(header[2])
                if header[1] == "[[":
                    self._note(table, number)
                    counts[table] = counts.get(table, -1) + 1
                    table = (*table, counts[table])
                self._note(table, number)
            elif key := _KEY.match(line):
                self._note((*table, *_parts(key[1])), number)

    def _note(self, path: Path, number: int) -> None:
        """Note the line of a table, which is that of its first key."""
        for end in range(1, len(path) + 1):
            self._lines.setdefault(path[:end], number)

    def error(self, path: Path, text: str) -> ConfigError:
        """Return an error about a key, or about the table that contains it."""
        place = path
        while place and place not in self._lines:
            place = place[:-1]
        line = f", line {self._lines[place]}" if place else ""
        return ConfigError(f"{self.name}{line}: {text}")


def _parts(text: str) -> Path:
    return tuple(part.strip("\"'") for part in _PART.findall(text))


def dotted(path: Path) -> str:
    """Return a path in dotted form: variant[2].hidden, counted from 1."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


class Keys:
    """One table, whose keys are taken by name and type; ``end`` refuses the remaining ones.

    Args: table; lines; path, of the table; known, further names for suggestions.
    """

    def __init__(
        self, table: Mapping[str, Any], lines: Lines, path: Path = (), known: Collection[str] = ()
    ) -> None:
        self._table, self.lines, self.path = dict(table), lines, path
        self._known = list(known)

    def __contains__(self, name: str) -> bool:
        return name in self._table

    def take(self, name: str, convert: Callable[[Any], T], expected: str, default: D) -> T | D:
        """Take the value of a key, converted by ``convert``; the default if the key is absent.

        Errors: ConfigError if ``convert`` raises TypeError or ValueError.
        """
        self._known.append(name)
        if name not in self._table:
            return default
        value = self._table.pop(name)
        try:
            return convert(value)
        except ConfigError as error:
            raise self.lines.error((*self.path, name), f"{self.called(name)}: {error}") from None
        except (TypeError, ValueError, OverflowError):
            self.fail(name, value, f"expected {expected}")

    def table(self, name: str, known: Collection[str] = ()) -> Keys:
        """Take a table of this one; empty if absent."""
        found = self.take(name, mapping, "a table", {})
        return Keys(found, self.lines, (*self.path, name), known)

    def tables(self, name: str, known: Collection[str] = ()) -> Iterator[Keys]:
        """Take the tables of an array of tables."""
        found = self.take(name, _mappings, f"tables of the form [[{name}]]", ())
        for place, one in enumerate(found):
            yield Keys(one, self.lines, (*self.path, name, place), known)

    def rest(self) -> Iterator[tuple[str, Any]]:
        """Take all remaining keys."""
        while self._table:
            name = next(iter(self._table))
            yield name, self._table.pop(name)

    def called(self, name: str) -> str:
        """Return the whole path of a key."""
        return dotted((*self.path, name))

    def fail(self, name: str, value: object, text: str) -> NoReturn:
        """Refuse the value of a key. Errors: ConfigError."""
        raise self.lines.error((*self.path, name), f"{self.called(name)} = {plain(value)}: {text}")

    def end(self) -> None:
        """Refuse remaining keys, and suggest a similar name. Errors: ConfigError."""
        for name in self._table:
            where = dotted(self.path)
            there = f"{where} has" if where else "there are"
            raise self.lines.error(
                (*self.path, name),
                f"no key {shown(name)}{f' in {where}' if where else ''}: "
                f"{similar(name, self._known)}{there} {', '.join(dict.fromkeys(self._known))}",
            )


def plain(value: object) -> str:
    """Format a value approximately as in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    return shown(value)


def whole(low: int, high: int = (1 << 63) - 1) -> Callable[[Any], int]:
    """Return a converter to an integer from low to high; it refuses true, false and 2.0."""

    def convert(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError
        return value

    return convert


def real(low: float, high: float) -> Callable[[Any], float]:
    """Return a converter to a finite number from low to high."""

    def convert(value: Any) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise TypeError
        if not low <= value <= high:
            raise ValueError
        return float(value)

    return convert


def truth(value: Any) -> bool:
    """Convert true or false."""
    if not isinstance(value, bool):
        raise TypeError
    return value


def text(value: Any) -> str:
    """Convert a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def texts(value: Any) -> tuple[str, ...]:
    """Convert a text, or a list of at least one, each once."""
    found = (value,) if isinstance(value, str) else tuple(sequence(value))
    if not found or len({text(one) for one in found}) < len(found):
        raise ValueError
    return found


def one_of(names: Sequence[str]) -> Callable[[Any], str]:
    """Return a converter to one of these names."""

    def convert(value: Any) -> str:
        if value not in names or not isinstance(value, str):
            raise ConfigError(
                f"{plain(value)}: {similar(value, names)}expected one of {', '.join(names)}"
            )
        return value

    return convert


def anything(value: Any) -> Any:
    """Accept any value."""
    return value


def any_text(value: Any) -> str:
    """Convert a text, which may be empty."""
    if not isinstance(value, str):
        raise TypeError
    return value


def marks(value: Any) -> tuple[str, ...]:
    """Convert texts and numbers to texts."""
    found = value if isinstance(value, list) else [value]
    if not all(isinstance(one, (str, int, float)) and not isinstance(one, bool) for one in found):
        raise TypeError
    return tuple(str(one) for one in found)


def sequence(value: Any) -> list[Any]:
    """Convert a list."""
    if not isinstance(value, list):
        raise TypeError
    return value


def mapping(value: Any) -> dict[str, Any]:
    """Convert a table."""
    if not isinstance(value, dict):
        raise TypeError
    return value


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [mapping(one) for one in sequence(value)]
