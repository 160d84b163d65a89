"""pytest's part of ``nbt_embed.testing``: fixtures and the option ``--nbt-steps``.

pytest finds it by its entry point. It stands outside of the package, so that a test run which asks
for nothing here does not import the package, or NumPy.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from nbt_embed import Learner
    from nbt_embed.streams import Stream
    from nbt_embed.testing import Growth


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; none of them changes tests without these fixtures."""
    group = parser.getgroup("nbt_embed", "nbt_embed: memory and bits of learners")
    group.addoption(
        "--nbt-steps",
        type=_count,
        metavar="N",
        help="steps of a round of nbt_flat, and rows of nbt_stream; else 20,000 and 1,000",
    )
    group.addoption(
        "--nbt-record",
        action="store_true",
        help="nbt_same_bits writes its golden files instead of comparing with them",
    )


def _count(text: str) -> int:
    """A number of steps. Errors: ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 4:
        raise ArgumentTypeError(f"{text!r}: expected an integer from 4")
    return int(text)


@pytest.fixture
def nbt_flat(request: pytest.FixtureRequest) -> Callable[..., Growth]:
    """``nbt_embed.testing.assert_flat`` with the steps of ``--nbt-steps``."""
    from nbt_embed.testing import assert_flat

    steps = request.config.getoption("--nbt-steps")
    return assert_flat if steps is None else partial(assert_flat, steps=steps)


@pytest.fixture
def nbt_stream(request: pytest.FixtureRequest) -> Stream:
    """A simulated machine, three channels, the same rows in every run."""
    from nbt_embed.simulation import simulated_sensor

    return simulated_sensor(request.config.getoption("--nbt-steps") or 1000, missing=0.0)


@pytest.fixture
def nbt_same_bits(request: pytest.FixtureRequest) -> Callable[..., int]:
    """``assert_same_bits(learner, name, stream=...)`` with a golden log next to the test's file.

    ``--nbt-record`` writes the log, which then is committed with the test.
    """
    from nbt_embed.testing import assert_same_bits, record_bits

    def same_bits(learner: Learner, name: str, *, stream: Any, horizon: int = 1) -> int:
        __tracebackhide__ = True
        path = Path(request.path).parent / name
        if request.config.getoption("--nbt-record"):
            path.parent.mkdir(parents=True, exist_ok=True)
            return record_bits(learner, path, stream=stream, horizon=horizon)
        if not path.exists():
            pytest.fail(f"{path} is not there: pytest --nbt-record writes it", pytrace=False)
        return assert_same_bits(learner, path)

    return same_bits
