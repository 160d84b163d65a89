"""Measure what each estimator earns: ``make learning-quick``, or ``python -m tools.learning``.

Every estimator at the default settings, one pass, batch 1, on the tasks of tasks.py; median and
range over the seeds (of weights, signs and stream). Writes a JSON file and the tables between the
markers of docs/learning.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from nbt_embed import Learner, __version__
from nbt_embed.baselines import Rls
from nbt_embed.errors import DivergenceWarning
from tools.learning.tasks import SERIES, SYMBOLS, SeriesTask, SymbolTask

ESTIMATORS = ("frozen", "nobacktrack", "snap1", "residual")
DOCUMENT = Path("docs/learning.md")
BEGIN, END = "<!-- tables -->", "<!-- /tables -->"


def symbol_loss(task: SymbolTask, estimator: str, hidden: int, steps: int, seed: int) -> float:
    """Bits per symbol over the last tenth of the stream."""
    text = task.make(steps + 1, seed)
    learner = Learner(
        task.n_symbols,
        task.n_symbols,
        hidden=hidden,
        link="categorical",
        estimator=estimator,
        seed=seed,
    )
    p = learner.run(np.eye(task.n_symbols, dtype=np.float32)[text[:-1]], text[1:])
    tail = slice(steps - steps // 10, steps)
    return float(-np.log2(p[np.arange(steps), text[1:]])[tail].mean())


def series_loss(task: SeriesTask, estimator: str, hidden: int, steps: int, seed: int) -> float:
    """Mean squared error over the variance, last half; the estimator "RLS-10" is that baseline."""
    z = task.make(steps, seed)
    h = task.horizon
    model: Any = (
        Rls(1, 1, lags=10, max_delay=h - 1)
        if estimator == "RLS-10"
        else Learner(1, 1, hidden=hidden, estimator=estimator, seed=seed, max_delay=h - 1)
    )
    forecast = model.run(z, z, horizon=h)
    truth, answer = z[h:][steps // 2 :], forecast[:-h][steps // 2 :]
    return float(np.square(answer - truth).mean() / truth.var())


def summary(losses: list[float]) -> dict[str, Any]:
    """Median, range, and how many runs ended without a finite loss."""
    values = np.array(losses)
    finite = values[np.isfinite(values)]
    return {
        "median": float(np.median(finite)) if finite.size else None,
        "low": float(finite.min()) if finite.size else None,
        "high": float(finite.max()) if finite.size else None,
        "failed": int(values.size - finite.size),
        "losses": losses,
    }


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Every task, estimator and seed."""
    results: dict[str, Any] = {}
    seeds = range(args.seeds)
    for symbols in SYMBOLS:
        results[symbols.name] = {
            name: summary(
                [symbol_loss(symbols, name, args.hidden, args.symbols, seed) for seed in seeds]
            )
            for name in ESTIMATORS
        }
    for series in SERIES:
        for hidden in (8, args.hidden):
            results[f"{series.name}, {hidden} units"] = {
                name: summary(
                    [series_loss(series, name, hidden, args.samples, seed) for seed in seeds]
                )
                for name in (*ESTIMATORS, "RLS-10")
            }
    return results


def tables(results: dict[str, Any], args: argparse.Namespace) -> str:
    """Markdown: median (low to high) per task and estimator."""
    floors = {task.name: f" (floor {task.floor:.3f})" for task in SYMBOLS}
    columns = (*ESTIMATORS, "RLS-10")
    lines = [
        f"`python -m tools.learning --symbols {args.symbols} --samples {args.samples} --seeds "
        f"{args.seeds} --hidden {args.hidden}`, nbt_embed {__version__}, {platform.machine()}. "
        f"Symbol streams: {args.hidden} units, bits per symbol over the last tenth. Series: mean "
        "squared error over the variance, last half. Median (lowest to highest seed).",
        "",
        "| task | " + " | ".join(columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    for task, row in results.items():
        cells = [task + floors.get(task, "")]
        for name in columns:
            one = row.get(name)
            if one is None:
                cells.append("")
                continue
            failed = f", {one['failed']} failed" if one["failed"] else ""
            cells.append(f"{one['median']:.3g} ({one['low']:.3g} to {one['high']:.3g}{failed})")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--symbols", type=int, default=200_000, help="length of a symbol stream")
    parser.add_argument("--samples", type=int, default=5_000, help="length of a series")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--json", type=Path, default=Path("build/learning.json"))
    args = parser.parse_args()
    warnings.simplefilter("ignore", DivergenceWarning)  # a lost run shows in its loss
    results = measure(args)
    text = tables(results, args)
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    document = DOCUMENT.read_text(encoding="utf-8")
    before, rest = document.split(BEGIN)
    _, after = rest.split(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
