"""A thousand million steps of one learner, in pieces that survive an interruption: ``make soak``.

The learner (4 gated units, default settings and every guard) forecasts a simulated sensor one
sample ahead. In every piece of a million samples the period changes, a thousandth of the labels is
lost, ten thousand are lost at a stretch, the sensor is stuck for a thousand samples, and ten
readings are off by a factor of 10,000; every fiftieth piece the gain flips and the level jumps by
ten standard deviations. After each piece the learner is saved and loaded, and one line of figures
is appended; a second call goes on from there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed import Learner, __version__
from tools.document import put

PIECE = 1_000_000
CHANGE = 50  # pieces between two permanent changes
GUARDS: dict[str, Any] = {
    "stuck_steps": 50,
    "rollback_steps": 20_000,
    "input_limit": 20.0,
    "drift_steps": 300,
    "follow": False,  # a copy of units that have moved would be none
}
NORMS = ("theta", "readout", "w", "v", "traces")


@dataclass(frozen=True)
class Piece:
    """Figures after one piece of ``PIECE`` steps."""

    piece: int
    nrmse: float  # median absolute error over that of the last value
    norms: dict[str, float]
    covariance: tuple[float, float]  # smallest and largest of the recurrent weights
    eigenvalue: float  # smallest of the readout covariance
    counters: dict[str, int]
    hash: str
    nanoseconds: float  # a step
    resident_kib: int


def stream(piece: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Readings and labels, (PIECE, 1) each; the same for the same number."""
    rng = np.random.default_rng(piece)
    t = np.arange(PIECE)
    period = rng.uniform(8, 40)
    clean = np.sin(2 * np.pi * t / period) + 0.5 * np.sin(2 * np.pi * t / (2.7 * period))
    era = piece // CHANGE
    z = (-1) ** era * (clean + 0.05 * rng.standard_normal(PIECE)) + 8 * (era % 3)
    z[rng.integers(PIECE // 2, PIECE, 10)] *= 1e4
    z[200_000:201_000] = z[200_000]
    y = z.copy()
    y[rng.random(PIECE) < 1e-3] = np.nan
    y[300_000:310_000] = np.nan
    return z[:, np.newaxis].astype(np.float32), y[:, np.newaxis].astype(np.float32)


def resident_kib() -> int:
    """Resident memory of this process (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def feed(learner: Learner, piece: int) -> Piece:
    """One piece."""
    z, y = stream(piece)
    start = time.perf_counter()
    forecast = learner.run(z, y, horizon=1)
    seconds = time.perf_counter() - start
    error = np.nanmedian(np.abs(y[1:] - forecast[:-1]))
    last = np.nanmedian(np.abs(y[1:] - z[:-1]))
    covariance = learner.array("covariance")
    readout = learner.array("readout_covariance").astype(np.float64)
    return Piece(
        piece,
        float(error / last),
        {name: float(np.linalg.norm(learner.array(name).astype(np.float64))) for name in NORMS},
        (float(covariance.min()), float(covariance.max())),
        float(np.linalg.eigvalsh(readout)[0]),
        asdict(learner.counters),
        f"{learner.hash():016x}",
        seconds / PIECE * 1e9,
        resident_kib(),
    )


def resume(folder: Path) -> tuple[Learner, list[Piece]]:
    """The learner and what was measured so far; both at their start without files."""
    lines = folder / "pieces.jsonl"
    if not lines.exists():
        return Learner(1, 1, hidden=4, **GUARDS), []
    pieces = []
    for line in lines.read_text(encoding="utf-8").splitlines():
        pieces.append(Piece(**json.loads(line)))
        learner = Learner.load(folder / f"{pieces[-1].piece % 2}.nbt")
    if f"{learner.hash():016x}" != pieces[-1].hash:
        sys.exit(f"{folder}: the checkpoint is not that of the last line; remove the folder")
    return learner, pieces


def run(folder: Path, steps: int) -> list[Piece]:
    """Feed what is left, and save after each piece."""
    folder.mkdir(parents=True, exist_ok=True)
    learner, pieces = resume(folder)
    for number in range(len(pieces), steps // PIECE):
        piece = feed(learner, number)
        pieces.append(piece)
        # The line follows the file that it speaks of, and the file before stays.
        path = folder / f"{number % 2}.nbt"
        learner.save(path)
        learner = Learner.load(path)
        with (folder / "pieces.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(piece)) + "\n")
        if (number + 1) % 10 == 0:
            print(f"{number + 1:5} million steps, {piece.nanoseconds:.0f} ns per step", flush=True)
    return pieces


def summary(pieces: Sequence[Piece]) -> dict[str, Any]:
    """Whether all is finite, and the last tenth of the run compared with the second."""
    tenth = max(1, len(pieces) // 10)
    early, late = pieces[tenth : 2 * tenth] or pieces, pieces[-tenth:]

    growth = {
        name: max(p.norms[name] for p in late) / max(max(p.norms[name] for p in early), 1e-30)
        for name in NORMS
    }
    numbers = [x for p in pieces for x in (*p.norms.values(), *p.covariance, p.eigenvalue, p.nrmse)]
    return {
        "version": __version__,
        "steps": len(pieces) * PIECE,
        "finite": bool(np.isfinite(numbers).all()),
        "norm_late_over_early": growth,
        "covariance_min": min(piece.covariance[0] for piece in pieces),
        "readout_eigenvalue_min": min(piece.eigenvalue for piece in pieces),
        "nrmse_early": float(np.median([piece.nrmse for piece in early])),
        "nrmse_late": float(np.median([piece.nrmse for piece in late])),
        "nanoseconds_early": float(np.median([piece.nanoseconds for piece in early])),
        "nanoseconds_late": float(np.median([piece.nanoseconds for piece in late])),
        "resident_growth_kib": max(p.resident_kib for p in late)
        - max(p.resident_kib for p in early),
        "counters": pieces[-1].counters,
    }


def picture(pieces: Sequence[Piece], path: Path) -> None:
    """Norms, loss and cost over the whole run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 8), layout="constrained")
    norms, spread, loss, cost = figure.subplots(4, 1, sharex=True)
    x = [(piece.piece + 1) * PIECE for piece in pieces]
    for name in NORMS:
        norms.semilogy(x, [max(piece.norms[name], 1e-9) for piece in pieces], lw=0.8, label=name)
    norms.set_ylabel("Euclidean norm")
    norms.legend(ncols=len(NORMS), fontsize=8)
    spread.semilogy(x, [piece.covariance[0] for piece in pieces], lw=0.8, label="least, recurrent")
    spread.semilogy(x, [piece.covariance[1] for piece in pieces], lw=0.8, label="most, recurrent")
    spread.semilogy(
        x, [piece.eigenvalue for piece in pieces], lw=0.8, label="least eigenvalue, readout"
    )
    spread.set_ylabel("covariance")
    spread.legend(ncols=3, fontsize=8)
    loss.plot(x, [piece.nrmse for piece in pieces], lw=0.8)
    loss.set_ylabel("median error\n/ that of the last value")
    loss.set_ylim(bottom=0)
    cost.plot(x, [piece.nanoseconds for piece in pieces], lw=0.8)
    cost.set_ylabel("ns per step")
    cost.set_ylim(bottom=0)
    cost.set_xlabel("steps")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main(arguments: list[str] | None = None) -> int:
    """Run, summarise, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=10**9, help="a multiple of a million")
    parser.add_argument("--folder", type=Path, default=Path("build/soak"))
    parser.add_argument("--picture", type=Path, help="PNG to draw into (matplotlib)")
    parser.add_argument("--document", type=Path, help="Markdown file to put the figures into")
    options = parser.parse_args(arguments)
    if options.steps < PIECE:
        parser.error(f"--steps = {options.steps}: expected at least {PIECE}")
    pieces = run(options.folder, options.steps)
    figures = summary(pieces)
    text = json.dumps(figures, indent=1)
    (options.folder / "summary.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    if options.picture is not None:
        picture(pieces, options.picture)
    if options.document is not None:
        put(options.document, "soak", text)
    flat = max(figures["norm_late_over_early"].values()) < 3
    good = figures["finite"] and flat and figures["covariance_min"] > 0
    return 0 if good and figures["readout_eigenvalue_min"] > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
