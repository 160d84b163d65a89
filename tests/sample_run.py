"""Runs of real learners as documents with pictures, for the tests of pages and tables."""

from __future__ import annotations

import json
import time
import warnings
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed import Config, Learner, __version__
from nbt_embed.alarm import events
from nbt_embed.alternatives import alternatives
from nbt_embed.app.results import ErrorTrack, Pictures, Time, Track, TrustTrack
from nbt_embed.arrays import Float32Array
from nbt_embed.baselines import Nlms
from nbt_embed.evaluate import Model
from nbt_embed.simulation import simulated_sensor
from nbt_embed.streams import Stream

EXPERTS = ("last value", "linear", "network", "slow")
THRESHOLD, HOLD_OFF = 0.999, 50
PIECES = 40
HOSTILE = (
    "</script><script>alert('1')</script><!-- <img src=x onerror=alert()> &amp; \"q\" $$x^2$$ @{x}",
    "\x1b[31mred\x1b[0m [bold]b[/bold] :smile: \u202etfel\r\nline \x00 $\\frac{1}{2}$ {{ 7 * 7 }}",
    "温度 Ω🌡 " + "very_long_name_without_any_blank_" * 9 + "end",
)


class _Last:
    """The target's own last value."""

    def run(self, _x: Any, y: Any, *, horizon: int) -> Float32Array:
        """Row t repeats the last label up to t; horizon plays no part."""
        del horizon
        labels = np.asarray(y, np.float32)
        known = np.where(np.isnan(labels), -1, np.arange(len(labels))[:, np.newaxis])
        last = np.maximum.accumulate(known, axis=0)
        return np.where(last < 0, np.nan, np.take_along_axis(labels, last.clip(0), 0))


@cache
def sample_run(
    rows: int = 1500,
    targets: int = 1,
    horizons: tuple[int, ...] = (1,),
    dated: bool = True,
    nlms: bool = True,
) -> tuple[dict[str, Any], Pictures]:
    """A run on the simulated machine: the document and what is drawn."""
    whole = simulated_sensor(rows, missing=0.01)
    stream = replace(
        whole,
        targets=whole.targets[:, :targets].copy(),
        target_names=whole.target_names[:targets],
    )
    start = np.datetime64("2026-03-01T08:00:00", "ns")
    moments = start + np.arange(rows) * np.timedelta64(1, "s") if dated else None
    parts = [_horizon(stream, horizon, moments, nlms) for horizon in horizons]
    pictures = Pictures(
        tuple(track for _, _, tracks, _, _ in parts for track in tracks),
        tuple(track for _, _, _, tracks, _ in parts for track in tracks),
        tuple(track for _, _, _, _, tracks in parts for track in tracks),
    )
    learner = parts[0][1]
    document = {
        **_head(stream, learner, moments, [one for one, _, _, _, _ in parts]),
        "costs": [
            _cost("Cortex-M4F", 64, 42_000),
            _cost("Cortex-M0+", 48, 2_900_000),
            _cost("RV32IMC", 160, 1_700_000),
        ],
    }
    if not nlms:
        del document["models"]["nlms"]
    return document, pictures


