"""Instructions of a step on a Cortex-M4F, counted in QEMU as `make size` does (-O2).

The firmware is what ``nbt-embed export`` writes for a fresh learner; a step is one learn and one
predict of its golden samples, STEPS of them, the mean.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from nbt_embed import Learner, memory_of
from nbt_embed.config import Link
from nbt_embed.export import firmware_files
from tools.learning.plan import METHODS
from tools.learning.record import this_version
from tools.sources import fingerprint
from tools.targets.counter import build_counter, count_steps
from tools.targets.machines import HERE, MACHINES, ToolError

STEPS = 300
# Inputs, outputs, link: lines of letters, brackets, a series, and a recording of three channels.
SHAPES: dict[str, tuple[int, int, Link]] = {
    "3 symbols": (3, 3, "categorical"),
    "13 symbols": (13, 13, "categorical"),
    "series": (1, 1, "gaussian"),
    "recording": (3, 1, "gaussian"),
}
SOURCES = ("csrc/*.[ch]", "csrc/*.inc", "tools/learning/steps.c", "tools/learning/plan.py")
Wanted = tuple[str, str, int]  # shape, method, units


@dataclass(frozen=True)
class Count:
    """Instructions of one learner; sources: fingerprint of what decides about it."""

    shape: str
    method: str
    hidden: int
    instructions: int
    sources: str
    made_by: str

    @property
    def key(self) -> Wanted:
        """What is counted once."""
        return self.shape, self.method, self.hidden


Counts = Mapping[Wanted, Count]


def load(path: Path) -> dict[Wanted, Count]:
    """What a file keeps; nothing if it is missing."""
    if not path.exists():
        return {}
    found = (Count(**row) for row in json.loads(path.read_text(encoding="utf-8")))
    return {one.key: one for one in found}


def save(counts: Counts, path: Path) -> None:
    """One count a line."""
    rows = ",\n".join(json.dumps(asdict(one)) for one in counts.values())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"[\n{rows}\n]\n", encoding="utf-8")


def counted(wanted: Iterable[Wanted], kept: Counts, threads: int) -> dict[Wanted, Count]:
    """Those that are kept, and what is wanted and has no count of these sources.

    Without the cross compiler or the emulator, those that are kept.
    """
    now = fingerprint(SOURCES)
    left = [one for one in wanted if one not in kept or kept[one].sources != now]
    found = dict(kept)
    try:
        with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(threads) as pool:
            counter = build_counter(Path(name))
            for one in pool.map(lambda key: _count(key, now, Path(name), counter), left):
                found[one.key] = one
    except ToolError as error:
        print(f"instructions are left as they are: {error}")
    return found


def _count(key: Wanted, sources: str, folder: Path, counter: Path) -> Count:
    shape, method, hidden = key
    settings = METHODS[method].settings
    assert settings is not None
    n_in, n_out, link = SHAPES[shape]
    learner = Learner(
        n_in, n_out, hidden=hidden, link=link, **settings(link == "categorical", hidden)
    )
    place = folder / "-".join(map(str, key)).replace(" ", "_")
    place.mkdir()
    for name, text in firmware_files(learner).items():
        (place / name).write_text(text, encoding="utf-8")
    machine = next(one for one in MACHINES if one.name == "M4F")
    elf = machine.link(
        "-ffp-contract=off",
        "-fno-math-errno",
        f"-DSTEPS={STEPS}",
        f"-DMODEL_BYTES={memory_of(learner.config).total}",
        f"-I{place}",
        sources=[
            HERE.parent / "learning" / "steps.c",
            *(place / name for name in ("nbt.c", "nbt_model.c", "golden.c")),
        ],
        target=place / "steps.elf",
    )
    mean = int(count_steps(machine, elf, counter).mean)
    print(f"{shape}, {method}, {hidden} units: {mean:,} instructions", flush=True)
    return Count(*key, mean, sources, this_version())
