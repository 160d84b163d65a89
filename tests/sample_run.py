"""Runs of real learners as documents with pictures, for the tests of pages and tables."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from nbt_embed import Config
from nbt_embed.app.document import run_document
from nbt_embed.app.recording import TimeFacts, from_stream
from nbt_embed.app.results import Pictures
from nbt_embed.app.trial import Plan, run_trial
from nbt_embed.options import describe
from nbt_embed.simulation import simulated_sensor
from nbt_embed.streams import Stream

Run = tuple[dict[str, Any], Pictures]

HOSTILE = (
    "$$x^2$$</script><script>alert('1')</script><!-- <img src=x onerror=alert()> &amp; \"q\" @{x}",
    "\x1b[31mred\x1b[0m [bold]b[/bold] :smile: \u202etfel\r\nline \x00 $\\frac{1}{2}$ {{ 7 * 7 }}",
    "温度 Ω🌡 " + "very_long_name_without_any_blank_" * 9 + "end",
)
START = np.datetime64("2026-03-01T08:00:00", "ns")


@cache
def sample_run(
    rows: int = 1500, targets: int = 1, horizons: tuple[int, ...] = (1,), dated: bool = True
) -> Run:
    """A run on the simulated machine: the document and what is drawn."""
    whole = simulated_sensor(rows, missing=0.01)
    stream = replace(
        whole, targets=whole.targets[:, :targets].copy(), target_names=whole.target_names[:targets]
    )
    plan = Plan(horizons, period=12, threshold=0.999)
    config = Config(3, targets, hidden=8, hold_missing=True)
    return _run(stream, "machine.csv", config, plan, dated)


@cache
def class_run(rows: int = 1500) -> Run:
    """A run on a machine's status: three classes, scored in bits and accuracy."""
    rng = np.random.default_rng(0)
    status = (np.arange(rows) // 40 + (rng.random(rows) < 0.05)) % 3
    inputs = (np.eye(3)[status] + 0.1 * rng.normal(size=(rows, 3))).astype(np.float32)
    labels = status[:, np.newaxis].astype(np.float32)
    stream = Stream(inputs, labels, ("a", "b", "c"), ("status",))
    config = Config(3, 3, hidden=4, link="categorical")
    return _run(stream, "status.csv", config, Plan((1,)), False, ("idle", "running", "fault"))


@cache
def hostile_run() -> Run:
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
                weight=dict(zip([*HOSTILE, "slow"], one.weight.values(), strict=False)),
            )
            for one in pictures.trust
        ),
    )


def _run(
    stream: Stream,
    title: str,
    config: Config,
    plan: Plan,
    dated: bool,
    classes: tuple[str, ...] | None = None,
) -> Run:
    arguments = ["run", title, "--horizon", ",".join(map(str, plan.horizons))]
    with from_stream(stream, title, classes) as recording:
        trial = run_trial(recording, config, plan)
        recording = replace(recording, notes=("serial: is constant (7), left out",))
        if dated:
            recording = replace(recording, time=_facts(len(stream)))
        document = run_document(recording, trial, arguments, describe(trial.config))
    pictures = trial.pictures
    if dated:
        second = np.timedelta64(1, "s")
        pictures = Pictures(
            tuple(replace(one, time=START + one.row * second) for one in pictures.tracks),
            tuple(replace(one, time=START + one.row * second) for one in pictures.errors),
            tuple(replace(one, time=START + one.row * second) for one in pictures.trust),
        )
    document = json.loads(json.dumps(document, allow_nan=False))
    return document, pictures


def _facts(rows: int) -> TimeFacts:
    first, last = (
        str(START + row * np.timedelta64(1, "s"))[:19].replace("T", " ") for row in (0, rows - 1)
    )
    return TimeFacts("time", "date and time", first, last, 1.0, ((rows // 3, 90.0),), 0, 0)
