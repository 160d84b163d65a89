"""A trial as the document that ``--json`` writes (docs/reference/json.md).

Pages and tables show it. Figures that do not exist are null.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np

from nbt_embed import __version__
from nbt_embed.alternatives import alternatives
from nbt_embed.app.models import LAST, LEARNER
from nbt_embed.app.recording import Recording
from nbt_embed.app.trial import AlarmEvent, HorizonResult, ModelResult, Trial
from nbt_embed.app.verdict import Verdict, overall, verdict
from nbt_embed.config import Config
from nbt_embed.cost import cost, processors

SCHEMA, SCHEMA_VERSION = "nbt-embed run", 1


def run_document(
    recording: Recording, trial: Trial, arguments: Sequence[str], describe: str
) -> dict[str, Any]:
    """Return all results of a trial.

    Args: recording and its trial; arguments of the command; describe, the learner in one line.
    """
    classes = trial.config.link != "gaussian"
    verdicts = [verdict(one, classes) for one in trial.horizons]
    first = trial.horizons[0]
    memory = first.learner.memory
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "command": shlex.join(["nbt-embed", *arguments]),
        "verdict": list(overall(verdicts)),
        "source": _source(recording),
        "inputs": list(recording.input_names),
        "targets": list(recording.target_names),
        "link": trial.config.link,
        "classes": None if recording.classes is None else list(recording.classes),
        "learner": {
            "text": describe,
            "seed": trial.config.seed,
            "config": dict(vars(trial.config)),
            "memory_bytes": memory.total,
            "memory": dict(vars(memory)),
        },
        "models": {key: _model(one) for key, one in first.models.items()},
        "horizons": [
            _horizon(recording, trial, one, judged)
            for one, judged in zip(trial.horizons, verdicts, strict=True)
        ],
        "costs": _costs(trial.config),
        "alternatives": [
            {"name": one.name, "memory_bytes": one.memory_bytes, "formula": one.formula}
            for one in alternatives(trial.config)
        ],
    }


def _source(recording: Recording) -> dict[str, Any]:
    time = recording.time
    return {
        "title": recording.title,
        "rows": recording.rows,
        "segments": recording.segments,
        "time": None
        if time is None
        else {
            "column": time.column,
            "kind": time.kind,
            "first": time.first,
            "last": time.last,
            "interval_s": _or_null(time.interval),
            "gaps": [[row, seconds] for row, seconds in time.gaps],
            "duplicates": time.duplicates,
            "out_of_order": time.out_of_order,
        },
        "notes": list(recording.notes),
    }


def _model(one: ModelResult) -> dict[str, Any]:
    settings = None if one.config is None else one.config.arguments()
    return {"name": one.name, "memory_bytes": one.memory_bytes, "settings": settings}


def _horizon(
    recording: Recording, trial: Trial, one: HorizonResult, judged: Verdict
) -> dict[str, Any]:
    anchor = one.learner.anchor
    return {
        "horizon": one.horizon,
        "verdict": list(judged.sentences),
        "winner": judged.winner,
        "advised": judged.advised,
        "recurrence_paid": judged.recurrence_paid,
        "better_from_row": judged.better_from_row,
        "ratios": {key: {"learner_over": _or_null(value)} for key, value in judged.ratios.items()},
        "anchors": {
            name: None if channel is None else recording.input_names[channel]
            for name, channel in zip(recording.target_names, anchor, strict=False)
        },
        "memory_bytes": one.learner.memory.total,
        "targets": [_target(one, name, index) for index, name in enumerate(recording.target_names)],
        "alarm_threshold": None if one.alarms is None else trial.plan.threshold,
        "alarms": None
        if one.alarms is None
        else [_alarm(event, recording.target_names) for event in one.alarms],
        "us_per_row": {key: model.us_per_row for key, model in one.models.items()},
        "counters": dict(vars(one.counters)),
        "guard_rows": {name: rows.tolist() for name, rows in one.guard_rows.items()},
    }


def _target(one: HorizonResult, name: str, index: int) -> dict[str, Any]:
    scores = {key: dict(model.figures[index]) for key, model in one.models.items()}
    if "rmse" in scores[LEARNER]:
        last = scores[LAST]["rmse"]
        for figures in scores.values():
            figures["skill"] = 1 - figures["rmse"] / last if last > 0 else math.nan
    levels = None if one.intervals is None else one.intervals[index]
    return {
        "target": name,
        "scored_from": one.first[index],
        "scored_rows": one.counts[index],
        "scores": {key: _finite(figures) for key, figures in scores.items()},
        "intervals": None if levels is None else [_finite(level) for level in levels],
    }


def _alarm(event: AlarmEvent, names: Sequence[str]) -> dict[str, Any]:
    return {
        "row": event.row,
        "time": time_text(event.time),
        "target": names[event.target],
        "score": event.score,
    }


def time_text(time: Any) -> str | None:
    """Format a time; None if it is missing."""
    if time is None or time != time:  # NaT differs from itself
        return None
    if isinstance(time, np.datetime64):
        text = str(time)
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{float(time):.15g}"


def _costs(config: Config) -> list[dict[str, Any]]:
    """Return the cost of a learning step on every known processor; none for "rtrl"."""
    if config.estimator == "rtrl":
        return []
    return [
        {
            "processor": one.name,
            "board": one.board,
            "mhz": one.mhz,
            "instructions": made.instructions,
            "milliseconds_low": made.milliseconds_low,
            "milliseconds_high": made.milliseconds_high,
        }
        for one in processors()
        for made in [cost(config, one)]
    ]


def _finite(figures: dict[str, float]) -> dict[str, float | None]:
    return {name: _or_null(value) for name, value in figures.items()}


def _or_null(value: float | None) -> float | None:
    """Replace NaN and infinity by null, since JSON has neither."""
    return value if value is not None and math.isfinite(value) else None
