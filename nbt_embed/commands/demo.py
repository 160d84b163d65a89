"""``nbt-embed demo``: the same as ``run`` on a simulated machine; needs no file."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from nbt_embed._extras import needs
from nbt_embed.commands.run import add_outputs, add_scoring, learner_of
from nbt_embed.options import add_learner
from nbt_embed.output import Result, check_targets
from nbt_embed.simulation import simulated_sensor

_HORIZON = 5
PAGE = "nbt-embed-demo.html"


def add(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    demo = commands.add_parser(
        "demo",
        help="learn a simulated sensor; needs no file",
        description="Learn a simulated machine whose part comes loose half way, compare, show the "
        "forecast, and write a page with everything.",
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
    readings = simulated_sensor(seed=args.seed)
    stream = replace(
        readings, targets=readings.targets[:, :1].copy(), target_names=readings.target_names[:1]
    )
    title = "simulated machine (a part comes loose half way)"
    with from_stream(stream, title) as recording:
        result = session(args, recording, learner_of(args, recording))
    return replace(result, text=f"{result.text}\npage with everything: {args.report}\n")
