"""Perturbations in a fleet's specification: numbers, ranges and tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from nbt_embed.app.fleet_keys import Keys, anything, one_of, plain, real, texts, truth
from nbt_embed.errors import ConfigError, shown, similar
from nbt_embed.fleet.perturb import (
    KINDS,
    OF_DEVICE,
    OF_SPELLS,
    SHAPES,
    Distribution,
    Kind,
    Perturbation,
    Shape,
)

_TABLES = tuple([shape for shape in SHAPES if shape != "fixed"])  # which is written as a number
_VALUES = ("value", *_TABLES)


def perturbations_of(keys: Keys) -> Iterator[Perturbation]:
    """Return the perturbations of a table. Errors: ConfigError."""
    for kind in KINDS:
        value = keys.take(kind, anything, "", None)
        if value is None:
            continue
        several = isinstance(value, list) and any(isinstance(one, dict) for one in value)
        for place, one in enumerate(value if several else [value]):
            path = (*keys.path, kind, *([place] if several else []))
            yield _perturbation(kind, one, keys, path)
    keys.end()


def _perturbation(kind: Kind, value: Any, keys: Keys, path: tuple[str | int, ...]) -> Perturbation:
    said = ".".join(part for part in path if isinstance(part, str))
    try:
        if not isinstance(value, dict):
            return Perturbation(kind, _distribution(value))
        inner = Keys(value, keys.lines, path)
        more: dict[str, Any] = {}
        if kind not in OF_DEVICE:
            more["channels"] = inner.take("channels", texts, "a name or a list of names", None)
            more["together"] = inner.take("together", truth, "true or false", False)
        if kind in OF_SPELLS:
            more["length"] = inner.take("length", real(1, 1e12), "mean rows, from 1", 10.0)
        if kind in ("offset", "noise"):
            more["unit"] = inner.take("unit", one_of(("channel", "sd")), "", "channel")
        values = {name: inner.take(name, anything, "", None) for name in _VALUES}
        drawn = [(name, one) for name, one in values.items() if one is not None]
        inner.end()
        if len(drawn) != 1:
            raise ConfigError(f"{said} = {shown(value)}: expected one of {', '.join(_VALUES)}")
        name, numbers = drawn[0]
        made = _distribution(numbers) if name == "value" else _drawn(cast("Shape", name), numbers)
        return Perturbation(kind, made, **more)
    except ConfigError as error:
        if str(error).startswith(keys.lines.name):
            raise
        told = str(error)
        if not told.startswith((said, kind)):
            told = f"{said}: {told}"
        elif not told.startswith(said):
            told = f"perturbations.{told}"
        raise keys.lines.error(path, told) from None


def _distribution(value: Any) -> Distribution:
    """Convert a number, a range [low, high], or a table with the name of a distribution."""
    if isinstance(value, dict):
        names = list(value)
        if len(names) != 1 or names[0] not in _TABLES:
            raise ConfigError(
                f"{shown(value)}: {similar(names[0] if names else '', _TABLES)}expected a table "
                f"with one of {', '.join(_TABLES)}"
            )
        return _drawn(cast("Shape", names[0]), value[names[0]])
    numbers = value if isinstance(value, list) else [value]
    if not all(_is_number(one) for one in numbers) or (isinstance(value, list) and len(value) != 2):
        raise ConfigError(
            f"{plain(value)}: expected a number, a range [low, high], or a table such as "
            "{ normal = [0, 1] }"
        )
    return _drawn("uniform" if isinstance(value, list) else "fixed", numbers)


def _drawn(shape: Shape, numbers: Any) -> Distribution:
    if not isinstance(numbers, list) or not all(_is_number(one) for one in numbers):
        raise ConfigError(f"{shape} = {plain(numbers)}: expected a list of numbers")
    try:
        return Distribution(shape, tuple([float(one) for one in numbers]))
    except OverflowError:
        raise ConfigError(f"{shape} = {plain(numbers)}: expected finite numbers") from None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
