"""Self-contained HTML page of a run: verdict, tables, figures, costs, settings.

BokehJS, which the page contains, draws the figures. Every number in words and tables comes from the
document and is formatted by ``nbt_embed.app.tables``; the page also contains the document as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from bokeh.resources import Resources
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from nbt_embed.app import figures, look, tables
from nbt_embed.app.look import Stroke
from nbt_embed.app.results import ErrorTrack, Pictures, Track, TrustTrack
from nbt_embed.app.tables import Table
from nbt_embed.app.tracks import thinned
from nbt_embed.cost import USUAL

# What ends a script element, and line ends that older JavaScript refuses in strings.
_UNSAFE = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)
_MOST_POINTS, _LEAST_POINTS = 500_000, 5_000  # of all forecasts together, of each
_BAND_SHARE = 0.3
_AREA_SHARE = 0.75
_Series = dict[str, Any]


def page(document: Mapping[str, Any], pictures: Pictures) -> str:
    """Return the page of a run, as text to be written in UTF-8.

    Args:
        document: of the run (docs/reference/json.md).
        pictures: its tracks; those of equal horizon and target are shown together.

    Cost: about 1.3 MB for the drawing script, and the points, compressed.
    """
    environment = templates(finalize=shown_text)
    own = own_parts(environment)
    most = max(_MOST_POINTS // max(len(pictures.tracks), 1), _LEAST_POINTS)
    views = [_view(document, pictures, fewer(track, most)) for track in pictures.tracks]
    return environment.get_template("page.html.j2").render(
        title=document["source"]["title"],
        subtitle=_subtitle(document),
        version=document["version"],
        command=Markup(escape(document["command"])),  # unchanged
        verdict=document["verdict"],
        tiles=list(_tiles(document)),
        scores_note=tables.scores_note(document),
        horizons=[
            {
                "table": tables.horizon_table(document, one),
                "intervals": tables.interval_table(document, one),
                "verdict": [text for text in one["verdict"] if text not in document["verdict"]],
            }
            for one in document["horizons"]
        ],
        views=views,
        targets=document["targets"],
        ahead=[
            {"horizon": one["horizon"], "text": tables.steps(one["horizon"])}
            for one in document["horizons"]
        ],
        **_alarms(document),
        memory=tables.memory_table(document),
        bars=_bars(document),
        purposes=tables.purpose_table(document),
        formulas=[(one["name"], one["formula"]) for one in document["alternatives"] or []],
        costs=tables.cost_table(document),
        speed=tables.speed_table(document),
        data=list(_data(document)),
        notes=document["source"]["notes"],
        settings=list(_settings(document)),
        config=_config_table(document),
        json=embedded_json(document),
        css=own["page.css"],
        script=own["page.js"],
        bokeh=bokeh_script() if views else "",
    )


def templates(**options: Any) -> Environment:
    """Return the templates of this package, strict; options are further ones of jinja2."""
    return Environment(
        loader=PackageLoader("nbt_embed.app", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        **options,
    )


def own_parts(
    environment: Environment, names: Sequence[str] = ("page.css", "page.js")
) -> dict[str, Markup]:
    """Return the style and scripts that every page contains, by name."""
    source = environment.loader
    assert source is not None
    return {name: Markup(source.get_source(environment, name)[0]) for name in names}


def shown_text(value: Any) -> Any:
    """Prepare a value for a template: texts without hidden characters, markup unchanged."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else tables.safe(value)


