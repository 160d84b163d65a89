"""Any checkpoint that can be loaded can be exported, and its self-test passes on the device.

Learners of every kind are driven through streams that no sensor has, and words of their checkpoints
are then replaced by numbers that training does not reach.
"""

from __future__ import annotations

import copy
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from checkpoint_table import PAYLOAD, counters
from conftest import HOST, ROOT, Build, Tool, run
from numpy.typing import NDArray
from settings import is_accepted, still

from nbt_embed import Config, Learner
from nbt_embed.config import CHOICES
from nbt_embed.errors import CheckpointError, DivergenceWarning, NbtError
from nbt_embed.export import GOLDEN_STEPS, Golden, export_firmware, firmware_files, golden

# Words of a checkpoint: where the payload begins, and the counters.
HEADER = PAYLOAD // 4
COUNTERS = np.array([(offset + half) // 4 for offset, _ in counters() for half in (0, 4)])
EXTREME = np.array(
    [0.0, -0.0, 1e-45, 1e-38, 1e-20, 1.0, 20.0, 1e6, 1e9, 1e18, 1e25, 3e38, -1.0, -1e18, -3e38],
    np.float32,
).view(np.uint32)  # fmt: skip


def random_config(rng: np.random.Generator) -> Config:
    """Draw a configuration that the kernel takes."""
    while True:
        follow = bool(rng.integers(2))
        config = Config(
            int(rng.integers(1, 5)),
            int(rng.integers(2, 5)),
            hidden=int(rng.integers(1, 6)),
            head=int(rng.integers(0, 4)),
            lags=int(rng.integers(1, 4)),
            max_delay=int(rng.integers(0, 6)),
            hold_missing=bool(rng.integers(2)),
            scale_steps=int(rng.choice([0, 1, 5, 300])),
            scale_rate=float(rng.choice([0.0, 0.01, 1.0])),
            follow=follow,
            stuck_steps=int(rng.choice([0, 2])),
            drift_steps=int(rng.choice([1, 3, 300])),
            rollback_steps=0 if follow else int(rng.choice([0, 2])),
            gate=float(rng.choice([0.0, 1e-3, 20.0])),
            input_limit=float(rng.choice([0.0, 1e-3, 5.0])),
            **{name: str(rng.choice(CHOICES[name])) for name in CHOICES},  # type: ignore[arg-type]
        )
        if is_accepted(config):
            return config


def drive(learner: Learner, rng: np.random.Generator) -> None:
    """Feed values of every size, stuck, missing and refused ones; some forecasts stay to wait."""
    size = 10.0 ** rng.uniform(-20, 19)
    offset = 10.0 ** rng.uniform(-20, 19) * rng.integers(-1, 2)
    config = learner.config
    for _ in range(int(rng.integers(0, 60))):
        x = np.where(
            rng.random(config.n_in) < 0.1, np.nan, offset + size * rng.normal(size=config.n_in)
        )
        y = offset + size * rng.normal(size=config.n_label)
        if config.link != "gaussian":
            y = rng.integers(0, 2, config.n_label).astype(float)
        y[rng.random(config.n_label) < 0.2] = rng.choice([np.nan, np.inf, 0.0])
        with suppress(NbtError):
            learner.predict(np.zeros(config.n_in) if rng.random() < 0.2 else x)
        if rng.random() < 0.8:
            with suppress(NbtError):
                learner.learn(y)


def disturbed(data: bytes, rng: np.random.Generator) -> bytes:
    """Replace words of the payload, fill counters, and make the checksum right again."""
    words = np.frombuffer(data[:-4], np.uint32).copy()
    for _ in range(int(rng.integers(1, 12))):
        words[rng.integers(HEADER, len(words))] = rng.choice(EXTREME)
    if rng.random() < 0.3:
        words[COUNTERS] = 0xFFFFFFFF
    return sealed(words)


def sealed(words: NDArray[np.uint32]) -> bytes:
    """Return a checkpoint of these words with its checksum."""
    body = words.tobytes()
    return body + struct.pack("<I", zlib.crc32(body))


def random_learners(count: int, seed: int) -> Iterator[Learner]:
    """Draw learners, every second one from a checkpoint that no training wrote."""
    rng = np.random.default_rng(seed)
    while count:
        learner = Learner(random_config(rng))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            drive(learner, rng)
        try:
            data = learner.to_bytes()
            learner = Learner.from_bytes(disturbed(data, rng) if count % 2 else data)
        except CheckpointError:
            continue  # one that cannot be
        count -= 1
        yield learner


def on_device(build: Build, cases: list[tuple[Learner, Golden]], place: Path) -> list[list[str]]:
    """Return the hashes of the kernel without vectors."""
    with (place / "cases").open("wb") as file:
        for learner, vectors in cases:
            data, config = learner.to_bytes(), learner.config
            file.write(
                struct.pack("4I", len(data), len(vectors.hashes), config.n_in, config.n_label)
            )
            file.write(data + vectors.samples.tobytes())
    program = build("gcc", *HOST, source=ROOT / "tests" / "self_test.c", lanes=1)
    return [line.split() for line in run(str(program), str(place / "cases")).splitlines()]


def check(count: int, seed: int, build: Build, place: Path) -> None:
    """Export learners and repeat their self-tests."""
    cases, refused, short = [], 0, 0
    for learner in random_learners(count, seed):
        before = learner.hash()
        assert firmware_files(learner)["golden.h"]
        assert learner.hash() == before
        vectors = golden(learner)
        width = learner.config.n_in + learner.config.n_label
        assert vectors.samples.shape == (len(vectors.hashes), width)
        refused += bool(np.isnan(vectors.samples).any())
        short += len(vectors.hashes) < GOLDEN_STEPS
        cases.append((learner, vectors))
    assert refused > 0 or count < 1000  # the streams do lead to refused labels
    printed = on_device(build, cases, place)
    expected = [[f"{word:016x}" for word in vectors.hashes] for _, vectors in cases]
    assert printed == expected


def test_any_checkpoint_can_be_exported(build: Build, tmp_path: Path) -> None:
    check(150, 1, build, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 10))
def test_more_checkpoints_can_be_exported(seed: int, build: Build, tmp_path: Path) -> None:
    check(1000, seed, build, tmp_path)


def test_a_learner_whose_next_forecast_is_no_number_is_exported(tool: Tool, tmp_path: Path) -> None:
    """What goes on is compared by its hash; the firmware compiles without a warning."""
    kind = still(cell="tanh", lags=2, estimator="frozen", filter="sgd")
    config = Config(1, 1, hidden=1, **kind)
    words = np.frombuffer(Learner(config).to_bytes()[:-4], np.uint32).copy()
    payload = words[HEADER:].view(np.float32)
    payload[10:14] = 9e17  # the readout, on the state, two inputs and 1
    payload[18:20] = 9e5  # the last inputs
    payload[24] = 9e36  # the variance of the labels
    learner = Learner.from_bytes(sealed(words))
    assert learner.array("readout").max() == np.float32(9e17)
    with pytest.warns(DivergenceWarning, match="not finite"):
        assert np.isinf(copy.copy(learner).predict([0.0]))
    export_firmware(learner, tmp_path / "firmware")
    flags = "-std=c99 -O2 -Wall -Wextra -Wpedantic -Wconversion -Werror"
    run("make", "-C", str(tmp_path / "firmware"), f"CC={tool('gcc')}", f"CFLAGS={flags}")
    printed = run(str(tmp_path / "firmware" / "firmware")).splitlines()
    assert printed[0] == "# self-test: the same bits as Python's"
    assert printed[2] == f",,{learner.hash():016x}"
