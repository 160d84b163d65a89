"""How fast it is: ``make bench`` (some minutes), ``make bench-quick`` (a minute).

The default learner compared with alternatives; the same method in other libraries; the overhead of
Python; the machine's limit; cost over cells, estimators, filters and sizes. Everything runs on one
thread of one core, in rounds where all have a turn. Results go to build/bench.json, tables and
picture into docs/evidence/speed.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tools.bench import grid, limits, machine, page, peers, small, targets

SCHEMA = 3
LIMIT_HIDDEN = (8, 16, 32, 64, 128, 256, 512, 1024)
USUAL_HIDDEN = (8, 16, 32)


def say(message: str) -> None:
    """Progress."""
    print(message, file=sys.stderr, flush=True)


def limit_cases(quick: bool) -> list[grid.Case]:
    """What is compared with the machine's limit."""
    usual: list[grid.Case] = [grid.Usual(hidden=hidden) for hidden in USUAL_HIDDEN]
    sizes = (32, 256) if quick else LIMIT_HIDDEN
    kinds = [("lstm", "nobacktrack")] if quick else [("lstm", "nobacktrack"), ("gated", "residual")]
    return usual + [grid.Case(*kind, "kalman", hidden) for kind in kinds for hidden in sizes]


def measure(quick: bool) -> dict[str, Any]:
    """Everything that is measured."""
    rounds = 7 if quick else 25
    data: dict[str, Any] = {"schema": SCHEMA, "quick": quick, "machine": machine.describe()}
    start, worked = time.perf_counter(), time.process_time()
    say("default learner")
    data["usual_alone"] = peers.alone(rounds)
    data["usual"] = [peers.compare(peer, rounds) for peer in peers.USUAL]
    say(f"same method by others, {time.perf_counter() - start:.0f} s")
    data["peers"] = [peers.compare(peer, rounds) for peer in peers.HEADLINE]
    say(f"small learner, {time.perf_counter() - start:.0f} s")
    data["small"] = [small.step(name, rounds) for name in small.ESTIMATORS]
    data["pairs"] = [small.pairs(name, rounds) for name in small.PAIRS]
    say(f"limits, {time.perf_counter() - start:.0f} s")
    data["flat"] = grid.flatness(grid.FLAT, rounds)
    data["limits"] = [limits.measure(case, max(5, rounds // 2)) for case in limit_cases(quick)]
    say(f"grid, {time.perf_counter() - start:.0f} s")
    chosen = grid.cases(
        grid.HIDDEN_QUICK if quick else grid.HIDDEN,
        grid.OPERATIONS_QUICK if quick else grid.OPERATIONS,
    )
    data["grid"] = grid.measure(list(chosen), 2 if quick else 5)
    data["seconds"] = time.perf_counter() - start
    # Well below 1: others were at work on the machine, and in its caches.
    data["processor_share"] = (time.process_time() - worked) / data["seconds"]
    say(f"done, {data['seconds']:.0f} s")
    return data


def main(arguments: list[str]) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer sizes and rounds")
    parser.add_argument("--output", type=Path, default=Path("build/bench.json"))
    parser.add_argument("--from", dest="given", type=Path, help="tables of an earlier run's JSON")
    parser.add_argument("--document", type=Path, help="Markdown file to put the tables into")
    parser.add_argument("--picture", type=Path, help="PNG file to draw the cost into")
    options = parser.parse_args(arguments)
    if options.given:
        data = json.loads(options.given.read_text(encoding="utf-8"))
    else:
        machine.restart_with_one_thread("tools.bench", arguments)
        data = measure(options.quick)
    found = targets.outcomes(data)
    data["targets"] = [asdict(one) for one in found]
    if not options.given:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(
        page.usual(data),
        page.peers(data),
        page.flat(data),
        page.limits(data),
        page.small(data),
        page.targets(found),
        sep="\n\n",
    )
    if options.document:
        page.write(data, found, options.document)
    if options.picture:
        from tools.bench.picture import cost

        options.picture.parent.mkdir(parents=True, exist_ok=True)
        cost(data).savefig(options.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
