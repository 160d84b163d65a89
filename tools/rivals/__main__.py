"""Other online learners compared with ours on a recording: ``python -m tools.rivals [FILE]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial

import numpy as np

from nbt_embed import Config, Learner
from nbt_embed.baselines import LastValue, Rls
from nbt_embed.evaluate import Model, evaluate
from nbt_embed.simulation import simulated_sensor
from nbt_embed.streams import Stream, from_arrays
from tools.rivals import UORO, TruncatedBPTT, tuned


def main(arguments: list[str] | None = None) -> int:
    """Print errors and microseconds of every model."""
    parser = argparse.ArgumentParser(prog="python -m tools.rivals", description=__doc__)
    parser.add_argument("file", nargs="?", help="numbers, .npy or CSV (a simulated machine)")
    parser.add_argument("--rows", type=int, default=6000, help="rows at most (6000)")
    parser.add_argument("--horizon", type=int, default=1, help="rows ahead (1)")
    parser.add_argument("--hidden", type=int, default=16, help="units (16)")
    options = parser.parse_args(arguments)
    horizon, hidden = options.horizon, options.hidden
    stream = _stream(options.file, options.rows)
    for name, make in models(stream, horizon, hidden).items():
        one = evaluate(make(), stream, horizon)
        print(f"{name:28} nrmse {one.nrmse:.4f}  {one.us_per_step:7.1f} µs a row")
    return 0


def models(stream: Stream, horizon: int, hidden: int) -> dict[str, Callable[[], Model]]:
    """The models, each fresh when it is made."""
    n, o, delay = stream.n_in, stream.n_out, max(horizon - 1, 0)
    config = Config(n, o, hidden=hidden, max_delay=delay, hold_missing=stream.has_missing_inputs)
    made: dict[str, Callable[[], Model]] = {
        "last value": partial(LastValue, n, o, max_delay=delay),
        "recursive least squares": partial(Rls, n, o, max_delay=delay),
        "nbt_embed": partial(Learner, config),
        "UORO, GRU": partial(tuned, UORO, stream, horizon=horizon, hidden=hidden),
    }
    for span in (1, 20, 100):
        kind = partial(TruncatedBPTT, span=span)
        made[f"backpropagation, {span} steps"] = partial(
            tuned, kind, stream, horizon=horizon, hidden=hidden
        )
    return made


def _stream(file: str | None, rows: int) -> Stream:
    if file is None:
        return simulated_sensor(rows, missing=0)
    if file.endswith(".npy"):
        return from_arrays(np.load(file)[:rows])
    return from_arrays(np.genfromtxt(file, delimiter=",", skip_header=1)[:rows])


if __name__ == "__main__":
    sys.exit(main())
