"""Tables of a run's document as texts, for page and terminal.

Every figure comes from the document (docs/reference/json.md) and is formatted by ``number``,
``percent`` or ``count``; a figure that does not exist is ``NONE``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NONE = "-"
MEAN = "mean ratio"
_CLASS_MEASURES = {"bits": "bits", "accuracy": "accuracy"}
_MEASURES = {"rmse": "RMSE", "mae": "MAE", "nrmse": "nRMSE", "skill": "skill"}
_USUAL_LEVEL = 0.8
_NOTES = {
    "bits": "bits: mean −log2 of the probability of the label.",
    "rmse": "skill: 1 − RMSE / RMSE of the last value. RMSE, MAE, width: in the target's unit.",
}
_SHARES = ("skill", "accuracy")
ALARMS_SHOWN = 100


@dataclass(frozen=True)
class Table:
    """Cells as texts.

    Attributes: title; head, a title for each column; rows; names, number of first columns that are
    names instead of figures; best, (row, column) of the best cells of their rows; note, an
    explanation, or ""; groups, (title, columns) above the heads, or (); summed, whether the last
    row sums up the others.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1
    best: frozenset[tuple[int, int]] = frozenset()
    note: str = ""
    groups: tuple[tuple[str, int], ...] = ()
    summed: bool = False


def safe(name: str) -> str:
    """Remove characters from a name that move a cursor, colour, hide or turn text."""
    return "".join(
        " " if char.isspace() else "\N{REPLACEMENT CHARACTER}" if _hidden(char) else char
        for char in name
    )


def _hidden(char: str) -> bool:
    if char in "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}":
        return False  # parts of words and of emoji
    return unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs", "Cn")


def number(value: float | None) -> str:
    """Format four digits."""
    return NONE if value is None else f"{value:.4g}"


def percent(value: float | None) -> str:
    """Format a share as percent."""
    return NONE if value is None else f"{100 * value:.1f} %"


def count(value: int | None) -> str:
    """Format a whole number with a comma at every thousand."""
    return NONE if value is None else f"{value:,}"


def measure(key: str, value: float | None) -> str:
    """Format a score by its name in the document."""
    return percent(value) if key in _SHARES else number(value)


def measures(document: Mapping[str, Any]) -> dict[str, str]:
    """Return keys of the scores -> titles; the first one ranks the models, lower is better."""
    for _, line in _lines(document):
        if any("bits" in score for score in line["scores"].values()):
            return _CLASS_MEASURES
    return _MEASURES


def model_name(document: Mapping[str, Any], key: str) -> str:
    """Return a model's name in the document."""
    return str(document["models"].get(key, {}).get("name", key))


def steps(horizon: int) -> str:
    """Format a horizon."""
    if horizon == 0:
        return "for the same row"
    return f"{count(horizon)} row{'s' if horizon > 1 else ''} ahead"


def learner_table(document: Mapping[str, Any]) -> Table:
    """Return one row per target and horizon: the learner's scores, and one of its intervals."""
    titles = measures(document)
    levels = sorted(_levels(document), key=lambda level: abs(level - _USUAL_LEVEL))[:1]
    head = ["ahead", "target", "rows", *titles.values()]
    for level in levels:
        head += [f"in {_level(level)}", "mean width"]
    rows = []
    for horizon, line in _lines(document):
        own = line["scores"].get("learner", {})
        cells = [str(horizon["horizon"]), line["target"], count(line["scored_rows"])]
        cells += [measure(key, own.get(key)) for key in titles]
        rows.append((*cells, *_interval_cells(line, levels)))
    note = f"rows: scored rows. {_NOTES[next(iter(titles))]}"
    if levels:
        note += f" in {_level(levels[0])}: share of the truths inside that interval."
    return Table("The learner", tuple(head), tuple(rows), 2, note=note)


