"""What a setting is that was left open: the kernel's default, as far as the others leave room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbt_embed._choices import CHOICES
from nbt_embed._kernel import ffi, lib

# (the kernel's name of a field, ours, its type in C), in the kernel's order.
KERNEL_FIELDS = tuple(
    (name, "hidden" if name == "n_hidden" else name, field.type.cname)
    for name, field in ffi.typeof("nbt_config").fields
)


def number_of(name: str, ctype: str, value: Any) -> Any:
    """A setting as the kernel's number; what its type cannot hold becomes one that is refused."""
    if name in CHOICES:
        return CHOICES[name].index(value)
    if ctype == "uint32_t" and not 0 <= value < 1 << 32:
        return (1 << 32) - 1  # no field's range goes so far: the kernel refuses it by name
    return value


def _needs_other_units(given: Mapping[str, Any]) -> bool:
    """Whether an estimator or a filter is meant for units that see each other."""
    return given["filter"] == "kalman_quasi" or given["estimator"] not in (None, "snap1", "frozen")


def settled(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the fields that are None in ``given``, by name.

    A default that the kernel refuses together with the other fields becomes the nearest
    value that it takes: without ``follow``, all that needs it is off. Where it refuses a
    field that is not open nothing follows from it; the error comes when a learner is built.
    """
    words = {
        name: number_of(name, ctype, given[name])
        for _, name, ctype in KERNEL_FIELDS
        if given[name] is not None and name != "seed"
    }
    sizes = words["n_in"], words["n_out"], words["hidden"]
    struct = lib.nbt_config_default(*sizes, words["link"])
    if "cell" in words or _needs_other_units(given):
        cell = words.get("cell", lib.NBT_CELL_GATED)
        struct = lib.nbt_config_for(*sizes, cell, words["link"])
    for kernel_name, name, _ in KERNEL_FIELDS:
        if name in words:
            setattr(struct, kernel_name, words[name])
    for name in ("scale_rate", "input_limit"):  # as nbt_config_default does without follow
        if given[name] is None and struct.follow == 0:
            setattr(struct, name, 0.0)
    if given["head_gain"] is None and struct.head > 0 and struct.head_gain == 0:
        columns = lib.nbt_config_for(*sizes[:2], 1, lib.NBT_CELL_COLUMNAR, words["link"])
        struct.head_gain = columns.head_gain
    field, low, high = ffi.new("uint32_t *"), ffi.new("double *"), ffi.new("double *")
    pointer = ffi.addressof(struct)
    for _ in KERNEL_FIELDS:
        if lib.nbt_config_check(pointer, field, low, high) == lib.NBT_OK:
            break
        kernel_name, name, ctype = KERNEL_FIELDS[field[0]]
        if given[name] is not None:
            break
        nearest = low[0] if getattr(struct, kernel_name) < low[0] else high[0]
        setattr(struct, kernel_name, nearest if ctype == "float" else int(nearest))
    return {
        name: CHOICES[name][value] if name in CHOICES else value
        for kernel_name, name, _ in KERNEL_FIELDS
        if given[name] is None
        for value in (getattr(struct, kernel_name),)
    }
