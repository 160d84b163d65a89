"""Pages of runs in a headless browser: drawn, readable, reachable, and without any request."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import missing

for library in ("bokeh", "jinja2"):
    pytest.importorskip(library, reason="pages need the extra 'app'")

from sample_run import Run, class_run, hostile_run, sample_run

from nbt_embed.app.page import page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BAD = ("error", "warning")
RUNS: dict[str, Callable[[], Run]] = {
    "one": lambda: sample_run(400),
    "nine": lambda: sample_run(400, 3, (1, 5, 20), dated=False),
    "classes": class_run,
    "hostile": hostile_run,
}
READY = "#stage[aria-busy=false]"
# Figures live in shadow trees.
HELPERS = """
function inside(root) {
  return [...root.querySelectorAll("*")].flatMap((one) =>
    [one, ...(one.shadowRoot ? inside(one.shadowRoot) : [])]);
}
function models() {
  return Bokeh.documents.flatMap((one) => one.roots().flatMap((root) => [...root.references()]));
}
function model(name) {
  return models().find((one) => one.name === name);
}
function drawn(role) {
  return models().filter((one) => one.glyph && one.tags?.[0]?.role === role);
}
function ink(canvas) {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((value, place) => place % 4 === 3 && value > 0).length;
}
Object.assign(window, { inside, models, model, drawn, ink });
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return a running browser; without one the tests skip."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed: pip install '.[browser]'")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        missing(f"none of {', '.join(BROWSERS)} is installed")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path)
        yield started
        started.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return pages of runs by name."""
    folder = tmp_path_factory.mktemp("pages")
    made = {name: folder / f"{name}.html" for name in RUNS}
    for name, path in made.items():
        path.write_text(page(*RUNS[name]()), encoding="utf-8")
    return made


@contextmanager
def looked_at(
    browser: Any, address: str, ready: str, width: int, scheme: str
) -> Iterator[tuple[Any, list[str]]]:
    """A page once it is drawn, and what it has asked for; a message of trouble is a failure."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    context.add_init_script(HELPERS)
    tab = context.new_page()
    trouble: list[str] = []
    tab.on("pageerror", lambda error: trouble.append(str(error)))
    tab.on("console", lambda said: trouble.append(said.text) if said.type in BAD else None)
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("websocket", lambda socket: asked.append(socket.url.replace("ws:", "http:")))
    tab.goto(address)
    tab.wait_for_selector(ready)
    yield tab, asked
    context.close()
    assert not trouble


@contextmanager
def opened(browser: Any, path: Path, width: int = 1440, scheme: str = "light") -> Iterator[Any]:
    """A page whose figures are drawn; a request is a failure afterwards."""
    with looked_at(browser, path.as_uri(), READY, width, scheme) as (tab, asked):
        yield tab
        tab.wait_for_timeout(50)
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]


def settled(tab: Any) -> None:
    """Wait until what was requested is drawn."""
    tab.wait_for_selector(READY)
    tab.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
