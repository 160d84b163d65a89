"""``make rates``: what runs at which rate on processors without an FPU."""

from pathlib import Path

import pytest
from conftest import ROOT, Tool

from nbt_embed.cost import processor_of
from tools.targets import program, rates
from tools.targets.counter import build_counter
from tools.targets.size import Model, Size, measure

BY_NAME = {machine.name: machine for machine in rates.PROCESSORS}
PAIRS = [("M0", "M0 soft"), ("RV32IMAC", "RV32IMAC soft")]


def size(processor: str, instructions: int) -> Size:
    return Size(processor, Model("gated", "nobacktrack", 8), 1, 2, 3, 4, 5, instructions, 7)


@pytest.mark.parametrize("name", ["M0", "M0 soft"])
def test_the_rate_is_that_of_the_careful_end(name: str) -> None:
    cycles = processor_of("M0").cycles_high
    found = rates.samples_a_second(size(name, 100_000), 48)
    assert found == pytest.approx(48e6 / (100_000 * cycles))


def test_an_avr_has_cycles_and_one_clock() -> None:
    found = [rates.samples_a_second(size("AVR", 500_000), mhz) for mhz in rates.MEGAHERTZ]
    assert found == [32.0, None, None]


def test_tables_have_a_line_for_each_and_equal_columns() -> None:
    rows = [("least squares", size("AVR", 500_000)), ("default", size("RV32IMAC soft", 4_000_000))]
    lines = rates.table_of_rates(rows).splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    counts = [rates.Operations(name, dict.fromkeys(rates.OPERATIONS, 12.25)) for name in BY_NAME]
    lines = rates.table_of_operations(counts).splitlines()
    assert len(lines) == 1 + len(BY_NAME)
    assert len({len(line) for line in lines}) == 1


def test_the_document_has_a_place_for_both() -> None:
    text = (ROOT / "docs/evidence/size.md").read_text(encoding="utf-8")
    for name in ("operations", "rates"):
        assert text.count(f"<!-- {name} -->") == text.count(f"<!-- /{name} -->") == 1


@pytest.mark.parametrize(("library", "soft"), PAIRS)
def test_operations_take_fewer_instructions_than_the_library_s(
    library: str, soft: str, tool: Tool, tmp_path: Path
) -> None:
    """A multiplication takes less than half of them."""
    for needed in BY_NAME[library].tools:
        tool(needed)
    counter = build_counter(tmp_path)
    slow, fast = (
        rates.operations(BY_NAME[one], tmp_path, counter).counts for one in (library, soft)
    )
    assert {name for name in slow if fast[name] >= slow[name]} == set()
    assert fast["*"] < slow["*"] / 2


@pytest.mark.slow
@pytest.mark.parametrize(("library", "soft"), PAIRS)
def test_a_step_takes_half_of_them(library: str, soft: str, tool: Tool, tmp_path: Path) -> None:
    for needed in BY_NAME[library].tools:
        tool(needed)
    program.write_header(tmp_path, hold=True)
    counter = build_counter(tmp_path)
    model = rates.LEARNERS["4 units"]
    slow, fast = (measure(BY_NAME[one], model, tmp_path, counter) for one in (library, soft))
    assert fast.instructions_mean < slow.instructions_mean / 2
    assert fast.flash < slow.flash
