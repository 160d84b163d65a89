"""A watch as a web page, served by Bokeh's server to browsers that can only read it.

The server has its own thread and event loop. Twice a second, the watch hands it a document and
plotted data, and every page shows the newest. The server ignores everything that a browser sends.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import threading
from collections.abc import Iterator, Mapping
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.application import Application
from bokeh.application.handlers import FunctionHandler
from bokeh.document import Document
from bokeh.models import ColumnDataSource, CustomJS
from bokeh.server.server import Server
from markupsafe import Markup
from tornado.httputil import HTTPServerRequest
from tornado.ioloop import IOLoop
from tornado.web import HTTPError

from nbt_embed.app import figures, look, page, tables
from nbt_embed.app.results import ErrorTrack, Pictures, TrustTrack
from nbt_embed.app.tables import count, number, percent
from nbt_embed.errors import StreamError
from nbt_embed.live import summary
from nbt_embed.output import note

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from 3.11 on

_EVERY = 0.5  # seconds between two updates of the page
_POINTS = 240  # newest rows that are visible at first
_AREA_SHARE = 0.75
_SESSIONS = 64  # pages at once
_LARGEST_MESSAGE = 1 << 16  # bytes of a message from a browser
_LOCAL = ("localhost", "127.0.0.1", "[::1]")
_MODELS = ("learner", "last")


class WebView:
    """Serves the page of a watch (``watcher.View``); use it in ``with``.

    Args: host, address to listen at; port, 0: any free port.
    Errors: StreamError, if the port is not available.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._next = 0.0
        self._state: tuple[Mapping[str, Any], Pictures] | None = None
        self._environment = page.templates(finalize=page.shown_text)
        self._loop: IOLoop | None = None
        self._server: Server | None = None
        self._thread = threading.Thread(target=self._serve, name="watch-web", daemon=True)
        self._started: SimpleQueue[BaseException | None] = SimpleQueue()

    def __enter__(self) -> Self:
        for name in ("bokeh", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # no log of browsers' requests
        self._thread.start()
        error = self._started.get()
        if isinstance(error, OSError):
            raise StreamError(
                f"--web: port {self._port} of {self._host} is not available "
                f"({error.strerror or error}): name another one, or 0 for any free port"
            ) from error
        if error is not None:
            raise error
        if not _is_local(self._host):
            note(
                f"--web-host {self._host}: everyone on the network can read the page, and it is "
                "sent without encryption"
            )
        return self

    def __exit__(self, *_: object) -> None:
        loop = self._loop
        if loop is not None and self._thread.is_alive():
            loop.add_callback(self._end)
            self._thread.join(5.0)

    @property
    def address(self) -> str:
        """Address of the page."""
        host = self._host if ":" not in self._host else f"[{self._host}]"
        if host in ("0.0.0.0", "[::]"):
            host = "localhost"
        return f"http://{host}:{self._port}/"

    def due(self, now: float) -> bool:
        """Twice a second."""
        if now < self._next:
            return False
        self._next = now + _EVERY
        return True

    def show(self, document: Mapping[str, Any], pictures: Pictures) -> None:
        """Store the state, which pages read at their next update."""
        first, self._state = self._state is None, (document, pictures)
        if first:
            note(f"the page is at {self.address}")

    def _serve(self) -> None:
        """Run the event loop with the server; the body of the thread."""
        asyncio.set_event_loop(asyncio.new_event_loop())
        loop = IOLoop.current()
        try:
            server = Server(
                {"/": _ReadOnly(FunctionHandler(self._make), self)},
                io_loop=loop,
                address=self._host,
                port=self._port,
                websocket_max_message_size=_LARGEST_MESSAGE,
                include_headers=[],
                include_cookies=[],
            )
            self._port = server.port or self._port
            server._tornado.websocket_origins.update(self._origins(self._port))
            server.start()
        except BaseException as error:
            self._started.put(error)
            return
        self._loop, self._server = loop, server
        self._started.put(None)
        loop.start()
        loop.close()

    def _end(self) -> None:
        """Send the last state, then stop the server."""
        loop, server = self._loop, self._server
        assert loop is not None
        assert server is not None

        async def end() -> None:
            await asyncio.sleep(1.2 * _EVERY if server.get_sessions() else 0.0)
            server.stop(wait=False)
            for connection in list(server._tornado._clients):
                connection._socket.close()
            await asyncio.sleep(0.05)
            loop.stop()

        loop.add_callback(end)

    def _origins(self, port: int) -> set[str]:
        """Return the host names under which browsers may address this server."""
        hosts = set(_LOCAL)
        if not _is_local(self._host):
            hosts.add(self._host if ":" not in self._host else f"[{self._host}]")
            hosts |= set(_own_addresses())
        return {f"{host.lower()}:{port}" for host in hosts}

    def check(self, request: HTTPServerRequest) -> None:
        """Refuse a request that does not come from the page. Errors: HTTPError."""
        if request.host.lower() not in self._origins(self._port):
            raise HTTPError(403)
        if self._state is None:
            raise HTTPError(503)
        if self._server is not None and len(self._server.get_sessions()) >= _SESSIONS:
            raise HTTPError(503)

    def _make(self, made: Document) -> None:
        """Fill the document of one browser's page."""
        assert self._state is not None
        document, pictures = self._state
        context = made.session_context
        arguments = {} if context is None or context.request is None else context.request.arguments
        chosen = _chosen(arguments, len(document["targets"]))
        shown = _Page(self._environment, document, pictures, chosen)
        shown.fill(made)
        last = self._state

        def update() -> None:
            nonlocal last
            if self._state is not None and self._state is not last:
                last = self._state
                shown.update(*last)

        made.add_periodic_callback(update, int(1000 * _EVERY))


class _ReadOnly(Application):  # type: ignore[misc]  # bokeh without type hints
    """An application whose documents browsers cannot change."""

    def __init__(self, handler: FunctionHandler, view: WebView) -> None:
        super().__init__(handler)
        self._view = view

    def process_request(self, request: HTTPServerRequest) -> dict[str, Any]:
        self._view.check(request)
        return {}

    def initialize_document(self, doc: Document) -> None:
        super().initialize_document(doc)

        def unused(*_: Any, **__: Any) -> None:
            """Ignore a message of a browser."""

        # Called by the server for messages PATCH-DOC and PUSH-DOC.
        doc.apply_json_patch = unused
        doc.replace_with_json = unused


class _Page:
    """One browser's page: figures of a target, and texts."""

    def __init__(
        self, environment: Any, document: Mapping[str, Any], pictures: Pictures, chosen: int
    ) -> None:
        self._environment, self._chosen = environment, chosen
        self._document = document
        texts = environment.get_template("watch_texts.html.j2").module
        self._macros = texts
        track = pictures.tracks[chosen]
        error, trust = _slow_tracks(document, pictures, chosen)
        self._axis = figures.axis_of(track.row, track.time)[1]
        alarms = _alarms(document, track.target)
        self._forecast = figures.forecast_figure(
            track, alarms, document["alarm_threshold"], document["classes"], ()
        )
        names = {key: document["models"][key]["name"] for key in _MODELS}
        self._measure = next(iter(summary.measures(document).values()))
        self._error = figures.error_figure(error, names, self._measure, may_be_log=False)
        self._trust = None if trust is None else figures.trust_figure(trust)
        self._texts = ColumnDataSource(self._text_columns(document), name="texts")
        self._kind = ColumnDataSource({"kind": [self._axis]}, name="axis")
        full = self._source("full")
        full.js_on_change("data", CustomJS(args={"texts": self._texts}, code="nbtLive.follow()"))
        self._texts.js_on_change(
            "data", CustomJS(args={"texts": self._texts}, code="nbtLive.tell(texts)")
        )
        self._kind.js_on_change(
            "data", CustomJS(args={"axis": self._kind}, code="nbtLive.check(axis)")
        )
        full.js_on_change("name", CustomJS(args={"axis": self._kind}, code=""))  # keep it known
        self._track, self._errors, self._shares = track, error, trust

    def fill(self, made: Document) -> None:
        """Fill a document with figures, template and texts."""
        roots = {"forecast": self._forecast, "error": self._error, "trust": self._trust}
        for name, root in roots.items():
            if root is not None:
                root.name = name
                made.add_root(root)
        made.config.reconnect_session = False
        made.config.notify_connection_status = False
        made.title = str(self._document["source"]["title"])
        made.template = self._environment.get_template("watch.html.j2")
        made.template_variables.update(self._variables())

    def update(self, document: Mapping[str, Any], pictures: Pictures) -> None:
        """Update figures and texts to this state."""
        track = pictures.tracks[self._chosen]
        error, trust = _slow_tracks(document, pictures, self._chosen)
        x, kind, _ = figures.axis_of(track.row, track.time)
        if kind != self._axis:
            self._kind.data = {"kind": [kind]}
            return
        alarms = [
            one
            for one in _alarms(document, track.target)
            if len(track.row) and one["row"] >= track.row[0]
        ]
        for name in ("truth", "score"):
            for source in self._sources(f"alarms {name}"):
                source.data = figures.alarm_points(track, x, alarms, name)
        self._source("full").data = figures.forecast_columns(track, x, ())
        self._source("errors").data = figures.error_columns(
            error, figures.axis_of(error.row, error.time)[0]
        )
        if trust is not None and self._trust is not None:
            self._source("shares").data = figures.trust_columns(
                trust, figures.axis_of(trust.row, trust.time)[0]
            )
        self._texts.data = self._text_columns(document)

    def _sources(self, name: str) -> Iterator[Any]:
        for root in (self._forecast, self._error, self._trust):
            if root is not None:
                yield from root.select({"name": name, "type": ColumnDataSource})

    def _source(self, name: str) -> Any:
        return next(self._sources(name))

    def _texts_by_id(self, document: Mapping[str, Any]) -> dict[str, Markup]:
        macros = self._macros
        shown = (
            summary.now_table(document),
            summary.score_table(document),
            summary.mixture_table(document),
            summary.alarm_table(document),
        )
        return {
            "subtitle": macros.subtitle(_subtitle(document)),
            "verdict": macros.verdict(list(summary.verdict(document))),
            "tiles": macros.tiles(list(_tiles(document, self._chosen))),
            "tables": macros.tables(shown),
            "facts": macros.facts(list(summary.facts(document))),
        }

    def _text_columns(self, document: Mapping[str, Any]) -> dict[str, list[str]]:
        texts = self._texts_by_id(document)
        return {"id": list(texts), "html": [str(one) for one in texts.values()]}

    def _variables(self) -> dict[str, Any]:
        document = self._document
        own = page.own_parts(self._environment, ("page.css", "page.js", "live.js"))
        ahead = tables.steps(document["horizon"])
        return {
            "heading": document["source"]["title"],
            "css": own["page.css"],
            "page_js": own["page.js"],
            "live_js": own["live.js"],
            "axis": self._axis,
            "points": _POINTS,
            "texts": self._texts_by_id(document),
            "targets": document["targets"],
            "target": document["targets"][self._chosen],
            "chosen": self._chosen,
            "caption": f"{document['targets'][self._chosen]}, {ahead}",
            "series": list(page.series_of(document, self._track, document["alarms"] is not None)),
            "kept": count(document["drawn"]),
            "scored": document["alarms"] is not None,
            "errors": [
                page.drawn(key, document["models"][key]["name"], look.of_model(key))
                for key in _MODELS
            ],
            "measure": self._measure,
            "experts": []
            if self._shares is None
            else [
                page.drawn(f"expert{place}", name, look.of_expert(place)) | {"area": _AREA_SHARE}
                for place, name in enumerate(self._shares.weight)
            ],
            "place": self._macros.place,
            "version": document["version"],
        }


def _subtitle(document: Mapping[str, Any]) -> str:
    when = summary.moment(document["seconds_now"])
    text = f"{count(document['rows'])} rows"
    if when is not None:
        text += f", the last one at {when}"
    return f"{text}. Source: {document['source']['state']}."


def _tiles(document: Mapping[str, Any], chosen: int) -> Iterator[dict[str, str]]:
    """Yield the most important values."""
    one = document["scores"][chosen]
    recent, window = one["recent"], f"over the last {count(document['window'])} rows"
    made = one["forecast"]
    level = None if made is None else summary.usual_level(made["intervals"])
    yield {
        "name": f"Forecast, {tables.steps(document['horizon'])}",
        "value": summary.value_text(document, None if made is None else made["value"]),
        "note": ""
        if level is None
        else f"{number(level['low'])} to {number(level['high'])} "
        f"({summary.level_text(level['level'])})",
    }
    first, title = next(iter(summary.measures(document).items()))
    yield {
        "name": f"Recent {title}",
        "value": number(recent["learner"].get(first)),
        "note": f"{document['models']['last']['name']}: {number(recent['last'].get(first))}",
    }
    key, name = ("skill", "Recent skill") if first == "rmse" else ("accuracy", "Recent accuracy")
    yield {"name": name, "value": percent(recent["learner"].get(key)), "note": window}
    if one["alarms"] is not None:
        score = one["score"]
        yield {
            "name": "Alarms",
            "value": count(one["alarms"]),
            "note": "" if score is None else f"anomaly score now {score:.4f}",
        }
    rate = document["rows_per_second"]
    yield {"name": "Rows per second", "value": number(rate) if rate is None or rate < 1000
           else f"{rate:,.0f}", "note": f"{count(document['rows'])} rows"}  # fmt: skip
    size = document["learner"]["memory_bytes"]
    yield {"name": "Memory of the learner", "value": f"{count(size)} bytes", "note": "never more"}


def _alarms(document: Mapping[str, Any], target: str) -> list[Mapping[str, Any]]:
    return [one for one in document["alarms"] or [] if one["target"] == target]


def _slow_tracks(
    document: Mapping[str, Any], pictures: Pictures, chosen: int
) -> tuple[ErrorTrack, TrustTrack | None]:
    """Return losses and shares over the stream, empty before the first piece."""
    target, horizon = document["targets"][chosen], document["horizon"]
    nothing, rows = np.empty(0), np.empty(0, np.int64)
    error = (
        pictures.errors[chosen]
        if pictures.errors
        else ErrorTrack(horizon, target, rows, None, dict.fromkeys(_MODELS, nothing))
    )
    if pictures.trust:
        return error, pictures.trust[chosen]
    shares = document["scores"][chosen]["mixture"]
    if shares is None:
        return error, None
    empty = np.empty(0, np.float32)
    return error, TrustTrack(horizon, target, rows, None, dict.fromkeys(shares, empty))


def _chosen(arguments: Mapping[str, list[bytes]], targets: int) -> int:
    """Return the number of the target in an address, 0 if it is absent or invalid."""
    asked = (arguments.get("target") or [b""])[0]
    number = int(asked) if asked.isdigit() and len(asked) < 7 else 0
    return number if number < targets else 0


def _is_local(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _own_addresses() -> Iterator[str]:
    """Yield names and addresses of this computer."""
    import socket

    name = socket.gethostname()
    yield name
    try:
        for _, _, _, _, address in socket.getaddrinfo(name, None):
            yield f"[{address[0]}]" if ":" in str(address[0]) else str(address[0])
    except OSError:
        return
