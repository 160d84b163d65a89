"""JSON objects as cells: fields by their dotted names."""

from __future__ import annotations

import json
import re
from typing import Any

MOST = 10_000  # fields of one object
_DEEPEST = 16
_decode = json.JSONDecoder().raw_decode
# Escapes of JSON; the named group matches an unpaired surrogate.
_HALF = re.compile(r"\\ud[89ab]..\\ud[c-f]..|(?P<half>\\ud[89a-f]..)|\\.", re.IGNORECASE)


def decoded(text: str) -> Any:
    r"""Return the value of a JSON text; of equal keys the last one counts.

    An unpaired surrogate (``\ud800`` alone) is not a character and cannot be written to a file or
    message. It is replaced by U+FFFD, like bytes that are not UTF-8. Errors: ValueError.
    """
    text = text.strip()
    if "\\ud" in text or "\\uD" in text:
        text = _HALF.sub(lambda found: r"\ufffd" if found["half"] else found[0], text)
    try:
        value, end = _decode(text)
    except RecursionError:
        raise ValueError("not JSON: nested too deeply") from None
    if end != len(text):
        raise ValueError("not JSON: text follows the value")
    return value


def objects_of(value: Any) -> list[dict[str, Any]] | None:
    """Return the objects of a value, one row each: a single one, or an array of objects alone.

    An empty array gives none. None: the value is neither. Errors: ValueError: an array mixes
    objects and other values, so rows cannot be identified.
    """
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        return None
    found = [one for one in value if isinstance(one, dict)]
    if not found and value:
        return None
    if len(found) < len(value):
        raise ValueError("an array mixes objects and other values")
    return found


def flattened(value: Any) -> dict[str, Any]:
    """Return all fields of a nested object by their dotted names, without empty objects."""
    found: dict[str, Any] = {}
    stack: list[tuple[str, Any, int]] = [("", value, 0)]
    while stack and len(found) < MOST:
        name, one, depth = stack.pop()
        prefix = f"{name}." if name else ""
        if isinstance(one, dict) and depth < _DEEPEST:
            stack += [(prefix + key, inner, depth + 1) for key, inner in reversed(one.items())]
        elif isinstance(one, list) and depth < _DEEPEST:
            some = list(enumerate(one[:MOST]))
            stack += [(f"{prefix}{i}", inner, depth + 1) for i, inner in reversed(some)]
        else:
            found[name] = one
    return found


def text_of(value: Any) -> str:
    """Return a field's value as the text of a table's cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (dict, list)):
        return "{}"
    return value if isinstance(value, str) else repr(value)