def fewer(track: Track, most: int) -> Track:
    """Thin a track to at most this many points: lowest and highest of equal pieces."""
    points = len(track.row)
    if points <= most:
        return track
    each = -(-2 * points // most)
    kept = thinned(track.truth, each)
    columns: dict[str, Any] = {
        name: None if values is None else values[kept]
        for name, values in vars(track).items()
        if values is None or isinstance(values, np.ndarray)
    }
    rows = track.every * each if track.every == 1 else track.every * each // 2
    return replace(track, every=rows, **columns)


def bokeh_script() -> Markup:
    """Return the drawing script, without widgets and other unused parts."""
    scripts = Resources(mode="inline", components=["bokeh"]).js_raw
    return Markup("\n".join(scripts).replace("</script", "<\\/script"))


def embedded_json(value: Any) -> Markup:
    """Return equivalent JSON that may be part of a script element."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.translate(_UNSAFE))


def _subtitle(document: Mapping[str, Any]) -> str:
    source = document["source"]
    text = f"{tables.count(source['rows'])} rows"
    if source["segments"] > 1:
        text += f" in {tables.count(source['segments'])} segments"
    if source["time"] is not None:
        text += f", {source['time']['first']} to {source['time']['last']}"
    return f"{text}. Learner: {document['learner']['text']}."


def _tiles(document: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Yield the most important figures, of the first horizon."""
    one = document["horizons"][0]
    own = [line["scores"].get("learner", {}) for line in one["targets"]]
    ahead = tables.steps(one["horizon"])
    for key, name in (("skill", "Skill against last value"), ("accuracy", "Accuracy")):
        known = sorted(score[key] for score in own if score.get(key) is not None)
        if known:
            texts = list(dict.fromkeys(tables.percent(value) for value in (known[0], known[-1])))
            yield {"name": name, "value": " to ".join(texts), "note": ahead}
    yield {
        "name": "Recommended model",
        "value": tables.model_name(document, one["advised"]),
        "note": ahead,
    }
    size = document["learner"]["memory_bytes"]
    yield {"name": "Memory of the learner", "value": f"{tables.count(size)} bytes", "note": ""}
    for cost in [one for one in document["costs"] if one["processor"] == USUAL]:
        yield {
            "name": "Time per row",
            "value": f"{tables.number(cost['milliseconds_low'])} to "
            f"{tables.number(cost['milliseconds_high'])} ms",
            "note": f"{cost['processor']}, {tables.number(cost['mhz'])} MHz",
        }


def _alarms(document: Mapping[str, Any]) -> dict[str, Any]:
    scored = [one for one in document["horizons"] if one["alarms"] is not None]
    if not scored:
        return {"alarms": None, "alarms_note": ""}
    found = [tables.alarm_table(one) for one in scored if one["alarms"]]
    note = f"An anomaly score above {tables.number(scored[0]['alarm_threshold'])} is an alarm. "
    quiet = [str(one["horizon"]) for one in scored if not one["alarms"]]
    if quiet:
        note += f"There was none at horizon {', '.join(quiet)}."
    return {"alarms": found, "alarms_note": note}


def _bars(document: Mapping[str, Any]) -> list[str]:
    found = [size for _, size in tables.sizes(document)]
    return [f"{100 * size / max(*found, 1):.3g}" for size in found]


def _data(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    source = document["source"]
    yield "source", source["title"]
    yield "rows", tables.count(source["rows"])
    yield "segments", tables.count(source["segments"])
    when = source["time"]
    if when is not None:
        yield "time column", f"{when['column']} ({when['kind']})"
        yield "first and last", f"{when['first']} and {when['last']}"
        yield "interval", f"{tables.number(when['interval_s'])} s (median)"
        yield "gaps", tables.count(len(when["gaps"]))
        yield "duplicates", tables.count(when["duplicates"])
        yield "out of order", tables.count(when["out_of_order"])
    yield "inputs", ", ".join(document["inputs"])
    yield "targets", ", ".join(document["targets"])
    if document["classes"] is not None:
        yield "classes", ", ".join(document["classes"])


def _settings(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "learner", document["learner"]["text"]
    yield "seed", str(document["learner"]["seed"])
    yield "link", document["link"]
    for one in document["models"].values():
        if one["settings"]:
            yield one["name"], one["settings"]


def _config_table(document: Mapping[str, Any]) -> Table:
    rows = tuple((name, _setting(value)) for name, value in document["learner"]["config"].items())
    return Table("Settings of the learner", ("setting", "value"), rows, 2)


def _setting(value: Any) -> str:
    if value is None:
        return tables.NONE
    return value if isinstance(value, str) else json.dumps(value)


def _view(document: Mapping[str, Any], pictures: Pictures, track: Track) -> dict[str, Any]:
    """Return the contents of one target and horizon."""
    same = (track.horizon, track.target)
    horizon = next(one for one in document["horizons"] if one["horizon"] == track.horizon)
    alarms = [one for one in horizon["alarms"] or [] if one["target"] == track.target]
    when = document["source"]["time"]
    gaps = [row for row, _ in when["gaps"]] if when is not None else []
    threshold = horizon["alarm_threshold"]
    items = [
        ("forecast", figures.forecast_figure(track, alarms, threshold, document["classes"], gaps))
    ]
    view = {
        "key": f"{track.horizon}-{document['targets'].index(track.target)}",
        "heading": f"{track.target}, {tables.steps(track.horizon)}",
        "series": list(series_of(document, track, bool(alarms))),
        "marks": bool(alarms),
        "forecast_label": _forecast_label(document, horizon, track, alarms),
        "forecast_caption": _forecast_caption(track),
        "error": None,
        "trust": None,
    }
    for error in pictures.errors:
        if (error.horizon, error.target) == same and len(error.row) and error.rmse:
            view["error"] = _error(document, error)
            names = {key: tables.model_name(document, key) for key in error.rmse}
            unit = next(iter(tables.measures(document).values()))
            items.append(("error", figures.error_figure(error, names, unit)))
    for trust in pictures.trust:
        if (trust.horizon, trust.target) == same and len(trust.row) and trust.weight:
            view["trust"] = _trust(trust)
            items.append(("trust", figures.trust_figure(trust)))
    view["drawings"] = [
        {"into": into, "json": embedded_json(figures.item_of(item))} for into, item in items
    ]
    return view


def series_of(document: Mapping[str, Any], track: Track, alarms: bool) -> Iterator[_Series]:
    """Yield the legend of ``figures.forecast_figure``. Args: alarms, whether there are any."""
    learner = look.of_model("learner")
    yield drawn("truth", "truth", look.TRUTH)
    yield drawn("forecast", f"forecast of {tables.model_name(document, 'learner')}", learner)
    if track.low is not None:
        name = f"{100 * track.level:.4g} % interval"
        yield drawn("band", name, learner) | {"area": _BAND_SHARE}
    rls = tables.model_name(document, "rls" if "rls" in document["models"] else "last")
    yield drawn("rls", f"forecast of {rls}", look.of_model("rls")) | {"shown": False}
    if alarms:
        yield drawn("alarm", "alarm", look.ALARM) | {"mark": True}


def drawn(role: str, name: str, stroke: Stroke) -> _Series:
    """Return one legend entry: role, name and appearance."""
    return {
        "role": role,
        "name": name,
        "light": stroke.light,
        "dark": stroke.dark,
        "dash": " ".join(map(str, stroke.dash)),
        "area": 0,
        "mark": False,
        "shown": True,
        "width": 5 if role == "truth" else 2.5,
    }


def _forecast_label(
    document: Mapping[str, Any],
    horizon: Mapping[str, Any],
    track: Track,
    alarms: Sequence[Mapping[str, Any]],
) -> str:
    line = next(one for one in horizon["targets"] if one["target"] == track.target)
    own = line["scores"].get("learner", {})
    said = [
        f"{title} {tables.measure(key, own.get(key))}"
        for key, title in tables.measures(document).items()
    ]
    for one in line["intervals"] or []:
        said.append(
            f"{tables.percent(one['coverage'])} of the labels in the "
            f"{100 * one['level']:.4g} % interval"
        )
    if horizon["alarms"] is not None:
        said.append(f"alarms: {tables.count(len(alarms))}")
    return (
        f"Line chart of {track.target} and its forecast {tables.steps(track.horizon)}, "
        f"{tables.count(len(track.row))} points: {', '.join(said)}."
    )


def _forecast_caption(track: Track) -> str:
    text = "Drag or use the buttons to move; Ctrl and the wheel zoom."
    if track.score is not None:
        text += (
            " Below: the anomaly score of each row, on a scale of nines, with the threshold of "
            "alarms dashed."
        )
    text += " The strip at the bottom is the whole stream; its window can be dragged and resized."
    if track.every > 1:
        text += (
            f" The stream is thinned: of every {tables.count(track.every)} rows, those with the "
            "lowest and the highest label are kept."
        )
    return text


def _error(document: Mapping[str, Any], track: ErrorTrack) -> dict[str, Any]:
    title = next(iter(tables.measures(document).values()))
    names = [tables.model_name(document, key) for key in track.rmse]
    table = Table(
        f"{title} in each piece of the stream, {track.target}, {tables.steps(track.horizon)}",
        ("up to row", *names),
        _numbers(track.row, list(track.rmse.values())),
    )
    last = (
        ", ".join(f"{name} {text}" for name, text in zip(names, table.rows[-1][1:], strict=True))
        if table.rows
        else ""
    )
    return {
        "series": [
            drawn(key, name, look.of_model(key))
            for key, name in zip(track.rmse, names, strict=True)
        ],
        "label": f"Line chart of {title} over the stream. In the last piece: {last}.",
        "caption": f"{title} of each of {len(track.row)} pieces of the stream. Lower is better.",
        "table": table,
    }


def _trust(track: TrustTrack) -> dict[str, Any]:
    table = Table(
        f"Share of each forecast in the mixture, {track.target}, {tables.steps(track.horizon)}",
        ("up to row", *track.weight),
        _numbers(track.row, list(track.weight.values())),
    )
    last = (
        ", ".join(
            f"{name} {text}" for name, text in zip(track.weight, table.rows[-1][1:], strict=True)
        )
        if table.rows
        else ""
    )
    return {
        "series": [
            drawn(f"expert{place}", name, look.of_expert(place)) | {"area": _AREA_SHARE}
            for place, name in enumerate(track.weight)
        ],
        "label": f"Stacked areas of the mixture's shares over the stream. At its end: {last}.",
        "caption": "The learner mixes several forecasts of every target; those with small recent "
        "errors have large shares.",
        "table": table,
    }


def _numbers(rows: Any, columns: Sequence[Any]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            tables.count(int(row)),
            *(
                tables.number(float(value)) if np.isfinite(value) else tables.NONE
                for value in values
            ),
        )
        for row, *values in zip(rows, *columns, strict=True)
    )
