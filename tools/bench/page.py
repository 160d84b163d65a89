"""The tables of docs/evidence/speed.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tools.bench.clock import Spread, short
from tools.bench.targets import Outcome
from tools.document import put


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Columns as wide as their widest entry; the first `left` to the left, the others right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if k < left else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def machine(data: dict[str, Any]) -> str:
    """The machine and the versions of a measurement."""
    about = data["machine"]
    versions = ", ".join(f"{name} {value}" for name, value in about["versions"].items())
    package, native = about["package"], about["native"]
    return "\n".join(
        [
            f"{about['processor']}; {', '.join(f'{k} {v}' for k, v in about['caches'].items())}",
            f"{about['system']}; one thread; load {about['load_average']:.2f} at the start, "
            f"{data['processor_share']:.0%} of the core",
            f"sources {about['revision'] or 'of no known revision'}; {versions}",
            f"package: {package['compiler']}, {' '.join(package['flags'])}",
            f"plain loops and limits: {native['compiler']}, {' '.join(native['flags'])}",
        ]
    )


def targets(found: Sequence[Outcome]) -> str:
    """Every measurement with its target."""
    rows = [(one.subject, one.measured, one.target) for one in found]
    return table(("", "measured: median (range)", "target"), rows, left=3)


def usual(data: dict[str, Any]) -> str:
    """The default learner and its alternatives."""
    run, one_by_one = (str(Spread(**row["us"])) for row in data["usual_alone"])
    rows = [
        ("nbt_embed, default learner, run", run, "", ""),
        ("nbt_embed, default learner, predict and learn", one_by_one, "", ""),
    ]
    for row in data["usual"]:
        if "missing" in row:
            rows.append((row["peer"], row["missing"], "", ""))
            continue
        both = [str(Spread(**ours["ratio"])) for ours in row["ours"]]
        rows.append((row["peer"], str(Spread(**row["peer_us"])), *both))
    return table(("", "µs per sample", "times run", "times predict and learn"), rows)


def peers(data: dict[str, Any]) -> str:
    """Times and ratios of the headline case."""
    rows = []
    for row in data["peers"]:
        if "missing" in row:
            rows.append((row["peer"], row["missing"], "", "", ""))
            continue
        (ours,) = row["ours"]
        us, ratio = Spread(**ours["us"]), Spread(**ours["ratio"])
        rows.append((row["peer"], str(Spread(**row["peer_us"])), ours["name"], str(us), str(ratio)))
    return table(("", "µs per sample", "against ours", "µs per sample", "ratio"), rows)


def flat(data: dict[str, Any]) -> str:
    """Nanoseconds per parameter by size, measured in turns."""
    found = data["flat"]
    rows = [
        (str(hidden), str(Spread(**one)))
        for hidden, one in zip(found["hidden"], found["ns_per_parameter"], strict=True)
    ]
    rows.append(("largest / smallest", str(Spread(**found["ratio"]))))
    return table(("lstm nobacktrack kalman, H", "ns per step and parameter"), rows)


def limits(data: dict[str, Any]) -> str:
    """Step, both limits, share."""
    rows = []
    for row in data["limits"]:
        by_bytes, by_arithmetic = (row[name]["median"] for name in ("bytes_us", "arithmetic_us"))
        rows.append(
            (
                row["name"],
                str(row["hidden"]),
                f"{row['footprint_bytes'] / 1024:,.0f}",
                short(row["gigabytes_per_second"]),
                short(by_bytes),
                short(by_arithmetic),
                short(row["step_us"]["median"]),
                str(Spread(**row["share"])),
                short(row["sweep_us"]["median"]) if "sweep_us" in row else "-",
                f"{row['rest']['median']:.0%}" if "rest" in row else "-",
            )
        )
    limit = ("bytes µs", "arithmetic µs", "step µs", "share of the limit", "sweep µs", "the rest")
    head = ("", "H", "KiB", "GB/s", *limit)
    return table(head, rows)


def _by_size(
    title: str, rows: Sequence[dict[str, Any]], sizes: Sequence[int], key: Callable[[Any], Any]
) -> str:
    """One line per kind, one column per size; key gives the kind's name, and the entry of a row."""
    kinds: dict[str, dict[int, str]] = {}
    for row in rows:
        name, value = key(row)
        kinds.setdefault(name, {})[row["hidden"]] = short(value)
    head = (title, *(f"H = {hidden}" for hidden in sizes))
    return table(
        head, [(name, *(found.get(h, "-") for h in sizes)) for name, found in kinds.items()]
    )


def grid(data: dict[str, Any]) -> str:
    """Microseconds per step, one table per cell; nanoseconds per parameter under kalman."""
    sizes = sorted({row["hidden"] for row in data["grid"]})
    tables = []
    for cell in dict.fromkeys(row["cell"] for row in data["grid"]):
        rows = [row for row in data["grid"] if row["cell"] == cell]
        tables.append(
            _by_size(
                f"{cell}, µs per step",
                rows,
                sizes,
                lambda row: (f"{row['estimator']} {row['filter']}", row["ns"]["low"] / 1e3),
            )
        )
    rows = [row for row in data["grid"] if row["filter"] == "kalman"]
    tables.append(
        _by_size(
            "kalman, ns per step and parameter",
            rows,
            sizes,
            lambda row: (f"{row['cell']} {row['estimator']}", row["ns_per_parameter"]),
        )
    )
    return "\n\n".join(tables)


def small(data: dict[str, Any]) -> str:
    """The small learner, and the overhead of Python."""
    steps = [
        (row["estimator"], str(Spread(**row["ns"])), str(Spread(**row["headline_ns"])))
        for row in data["small"]
    ]
    pairs = [
        (f"{row['name']}, {kind}", *(str(Spread(**row[k])) for k in (times, "c_us", added)))
        for row in data["pairs"]
        for kind, times, added in (
            ("pinned buffers", "pinned_us", "pinned_added_us"),
            ("the caller's arrays", "python_us", "added_us"),
        )
    ]
    return "\n\n".join(
        [
            table(("8 gated units, 3 in, 1 out", "ns per step", "LSTM of 32 units, ns"), steps),
            table(("predict and learn", "from Python, µs", "from C, µs", "Python adds, µs"), pairs),
        ]
    )


def write(data: dict[str, Any], found: Sequence[Outcome], document: Path) -> None:
    """Replace every table between its markers."""
    for name, output in (
        ("machine", machine(data)),
        ("targets", targets(found)),
        ("usual", usual(data)),
        ("peers", peers(data)),
        ("limits", f"{flat(data)}\n\n{limits(data)}"),
        ("grid", grid(data)),
        ("small", small(data)),
    ):
        put(document, name, output)
