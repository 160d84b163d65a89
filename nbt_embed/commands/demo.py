"""``nbt-embed demo``: ``run`` on a simulated machine, without a file.

Half way a part comes loose: a spring softens, which is hardly visible in the plot. The position
sensor on this part slips by one usual swing of its channel, which is visible.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import numpy as np

from nbt_embed._extras import needs
from nbt_embed.commands.run import add_outputs, add_scoring, learner_of
from nbt_embed.faults import Fault, with_faults
from nbt_embed.options import add_learner
from nbt_embed.output import Result, check_targets
from nbt_embed.simulation import SWING, simulated_sensor
from nbt_embed.streams import Stream

_HORIZON = 5
_ROWS, _NOISE = 6000, 0.02  # those of ``simulated_sensor``
_FAULT = Fault("spike", _ROWS // 2, channel=0, rows=_ROWS - _ROWS // 2, size=1 / _NOISE)
PAGE = "nbt-embed-demo.html"


def add(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    demo = commands.add_parser(
        "demo",
        help="learn a simulated sensor; needs no file",
        description="Learn a simulated machine whose position sensor comes loose and slips half "
        "way; compare with simple forecasters, plot the forecast, and write an HTML page "
        "with all results.",
    )
    demo.set_defaults(command=main, horizon=[_HORIZON], out=None, save=None, link=None)
    add_learner(demo)
    add_scoring(demo)
    add_outputs(demo, PAGE)


def main(args: argparse.Namespace) -> Result:
    """Learn the simulated machine."""
    with needs("nbt-embed demo"):
        from nbt_embed.app.recording import from_stream
        from nbt_embed.app.session import session
    check_targets([], args.json, args.report, args.plot)
    title = f"simulated machine, loose from row {_FAULT.row:,} on"
    with from_stream(stream_of(args.seed), title) as recording:
        result = session(args, recording, learner_of(args, recording))
    return replace(result, text=f"{result.text}\nHTML page: {args.report}\n")


def stream_of(seed: int) -> Stream:
    """Return the machine with the fault: three inputs, the position as target."""
    readings = simulated_sensor(_ROWS, seed, noise=_NOISE)
    wrong = with_faults(readings.inputs, [_FAULT], [_NOISE * swing for swing in SWING])
    inputs = wrong.astype(np.float32)
    return replace(
        readings,
        inputs=inputs,
        targets=inputs[:, :1].copy(),
        target_names=readings.target_names[:1],
    )
