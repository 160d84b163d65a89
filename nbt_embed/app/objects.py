"""JSON objects as cells: fields by their dotted names."""

from __future__ import annotations

import json
import re
from typing import Any

MOST = 10_000  # fields of one object
_DEEPEST = 16
_decode = json.JSONDecoder().raw_decode
# Escapes of JSON one by one, of which a half of a pair is caught by its name.
_HALF = re.compile(r"\\ud[89ab]..\\ud[c-f]..|(?P<half>\\ud[89a-f]..)|\\.", re.IGNORECASE)


def decoded(text: str) -> Any:
    r"""The value of a JSON text; of equal keys the last one counts.

    An escaped half of a pair (``\ud800`` alone) spells no sign, and no file or message can hold it:
    it becomes U+FFFD, as in bytes that are no UTF-8. Errors: ValueError.
    """
    text = text.strip()
    if "\\ud" in text or "\\uD" in text:
        text = _HALF.sub(lambda found: r"\ufffd" if found["half"] else found[0], text)
    try:
        value, end = _decode(text)
    except RecursionError:
        raise ValueError("no JSON: too deep") from None
    if end != len(text):
        raise ValueError("no JSON: more follows")
    return value


def objects_of(value: Any) -> list[dict[str, Any]] | None:
    """The objects of which each is a row: one alone, or those of an array that holds nothing else.

    An empty array gives none. None: the value is neither. Errors: ValueError: an array mixes
    objects and other values, so that nobody knows what is a row.
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
    """All fields of a nested object by their dotted names, without empty objects."""
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
    """A value of a field as a cell of a table would spell it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (dict, list)):
        return "{}"
    return value if isinstance(value, str) else repr(value)