def models_table(document: Mapping[str, Any]) -> Table:
    """Return one line per target and horizon: the first measure of every model, and mean ratios."""
    key, title = next(iter(measures(document).items()))
    models = scored_models(document)
    rows: list[tuple[str, ...]] = []
    best = set()
    for horizon, line in _lines(document):
        scores = [line["scores"].get(model, {}).get(key) for model in models]
        best |= {(len(rows), 2 + place) for place in _best(scores)}
        rows.append((str(horizon["horizon"]), line["target"], *map(number, scores)))
        if line is horizon["targets"][-1] and horizon["ratios"]:
            rows.append((str(horizon["horizon"]), MEAN, *_ratios(horizon, models)))
    head = ("ahead", "target", *(model_name(document, model) for model in models))
    note = _ratio_note(document)
    return Table(f"{title} of every model", head, tuple(rows), 2, frozenset(best), note)


def scores_note(document: Mapping[str, Any]) -> str:
    """Explain the terms of ``horizon_table``."""
    return f"{_NOTES[next(iter(measures(document)))]} {_ratio_note(document)}"


def horizon_table(document: Mapping[str, Any], horizon: Mapping[str, Any]) -> Table:
    """Return the scores of one horizon, one line per target, and means of the ratios."""
    titles = measures(document)
    first = next(iter(titles))
    others = [model for model in scored_models(document) if model != "learner"]
    head = ["target", "scored rows", *titles.values()]
    head += [model_name(document, model) for model in others]
    groups = [("", 2), (model_name(document, "learner"), len(titles))]
    groups += [(f"{titles[first]} of other models", len(others))] if others else []
    rows: list[tuple[str, ...]] = []
    best = set()
    for line in horizon["targets"]:
        own = line["scores"].get("learner", {})
        scores = [line["scores"].get(model, {}).get(first) for model in others]
        places = [2, *range(2 + len(titles), 2 + len(titles) + len(others))]
        best |= {(len(rows), places[place]) for place in _best([own.get(first), *scores])}
        cells = [line["target"], count(line["scored_rows"])]
        cells += [measure(key, own.get(key)) for key in titles]
        rows.append((*cells, *map(number, scores)))
    if horizon["ratios"]:
        rows.append((MEAN, *[""] * (1 + len(titles)), *_ratios(horizon, others)))
    return Table(
        f"Horizon {horizon['horizon']}: {steps(horizon['horizon'])}",
        tuple(head),
        tuple(rows),
        1,
        frozenset(best),
        groups=tuple(groups),
        summed=bool(horizon["ratios"]),
    )


def interval_table(document: Mapping[str, Any], horizon: Mapping[str, Any]) -> Table:
    """Return coverage and width of the intervals of one horizon."""
    levels = _levels(document)
    head = ["target", *["truth inside", "mean width"] * len(levels)]
    groups = [("", 1), *((f"{_level(level)} interval", 2) for level in levels)]
    rows = tuple(
        (line["target"], *_interval_cells(line, levels))
        for line in horizon["targets"]
        if line["intervals"]
    )
    title = f"Intervals {steps(horizon['horizon'])}"
    return Table(title, tuple(head), rows, groups=tuple(groups))


def alarm_table(horizon: Mapping[str, Any], most: int = ALARMS_SHOWN) -> Table:
    """Return the first alarms of a horizon."""
    alarms = horizon["alarms"] or []
    left = len(alarms) - most
    note = f"{count(left)} more are in the JSON document." if left > 0 else ""
    times = [alarm["time"] for alarm in alarms]
    return alarms_table(f"Alarms at horizon {horizon['horizon']}", alarms[:most], times, note)


def alarms_table(
    title: str, alarms: Sequence[Mapping[str, Any]], times: Sequence[str | None], note: str = ""
) -> Table:
    """Return one line per alarm. Args: times, as text; without any there is no such column."""
    timed = any(time is not None for time in times)
    head = ("row", *(["time"] if timed else []), "target", "score")
    rows = tuple(
        (
            count(alarm["row"]),
            *([time or NONE] if timed else []),
            alarm["target"],
            f"{alarm['score']:.6f}",
        )
        for alarm, time in zip(alarms, times, strict=False)
    )
    return Table(title, head, rows, 2 + timed, note=note)


