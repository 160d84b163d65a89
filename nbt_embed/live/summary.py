"""Tables and sentences of a watch's document, for terminal and page, and the report at its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from nbt_embed.app import tables, terminal
from nbt_embed.app.document import time_text
from nbt_embed.app.results import Pictures
from nbt_embed.app.tables import NONE, Table, alarms_table, count, measure, number, percent, safe
from nbt_embed.live.watching import dates

_CLASS_MEASURES = {"bits": "bits", "accuracy": "accuracy"}
_MEASURES = {"rmse": "RMSE", "skill": "skill"}
_USUAL_LEVEL = 0.8
_ALARMS_SHOWN = 10


def report(
    document: Mapping[str, Any],
    pictures: Pictures,
    width: int = terminal.WIDTH,
    colour: bool = False,
    ascii_only: bool = False,
) -> str:
    """Yield the report at the end of a watch. Args: as of ``terminal.report``."""
    text = terminal.rendered(Group(*_parts(document, pictures, width, ascii_only)), width, colour)
    return terminal.in_ascii(text) if ascii_only else text


def measures(document: Mapping[str, Any]) -> dict[str, str]:
    """Keys of the scores -> their titles; the first is the error measure."""
    return _MEASURES if document["link"] == "gaussian" else _CLASS_MEASURES


def moment(seconds: float | None) -> str | None:
    """Format a time, to the microsecond: a date, or seconds of another start."""
    if seconds is None:
        return None
    time = dates(np.array([round(seconds, 6)]))[0]
    return time_text(time) if isinstance(time, np.datetime64) else f"{time_text(time)} s"


def value_text(document: Mapping[str, Any], value: float | None) -> str:
    """Format a label or forecast; of a class target the class."""
    classes = document["classes"]
    if value is None or classes is None:
        return number(value)
    return str(classes[int(value)])


def verdict(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield sentences about the accuracy of the learner, over recent rows and over all rows."""
    first, title = next(iter(measures(document).items()))
    last = document["models"]["last"]["name"]
    skills = [one for one in document["scores"] if one["scored_rows"]]
    if not skills:
        yield (
            f"Nothing is scored yet: the first scored forecast is that of row "
            f"{max(2 * document['horizon'], 1)}."
        )
        return
    better = [
        one["target"]
        for one in skills
        if _less(one["scores"]["learner"].get(first), one["scores"]["last"].get(first))
    ]
    if len(better) == len(skills):
        who = "every target" if len(skills) > 1 else skills[0]["target"]
        yield f"The learner forecasts {who} with lower {title} than the {last}."
    elif better:
        yield (
            f"The learner has lower {title} than the {last} for {len(better)} of {len(skills)} "
            "targets."
        )
    else:
        yield f"The {last} is as good as the learner, or better."


def score_table(document: Mapping[str, Any]) -> Table:
    """Return one line per target: scores over all rows, and over recent ones."""
    titles, last = measures(document), document["models"]["last"]["name"]
    first = next(iter(titles))
    head = ["target", "rows", *titles.values(), last]
    window = count(document["window"])
    rows = []
    for one in document["scores"]:
        own, recent = one["scores"]["learner"], one["recent"]["learner"]
        cells = [one["target"], count(one["scored_rows"])]
        cells += [measure(key, own.get(key)) for key in titles]
        cells.append(number(one["scores"]["last"].get(first)))
        cells += [measure(key, recent.get(key)) for key in titles]
        cells.append(number(one["recent"]["last"].get(first)))
        level = usual_level(one["intervals"])
        if level is not None:
            cells.append(percent(level["coverage"]))
        rows.append(tuple(cells))
    head += [f"recent {title}" for title in titles.values()] + [f"recent {last}"]
    level = usual_level(document["scores"][0]["intervals"])
    note = f"rows: scored rows. recent: over the last {window} of them."
    if "skill" in titles:
        note += " skill: 1 − RMSE / RMSE of the last value."
    if level is not None:
        head.append(f"in {level_text(level['level'])}")
        note += f" in {level_text(level['level'])}: share of the labels inside that interval."
    return Table("Scores", tuple(head), tuple(rows), 1, note=note)


