"""The 8-bit target: what it counts of a program, and how many steps it is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Tool

from tools.targets import __main__ as targets
from tools.targets.avr import AVR, Counted
from tools.targets.machines import HERE, MACHINES, ToolError

Counts = Callable[[int, int], Counted]

# Between the two calls: so many cycles, and a function with so many bytes of variables.
PROGRAM = """\
#include <stdint.h>
void step_begin(void);
void step_end(void);
__attribute__((noinline)) static void deep(void)
{{
    volatile uint8_t used[{bytes}];
    for (uint16_t i = 0; i < {bytes}; i++) {{
        used[i] = 0;
    }}
}}
int main(void)
{{
    deep();
    for (uint8_t i = 0; i < 3; i++) {{
        step_begin();
        __builtin_avr_delay_cycles({cycles});
        step_end();
    }}
    return {bytes} % 2;
}}
"""


@pytest.fixture
def counts(tool: Tool, tmp_path: Path) -> Counts:
    """Return what the simulator counts of the program above."""
    for name in AVR.tools:
        tool(name)

    def count(cycles: int, used: int) -> Counted:
        source = tmp_path / "program.c"
        source.write_text(PROGRAM.format(cycles=cycles, bytes=used), encoding="utf-8")
        return AVR.counted(AVR.link("-Os", sources=[source], target=tmp_path / "program.elf"))

    return count


@pytest.mark.parametrize("cycles", [1, 1_000, 65_535, 65_536, 1_234_567, 60_000_000])
def test_cycles_are_exact(cycles: int, counts: Counts) -> None:
    """Whatever the timers' carries: a wait of so many cycles takes so many more than none."""
    none, one = counts(0, 10), counts(cycles, 10)
    assert (one.times, one.least, one.most) == (3, none.least + cycles, none.most + cycles)
    assert one.total == none.total + 3 * cycles
    assert none.most < 100  # the two calls


def test_the_stack_is_the_deepest_one(counts: Counts) -> None:
    """It is known to the byte where every byte of it is written."""
    small, large = counts(0, 100), counts(0, 301)
    assert large.stack - small.stack == 201
    assert 100 <= small.stack < 150


def test_a_stack_that_meets_the_variables_is_named(counts: Counts) -> None:
    with pytest.raises(ToolError, match="stack"):
        counts(0, 8_160)


def test_a_program_that_counts_nothing_is_an_error(tool: Tool, tmp_path: Path) -> None:
    for name in AVR.tools:
        tool(name)
    empty = AVR.link(sources=[HERE / "empty.c"], target=tmp_path / "empty.elf")
    assert AVR.emulate(empty) == ""
    with pytest.raises(ToolError, match="no step was counted"):
        AVR.counted(empty)


def test_what_takes_long_makes_fewer_steps() -> None:
    assert [targets.steps_on(AVR, steps) for steps in (1, 10, 2_000)] == [1, 10, 10]
    assert {targets.steps_on(machine, 2_000) for machine in MACHINES} == {2_000}