def class_run(rows: int = 1500) -> tuple[dict[str, Any], Pictures]:
    """A run on a machine's status: three classes, scored in bits and accuracy."""
    rng = np.random.default_rng(0)
    status = ((np.arange(rows) // 40 + (rng.random(rows) < 0.05)) % 3).astype(np.float32)
    learner = Learner(1, 3, link="categorical", hidden=8)
    forecast = learner.run(status, status, horizon=1)[:-1]
    truth = status[1:].astype(int)
    likeliest = forecast.argmax(axis=1)
    own = -np.log2(forecast[np.arange(rows - 1), truth])
    majority = np.bincount(truth).argmax()
    share = np.bincount(truth) / len(truth)
    scores = {
        "learner": {"bits": float(own.mean()), "accuracy": float((likeliest == truth).mean())},
        "majority": {
            "bits": float(-(share * np.log2(share)).sum()),
            "accuracy": float((truth == majority).mean()),
        },
        "last": {"bits": None, "accuracy": float((status[:-1] == truth).mean())},
    }
    document, _ = sample_run(300)
    stream = {"target": "status", "scored_from": 2, "scored_rows": rows - 2, "scores": scores}
    memory = learner.memory
    document = {
        **document,
        "verdict": ["The learner says the next status in 94 of 100 rows."],
        "source": {"title": "status.csv", "rows": rows, "segments": 1, "time": None, "notes": []},
        "inputs": ["status"],
        "targets": ["status"],
        "link": "categorical",
        "classes": ["idle", "running", "fault"],
        "learner": {
            "text": "1 input, 8 units, 3 classes",
            "seed": 0,
            "config": _config(learner),
            "memory_bytes": memory.total,
            "memory": dict(vars(memory)),
        },
        "models": {
            "learner": _model("this learner", memory.total),
            "majority": _model("most frequent class", 12),
            "last": _model("last class", 4),
        },
        "horizons": [
            {
                **document["horizons"][0],
                "verdict": ["The learner has the fewest bits."],
                "anchors": {},
                "targets": [{**stream, "intervals": None}],
                "ratios": {},
                "alarms": None,
                "alarm_threshold": None,
                "us_per_row": {"learner": 1.5},
            }
        ],
        "alternatives": [],
    }
    row = np.arange(1, rows)
    pieces = np.array_split(own, PIECES)
    ends = np.cumsum([len(piece) for piece in pieces])
    bits = np.array([piece.mean() for piece in pieces])
    return document, Pictures(
        (
            Track(
                1, "status", row, None, status[1:], likeliest.astype(np.float32),
                status[:-1], None, None, 0.8, None, 1,
            ),
        ),
        (ErrorTrack(1, "status", ends, None, {"learner": bits}),),
        (),
    )  # fmt: skip


def _horizon(
    stream: Stream, horizon: int, moments: NDArray[np.datetime64] | None, nlms: bool
) -> tuple[dict[str, Any], Learner, list[Track], list[ErrorTrack], list[TrustTrack]]:
    """One pass of every model."""
    config = Config(
        stream.n_in,
        stream.n_out,
        hidden=8,
        max_delay=horizon - 1,
        hold_missing=True,
        intervals=1,
        levels=(0.8,),
        anomaly=True,
    )
    learner = Learner(config)
    learner.find_anchor(stream.inputs, stream.targets, horizon=horizon)
    pieces = np.array_split(np.arange(len(stream)), PIECES)
    ends = np.array([piece[-1] for piece in pieces])
    runs, weights = [], []
    began = time.perf_counter()
    for piece in pieces:
        inputs, targets = stream.inputs[piece], stream.targets[piece]
        runs.append(learner.run(inputs, targets, horizon=horizon, intervals=True, anomaly=True))
        weights.append(learner.array("weight"))
    own_us = 1e6 * (time.perf_counter() - began) / len(stream)
    bare = Config(stream.n_in, stream.n_out, hidden=0, hold_missing=True, max_delay=horizon - 1)
    models: dict[str, Model] = {
        "frozen": Learner(replace(config, estimator="frozen")),
        "rls": Learner(bare),
        "last": _Last(),
    }
    if nlms:
        models["nlms"] = Nlms(stream.n_in, stream.n_out, lags=4, max_delay=horizon - 1)
    forecasts = {"learner": np.concatenate([run.y for run in runs])}
    us_per_row = {"learner": own_us}
    for key, model in models.items():
        began = time.perf_counter()
        forecasts[key] = model.run(stream.inputs, stream.targets, horizon=horizon)
        us_per_row[key] = 1e6 * (time.perf_counter() - began) / len(stream)
    anomaly = np.concatenate([run.anomaly for run in runs if run.anomaly is not None])
    bounds = np.concatenate([run.intervals for run in runs if run.intervals is not None])
    row = np.arange(horizon, len(stream))
    moment = None if moments is None else moments[horizon:]
    tracks, errors, trust, lines = [], [], [], []
    alarms: list[dict[str, Any]] = []
    told = events(anomaly, THRESHOLD, HOLD_OFF)
    for index, name in enumerate(stream.target_names):
        truth = stream.targets[horizon:, index]
        aligned = {key: one[:-horizon, index] for key, one in forecasts.items()}
        low, high = bounds[:-horizon, index].T
        tracks.append(
            Track(
                horizon, name, row, moment, truth, aligned["learner"], aligned["rls"],
                low, high, 0.8, anomaly[horizon:, index], 1,
            )
        )  # fmt: skip
        piece_errors = {key: _by_piece(truth - one) for key, one in aligned.items()}
        by_time = None if moments is None else moments[ends]
        errors.append(ErrorTrack(horizon, name, ends, by_time, piece_errors))
        shares = np.array([one[index] for one in weights])
        names = EXPERTS[: shares.shape[1]]
        trust.append(
            TrustTrack(horizon, name, ends, by_time, dict(zip(names, shares.T, strict=True)))
        )
        scored = slice(horizon, None)
        inside = (truth >= low) & (truth <= high)
        lines.append(
            {
                "target": name,
                "scored_from": 2 * horizon,
                "scored_rows": int(np.isfinite(truth[scored]).sum()),
                "scores": _scores({k: v[scored] for k, v in aligned.items()}, truth[scored]),
                "intervals": [
                    {
                        "level": 0.8,
                        "coverage": float(inside[np.isfinite(truth)].mean()),
                        "width": float(np.nanmean(high - low)),
                    }
                ],
            }
        )
        alarms += [
            {
                "row": int(at),
                "time": _text(moments, at),
                "target": name,
                "score": float(anomaly[at, index]),
            }
            for at in told[index]
        ]
    ratios = {
        key: {"learner_over": float(np.exp(np.mean([_log_ratio(line, key) for line in lines])))}
        for key in models
    }
    best = min(ratios, key=lambda key: -ratios[key]["learner_over"])
    percent = 100 * (1 - ratios[best]["learner_over"])
    document = {
        "horizon": horizon,
        "verdict": [
            f"At horizon {horizon} the learner's error is {abs(percent):.0f} % "
            f"{'below' if percent > 0 else 'above'} that of {best}, the best other model."
        ],
        "winner": "learner" if percent > 0 else best,
        "anchors": {name: name for name in stream.target_names},
        "targets": lines,
        "ratios": ratios,
        "better_from_row": 300,
        "alarms": sorted(alarms, key=lambda alarm: (alarm["row"], alarm["target"])),
        "alarm_threshold": THRESHOLD,
        "us_per_row": us_per_row,
        "counters": dict(vars(learner.counters)),
        "guard_rows": {key: rows.tolist() for key, rows in learner.guard_rows.items()},
    }
    return document, learner, tracks, errors, trust


def _head(
    stream: Stream,
    learner: Learner,
    moments: NDArray[np.datetime64] | None,
    horizons: list[dict[str, Any]],
) -> dict[str, Any]:
    memory = learner.memory
    first = horizons[0]
    return {
        "schema": "nbt-embed run",
        "schema_version": 1,
        "version": __version__,
        "command": f"nbt-embed run machine.csv --horizon {first['horizon']} --report page.html",
        "verdict": [
            *first["verdict"],
            f"It stays the best from row {first['better_from_row']} on.",
            f"It needs {memory.total:,} bytes.",
        ],
        "source": {
            "title": "machine.csv",
            "rows": len(stream),
            "segments": 1,
            "time": None
            if moments is None
            else {
                "column": "time",
                "kind": "date and time",
                "first": _text(moments, 0),
                "last": _text(moments, -1),
                "interval_s": 1.0,
                "gaps": [],
                "duplicates": 0,
                "out_of_order": 0,
            },
            "notes": ["serial: is constant (7), left out", "status: is text, left out"],
        },
        "inputs": list(stream.input_names),
        "targets": list(stream.target_names),
        "link": "gaussian",
        "classes": None,
        "learner": {
            "text": f"{stream.n_in} inputs x 4 lags, 8 columnar units, {stream.n_out} outputs",
            "seed": 0,
            "config": _config(learner),
            "memory_bytes": memory.total,
            "memory": dict(vars(memory)),
        },
        "models": {
            "learner": _model("this learner", memory.total),
            "frozen": _model("frozen twin", memory.total),
            "rls": _model("recursive least squares", 3_400),
            "nlms": _model("NLMS", 900),
            "last": _model("last value", 4 * stream.n_out),
        },
        "horizons": horizons,
        "alternatives": [
            {"name": one.name, "memory_bytes": one.memory_bytes, "formula": one.formula}
            for one in alternatives(learner.config)
        ],
    }


def _config(learner: Learner) -> dict[str, Any]:
    """Settings as JSON has them: lists instead of tuples."""
    config: dict[str, Any] = json.loads(json.dumps(vars(learner.config)))
    return config


def _model(name: str, memory_bytes: int) -> dict[str, Any]:
    return {"name": name, "memory_bytes": memory_bytes, "settings": ""}


def _cost(processor: str, mhz: int, instructions: int) -> dict[str, Any]:
    return {
        "processor": processor,
        "mhz": mhz,
        "instructions": instructions,
        "milliseconds": instructions / mhz / 1e3,
        "fits": True,
    }


def _scores(forecasts: dict[str, Float32Array], truth: Float32Array) -> dict[str, Any]:
    spread = float(np.nanstd(truth.astype(float)))
    rmse = {
        key: float(np.sqrt(np.nanmean((truth - one.astype(float)) ** 2)))
        for key, one in forecasts.items()
    }
    return {
        key: {
            "rmse": rmse[key],
            "mae": float(np.nanmean(np.abs(truth - one.astype(float)))),
            "nrmse": rmse[key] / spread,
            "skill": 1 - rmse[key] / rmse["last"],
        }
        for key, one in forecasts.items()
    }


def _log_ratio(line: dict[str, Any], key: str) -> float:
    scores = line["scores"]
    return float(np.log(scores["learner"]["rmse"] / scores[key]["rmse"]))


def _by_piece(error: Float32Array) -> NDArray[np.float64]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a piece without labels
        squares = [np.nanmean(piece.astype(float) ** 2) for piece in np.array_split(error, PIECES)]
    return np.asarray(np.sqrt(np.array(squares)))


def _text(moments: Time, index: int) -> str | None:
    return None if moments is None else str(np.asarray(moments)[index])[:19].replace("T", " ")


def hostile_run() -> tuple[dict[str, Any], Pictures]:
    """A short run whose names try to be markup, mathematics, colours, or wider than any screen."""
    document, pictures = sample_run(300, 3, (1, 5))
    names = dict(zip(document["targets"], HOSTILE, strict=True))
    text = json.dumps(document)
    for name, hostile in names.items():
        text = text.replace(json.dumps(name), json.dumps(hostile))
    renamed: dict[str, Any] = json.loads(text)
    renamed["source"]["title"] = HOSTILE[0]
    renamed["source"]["notes"] = list(HOSTILE)
    renamed["verdict"] = [*HOSTILE, *document["verdict"]]
    renamed["command"] = f"nbt-embed run '{HOSTILE[0]}'"
    renamed["models"]["frozen"]["name"] = HOSTILE[0]
    return renamed, Pictures(
        tuple(replace(one, target=names[one.target]) for one in pictures.tracks),
        tuple(replace(one, target=names[one.target]) for one in pictures.errors),
        tuple(
            replace(
                one,
                target=names[one.target],
                weight=dict(zip([*HOSTILE, "slow"], one.weight.values(), strict=True)),
            )
            for one in pictures.trust
        ),
    )
