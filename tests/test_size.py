"""What a learner takes on a microcontroller, whether it fits, and what would."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from nbt_embed import Config, memory_of
from nbt_embed.cli import main
from nbt_embed.commands.size import rate
from nbt_embed.cost import code, cost, processors
from nbt_embed.errors import ConfigError
from nbt_embed.footprint import Footprint, Limits, footprint, misfits
from nbt_embed.smaller import REDUCTIONS, what_fits

SIZE = ["size", "--inputs", "3", "--outputs", "1"]
NAN, INFINITE = float("nan"), float("inf")


def refused(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """Return the one line that a bad option gives."""
    try:
        status: Any = main([*SIZE, *options])
    except SystemExit as end:
        status = end.code
    said = capsys.readouterr()
    assert status == 2
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err


def answer(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[str, Any]:
    """Return the text, and the document of the same."""
    assert main([*SIZE, *options]) == 0
    text = capsys.readouterr().out
    assert main([*SIZE, *options, "--json", "-"]) == 0
    return text, json.loads(capsys.readouterr().out)


# ---- the figures ---------------------------------------------------------------------------------


def test_a_footprint_is_made_of_its_parts() -> None:
    config = Config(3, 1, hidden=8)
    made = footprint(config, "Cortex-M4F", 100, rate_hz=50, volts=3.0, milliamps=10)
    assert made.learner_bytes == memory_of(config).total
    assert (made.fast, made.small) == code(config, "m4f")
    assert made.ram_bytes == made.learner_bytes + max(made.fast.stack, made.small.stack)
    assert made.cost == cost(config, "m4f", 100)
    low, high = made.milliseconds
    assert made.share == pytest.approx((low / 20, high / 20))
    # 3 V x 10 mA = 30 mW; a millisecond of it is 30 µJ.
    assert made.microjoules == pytest.approx((30 * low, 30 * high))


def test_what_is_not_said_is_not_answered() -> None:
    made = footprint(Config(3, 1), "m0")
    assert made.share is None
    assert made.microjoules is None
    assert made.cost.mhz == made.processor.mhz
    assert misfits(made, Limits()) == ()


@pytest.mark.parametrize("value", [0, -1, NAN, INFINITE, "3", 0.0])
@pytest.mark.parametrize("name", ["rate_hz", "volts", "milliamps"])
def test_numbers_that_are_not_above_0_are_refused_by_name(name: str, value: Any) -> None:
    numbers = {"volts": 3.0, "milliamps": 1.0, name: value}
    with pytest.raises(ConfigError, match=f"{name} = .*expected a number above 0"):
        footprint(Config(3, 1), "m4f", **numbers)


@pytest.mark.parametrize("name", ["ram", "flash", "rate_hz"])
@pytest.mark.parametrize("value", [0, -5, NAN, INFINITE])
def test_limits_that_are_none_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{name} = "):
        Limits(**{name: value})


def test_volts_and_milliamps_belong_together() -> None:
    with pytest.raises(ConfigError, match="volts: needs milliamps too"):
        footprint(Config(3, 1), "m4f", volts=3)
    with pytest.raises(ConfigError, match="milliamps: needs volts too"):
        footprint(Config(3, 1), "m4f", milliamps=3)


def test_limits_are_met_to_the_byte() -> None:
    made = footprint(Config(3, 1), "m4f")
    assert misfits(made, Limits(ram=made.ram_bytes, flash=made.small.flash)) == ()
    (ram,) = misfits(made, Limits(ram=made.ram_bytes - 1))
    assert ram == f"RAM: does not fit, {made.ram_bytes:,} of {made.ram_bytes - 1:,} bytes"
    (flash,) = misfits(made, Limits(flash=made.small.flash - 1))
    assert flash.startswith("flash: does not fit")


def test_too_slow_is_told_from_perhaps_too_slow() -> None:
    low, high = footprint(Config(3, 1), "m4f").milliseconds

    def said(period: float) -> tuple[str, ...]:
        return misfits(footprint(Config(3, 1), "m4f"), Limits(rate_hz=1e3 / period))

    assert said(high * 1.001) == ()
    assert said((low + high) / 2)[0].startswith("time: may be too slow")
    assert said(low * 0.999)[0].startswith("time: too slow")


# ---- what would fit ------------------------------------------------------------------------------

LEARNERS = (
    Config(3, 1),
    Config(8, 3, hidden=40),
    Config(2, 1, cell="gated", hidden=24),
    Config(2, 1, cell="gated", hidden=16, filter="kalman_quasi"),
    Config(2, 2, cell="lstm", hidden=12),
    Config(3, 1, cell="resonator"),
    Config(4, 3, link="categorical"),
    Config(2, 1, follow=False, rollback_steps=100),
    Config(2, 1, rollback_steps=100),
    Config(5, 2, filter="sgd"),
    Config(1, 1, hidden=0),
    Config(1, 1, hidden=1),
)


@pytest.mark.parametrize("config", LEARNERS, ids=repr)
@pytest.mark.parametrize("share", [0.95, 0.6, 0.3])
@pytest.mark.parametrize("limit", ["ram", "flash", "rate_hz"])
def test_what_is_said_to_fit_fits(config: Config, share: float, limit: str) -> None:
    made = footprint(config, "Cortex-M4F")
    limits = {
        "ram": Limits(ram=int(made.ram_bytes * share)),
        "flash": Limits(flash=int(made.small.flash * share)),
        "rate_hz": Limits(rate_hz=1e3 / (made.milliseconds[1] * share)),
    }[limit]
    assert misfits(made, limits)
    names = {one.name for one in REDUCTIONS}
    for one in what_fits(made, limits):
        assert misfits(one.footprint, limits) == ()
        assert names.issuperset(one.names)
        other = one.footprint.config
        # Its figures are those of the learner itself, not of a guess.
        assert one.footprint == footprint(other, "Cortex-M4F")
        assert (other.n_in, other.n_out, other.link) == (config.n_in, config.n_out, config.link)
        assert other.max_delay == config.max_delay


def test_the_cheapest_loss_stands_first_and_nothing_twice() -> None:
    made = footprint(Config(3, 1), "m4f")
    found = what_fits(made, Limits(ram=made.ram_bytes - 1))
    order = [one.name for one in REDUCTIONS]
    alone = [order.index(one.names[0]) for one in found if len(one.names) == 1]
    assert alone == sorted(alone)
    assert len(alone) >= 5
    assert found[0].names == ("no anomaly scores",)
    configs = [one.footprint.config for one in found]
    assert len(set(configs)) == len(configs)


def test_several_steps_together_where_none_is_enough_and_none_too_many() -> None:
    made = footprint(Config(3, 1, hidden=2, head=2, lags=2), "m4f")
    smallest = min(
        footprint(other, "m4f").ram_bytes
        for one in REDUCTIONS
        if (other := one.reduce(made.config)) is not None
    )
    limits = Limits(ram=smallest - 1)
    (found,) = what_fits(made, limits)
    assert len(found.names) > 1
    steps = {one.name: one.reduce for one in REDUCTIONS}
    for left_out in found.names:
        config: Config | None = made.config
        for name in found.names:
            if name != left_out and config is not None:
                config = steps[name](config)
        assert config is None or misfits(footprint(config, "m4f"), limits), left_out


def test_nothing_fits_into_nothing() -> None:
    assert what_fits(footprint(Config(3, 1), "m4f"), Limits(ram=100)) == ()


def test_the_power_stays_with_what_would_fit() -> None:
    made = footprint(Config(3, 1), "m4f", rate_hz=10, volts=3, milliamps=10)
    one = what_fits(made, Limits(ram=made.ram_bytes - 1))[0].footprint
    assert one.watts == made.watts
    assert one.rate_hz == 10
    assert replace(one, watts=None) == footprint(one.config, "m4f", rate_hz=10)


@pytest.mark.parametrize("one", REDUCTIONS, ids=lambda one: one.name.replace(" ", "-"))
def test_every_step_down_is_a_learner_of_less_or_nothing(one: Any) -> None:
    found = [(config, one.reduce(config)) for config in LEARNERS]
    assert any(other is not None for _, other in found)
    for config, other in found:
        if other is not None:
            assert other != config
            assert memory_of(other).total > 0  # the kernel takes it
            instructions = cost(other, "m3").instructions
            assert instructions <= 1.02 * cost(config, "m3").instructions or one.name in (
                "columnar cells",
            )


# ---- the command ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "hertz"),
    [
        ("100Hz", 100), ("100 Hz", 100), ("100hz", 100), ("1.5kHz", 1500), ("10 ms", 100),
        ("10ms", 100), ("1/s", 1), ("60/min", 1), ("7200 / h", 2), ("0.5s", 2), ("2min", 1 / 120),
        ("250us", 4000), ("250µs", 4000), ("1e3Hz", 1000), ("86400/d", 1), ("1h", 1 / 3600),
    ],
)  # fmt: skip
def test_rates_are_read_as_people_write_them(text: str, hertz: float) -> None:
    assert rate(text) == pytest.approx(hertz)


@pytest.mark.parametrize(
    "text",
    ["", "100", "Hz", "0Hz", "-1Hz", "nanHz", "0ms", "10MHz", "1e9Hz", "1/2s", "10 parsec", "1e99s",
     "1,5Hz", "infHz", "10mHz", "0/s", "1//s"],
)  # fmt: skip
def test_rates_that_are_none_are_refused_with_what_would_do(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"expected a rate .* 100Hz"):
        rate(text)


@pytest.mark.parametrize("name", ["--mhz", "--volts", "--milliamps", "--ram", "--flash"])
@pytest.mark.parametrize("text", ["0", "nan", "-1", "inf", "1e99", "x", "", "1,5", "0.0"])
def test_bad_numbers_are_one_line_with_option_and_value(
    name: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "--mcu", "m4f", f"{name}={text}")
    what = "a clock in megahertz above 0, up to 10000" if name == "--mhz" else "a number above 0"
    assert f"argument {name}: '{text}': expected {what}" in said


@pytest.mark.parametrize("name", ["--ram", "--flash"])
def test_less_than_a_byte_is_no_limit(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "--mcu", "m4f", f"{name}=1e-9")
    assert f"argument {name}: '1e-9': expected at least one byte, 1/1024" in said


def test_unknown_processors_are_told_the_nearest_and_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = refused(capsys, "--mcu", "cortex-m4")
    assert "did you mean 'Cortex-M4F'?" in said
    assert "expected one of Cortex-M0, " in said
    assert "RV32IMAFC" in said


@pytest.mark.parametrize(
    "option", ["--mhz=64", "--rate=1Hz", "--volts=3", "--milliamps=1", "--ram=8", "--flash=64"]
)
def test_what_belongs_to_a_processor_asks_for_one(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, option)
    assert f"{option.partition('=')[0]}: needs --mcu too" in said


def test_power_needs_both_its_factors(capsys: pytest.CaptureFixture[str]) -> None:
    assert "volts: needs milliamps too" in refused(capsys, "--mcu", "m4f", "--volts", "3")


def test_rtrl_has_no_cost_on_a_processor(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "--mcu", "m4f", "--cell", "gated", "--estimator", "rtrl")
    assert "rtrl" in said


def test_a_processor_answers_everything(capsys: pytest.CaptureFixture[str]) -> None:
    text, document = answer(
        capsys, "--mcu", "cortex-m4f", "--mhz", "64", "--rate", "100Hz", "--volts", "3.3",
        "--milliamps", "12", "--ram", "64", "--flash", "256",
    )  # fmt: skip
    made = footprint(Config(3, 1), "m4f", 64, 100, 3.3, 12)
    (one,) = document["processors"]
    assert one["ram_bytes"] == made.ram_bytes
    assert one["code"]["-Os"]["flash_bytes"] == made.small.flash
    assert one["instructions"] == made.cost.instructions
    assert one["microjoules"]["high"] == pytest.approx(3.3 * 12 * made.milliseconds[1])
    assert one["share_of_period"]["low"] == pytest.approx(made.milliseconds[0] / 10)
    assert one["fits"] is True
    assert one["misfits"] == []
    assert "would_fit" not in one
    assert document["memory_bytes"] == one["learner_bytes"]
    for figure in (made.ram_bytes, made.small.flash, made.fast.flash, made.cost.instructions):
        assert f"{figure:,}" in text
    assert "it fits" in text
    assert made.processor.source in text
    assert "volts x milliamps x time" in text


@pytest.mark.parametrize(
    ("kib", "task", "learner"),
    [
        ("8", [], []),
        ("2.5", [], ["--hidden", "0"]),
        ("4", ["--outputs", "4", "--link", "categorical"], []),
    ],
)
def test_what_does_not_fit_is_followed_by_what_would(
    kib: str, task: list[str], learner: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [*task, "--horizon", "3"]
    text, document = answer(capsys, "--mcu", "m4f", "--ram", kib, *asked, *learner)
    (one,) = document["processors"]
    assert one["fits"] is False
    assert "RAM: does not fit" in text
    assert one["would_fit"]
    for other in one["would_fit"]:
        config = Config(**other["config"])
        assert config.max_delay == 2
        assert other["ram_bytes"] == footprint(config, "m4f").ram_bytes <= float(kib) * 1024
        # Its options make it again.
        assert main([*SIZE, *asked, "--json", "-", *other["options"].split()]) == 0
        assert json.loads(capsys.readouterr().out)["memory_bytes"] == other["learner_bytes"]
        assert other["options"] in text


@pytest.mark.parametrize("link", ["categorical", "bernoulli"])
def test_the_kind_of_the_outputs_counts(link: Any, capsys: pytest.CaptureFixture[str]) -> None:
    _, document = answer(capsys, "--outputs", "2", "--link", link)
    assert document["config"]["link"] == link
    assert document["memory_bytes"] == memory_of(Config(3, 2, link=link)).total


def test_too_slow_is_said_with_the_period(capsys: pytest.CaptureFixture[str]) -> None:
    text, document = answer(capsys, "--mcu", "m0", "--rate", "100Hz")
    assert "time: too slow" in text
    assert "of 10 ms" in text
    for other in document["processors"][0]["would_fit"]:
        assert other["milliseconds"]["high"] <= 10
    text, _ = answer(capsys, "--mcu", "m4f", "--ram", "0.5")
    assert "no learner fits" in text


def test_all_processors_in_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    text, document = answer(capsys, "--mcu", "all", "--rate", "1ms", "--volts=3", "--milliamps=9")
    assert [one["processor"] for one in document["processors"]] == [
        one.name for one in processors()
    ]
    for one in document["processors"]:
        assert f"{one['processor']:>12}" in text
        assert f"{one['instructions']:,}" in text
        assert one["microjoules"]["low"] < one["microjoules"]["high"]
    assert text.count("too slow") >= 3


def test_without_a_processor_nothing_has_changed(capsys: pytest.CaptureFixture[str]) -> None:
    text, document = answer(capsys)
    assert "memory of the learner, bytes" in text
    assert "processors" not in document


def test_the_document_goes_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "size.json"
    assert main([*SIZE, "--mcu", "m7f", "--json", str(path)]) == 0
    assert json.loads(path.read_text())["processors"][0]["processor"] == "Cortex-M7F"
    assert "Cortex-M7F at 216 MHz" in capsys.readouterr().out


def test_more_units_cost_more() -> None:
    def of(hidden: int) -> Footprint:
        return footprint(Config(3, 1, hidden=hidden), "m33f", volts=3, milliamps=5)

    made = [of(hidden) for hidden in (2, 4, 8, 16, 32, 64)]
    for less, more in pairwise(made):
        assert less.ram_bytes < more.ram_bytes
        assert less.cost.instructions < more.cost.instructions
        assert less.microjoules is not None
        assert more.microjoules is not None
        assert less.microjoules < more.microjoules
