"""Settings of learners in a fleet's specification: common ones, a grid, and named variants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from itertools import product
from typing import Any

from nbt_embed.app.fleet_keys import Keys, plain, text
from nbt_embed.config import NAMES, Config
from nbt_embed.errors import similar

RLS_NAME = "RLS"
_DEFAULT = "default"
_MOST_SETTINGS = 1000
# Settings that stream and horizons determine.
_DECIDED = ("n_in", "n_out", "max_delay", "hold_missing", "anchor", "link", "seed")
_SETTINGS = tuple(name for name in NAMES if name not in _DECIDED)
_FLAGS = tuple(one.name for one in fields(Config) if "bool" in str(one.type))
_WHY_DECIDED = {
    "seed": "every device has its own seed: set `seed` at the top of the file",
    "max_delay": "follows from `horizons`",
    "link": "give `link` in [stream.read]",
}


Settings = dict[str, dict[str, Any]]
Paths = dict[str, dict[str, tuple[str | int, ...]]]


def settings_of(top: Keys) -> tuple[Settings, Paths]:
    """Return learners by name, and the key of each of their settings."""
    common = dict(_taken(top.table("settings")))
    common_paths: dict[str, tuple[str | int, ...]] = {name: ("settings", name) for name in common}
    found: Settings = {}
    paths: Paths = {}
    grid = _grid(top.table("grid"), common)
    for values in product(*grid.values()) if grid else ():
        chosen = dict(zip(grid, values, strict=True))
        name = ", ".join(f"{key} {_value_text(value)}" for key, value in chosen.items())
        found[name] = {**common, **chosen}
        paths[name] = {**common_paths, **{key: ("grid", key) for key in grid}}
        if len(found) > _MOST_SETTINGS:
            raise top.lines.error(
                ("grid",), f"grid: has more than {_MOST_SETTINGS} combinations; leave values out"
            )
    for keys in top.tables("variant", _SETTINGS):
        name = keys.take("name", text, "a text", "")
        if not name or name in found or name == RLS_NAME:
            why = "is taken" if name else "is missing"
            raise keys.lines.error(
                (*keys.path, "name"), f"{keys.called('name')} = {name!r}: {why}; give every "
                "variant its own name",
            )  # fmt: skip
        own = dict(_taken(keys))
        found[name] = {**common, **own}
        paths[name] = {**common_paths, **{key: (*keys.path, key) for key in own}}
    if not found:
        found[_DEFAULT], paths[_DEFAULT] = common, common_paths
    return found, paths


def _taken(keys: Keys) -> Iterator[tuple[str, Any]]:
    for name, value in keys.rest():
        _check_name(keys, name)
        _check_value(keys, name, value)
        yield name, tuple(value) if isinstance(value, list) else value


def _grid(keys: Keys, common: Mapping[str, Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name, values in keys.rest():
        _check_name(keys, name)
        if name in common:
            keys.fail(name, values, "is also set in [settings]; leave one of the two out")
        if not isinstance(values, list) or not values:
            keys.fail(name, values, "expected a list of values to combine")
        for one in values:
            _check_value(keys, name, one)
        made = [tuple(one) if isinstance(one, list) else one for one in values]
        texts_of = [repr(one) for one in made]
        if len(set(texts_of)) < len(texts_of):
            keys.fail(name, values, "a value is repeated")
        found[name] = made
    return found


def _check_value(keys: Keys, name: str, value: Any) -> None:
    """Refuse true, which Python would take for 1."""
    if isinstance(value, bool) and name not in _FLAGS:
        keys.fail(name, value, "expected a number or a text")


def _check_name(keys: Keys, name: str) -> None:
    if name in _SETTINGS:
        return
    called = keys.called(name)
    if name in _DECIDED:
        why = _WHY_DECIDED.get(name, "follows from the stream; leave it out")
        raise keys.lines.error((*keys.path, name), f"{called}: {why}")
    raise keys.lines.error(
        (*keys.path, name),
        f"{called}: no such setting: {similar(name, _SETTINGS)}there are {', '.join(_SETTINGS)}",
    )


def _value_text(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(_value_text(one) for one in value) or "none"
    return value if isinstance(value, str) else plain(value)