def memory_table(document: Mapping[str, Any]) -> Table:
    """Return bytes of the models and of the alternatives, compared with the learner's."""
    own = document["learner"]["memory_bytes"]
    rows = tuple(
        (name, count(size), f"{size / own:.2f} x" if own else NONE)
        for name, size in sizes(document)
    )
    head = ("model", "bytes", "of the learner's")
    return Table("Memory", head, rows, note="The bytes of the alternatives come from formulas.")


def sizes(document: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return name and bytes of everything with known bytes, the learner first."""
    models = [(one["name"], one["memory_bytes"]) for one in document["models"].values()]
    others = [(one["name"], one["memory_bytes"]) for one in document["alternatives"] or []]
    return [(name, size) for name, size in models + others if size is not None]


def purpose_table(document: Mapping[str, Any]) -> Table:
    """Return the learner's bytes by purpose."""
    rows = [(name, count(size)) for name, size in document["learner"]["memory"].items()]
    total = ("total", count(document["learner"]["memory_bytes"]))
    return Table("The learner's bytes by purpose", ("purpose", "bytes"), (*rows, total))


def cost_table(document: Mapping[str, Any]) -> Table:
    """Return the cost of a row on microcontrollers."""
    rows = tuple(
        (
            one["processor"],
            number(one["mhz"]),
            count(one["instructions"]),
            number(one["milliseconds_low"]),
            number(one["milliseconds_high"]),
        )
        for one in document["costs"] or []
    )
    head = ("processor", "MHz", "instructions", "ms, from", "to")
    note = "computed (docs/guide/size.md); the range is that of the cycles per instruction"
    return Table("Time per row on microcontrollers", head, rows, note=note)


def speed_table(document: Mapping[str, Any]) -> Table:
    """Return microseconds per row on the computer of the run."""
    models = [
        key
        for key in document["models"]
        if any(key in one["us_per_row"] for one in document["horizons"])
    ]
    head = ("ahead", *(model_name(document, key) for key in models))
    rows = tuple(
        (str(one["horizon"]), *(number(one["us_per_row"].get(key)) for key in models))
        for one in document["horizons"]
    )
    return Table("Microseconds per row on this computer", head, rows)


def scored_models(document: Mapping[str, Any]) -> list[str]:
    """Return the keys of the models with a score, in the document's order."""
    found = {model for _, line in _lines(document) for model in line["scores"]}
    return [model for model in document["models"] if model in found]


def _ratio_note(document: Mapping[str, Any]) -> str:
    if not any(horizon["ratios"] for horizon in document["horizons"]):
        return ""
    return (
        f"{MEAN}: error of the learner / error of the model, geometric mean over the targets; "
        "below 1 the learner is better."
    )


def _lines(document: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for horizon in document["horizons"]:
        for line in horizon["targets"]:
            yield horizon, line


def _levels(document: Mapping[str, Any]) -> list[float]:
    found = {one["level"] for _, line in _lines(document) for one in line["intervals"] or []}
    return sorted(found)


def _level(level: float) -> str:
    return f"{100 * level:.4g}\N{NO-BREAK SPACE}%"


def _interval_cells(line: Mapping[str, Any], levels: Sequence[float]) -> list[str]:
    by_level = {one["level"]: one for one in line["intervals"] or []}
    cells = []
    for level in levels:
        one = by_level.get(level, {})
        cells += [percent(one.get("coverage")), number(one.get("width"))]
    return cells


def _ratios(horizon: Mapping[str, Any], models: Sequence[str]) -> list[str]:
    over = {key: one["learner_over"] for key, one in horizon["ratios"].items()}
    return ["" if key == "learner" else number(over.get(key)) for key in models]


def _best(scores: Sequence[float | None]) -> list[int]:
    known = [score for score in scores if score is not None]
    return [
        place for place, score in enumerate(scores) if score is not None and score == min(known)
    ]
