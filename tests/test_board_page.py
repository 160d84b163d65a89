"""The virtual board's page in a headless browser: its controls, and readings Python repeats."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from conftest import ROOT

for library in ("bokeh", "jinja2"):
    pytest.importorskip(library, reason="pages need the extra 'app'")

from test_browser import browser, looked_at

from nbt_embed import memory_of
from nbt_embed.simulation import machine
from tools.board.build import CHANNELS, COUNTERS, FAULTS, PAGE, UNITS, config_of

__all__ = ["browser"]  # a fixture

READY = "#board[aria-busy=false]"
SHARE_OF_INK = 0.002


@contextmanager
def board(browser: Any, width: int = 1440, scheme: str = "light") -> Iterator[Any]:
    """The page, without motion, since the browser asks for reduced motion; it asks for nothing."""
    with looked_at(browser, PAGE.as_uri(), READY, width, scheme) as (tab, asked):
        yield tab
    assert {url for url in asked if not url.startswith(("data:", "blob:"))} == {PAGE.as_uri()}


def advance(tab: Any, steps: int) -> None:
    tab.evaluate("(steps) => nbtBoard.advance(steps)", steps)


def newest(tab: Any, steps: int, channel: int = 0) -> Any:
    """The last readings of a channel; what is lost is NaN."""
    found = tab.evaluate(
        "([steps, channel]) => nbtBoard.readings.slice(-steps).map((one) => String(one[channel]))",
        [steps, channel],
    )
    return np.array(found, np.float32)


def number(tab: Any, selector: str) -> float:
    return float(tab.locator(selector).inner_text().replace(",", ""))


def counted(tab: Any, name: str) -> int:
    row = tab.locator("#counters tr", has_text=COUNTERS[name])
    return int(row.locator("td").first.inner_text().replace(",", ""))


def hash_in_python(tab: Any, folder: Path, units: int, ahead: int, capsys: Any) -> str:
    """What the lines of docs/guide/virtual-board.md print for the file that the page saves."""
    with tab.expect_download() as saving:
        tab.get_by_role("button", name="Save the readings").click()
    saving.value.save_as(folder / "board.csv")
    text = (ROOT / "docs/guide/virtual-board.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    settings = f"units, ahead = {units}, {ahead}\n"
    lines = re.sub(r"units, ahead = .*\n", settings, lines)
    lines = lines.replace('"board.csv"', repr(str(folder / "board.csv")))
    capsys.readouterr()
    exec(lines, {})
    return str(capsys.readouterr().out.strip())


@pytest.mark.parametrize(
    ("width", "scheme"), [(390, "dark"), pytest.param(1440, "light", marks=pytest.mark.slow)]
)
def test_it_opens_fits_and_can_be_read_by_everybody(
    browser: Any, width: int, scheme: str, tmp_path: Path
) -> None:
    axe_core = pytest.importorskip("axe_core_python", reason="pip install '.[browser]'")
    axe = (Path(axe_core.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    with board(browser, width, scheme) as tab:
        assert tab.locator("#run").inner_text() == "Run"
        assert tab.locator("#verdict").inner_text() == "Nothing is learnt yet."
        advance(tab, 600)
        tab.screenshot(path=tmp_path / f"{scheme}-{width}.png", full_page=True)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        inked = tab.evaluate("""[...document.querySelectorAll("canvas")].map((one) =>
            ink(one) / (one.width * one.height))""")
        assert len(inked) == 3
        assert min(inked) > SHARE_OF_INK
        tab.evaluate(axe)
        found = tab.evaluate("axe.run()")["violations"]
        assert not [(one["id"], one["nodes"][0]["html"][:300]) for one in found]


def test_python_repeats_what_the_page_has_learnt(
    browser: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with board(browser) as tab:
        advance(tab, 700)
        tab.locator("#fault-lost").click()
        tab.locator("#fault-spikes").click()
        advance(tab, 100)
        shown = tab.locator("#hash").inner_text()
        assert hash_in_python(tab, tmp_path, 16, 5, capsys) == shown
        assert number(tab, "#steps") == 800
        assert number(tab, "#bytes") == memory_of(config_of(16, 5)).total


class Still:
    """A generator for the machine of the package, whose speed and air are then constant."""

    def standard_normal(self) -> float:
        return 0.0


# Machines that wander not at all, as usual, and ten times as much: readings, and where they end.
WANDERED = """(steps) => [0, 1, 10].map((drift) => {
  const faults = [0, 1, 2].map(() => new Set());
  const settings = { noise: 0, turn: 12, drift, loose: false, swapped: false, faults };
  const sensors = new nbtSensors.Sensors(5, settings);
  const rows = Array.from({ length: steps }, (_, step) => {
    settings.loose = step >= steps / 2;
    return [...sensors.next()];
  });
  return { rows, wander: sensors.machine.wander, air: sensors.machine.air - 20 };
})"""


def test_the_machine_is_that_of_the_package(browser: Any) -> None:
    with board(browser) as tab:
        still, usual, fast = tab.evaluate(WANDERED, 200)
    expected = np.array(list(islice(machine(cast(Any, Still()), 100), 200)))
    np.testing.assert_allclose(np.array(still["rows"]), expected, rtol=1e-6, atol=1e-6)
    for one in ("wander", "air"):
        assert still[one] == 0
        assert usual[one] != 0
        assert fast[one] == pytest.approx(10 * usual[one])


@pytest.mark.slow
def test_every_control_does_what_it_says(
    browser: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with board(browser) as tab:

        def press(name: str) -> None:
            tab.get_by_role("button", name=name, exact=True).click()

        # One step, from the keyboard, and from the beginning again.
        tab.locator("#step").press("Enter")
        assert number(tab, "#steps") == 1
        press("Restart")
        assert number(tab, "#steps") == 0
        advance(tab, 1200)
        clean = newest(tab, 300)
        assert number(tab, "#against-last") < 0.3
        assert tab.locator("#broken").inner_text() == "Now: everything works."

        # Every fault, on every sensor, is one button; it does what it says to this sensor alone.
        seen = {}
        for channel, (name, _) in enumerate(CHANNELS):
            tab.locator("#channel").select_option(str(channel))
            assert tab.locator("#heading").inner_text().startswith(name)
            for fault, title in FAULTS.items():
                advance(tab, 30)
                before = newest(tab, 1, channel)[0]
                press(title)
                assert tab.locator(f"#fault-{fault}").get_attribute("aria-pressed") == "true"
                said = f"Now: {name.lower()}: {title.lower()}."
                assert tab.locator("#broken").inner_text() == said
                advance(tab, 200)
                seen[fault, channel] = (before, newest(tab, 200, channel))
                assert not np.isnan(newest(tab, 200, (channel + 1) % 3)).any()
                press("Repair all sensors")
                assert tab.locator("#broken").inner_text() == "Now: everything works."
        for channel, swing in enumerate((1, 1, 2)):
            before, stuck = seen["stuck", channel]
            assert (stuck == before).all()
            assert 0.35 < np.isnan(seen["lost", channel][1]).mean() < 0.65
            spikes = seen["spikes", channel][1]
            assert 0.01 < (abs(spikes - np.median(spikes)) > 3.5 * swing).mean() < 0.12
        assert np.median(seen["offset", 0][1]) - np.median(clean) > 2
        assert counted(tab, "stuck") > 0
        assert counted(tab, "limited") > 0
        assert "alarm of position" in tab.locator("#log").inner_text()
        assert len(tab.locator("#log li").all()) <= 8

        # Two faults at once, and swapped cables.
        tab.locator("#channel").select_option("2")
        press("Offset")
        press("Swap position and current")
        said = tab.locator("#broken").inner_text()
        assert said == "Now: temperature: offset; position and current are swapped."
        advance(tab, 300)
        assert abs(newest(tab, 300, 0)).max() < 1.2  # a current: its curve is cut off at 1
        assert abs(newest(tab, 300, 1)).max() > 1.2
        press("Swap position and current")
        press("Offset")
        assert tab.locator("#broken").inner_text() == "Now: everything works."

        # The machine: a loose part swings wider; noise, drift and sample rate by the keyboard.
        tab.locator("#channel").select_option("0")
        press("A part comes loose")
        advance(tab, 400)
        assert np.ptp(newest(tab, 200)) > 1.2 * np.ptp(clean)
        press("A part comes loose")
        advance(tab, 200)

        def roughness() -> float:
            return float(np.abs(np.diff(newest(tab, 200), 2)).mean())

        quiet = roughness()
        tab.locator("#noise").press("End")
        assert "50 %" in tab.locator("#noise-value").inner_text()
        advance(tab, 200)
        assert roughness() > 1.5 * quiet
        tab.locator("#noise").press("Home")
        assert tab.locator("#noise").get_attribute("aria-valuetext") == "0 % of the usual swing"
        tab.locator("#turn").press("End")
        advance(tab, 200)
        assert roughness() < 0.2 * quiet
        tab.locator("#turn").press("Home")
        advance(tab, 200)
        assert roughness() > 2 * quiet

        def wandered() -> float:
            advance(tab, 4000)
            return float(np.std(newest(tab, 4000, 2)))

        tab.locator("#drift").press("Home")
        still = wandered()
        tab.locator("#drift").press("End")
        assert wandered() > 1.5 * still

        # Python comes to the same state after all of that.
        shown = tab.locator("#hash").inner_text()
        assert hash_in_python(tab, tmp_path, 16, 5, capsys) == shown

        # Sizes: a fresh learner of so many bytes, in as much memory as before.
        memory = "nbtBoard.kernel.memory.buffer.byteLength"
        before_sizes = tab.evaluate(memory)
        for units in UNITS:
            tab.locator("#units").select_option(str(units))
            tab.locator("#ahead").select_option("20")
            assert number(tab, "#steps") == 0
            assert number(tab, "#bytes") == memory_of(config_of(units, 20)).total
            assert "NBT_BYTES" in tab.locator("#budget").inner_text()
            assert len(tab.locator("#boards tr").all()) == 8
            advance(tab, 60)
            shown = tab.locator("#hash").inner_text()
            assert hash_in_python(tab, tmp_path, units, 20, capsys) == shown
        assert tab.evaluate(memory) == before_sizes
        assert "20 samples ahead" in tab.locator("#heading").inner_text()


@pytest.mark.slow
def test_it_runs_by_itself_pauses_and_measures_its_step(browser: Any) -> None:
    with board(browser) as tab:
        tab.emulate_media(reduced_motion="no-preference")
        tab.reload()
        tab.wait_for_selector(READY)
        assert tab.locator("#run").inner_text() == "Pause"
        assert tab.locator("#step").is_disabled()
        tab.locator("#speed").select_option("100000")
        tab.wait_for_function("document.getElementById('time').textContent !== '–'")
        assert number(tab, "#time") > 0
        tab.locator("#run").click()
        steps = number(tab, "#steps")
        assert steps > 200
        tab.wait_for_timeout(200)
        assert number(tab, "#steps") == steps == tab.evaluate("nbtBoard.history.length")
        tab.emulate_media(reduced_motion="reduce")
        tab.reload()
        tab.wait_for_selector(READY)
        assert tab.locator("#run").inner_text() == "Run"


@pytest.mark.slow
def test_the_keyboard_reaches_every_control_in_order(browser: Any) -> None:
    with board(browser) as tab:
        reached = []
        for _ in range(40):
            tab.keyboard.press("Tab")
            reached.append(tab.evaluate("document.activeElement.id"))
        controls = tab.evaluate(
            "[...document.querySelectorAll('button, select, input')].map((one) => one.id)"
        )
        assert [one for one in reached if one in controls][: len(controls)] == controls
