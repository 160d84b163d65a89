"""The stream that the program is given, and the hashes that the package expects of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed import Config, Learner
from nbt_embed.config import CHOICES
from nbt_embed.errors import ConfigError
from nbt_embed.simulation import simulated_sensor

SAMPLES, HORIZON, N_OUT = 1000, 2, 3
COLUMNS: dict[str, dict[str, Any]] = {
    "columnar": {"resonators": 1, "head": 2},
    "resonator": {"head": 2},
}
FOLLOWING = ("gated", *COLUMNS)


def samples() -> NDArray[np.float32]:
    """The simulated sensor, lost readings included, (SAMPLES, 3)."""
    return simulated_sensor(SAMPLES, seed=1).inputs


def write_header(folder: Path, hold: bool = False) -> None:
    """The stream as an array of bit patterns in flash; hold: lost readings repeat the last one."""
    x = samples()
    for row in range(1, len(x) if hold else 0):
        x[row] = np.where(np.isnan(x[row]), x[row - 1], x[row])
    words = x.view(np.uint32)
    rows = ",\n".join("    {" + ", ".join(f"{word:#010x}u" for word in row) + "}" for row in words)
    (folder / "stream.h").write_text(
        f"enum {{ SAMPLES = {len(words)}, CHANNELS = {words.shape[1]} }};\n"
        # Constants of AVR lie in memory unless told otherwise.
        "#ifdef __FLASH\n#define IN_FLASH __flash\n#else\n#define IN_FLASH\n#endif\n"
        f"static const IN_FLASH uint32_t stream_bits[SAMPLES][CHANNELS] = {{\n{rows}\n}};\n",
        encoding="utf-8",
    )


def configurations() -> dict[str, Config]:
    """Every kind of learner by the name that the program prints, in its order."""
    found = {}
    for c, cell in enumerate(CHOICES["cell"]):
        for e, estimator in enumerate(CHOICES["estimator"]):
            for f, filter_ in enumerate(CHOICES["filter"]):
                for k, link in enumerate(CHOICES["link"]):
                    kind = {"cell": cell, "estimator": estimator, "filter": filter_, "link": link}
                    kind |= COLUMNS.get(cell, {})
                    for follows in (False, True) if cell in FOLLOWING else (False,):
                        config = _config(follows, kind)
                        try:
                            Learner(config)
                        except ConfigError:
                            continue  # not every cell has every estimator
                        found[f"{c} {e} {f} {k} {follows:d}"] = config
    return found


def _config(follows: bool, kind: dict[str, Any]) -> Config:
    """One with the defaults, or with fixed units and a last good copy."""
    if follows:
        anchor = (0, 1, 2) if kind["link"] == "gaussian" else None
        settings: dict[str, Any] = {"anchor": anchor}
    else:
        settings = {"follow": False, "drift_steps": 300, "rollback_steps": 200}
    settings |= {"hidden": 4, "max_delay": HORIZON - 1, "hold_missing": True}
    return Config(3, N_OUT, **settings, **kind)


def labels(x: NDArray[np.float32], link: str) -> NDArray[np.float32]:
    """The labels that the program derives from the samples; comparisons with NaN are false."""
    if link == "gaussian":
        return x
    with np.errstate(invalid="ignore"):
        if link == "bernoulli":
            return (x > 0).astype(np.float32)
        return ((x[:, :1] > 0.5).astype(np.float32) + (x[:, :1] > -0.5)).astype(np.float32)


def expected(config: Config, steps: int) -> list[str]:
    """Hashes after 1, 10, 100, ... steps and the last, from the Python package."""
    x = np.resize(samples(), (steps, 3))
    y = labels(x, config.link)
    learner = Learner(config)
    hashes, done = [], 0
    for mark in sorted({10**k for k in range(9) if 10**k <= steps} | {steps}):
        learner.run(x[done:mark], y[done:mark], horizon=HORIZON)
        hashes.append(f"{learner.hash():016x}")
        done = mark
    return hashes