@pytest.mark.parametrize(
    "name", [one if one == "one" else pytest.param(one, marks=pytest.mark.slow) for one in RUNS]
)
def test_it_opens_fits_and_can_be_read_by_everybody(
    browser: Any, files: dict[str, Path], name: str, width: int, scheme: str, tmp_path: Path
) -> None:
    axe_core = pytest.importorskip("axe_core_python", reason="pip install '.[browser]'")
    axe = (Path(axe_core.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    with opened(browser, files[name], width, scheme) as tab:
        settled(tab)
        tab.screenshot(path=tmp_path / f"{name}-{scheme}-{width}.png", full_page=True)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        tab.evaluate(axe)
        found = tab.evaluate("axe.run()")["violations"]
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        assert not [(one["id"], one["nodes"][0]["html"][:300]) for one in serious]


def test_figures_show_the_tracks(browser: Any, files: dict[str, Path]) -> None:
    document, pictures = sample_run(400)
    track = pictures.tracks[0]
    with opened(browser, files["one"]) as tab:
        inked = tab.evaluate(
            """[...document.querySelectorAll(".drawing")].map((drawing) => Math.max(
              ...inside(drawing).filter((one) => one.tagName === "CANVAS").map(ink)))"""
        )
        assert len(inked) == 3
        assert min(inked) > 2000
        full = tab.evaluate(
            """Object.fromEntries(Object.entries(model("full").data)
              .map(([name, values]) => [name, [...values].map(String)]))"""
        )
        ((gap, _),) = document["source"]["time"]["gaps"]
        for name in ("truth", "forecast", "rls", "low", "high", "row"):
            values = np.array(full[name], np.float64).astype(np.float32)
            assert np.isnan(values[gap]) or name == "row"  # no line crosses the gap
            values = np.delete(values, gap)
            np.testing.assert_array_equal(values, getattr(track, name).astype(np.float32))
        assert track.time is not None
        times = np.delete(np.array(full["x"], np.float64), gap)
        np.testing.assert_array_equal(times * 1e6, track.time.astype(np.int64))
        alarms = [one for one in document["horizons"][0]["alarms"] if one["target"] == track.target]
        marks = tab.evaluate("drawn('alarm').map((one) => one.data_source.data.x.length)")
        assert marks == [len(alarms)] * 2


@pytest.mark.slow
def test_the_keyboard_chooses_and_moves(browser: Any, files: dict[str, Path]) -> None:
    document, _ = RUNS["nine"]()
    with opened(browser, files["nine"]) as tab:

        def tab_to(selector: str) -> None:
            for _ in range(60):
                tab.keyboard.press("Tab")
                if tab.evaluate("(s) => document.activeElement.matches(s)", selector):
                    return
            pytest.fail(f"the keyboard does not reach {selector}")

        heading = tab.locator("#stage p").first
        assert heading.inner_text() == "position_mm, 1 row ahead"
        tab_to("#target")
        tab.keyboard.press("ArrowDown")
        tab.wait_for_function(
            "document.querySelector('#stage p').textContent.startsWith('current_A')"
        )
        settled(tab)
        tab_to("#horizon")
        tab.keyboard.press("End")
        tab.wait_for_function(
            "document.querySelector('#stage p').textContent.endsWith('20 rows ahead')"
        )
        settled(tab)
        label = tab.locator("#forecast").get_attribute("aria-label")
        own = document["horizons"][2]["targets"][1]["scores"]["learner"]
        assert f"RMSE {own['rmse']:.4g}" in label
        assert tab.locator("#in-view").inner_text() == "Rows 159 to 399."
        tab_to("[data-move=whole]")
        tab.keyboard.press("Enter")
        settled(tab)
        assert tab.locator("#in-view").inner_text() == "Rows 0 to 399."
        tab.keyboard.press("Shift+Tab")
        tab.keyboard.press("Shift+Tab")
        tab.keyboard.press("Space")
        settled(tab)
        assert tab.locator("#in-view").inner_text() != "Rows 0 to 399."
        tab_to("summary")
        tab.keyboard.press("Enter")
        assert tab.locator("#stage details[open] table").first.is_visible()
        focusable = tab.evaluate(
            "inside(document.querySelector('#forecast')).filter((one) => one.tabIndex >= 0).length"
        )
        assert focusable == 0  # a figure is one thing with a text, and no stop


def test_series_can_be_hidden_and_shown(browser: Any, files: dict[str, Path]) -> None:
    visible = "(role) => drawn(role).map((one) => one.visible)"
    with opened(browser, files["one"]) as tab:
        assert tab.evaluate(visible, "rls") == [False]
        tab.get_by_role("checkbox", name="forecast of RLS").check()
        tab.get_by_role("checkbox", name="80 % interval").uncheck()
        assert tab.evaluate(visible, "rls") == [True]
        assert tab.evaluate(visible, "band") == [False]


@pytest.mark.slow
def test_a_hundred_thousand_points_stay_few(
    browser: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document, pictures = sample_run(100_000, dated=False)
    track = pictures.tracks[0]
    path = tmp_path / "big.html"
    path.write_text(page(document, pictures), encoding="utf-8")
    began = time.perf_counter()
    with opened(browser, path) as tab:
        took = time.perf_counter() - began
        with capsys.disabled():
            size = path.stat().st_size
            print(f"\n{len(track.row):,} points, {size:,} bytes: drawn after {took:.2f} s")
        tab.locator("[data-move=whole]").click()
        settled(tab)
        drawn = tab.evaluate(
            "((data) => ({points: data.x.length, truth: [...data.truth], high: [...data.high]}))"
            "(model('shown').data)"
        )
        assert drawn["points"] <= 1100
        assert np.nanmax(drawn["truth"]) == np.nanmax(track.truth)
        assert np.nanmin(drawn["truth"]) == np.nanmin(track.truth)
        assert track.high is not None
        assert np.nanmax(drawn["high"]) == np.nanmax(track.high)
        said = tab.locator("#in-view").inner_text()
        assert said.startswith("Rows 0 to 99,999; drawn are the lowest and the highest of every ")


COLOURS = """[getComputedStyle(document.body).backgroundColor,
    models().find((one) => "axis_line_color" in one.properties).axis_label_text_color]"""


@pytest.mark.slow
def test_colours_follow_the_scheme_and_paper_is_white(browser: Any, files: dict[str, Path]) -> None:
    with opened(browser, files["one"], scheme="dark") as tab:
        dark = tab.evaluate(COLOURS)
        assert dark[0] == "rgb(20, 24, 28)"
        tab.emulate_media(color_scheme="light")
        settled(tab)
        light = tab.evaluate(COLOURS)
        assert light[0] == "rgb(255, 255, 255)"
        assert light[1] != dark[1]
        tab.emulate_media(color_scheme="dark")
        settled(tab)
        assert tab.evaluate(COLOURS) == dark
        tab.emulate_media(color_scheme="dark", media="print")
        settled(tab)
        paper = tab.evaluate(COLOURS)
        assert paper[0] == "rgb(255, 255, 255)"
        assert paper[1] not in (dark[1], light[1])
        assert not tab.locator("button").first.is_visible()
        tab.emulate_media(color_scheme="dark", media="screen")
        settled(tab)
        assert tab.evaluate(COLOURS) == dark


def test_the_command_can_be_copied(browser: Any, files: dict[str, Path]) -> None:
    document, _ = RUNS["one"]()
    with opened(browser, files["one"]) as tab:
        tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
        tab.get_by_role("button", name="Copy").click()
        tab.wait_for_function("document.getElementById('copied').textContent !== ''")
        assert tab.evaluate("navigator.clipboard.readText()") == document["command"]
