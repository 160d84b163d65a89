"""The cost of a step: against counts in QEMU that the fit has not seen, and what it refuses."""

from __future__ import annotations

import json
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbt_embed import Config
from nbt_embed.cost import code, cost, processor_of, processors
from nbt_embed.errors import ConfigError

HERE = Path(__file__).resolve().parent.parent / "tools" / "targets"
SIZES = json.loads((HERE / "size.json").read_text(encoding="utf-8"))
NAMES = [one.name for one in processors()]
# Of a recorded stream: steps in which units move are among them, and without an FPU the library's
# arithmetic depends on the numbers.
OTHER_STREAM = 0.05
# What the errors of instructions and of flash may be.
MEDIAN, WORST, FLASH = 0.055, 0.26, 0.35


@cache
def counts() -> Any:
    """What ``make cost`` has measured."""
    pytest.importorskip("scipy")
    from tools.targets.cost import load

    return load()


def held_out(name: str) -> list[tuple[Config, float, Any]]:
    """Configuration, instructions of a step, and the kernel that runs it."""
    from tools.targets.cost import HELD_OUT, config_of

    return [
        (config_of(arguments), sum(parts.values()), kernel)
        for kernel in counts()[name][HELD_OUT]
        for arguments, parts in kernel.steps.items()
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_stated_errors_are_those_of_configurations_that_the_fit_has_not_seen(name: str) -> None:
    from tools.targets.cost import FITTED, WHOLE

    counts()
    processor, unseen = processor_of(name), held_out(name)
    seen = {
        arguments
        for part in (FITTED, WHOLE)
        for kernel in counts()[name][part]
        for arguments in kernel.steps
    }
    assert not seen & {config.arguments() for config, _, _ in unseen}
    errors = np.abs([cost(config, name).instructions / n - 1 for config, n, _ in unseen])
    assert len(errors) == processor.held_out >= 50
    assert np.median(errors) == pytest.approx(processor.error_median, abs=2e-4)
    assert errors.max() == pytest.approx(processor.error_worst, abs=1e-3)
    assert processor.error_median <= MEDIAN
    assert processor.error_worst <= WORST


@pytest.mark.parametrize("name", NAMES)
def test_flash_and_stack_are_within_the_stated_errors_of_kernels_not_seen(name: str) -> None:
    counts()
    processor = processor_of(name)
    flash, stack = [], []
    for config, _, kernel in held_out(name):
        for made in code(config, name):
            if made.level not in kernel.flash:
                continue  # of the first alone
            flash.append(abs(made.flash / kernel.flash[made.level] - 1))
            # The worst error is added, so that a stack that is set aside is enough.
            assert made.stack >= kernel.stack[made.level]
            stack.append(made.stack / kernel.stack[made.level] - 1)
    assert max(flash) == pytest.approx(processor.flash_error, abs=1e-3)
    assert processor.flash_error <= FLASH
    # Too high by the error at one end, and raised by the error at the other.
    error = processor.stack_error
    assert max(stack) <= (1 + error) / (1 - error) - 1 + 0.05


@pytest.mark.parametrize("name", NAMES)
def test_the_instructions_of_make_size_are_within_the_stated_error(name: str) -> None:
    processor, checked = processor_of(name), 0
    for row in SIZES:
        short, cell, estimator, hidden, resonators, head, follow = row[:7]
        if name.removeprefix("Cortex-") != short:
            continue
        settings = {"cell": cell, "estimator": estimator, "hidden": hidden, "head": head}
        settings |= {"resonators": resonators, "follow": follow}
        settings |= {} if follow else {"lags": 1, "prior_units": False}
        error = cost(Config(3, 1, **settings), name).instructions / row[-2] - 1
        assert abs(error) <= processor.error_worst + OTHER_STREAM, row
        checked += 1
    assert checked >= 4


@pytest.mark.parametrize("name", NAMES)
def test_more_of_anything_costs_more(name: str) -> None:
    def instructions(**settings: object) -> int:
        return cost(Config(3, **({"n_out": 1} | settings)), name).instructions  # type: ignore[arg-type]

    for cell in ("columnar", "resonator", "tanh", "leaky", "gated", "lstm"):
        sizes = [instructions(hidden=hidden, cell=cell) for hidden in (1, 2, 4, 8, 16, 32)]
        assert sizes == sorted(set(sizes)), cell
    assert instructions(lags=2) < instructions(lags=8)
    assert instructions(n_out=1) < instructions(n_out=4)
    assert instructions(head=0) < instructions(head=8) < instructions(head=32)
    assert instructions(intervals=0) < instructions() < instructions(intervals=8)
    assert instructions(max_delay=0) < instructions(max_delay=3) == instructions(max_delay=9)
    assert instructions(follow=False) < instructions()
    assert instructions(hidden=0) < instructions(hidden=1)


def test_soft_float_costs_at_least_ten_times_as_much() -> None:
    config = Config(3, 1)
    by_name = {one.name: cost(config, one).instructions for one in processors()}
    for one in processors():
        if not one.has_fpu:
            assert by_name[one.name] > 10 * by_name["Cortex-M4F"]


def test_milliseconds_follow_from_the_clock_and_the_cycles() -> None:
    made = cost(Config(3, 1), "m4f", 100)
    per_cycle = made.instructions / 100e3
    assert made.milliseconds_low == pytest.approx(per_cycle * made.processor.cycles_low)
    assert made.milliseconds_high == pytest.approx(per_cycle * made.processor.cycles_high)
    usual = cost(Config(3, 1), made.processor)
    assert usual.mhz == made.processor.mhz
    assert usual.instructions == made.instructions


def test_every_processor_says_what_its_cycles_rest_on() -> None:
    for one in processors():
        assert 0 < one.cycles_low < one.cycles_high
        assert one.source
        assert one.board
        assert processor_of(one.name.lower()) == one


@pytest.mark.parametrize("name", ["m4", "Cortex-A72", "", None, 4])
def test_unknown_processors_are_refused_with_the_names_that_there_are(name: object) -> None:
    with pytest.raises(ConfigError, match=r"processor .*expected one of Cortex-M0, .*RV32IMAFC"):
        cost(Config(3, 1), name)  # type: ignore[arg-type]


def test_a_mistyped_name_is_told_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'Cortex-M33F'\?"):
        cost(Config(3, 1), "cortex-m33")


@pytest.mark.parametrize("mhz", [0, -1, float("nan"), float("inf"), 1e9, "fast"])
def test_impossible_clocks_are_refused(mhz: object) -> None:
    with pytest.raises(ConfigError, match=r"mhz = .*: expected a clock in megahertz, above 0"):
        cost(Config(3, 1), "m4f", mhz)  # type: ignore[arg-type]


def test_what_is_not_for_microcontrollers_has_no_cost() -> None:
    with pytest.raises(ConfigError, match="estimator = 'rtrl': it has no cost"):
        cost(Config(3, 1, cell="gated", estimator="rtrl"), "m4f")


def test_settings_that_are_no_learner_are_refused() -> None:
    with pytest.raises(ConfigError, match="hidden = -1"):
        cost(Config(3, 1, hidden=-1), "m4f")


@pytest.mark.slow
def test_the_fit_gives_what_is_shipped() -> None:
    from nbt_embed.cost import COSTS

    shipped = json.loads(COSTS.read_text(encoding="utf-8"))
    measured = counts()
    from tools.targets.cost import PLAN, fit_all

    made = fit_all({name: measured[name] for name in PLAN})
    assert made.keys() == shipped.keys() == set(NAMES)
    for name, one in made.items():
        # Where terms are nearly alike another library of linear algebra may take another one.
        assert one.worst == pytest.approx(processor_of(name).error_worst, abs=0.01)
        assert one.median == pytest.approx(processor_of(name).error_median, abs=0.003)


@pytest.mark.parametrize("name", NAMES)
def test_code_of_a_kernel_with_less_is_smaller(name: str) -> None:
    def flash(**settings: Any) -> list[int]:
        return [made.flash for made in code(Config(3, 1, **settings), name)]

    full = flash()
    for less in ({"anomaly": False}, {"intervals": 0}, {"head": 0}, {"resonators": 0},
                 {"mix_forget": 0.0}, {"follow": False}):  # fmt: skip
        assert all(a < b for a, b in zip(flash(**less), full, strict=True)), less
    assert all(made.stack % 8 == 0 for made in code(Config(3, 1), name))


def test_the_search_finds_what_a_function_is_made_of_and_nothing_else() -> None:
    pytest.importorskip("scipy")
    from tools.targets.fitting import Samples, Search, coefficients

    draw = np.random.default_rng(0)
    values = draw.integers(1, 60, (120, 40)).astype(float)
    cost = 7 * values[:, 3] + 25 * values[:, 11] + 100 * values[:, 30]
    whole = 3 * cost + 500
    samples = Samples(values, cost, whole, np.arange(120))
    chosen = Search(np.ones(40), [values], [whole]).selected([samples])
    found = dict(zip(chosen, coefficients(samples, chosen), strict=True))
    assert {term for term, one in found.items() if one > 1e-6} == {3, 11, 30}
    assert [found[term] for term in (3, 11, 30)] == pytest.approx([7, 25, 100])


def test_what_the_samples_do_not_have_is_taken_from_the_other_processor() -> None:
    pytest.importorskip("scipy")
    from tools.targets.fitting import Samples, coefficients

    values = np.array([[1.0, 0.0], [2.0, 0.0], [5.0, 0.0], [7.0, 0.0]])
    samples = Samples(values, 4 * values[:, 0], np.full(4, 100.0), np.arange(4))
    # Twice as slow in what both have, so in the other too.
    assert coefficients(samples, [0, 1], np.array([2.0, 3.0])) == pytest.approx([4, 6])
    nothing = Samples(values * 0, np.zeros(4), np.full(4, 100.0), np.arange(4))
    assert coefficients(nothing, [0, 1], np.array([2.0, 3.0])) == pytest.approx([2, 3])


def test_drawn_learners_are_the_same_again_and_cover_every_loop() -> None:
    pytest.importorskip("scipy")
    from tools.targets.drawn import learners

    drawn = list(islice(learners(1, 40_000, covering=True), 60))
    assert drawn == list(islice(learners(1, 40_000, covering=True), 60))
    assert len(set(drawn)) == 60
    kinds = {(config.estimator, config.filter) for config in drawn if config.hidden}
    for estimator in ("unitwise", "residual", "nobacktrack", "snap1"):
        for name in ("kalman", "kalman_quasi", "sgd"):
            assert (estimator, name) in kinds
