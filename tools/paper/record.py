"""What was measured, stored with the page: docs/evidence/paper/<claim>.json."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.bench.machine import processor, revision, versions
from tools.paper.claim import Claim, Data
from tools.paper.runs import Runs


@dataclass(frozen=True)
class Record:
    """The numbers of one claim and where they come from.

    fingerprint: of the sources that decide about them. made_by: versions, commit and processor.
    seconds: what measuring took, on the clock; work: processor time, of all processes.
    """

    data: Data
    fingerprint: str
    made_by: dict[str, str]
    seconds: float
    work: float

    @classmethod
    def measured(cls, claim: Claim, runs: Runs, made_by: dict[str, str]) -> Record:
        """Measure a claim with the sources as they are now."""
        clock, work = time.monotonic(), runs.processor_time()
        data = claim.measure(runs)
        seconds, worked = time.monotonic() - clock, runs.processor_time() - work
        return cls(data, claim.fingerprint, made_by, round(seconds, 1), round(worked, 1))

    def save(self, path: Path) -> None:
        """As JSON, for people too."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_json(asdict(self)) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Record:
        """What a file keeps."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def origin() -> dict[str, str]:
    """Versions of what took part, commit of the sources, processor."""
    found = versions()
    kept = {name: found[name] for name in ("python", "numpy", "nbt_embed")}
    count = str(os.cpu_count())
    return {**kept, "commit": revision(), "processor": processor(), "processors": count}


def _json(value: object, indent: str = "") -> str:
    """JSON with an object a line a key, and every list on one line."""
    if not isinstance(value, dict):
        return json.dumps(value)
    inner = indent + " "
    rows = [f"{inner}{json.dumps(key)}: {_json(item, inner)}" for key, item in value.items()]
    return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
