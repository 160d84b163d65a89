"""Save the attributes of an object as JSON and arrays, and restore them in an object of its kind.

Only numbers, texts, arrays and containers of them are accepted; objects of this package are saved
attribute by attribute. Restoring runs no code from the file, so untrusted files are safe.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
_ARRAY, _NUMBER = "array", "number"
_NUMBERS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class StateError(ValueError):
    """A state that does not fit the object."""


def taken(source: object, arrays: Arrays, leave_out: Collection[str] = ()) -> dict[str, Any]:
    """Return the attributes of an object as JSON; arrays are put into ``arrays``.

    Args: leave_out, attributes that are rebuilt instead of saved.
    """
    return {
        name: _plain(value, arrays) for name, value in vars(source).items() if name not in leave_out
    }


def put(target: object, state: Any, arrays: Arrays, leave_out: Collection[str] = ()) -> None:
    """Restore the attributes of a new object from a saved state.

    Errors: StateError if the state belongs to another kind of object.
    """
    held = {name: value for name, value in vars(target).items() if name not in leave_out}
    if not isinstance(state, dict) or state.keys() != held.keys():
        raise StateError(f"{type(target).__name__}: other attributes")
    for name, old in held.items():
        setattr(target, name, _made(old, state[name], arrays, name))


def _plain(value: Any, arrays: Arrays) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return number if math.isfinite(number) else {_NUMBER: str(number)}
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.ndarray):
        name = f"a{len(arrays)}"
        arrays[name] = value
        return {_ARRAY: name}
    if isinstance(value, (list, tuple, deque)):
        return [_plain(one, arrays) for one in value]
    if isinstance(value, dict):
        return {"dict": [[key, _plain(one, arrays)] for key, one in value.items()]}
    return {"object": taken(value, arrays)}


def _made(old: Any, state: Any, arrays: Arrays, name: str) -> Any:
    """Return a value of the state, with the type of the new object's value."""
    if isinstance(old, (list, tuple, deque)) and isinstance(state, list):
        if old and hasattr(old[0], "__dict__"):  # a fixed number of objects
            if len(old) != len(state):
                raise StateError(f"{name}: {len(state)} and not {len(old)}")
            for one, its in zip(old, state, strict=True):
                put(one, _object(its, name), arrays)
            return old
        items = [_free(one, arrays, name) for one in state]
        if old and not isinstance(old, deque) and len(items) != len(old):
            raise StateError(f"{name}: {len(items)} and not {len(old)}")
        return deque(items, old.maxlen) if isinstance(old, deque) else type(old)(items)
    if isinstance(old, dict) and isinstance(state, dict):
        return _dict(old, state, arrays, name)
    if isinstance(old, np.ndarray):
        array = _free(state, arrays, name)
        if not isinstance(array, np.ndarray) or array.dtype != old.dtype or array.ndim != old.ndim:
            raise StateError(f"{name}: another array")
        if array.shape[1:] != old.shape[1:]:
            raise StateError(f"{name}: an array of {array.shape} and not {old.shape}")
        return array.copy()
    if hasattr(old, "__dict__") and not isinstance(old, np.generic):
        put(old, _object(state, name), arrays)
        return old
    value = _free(state, arrays, name)
    if isinstance(old, np.floating):
        return type(old)(value)
    if old is not None and value is not None and not isinstance(value, _kinds(old)):
        raise StateError(f"{name}: {type(value).__name__} and not {type(old).__name__}")
    return value


def _kinds(old: Any) -> tuple[type, ...]:
    return (int, float) if type(old) in (int, float) else (type(old),)


def _dict(old: dict[Any, Any], state: Any, arrays: Arrays, name: str) -> dict[Any, Any]:
    pairs = state.get("dict")
    if not isinstance(pairs, list):
        raise StateError(f"{name}: no pairs")
    found = dict(pairs)
    if any(hasattr(one, "__dict__") for one in old.values()):
        if found.keys() != old.keys():
            raise StateError(f"{name}: other keys")
        return {key: _made(one, found[key], arrays, name) for key, one in old.items()}
    return {key: _free(value, arrays, name) for key, value in found.items()}


def _object(state: Any, name: str) -> Any:
    if not isinstance(state, dict) or "object" not in state:
        raise StateError(f"{name}: no object")
    return state["object"]


def _free(state: Any, arrays: Arrays, name: str) -> Any:
    """Return a value of free type: numbers, texts, arrays, and lists and dictionaries of them."""
    if isinstance(state, list):
        return [_free(one, arrays, name) for one in state]
    if not isinstance(state, dict):
        return state
    if state.keys() == {_ARRAY} and state[_ARRAY] in arrays:
        return arrays[state[_ARRAY]].copy()
    if state.keys() == {_NUMBER} and state[_NUMBER] in _NUMBERS:
        return _NUMBERS[state[_NUMBER]]
    if state.keys() == {"dict"}:
        return {key: _free(value, arrays, name) for key, value in state["dict"]}
    raise StateError(f"{name}: an unknown value")
