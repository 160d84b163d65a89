"""The files of the kernel: one concept each, includes one way, a map that is complete."""

import re
from graphlib import TopologicalSorter

import pytest
from compiled import KERNEL

from nbt_embed.config import CHOICES

# The versions for wider vector units include all of a step again.
ROOMS = {path.stem for path in KERNEL.glob("*.[ch]")} - {"nbt_avx2", "nbt_avx512"}


def includes(room: str) -> set[str]:
    """Return the rooms that a header and its source include, without their own."""
    texts = (path.read_text(encoding="utf-8") for path in KERNEL.glob(f"{room}.[ch]"))
    return {name for text in texts for name in re.findall(r'#include "(\w+)\.h"', text)} - {room}


def test_includes_go_one_way() -> None:
    order = list(TopologicalSorter({room: includes(room) for room in ROOMS}).static_order())
    assert order.index("nbt_sweep") < order.index("nbt_estimate") < order.index("nbt_learner")


def test_the_map_has_every_file_once() -> None:
    text = (KERNEL / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(nbt\w*)`", text, re.MULTILINE)
    assert sorted(named) == sorted(ROOMS | {"nbt_avx2", "nbt_avx512", "nbt_step"})


@pytest.mark.parametrize(("choice", "prefix"), [("estimator", "NBT_EST_"), ("link", "NBT_LINK_")])
def test_every_switch_names_every_choice(choice: str, prefix: str) -> None:
    """None has a default, under which a new choice would act as the last one."""
    expected = {prefix + name.upper() for name in CHOICES[choice]}
    switch = re.compile(
        rf"^    switch \(nbt_{choice}(?:_of)?\(\w+\)\) {{\n(.*?)^    }}\n", re.M | re.S
    )
    bodies = [body for path in KERNEL.glob("*.c") for body in switch.findall(path.read_text())]
    assert len(bodies) >= 3
    for body in bodies:
        assert set(re.findall(rf"case ({prefix}\w+):", body)) == expected
        assert "default:" not in body
