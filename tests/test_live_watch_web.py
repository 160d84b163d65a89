"""The page of a watch in a headless browser: it follows the stream, and nobody can change it."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

for library in ("bokeh", "jinja2", "polars"):
    pytest.importorskip(library, reason="pages need the extra 'app'")

from test_browser import browser, looked_at
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from nbt_embed.errors import StreamError
from nbt_embed.live.web import WebView

__all__ = ["browser"]  # a fixture

READY = "#live[aria-busy=false]"
HOSTILE = "<img src=x onerror=alert()>$$x$$ {{ 7 * 7 }} @{y}"


@contextmanager
def watched(*words: str, rows: bytes | None = None, rate: int = 400) -> Iterator[tuple[str, Any]]:
    """A running watch with a page: its address and process."""
    source = f"simulated:?rate={rate}&seed=1" if rows is None else "-"
    command = [sys.executable, "-m", "nbt_embed", "watch", source, "--web", "0", "--hidden", "4"]
    with subprocess.Popen(
        [*command, "--out", "/dev/null", "--quiet", *words],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        if rows is not None:
            process.stdin.write(rows)
            process.stdin.flush()
        try:
            line = b""
            while b"the page is at " not in line:
                line = process.stderr.readline()
                assert line, "the watch has ended"
            yield line.decode().split()[-1], process
        finally:
            process.terminate()
            process.stdin.close()
            process.wait(20)


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """Return the address of a watch of 60 rows per second, for whoever only looks."""
    with watched(rate=60) as (address, _):
        yield address


@contextmanager
def opened(browser: Any, address: str, width: int = 1440, scheme: str = "light") -> Iterator[Any]:
    """The page, drawn; a request to elsewhere is a failure afterwards."""
    with looked_at(browser, address, READY, width, scheme) as (tab, asked):
        yield tab
    base = address.partition("?")[0]
    assert [url for url in asked if not url.startswith((base, "data:"))] == []


FIGURES = """() => ({
  rows: document.getElementById("subtitle").textContent,
  tables: document.getElementById("tables").textContent,
  forecast: document.querySelector("#tiles dd").textContent,
  end: model("view").end,
  drawn: [...model("shown").data.truth].join(),
  errors: model("errors").data.m0.length,
})"""


@pytest.mark.parametrize(
    ("width", "scheme"),
    [pytest.param(390, "dark", marks=pytest.mark.slow), (1440, "light")],
)
def test_figures_follow_the_stream(
    browser: Any, page: str, width: int, scheme: str, tmp_path: Path
) -> None:
    axe_core = pytest.importorskip("axe_core_python", reason="pip install '.[browser]'")
    axe = (Path(axe_core.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    with opened(browser, page, width, scheme) as tab:
        before = tab.evaluate(FIGURES)
        tab.wait_for_function(
            "(before) => document.getElementById('subtitle').textContent !== before",
            arg=before["rows"],
        )
        tab.wait_for_timeout(1200)
        after = tab.evaluate(FIGURES)
        changed = {name for name in before if before[name] != after[name]}
        assert changed >= {"rows", "tables", "forecast", "end", "drawn"}
        assert after["end"] > before["end"]
        tab.screenshot(path=tmp_path / f"watch-{scheme}-{width}.png", full_page=True)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        tab.evaluate(axe)
        found = tab.evaluate("axe.run()")["violations"]
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        assert not [(one["id"], one["nodes"][0]["html"][:300]) for one in serious]


@pytest.mark.slow
def test_whoever_looks_back_is_left_there(browser: Any, page: str) -> None:
    view = "() => { const one = model('view'); return [one.start, one.end]; }"
    with opened(browser, page) as tab:
        tab.wait_for_function("model('full').data.x.length >= 300")
        tab.locator("[data-move=earlier]").click()
        settled_at = tab.evaluate(view)
        tab.wait_for_timeout(700)
        assert tab.evaluate(view) == settled_at
        tab.locator("[data-move=end]").click()
        newest = tab.evaluate(view)
        assert newest[1] > settled_at[1]
        tab.wait_for_function("(end) => model('view').end > end", arg=newest[1])
        tab.get_by_role("checkbox", name="forecast of last value").check()
        tab.wait_for_timeout(700)
        assert tab.evaluate("drawn('rls').map((one) => one.visible)") == [True]


@pytest.mark.slow
def test_targets_can_be_chosen_by_several_browsers(browser: Any, page: str) -> None:
    with opened(browser, page) as one, opened(browser, page) as two:
        names = one.locator("#shown-target option").all_inner_texts()
        two.locator("#shown-target").select_option(names[1])
        two.wait_for_url("**/?target=1")
        two.wait_for_selector(READY)
        assert model_label(one) == names[0]
        assert model_label(two) == names[1]
        for tab in (one, two):
            end = tab.evaluate("model('view').end")
            tab.wait_for_function("(end) => model('view').end > end", arg=end)


def model_label(tab: Any) -> str:
    return str(tab.evaluate("model('forecast').yaxis?.[0]?.axis_label?.text ?? "
        "models().find((one) => one.axis_label?.text)?.axis_label.text"))  # fmt: skip


@pytest.mark.slow
def test_names_are_texts(browser: Any) -> None:
    rows = f'"{HOSTILE}",b\n' + "".join(f"{row % 7},{row % 5}\n" for row in range(300))
    with watched(rows=rows.encode()) as (address, _), opened(browser, address) as tab:
        tab.wait_for_function("document.getElementById('subtitle').textContent.startsWith('300')")
        tab.wait_for_timeout(700)
        assert HOSTILE in tab.inner_text("#tables")
        assert tab.evaluate("document.querySelectorAll('main img').length") == 0


@pytest.mark.slow
def test_a_page_says_when_the_watch_has_ended(browser: Any) -> None:
    context = browser.new_context()
    with watched() as (address, process):
        tab = context.new_page()
        tab.goto(address)
        tab.wait_for_selector(READY)
        process.terminate()
        assert process.wait(20) == 143
        tab.wait_for_function(
            "document.getElementById('connection').textContent.startsWith('The watch has ended')"
        )
    context.close()


# ---- nobody can change anything --------------------------------------------------------------


def fetched(address: str, host: str | None = None) -> tuple[int, str]:
    request = urllib.request.Request(address, headers={} if host is None else {"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""


def test_other_names_and_origins_are_refused() -> None:
    with watched() as (address, _):
        port = address.rsplit(":", 1)[1].strip("/")
        code, text = fetched(address)
        assert code == 200
        assert fetched(address, f"evil.example:{port}")[0] == 403
        assert fetched(address, f"127.0.0.1:{port}")[0] == 200
        for path in (
            "../../etc/passwd",
            "static/../../../etc/passwd",
            "static/js/../../__init__.py",
        ):
            assert fetched(address + path)[0] in (403, 404)
        token = text.partition('"token":"')[2].partition('"')[0]
        assert token
        with ThreadPoolExecutor(1) as thread:  # which has no loop of its own yet
            for origin in ("http://evil.example", f"http://evil.example:{port}", "null"):
                thread.submit(asyncio.run, _refused(address, token, origin)).result()
        found = subprocess.run(
            ["ss", "-ltnH", f"sport = :{port}"], capture_output=True, text=True, check=False
        ).stdout
        for line in found.splitlines():
            assert line.split()[3].rsplit(":", 1)[0] in ("127.0.0.1", "[::1]"), line


async def _refused(address: str, token: str, origin: str) -> None:
    with pytest.raises(Exception, match="403"):
        await _socket(address, token, origin)


async def _socket(address: str, token: str, origin: str) -> WebSocketClientConnection:
    request = HTTPRequest(
        address.replace("http:", "ws:") + "ws",
        headers={"Origin": origin, "Sec-WebSocket-Protocol": f"bokeh, {token}"},
    )
    return await websocket_connect(request, subprotocols=["bokeh", token])


def attacked(address: str, identity: str) -> list[str]:
    """Send what a client may send, as one that knows the name of another's page.

    Returns: the texts of that page at the server, before and after.
    """
    from bokeh.client import pull_session

    kept = []
    with pull_session(url=address, session_id=identity) as own:
        texts = own.document.select_one({"name": "texts"})
        kept.append(json.dumps(texts.data["html"]))
        texts.data = {"id": ["verdict"], "html": ["<p>changed</p>"]}
        own.document.title = "changed"
        own.document.clear()
        own.push()
        own.force_roundtrip()
    with pull_session(url=address, session_id=identity) as again:
        assert len(again.document.roots) == 3
        assert again.document.title != "changed"
        kept.append(json.dumps(again.document.select_one({"name": "texts"}).data["html"]))
    return kept


@pytest.mark.slow
def test_what_a_browser_sends_changes_nothing(browser: Any) -> None:
    """Neither its own page at the server, nor that of others, nor the learner."""
    rows = b"a,b\n" + b"1,2\n2,3\n" * 200
    full = "() => [...model('full').data.truth].join()"
    with watched(rows=rows) as (address, process), opened(browser, address) as tab:
        tab.wait_for_function("document.getElementById('subtitle').textContent.startsWith('400')")
        tab.wait_for_timeout(700)
        shown = tab.evaluate("document.getElementById('tables').textContent")
        truth = tab.evaluate(full)
        identity = fetched_identity(tab)
        tab.evaluate(
            """() => {
              model("texts").data = { id: ["verdict"], html: ["<p>changed</p>"] };
              const { data } = model("full");
              model("full").data = { ...data, truth: data.truth.map(() => 7) };
            }"""
        )
        tab.wait_for_timeout(700)
        with ThreadPoolExecutor(1) as thread:  # which has no loop of its own yet
            before, after = thread.submit(attacked, address, identity).result()
        for texts in (before, after):
            assert "changed" not in texts
            assert "400 rows" in texts
        with opened(browser, address) as other:
            assert other.evaluate("document.getElementById('tables').textContent") == shown
            assert other.evaluate(full) == truth
        assert process.poll() is None


def fetched_identity(tab: Any) -> str:
    """Name of the page's session, which is in the token that the page was given."""
    text = tab.content()
    token = text.partition('"token":"')[2].partition('"')[0]
    body = token.partition(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["session_id"])


# Tornado leaves a socket that it could not bind to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_port_that_is_taken() -> None:
    with WebView("localhost", 0) as first:
        port = int(first.address.rsplit(":", 1)[1].strip("/"))
        with pytest.raises(
            StreamError, match=f"port {port} of localhost is not available.*name another"
        ):
            WebView("localhost", port).__enter__()


def test_a_host_of_the_network_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with WebView("0.0.0.0", 0):
        assert "everyone on the network can read" in capsys.readouterr().err
    with WebView("127.0.0.1", 0):
        assert capsys.readouterr().err == ""
    with pytest.raises(StreamError, match="is not available"):
        WebView("no.such.host.example", 0).__enter__()
