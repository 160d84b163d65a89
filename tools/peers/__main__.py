"""The estimators for river compared with river's own models, on its streams: ``make peers``.

One pass over each stream by river's own ``progressive_val_score`` (of a series by ``evaluate``),
at most 3,000 rows. No model is set for a stream, but models with seasons are told the period. May
be interrupted: what has been measured is kept until all is.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path
from typing import Any

from river import evaluate, metrics

from nbt_embed import __version__
from tools.document import publish, put
from tools.options import measuring
from tools.peers import absent
from tools.peers.models import MODELS, SEEDS
from tools.peers.streams import ROWS, STREAMS, Stream

_HEADINGS = {
    "classes": ("Classes", "accuracy in percent"),
    "numbers": ("Numbers", "mean absolute error"),
    "series": ("Series", "mean absolute error over all steps of the next season"),
}
TOLERANCE = 0.01  # of the error: below it two models are as good as each other

Result = tuple[float, float]  # score, microseconds a row
Job = tuple[int, int, int]  # stream, model, seed


def score(stream: Stream, model: Any) -> float:
    """Accuracy in percent, or mean absolute error."""
    if stream.task == "series":
        rows = list(stream)
        if "Nbt" not in type(model).__name__:  # the others take no dates
            rows = [({}, y) for _, y in rows]
        found = evaluate.evaluate(
            rows, model, metrics.MAE(), horizon=stream.period, agg_func=statistics.fmean
        )
        return float(found.get())
    if stream.task == "classes":
        return 100 * float(evaluate.progressive_val_score(stream, model, metrics.Accuracy()).get())
    return float(evaluate.progressive_val_score(stream, model, metrics.MAE()).get())


def measure(stream_index: int, model_index: int, seed: int) -> Result:
    """One model on one stream."""
    stream = STREAMS[stream_index]
    model = MODELS[stream.task][model_index].make(stream, seed)
    start = time.perf_counter()
    try:
        found = score(stream, model)
    except (OverflowError, ValueError, ZeroDivisionError):  # it diverged
        found = math.inf
    rows = sum(1 for _ in stream)
    return found, 1e6 * (time.perf_counter() - start) / rows


def measured(processes: int, kept: Path) -> dict[tuple[int, int], Result]:
    """Of every stream and model the medians over the seeds; ``kept`` has what is there already."""
    jobs = [
        (at, number, seed)
        for number in range(max(len(models) for models in MODELS.values()))
        for at, stream in enumerate(STREAMS)
        if number < len(MODELS[stream.task])
        for seed in range(MODELS[stream.task][number].seeds)
    ]
    results: dict[Job, Result] = {}
    if kept.exists():
        lines = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
        results = {tuple(job): tuple(found) for job, found in lines}
    kept.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(processes) as pool, kept.open("a", encoding="utf-8") as file:
        running = {pool.submit(measure, *job): job for job in jobs if job not in results}
        for done in as_completed(running):
            job = running[done]
            results[job] = done.result()
            file.write(json.dumps([job, results[job]]) + "\n")
            file.flush()
    kept.unlink()
    medians: dict[tuple[int, int], Result] = {}
    for at, number, _ in jobs:
        found = [one for job, one in results.items() if job[:2] == (at, number)]
        scores, times = zip(*found, strict=True)
        medians[at, number] = statistics.median(scores), statistics.median(times)
    return medians


def error_of(task: str, found: float) -> float:
    """What is compared: smaller is better."""
    return max(100 - found, 0.01) if task == "classes" else found


def table(task: str, results: dict[tuple[int, int], Result]) -> str:
    """One task: one row per stream, the best in bold, then means and times."""
    models = MODELS[task]
    lines = ["| stream | " + " | ".join(model.name for model in models) + " |"]
    lines.append("|---" + "|--:" * len(models) + "|")
    ratios: list[list[float]] = [[] for _ in models]
    for at, stream in enumerate(STREAMS):
        if stream.task != task:
            continue
        errors = [error_of(task, results[at, number][0]) for number in range(len(models))]
        cells = []
        for number, error in enumerate(errors):
            found = results[at, number][0]
            text = "diverged" if not found < 1e6 else f"{found:.2f}"
            cells.append(f"**{text}**" if error <= min(errors) * (1 + TOLERANCE) else text)
            if found < 1e6:
                ratios[number].append(errors[0] / error)
        lines.append(f"| {stream.name} | " + " | ".join(cells) + " |")
    means = [f"{statistics.geometric_mean(one):.2f}" if one else "" for one in ratios]
    lines.append("| *error of nbt_embed / its error* | " + " | ".join(means) + " |")
    times = [
        statistics.median(
            [results[at, number][1] for at, one in enumerate(STREAMS) if one.task == task]
        )
        for number in range(len(models))
    ]
    lines.append("| *µs per row* | " + " | ".join(f"{one:.0f}" for one in times) + " |")
    return "\n".join(lines)


def lost(task: str, results: dict[tuple[int, int], Result]) -> list[str]:
    """Streams on which another model is better, with the best one."""
    models, found = MODELS[task], []
    for at, stream in enumerate(STREAMS):
        if stream.task == task:
            errors = [error_of(task, results[at, number][0]) for number in range(len(models))]
            best = min(range(len(models)), key=errors.__getitem__)
            if errors[best] * (1 + TOLERANCE) < errors[0]:
                found.append(f"{stream.name} ({models[best].name})")
    return found


def report(results: dict[tuple[int, int], Result]) -> str:
    """The tables."""
    parts = [
        f"nbt_embed {__version__}, river {version('river')}; at most {ROWS:,} rows of a stream; "
        f"medians over {SEEDS} seeds for randomised models (ARF, a mean of ten trees: 1 seed); "
        f"bold: within {TOLERANCE:.0%} of the smallest error; means are geometric, without the "
        "models that diverged."
    ]
    for task, (heading, unit) in _HEADINGS.items():
        parts.append(f"**{heading}** ({unit})")
        parts.append(table(task, results))
        others = lost(task, results)
        parts.append(
            f"Streams on which another model is better: {len(others)}. {', '.join(others)}."
            if others
            else ""
        )
    return "\n\n".join(part for part in parts if part)


def main(arguments: list[str] | None = None) -> int:
    """Measure and report; 0."""
    options = measuring(__doc__, "peers").parse_args(arguments)
    if options.document is not None:
        put(options.document, "absent", absent.table(), fenced=False)
    results = measured(options.processes, options.out / "measured.jsonl")
    content = {
        STREAMS[at].name + ", " + MODELS[STREAMS[at].task][number].name: found
        for (at, number), found in results.items()
    }
    publish(report(results), content, options.out / "summary.json", options.document, "peers")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
