"""The module and the page of the virtual board.

The module is the kernel for the two learners of the page alone, behind board.c: as ``nbt-embed
export`` leaves out what a model does not use. The page carries it, its scripts and its style.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, FileSystemLoader
from markupsafe import Markup

from nbt_embed import Config, __version__
from nbt_embed.app import look
from nbt_embed.app.page import drawn, templates
from nbt_embed.cost import cost, processors
from nbt_embed.export import kernel_options
from tools.targets.machines import ROOT, run
from tools.targets.size import BASELINE, README_PROCESSOR, Model, Size
from tools.targets.webassembly import link

HERE = Path(__file__).resolve().parent
PAGE = ROOT / "docs" / "board" / "index.html"
CHANNELS = (("Position", "mm"), ("Current", "A"), ("Temperature", "°C"))
UNITS = (4, 8, 16, 32)
AHEAD = (1, 2, 5, 10, 20)
RATES = {rate: f"{rate} steps a second" for rate in (5, 30, 120, 600)}
FASTEST = {100_000: "as fast as possible"}
FAULTS = {
    "stuck": "Stuck",
    "spikes": "Spikes",
    "lost": "Lost samples",
    "offset": "Offset",
}
# Counters of nbt.h; there is no rollback here.
COUNTERS = {
    "predictions": "forecasts",
    "labels": "labels learnt",
    "missing": "steps without any label",
    "clipped": "forecasts with a reading clipped to its limit",
    "limited": "labels limited by the gate",
    "stuck": "forecasts and labels with a stuck sensor",
    "reopened": "resets of the adaptation",
    "moved": "changes of the units of a sensor",
    "restarted": "restarts of the readouts",
    "skipped": "skipped updates",
}
SCRIPTS = ("kernel.js", "sensors.js", "history.js", "plot.js", "board.js")
PAGES = 6  # of 64 KiB: three learners, constants, stack


@dataclass(frozen=True)
class Module:
    """A WebAssembly module, and the compiler that made it."""

    code: bytes
    compiler: str


def config_of(units: int, ahead: int = 1, seed: int = 1) -> Config:
    """The learner of the page: what board.c starts as LEARNER."""
    return Config(
        len(CHANNELS),
        len(CHANNELS),
        hidden=units,
        max_delay=ahead - 1,
        hold_missing=True,
        stuck_steps=20,
        anchor=tuple(range(len(CHANNELS))),
        seed=seed,
    )


def compiled(folder: Path) -> Module:
    """Compile and link the module in a folder. Errors: ToolError."""
    # Recursive least squares is the same learner without units, whose estimator is called frozen.
    (folder / "options.h").write_text(
        "#define NBT_ESTIMATORS (1u << NBT_EST_FROZEN | 1u << NBT_EST_SNAP1)\n#define NBT_TEXTS 1\n"
        + kernel_options(config_of(UNITS[-1])),
        encoding="utf-8",
    )
    target = link(
        "-O2",
        "-DNBT_LANES=1",
        "-include",
        str(folder / "options.h"),
        sources=[HERE / "board.c", *sorted((ROOT / "csrc").glob("*.c"))],
        target=folder / "board.wasm",
        pages=PAGES,
    )
    return Module(target.read_bytes(), run("clang", "--version").splitlines()[0])


def page(module: Module) -> str:
    """The page, as text to be written in UTF-8."""
    environment = templates()
    environment.loader = ChoiceLoader([FileSystemLoader(HERE), *filter(None, [environment.loader])])

    def text_of(name: str) -> Markup:
        return Markup(environment.loader.get_source(environment, name)[0])  # type: ignore[union-attr]

    data = {
        "module": base64.b64encode(module.code).decode("ascii"),
        "moduleBytes": len(module.code),
        "compiler": module.compiler,
        "channels": CHANNELS,
        "faults": FAULTS,
        "counters": COUNTERS,
        "strokes": {name: _stroke(one) for name, one in _SERIES.items()},
        "costs": {units: list(_costs(config_of(units))) for units in UNITS},
    }
    return environment.get_template("page.html.j2").render(
        css=text_of("page.css") + text_of("board.css"),
        scripts=[text_of(name) for name in SCRIPTS],
        data=data,
        json=Markup(json.dumps(data).replace("<", "\\u003c")),
        legends={
            "forecast": [_SERIES[name] for name in _FORECAST],
            "error": [_SERIES[name] | {"name": title} for name, title in _ERROR.items()],
        },
        speeds=(RATES | FASTEST).items(),
        units=[(units, str(units)) for units in UNITS],
        ahead=[(ahead, str(ahead)) for ahead in AHEAD],
        channels=[(place, name) for place, (name, _) in enumerate(CHANNELS)],
        firmware=_firmware(),
        version=__version__,
    )


def module_in(text: str) -> Module:
    """The module that a page carries."""
    found = re.search(r'<script type="application/json" id="data">(.*)</script>', text)
    if found is None:
        raise ValueError("the page carries no data: run `make board`")
    data = json.loads(found[1])
    return Module(base64.b64decode(data["module"]), data["compiler"])


_SERIES: dict[str, dict[str, Any]] = {
    "reading": drawn("truth", "reading", look.TRUTH),
    "learner": drawn("forecast", "forecast of the learner", look.of_model("learner")),
    "band": drawn("band", "80 % interval", look.of_model("learner")) | {"area": 0.3},
    "linear": drawn("rls", "forecast of RLS", look.of_model("rls")),
    "last": drawn("last", "last value", look.of_model("last")),
    "alarm": drawn("alarm", "alarm", look.ALARM) | {"mark": True},
}
_FORECAST = ("reading", "learner", "band", "linear", "alarm")
_ERROR = {"learner": "learner", "last": "last value", "linear": "RLS"}


def _stroke(one: Mapping[str, Any]) -> dict[str, Any]:
    """How the canvas draws a series, as its legend shows it."""
    return {
        "light": one["light"],
        "dark": one["dark"],
        "dash": [int(part) for part in one["dash"].split()],
        "width": 4 if one["role"] == "truth" else 1.8,
        "alpha": one["area"] or (0.55 if one["role"] == "truth" else 1),
    }


def _costs(config: Config) -> list[dict[str, Any]]:
    """One row for each processor with a cost model."""
    found = []
    for processor in processors():
        one = cost(config, processor)
        found.append(
            {
                "processor": processor.name,
                "board": processor.board,
                "mhz": round(processor.mhz),
                "instructions": one.instructions,
                "milliseconds": " to ".join(
                    f"{float(f'{limit:.2g}'):g}"
                    for limit in (one.milliseconds_low, one.milliseconds_high)
                ),
            }
        )
    return found


def _firmware() -> Size:
    """What `make size` measured of a learner like this one."""
    model = Model("columnar", "snap1", 16, resonators=8, head=16)
    key = [README_PROCESSOR, *vars(model).values()]
    rows = json.loads(BASELINE.read_text(encoding="utf-8"))
    row = next(row for row in rows if row[: len(key)] == key)
    return Size(README_PROCESSOR, model, *row[len(key) :])
