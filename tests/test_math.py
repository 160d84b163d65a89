"""Errors of the kernel's elementary functions, in ulp, against the C library in double precision.

The bounds are those that ``csrc/nbt.h`` states. ``math_sweep.c`` does the counting. The square root
by integers has no error: ``root_sweep.c`` compares its bits with the processor's.
"""

import pytest
from conftest import HOST, ROOT, Build, run

BOUNDS = {"exp": 2.0, "log": 2.0, "tanh": 3.0, "sigmoid": 3.0}  # ulp


def sweep(build: Build, stride: int, *function: str) -> dict[str, tuple[float, str, int]]:
    """Return, per function, the largest error in ulp, its argument, and the broken rules."""
    source = ROOT / "tests" / "math_sweep.c"
    program = build("gcc", *HOST, source=source)
    lines = [line.split() for line in run(str(program), str(stride), *function).splitlines()]
    return {name: (float(error), at, int(broken)) for name, error, at, broken in lines}


def check(found: dict[str, tuple[float, str, int]], functions: set[str]) -> None:
    assert set(found) == functions
    assert {name: row for name, row in found.items() if row[0] > BOUNDS[name]} == {}
    # Saturation at the ends of the range, tanh = -1 or 1 there, NaN stays NaN.
    assert {name: row[2] for name, row in found.items()} == dict.fromkeys(found, 0)


def test_errors_over_a_dense_sweep(build: Build) -> None:
    """An odd stride visits every exponent and all low bits: 44 million arguments a function."""
    check(sweep(build, 97), set(BOUNDS))


@pytest.mark.slow
@pytest.mark.parametrize("function", BOUNDS)
def test_errors_over_every_float32_that_tells_something(function: str, build: Build) -> None:
    check(sweep(build, 1, function), {function})


def roots_that_differ(build: Build, first: int, last: int, stride: int) -> tuple[int, int]:
    """Return how many square roots were compared, and how many are not those of the processor."""
    program = build("gcc", *HOST, source=ROOT / "tests" / "root_sweep.c")
    compared, _, different, _ = run(str(program), str(first), str(last), str(stride)).split()
    return int(compared), int(different)


def test_the_square_root_by_integers_is_that_of_the_processor(build: Build) -> None:
    """Around powers of two, denormal numbers and squares, and 43 million others."""
    compared, different = roots_that_differ(build, 0, 2**32 - 1, 101)
    assert compared > 2**32 // 101 + 40_000
    assert different == 0


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 127 << 23])
def test_the_square_root_of_every_float32_of_an_exponent(first: int, build: Build) -> None:
    """Of even and of odd powers of two, as others are these with another exponent; and denormal."""
    compared, different = roots_that_differ(build, first, first + 2**24 - 1, 1)
    assert compared > 2**24
    assert different == 0