def now_table(document: Mapping[str, Any]) -> Table:
    """Return one line per target: last label, newest forecast, and its interval."""
    ahead = tables.steps(document["horizon"])
    head = ["target", "label", f"forecast, {ahead}"]
    first = document["scores"][0]["forecast"]
    level = None if first is None else usual_level(first["intervals"])
    if level is not None:
        head += [f"from ({level_text(level['level'])})", "to"]
    if document["alarms"] is not None:
        head += ["anomaly", "alarms"]
    rows = []
    for one in document["scores"]:
        made = one["forecast"]
        cells = [one["target"], value_text(document, one["label"])]
        cells.append(value_text(document, None if made is None else made["value"]))
        if level is not None:
            own = usual_level(made["intervals"]) if made is not None else None
            cells += [number(own["low"]), number(own["high"])] if own is not None else [NONE, NONE]
        if document["alarms"] is not None:
            score = one["score"]
            cells += [NONE if score is None else f"{score:.4f}", count(one["alarms"])]
        rows.append(tuple(cells))
    return Table("Now", tuple(head), tuple(rows), 1)


def alarm_table(document: Mapping[str, Any], most: int = _ALARMS_SHOWN) -> Table:
    """Return the last alarms, the latest first."""
    alarms = list(reversed(document["alarms"] or []))
    times = [moment(alarm["time"]) for alarm in alarms]
    return alarms_table("Last alarms", alarms[:most], times)


def mixture_table(document: Mapping[str, Any]) -> Table:
    """Return one line per target: the share of each forecast in the mixture."""
    found = [one for one in document["scores"] if one["mixture"] is not None]
    head = ("target", *(found[0]["mixture"] if found else ()))
    rows = tuple((one["target"], *map(percent, one["mixture"].values())) for one in found)
    return Table("Mixture", head, rows, 1)


def facts(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield further facts: name and text."""
    yield "rows", count(document["rows"])
    if (when := moment(document["seconds_now"])) is not None:
        yield "time of the last row", when
    rate = document["rows_per_second"]
    yield (
        "rows per second",
        NONE if rate is None else f"{rate:,.3g}" if rate < 100 else f"{rate:,.0f}",
    )
    yield "source", document["source"]["state"]
    told = {**document["source"]["counts"], **document["source"]["clock"]}
    told["labels out of range"] = document["out_of_range"]
    if said := ", ".join(f"{name} {count(number)}" for name, number in told.items() if number):
        yield "counted", said
    if document["published"] is not None:
        counts = document["published"]["counts"].items()
        said = ", ".join(f"{name} {count(number)}" for name, number in counts)
        yield "publishing", f"{document['published']['state']}{f' ({said})' if said else ''}"
    guards = [
        f"{name} {count(document['counters'].get(name))} (last in row {count(row)})"
        for name, row in document["guard_rows"].items()
    ]
    if guards:
        yield "guards", ", ".join(guards)
    saved = document["saved"]
    if saved is not None:
        rows = saved["rows"]
        text = "not yet" if rows is None else f"after {count(rows)} rows"
        yield "saved", f"{saved['file']}, {text}" if not saved["trouble"] else saved["trouble"]
    if document["resumed_after"] is not None:
        yield "resumed", f"after row {count(document['resumed_after'])}"
    yield "learner", document["learner"]["text"]
    yield "memory of the learner", f"{count(document['learner']['memory_bytes'])} bytes"
    yield "hash", document["learner"]["hash"]
    yield "to repeat", document["command"]


def usual_level(levels: Sequence[Mapping[str, Any]] | None) -> Mapping[str, Any] | None:
    """Return the level that is nearest to 80 %."""
    return min(levels or (), key=lambda one: abs(one["level"] - _USUAL_LEVEL), default=None)


def level_text(level: float) -> str:
    """Format a level in percent."""
    return f"{100 * level:.4g}\N{NO-BREAK SPACE}%"


def _less(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and one < other


def _parts(
    document: Mapping[str, Any], pictures: Pictures, width: int, ascii_only: bool
) -> Iterator[RenderableType]:
    yield Text(safe(f"{document['source']['title']}: {count(document['rows'])} rows"), "bold")
    yield ""
    for sentence in verdict(document):
        yield Text(safe(sentence), "bold", overflow="fold")
    yield ""
    for table in (now_table(document), score_table(document)):
        yield from terminal.shown_table(table, width)
    for track in pictures.tracks[:1]:
        title = f"{track.target}, {tables.steps(track.horizon)}"
        drawn = terminal.picture(track, title, width=width, curve="." if ascii_only else "braille")
        if drawn:
            yield Text(drawn, no_wrap=True)
    for table in (alarm_table(document), mixture_table(document)):
        yield from terminal.shown_table(table, width)
    for name, text in facts(document):
        yield Text(safe(f"{name}: {text}"), overflow="fold")
