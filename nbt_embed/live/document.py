"""A watch as the document that ``--json`` writes (docs/reference/json.md), and that views show."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from nbt_embed import __version__
from nbt_embed.live.arrivals import Health, Source
from nbt_embed.live.watching import Watch
from nbt_embed.options import describe

SCHEMA, SCHEMA_VERSION = "nbt-embed watch", 1


def watch_document(
    watch: Watch,
    source: Source,
    clock: Mapping[str, int],
    course: Mapping[str, Any],
    arguments: Sequence[str],
    published: Health | None,
) -> dict[str, Any]:
    """Return the current state of a watch; figures that do not exist are null.

    Args: watch; its source; clock, counts of ``clock.Clock``; course, from the command:
    ``seconds``, ``rows_per_second``, ``resumed_after``, ``saved``; arguments of the command;
    published, health of the publisher.
    """
    learner = watch.learner
    memory, config = learner.memory, learner.config
    names = source.input_names
    document = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "command": shlex.join(["nbt-embed", *arguments]),
        "source": {"title": source.title, **_health(source.health), "clock": dict(clock)},
        "published": None if published is None else _health(published),
        "inputs": list(names),
        "targets": list(watch.targets),
        "link": config.link,
        "classes": None if source.classes is None else list(source.classes),
        "learner": {
            "text": describe(config),
            "seed": config.seed,
            "config": dict(vars(config)),
            "memory_bytes": memory.total,
            "memory": dict(vars(memory)),
            "hash": f"{learner.hash():016x}",
        },
        "models": {
            "learner": {"name": "this learner"},
            "last": {"name": "last value" if config.link == "gaussian" else "last class"},
        },
        "horizon": watch.plan.horizon,
        "window": watch.plan.window,
        "drawn": watch.plan.drawn,
        "rows": watch.rows,
        **course,
        "seconds_now": watch.seconds,
        "anchors": {
            name: None if channel is None else names[channel]
            for name, channel in zip(watch.targets, learner.anchor, strict=False)
        },
        "scores": watch.figures(),
        "alarm_threshold": watch.plan.threshold if config.anomaly else None,
        "hold_off": watch.plan.hold_off,
        "alarms": [
            {**alarm, "target": watch.targets[alarm["target"]]} for alarm in watch.last_alarms
        ]
        if config.anomaly
        else None,
        "out_of_range": watch.out_of_range,
        "counters": dict(vars(learner.counters)),
        "guard_rows": dict(watch.guard_rows),
    }
    found: dict[str, Any] = without_nan(document)
    return found


def without_nan(value: Any) -> Any:
    """Replace numbers that are not finite by null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: without_nan(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(one) for one in value]
    return value


def _health(health: Health) -> dict[str, Any]:
    return {"state": health.state, "counts": dict(health.counts)}
