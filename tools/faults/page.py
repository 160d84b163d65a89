"""The report: the share of faults that each detector finds, at two thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from nbt_embed import __version__
from nbt_embed.faults import KINDS
from tools.document import publish
from tools.faults.detectors import Detector
from tools.faults.machines import WITHIN
from tools.faults.measures import PER, Reached, Scored, allowed, reached
from tools.streams.page import table

# By the share of readings that are lost: what every detector scored.
Found = Mapping[float, Mapping[str, Scored]]


def report(found: Found, detectors: Sequence[Detector]) -> str:
    """The whole section."""
    parts = []
    for missing, by_name in found.items():
        some = next(iter(by_name.values()))
        faults = min(peaks.size for peaks in some.peaks.values())
        parts += [
            f"nbt_embed {__version__}; {faults} faults of each kind, {some.healthy.size:,} healthy "
            f"rows; {missing:.0%} of the readings lost. Found within {WITHIN} rows:",
            comparison(by_name, detectors),
        ]
    return "\n\n".join(parts)


def comparison(by_name: Mapping[str, Scored], detectors: Sequence[Detector]) -> str:
    """Every detector with its own threshold, and with the one that allows a false alarm."""
    rows = []
    for detector in detectors:
        one = by_name[detector.name]
        rows.append(_row(f"{detector.name}, fixed beforehand", reached(one, detector.threshold)))
        rows.append(_row(f"{detector.name}, 1 in {PER:,}", reached(one, allowed(one))))
    header = ["detector and threshold", *KINDS, "all", "false rows", "false calls", "threshold"]
    return table(header, rows)


def _row(name: str, one: Reached) -> list[str]:
    shares = [*(one.found[kind] for kind in KINDS), one.everything]
    figures = [f"{one.false:.2f}", f"{one.calls:.2f}", f"{one.threshold:.4f}"]
    return [name, *(f"{share:.1%}" for share in shares), *figures]


def write(
    found: Found, detectors: Sequence[Detector], summary: Path, document: Path | None
) -> None:
    """Print the report, write it as JSON, and put it into a document on request."""
    measured = {
        f"{missing:g} lost": {
            one.name: {
                "fixed beforehand": asdict(reached(by_name[one.name], one.threshold)),
                "allowed": asdict(reached(by_name[one.name], allowed(by_name[one.name]))),
            }
            for one in detectors
        }
        for missing, by_name in found.items()
    }
    content = {"version": __version__, **measured}
    publish(report(found, detectors), content, summary, document, "faults")
