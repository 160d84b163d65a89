"""Every version of the kernel that a build holds gives the same bits, and can be chosen."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from conftest import HOST, Build, run
from numpy.typing import NDArray
from settings import kinds
from test_bits import STEPS, stream

from nbt_embed import Config, Learner
from nbt_embed.config import CHOICES, Estimator
from nbt_embed.errors import ConfigError

SIZES = [(8, 0), (23, 2), (16, 1), (5, 0), (31, 0)]
VERSIONS = ("base", "avx2", "avx512")
NEEDS = {"base": (), "avx2": ("avx2",), "avx512": ("avx512f", "avx512vl", "avx512bw", "avx512dq")}


def processor_has(version: str) -> bool:
    """Whether the processor says so itself; elsewhere than on Linux it does not."""
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text(encoding="utf-8") if cpuinfo.exists() else ""
    return all(f" {flag} " in flags for flag in NEEDS[version])


def build_has(monkeypatch: pytest.MonkeyPatch, version: str) -> bool:
    monkeypatch.setenv("NBT_EMBED_SIMD", version)
    return Learner(1, 1, hidden=1).simd == version


def configs() -> list[Config]:
    """Every kind of learner; sizes with blocks of 16, 8, 4, 2 and 1 rows, and two gates in one."""
    names = ("cell", "estimator", "filter", "link")
    found = []
    for kind, (hidden, delay) in itertools.product(kinds(*names), SIZES):
        for head in (0, 5):
            choices = dict(zip(names, kind, strict=True))
            config = Config(3, 3, hidden, max_delay=delay, head=head, **choices)
            if config.estimator != "rtrl" or hidden < 10:
                found.append(config)
    return found


def final_hash(config: Config, steps: int = 60) -> int:
    inputs, labels = stream(steps, config.n_in, config.n_out, config.link)
    learner = Learner(config)
    learner.run(inputs, labels, horizon=config.max_delay)
    return learner.hash()


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_every_version_gives_the_bits_of_the_first(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not build_has(monkeypatch, version):
        assert not processor_has(version), "the processor has it, and the build does not use it"
        pytest.skip(f"this processor has no {version}")
    hashes = [final_hash(config) for config in configs()]
    monkeypatch.setenv("NBT_EMBED_SIMD", "base")
    assert Learner(1, 1).simd == "base"
    assert hashes == [final_hash(config) for config in configs()]


def test_the_widest_version_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NBT_EMBED_SIMD", raising=False)
    there = [version for version in VERSIONS if build_has(monkeypatch, version)]
    monkeypatch.delenv("NBT_EMBED_SIMD")
    learner = Learner(1, 1, hidden=1)
    assert learner.simd == there[-1]
    assert Learner.from_bytes(learner.to_bytes()).simd == there[-1]


def test_an_unknown_version_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBT_EMBED_SIMD", "sse9")
    with pytest.raises(ConfigError, match="NBT_EMBED_SIMD=sse9: expected one of base, avx2"):
        Learner(1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_dispatching_kernel_of_every_compiler(compiler: str, build: Build) -> None:
    plain = build("gcc", *HOST)
    program = build(compiler, *HOST, "-DNBT_DISPATCH")
    assert run(str(program), "grid", STEPS) == run(str(plain), "grid", STEPS)


def one_by_one(
    learner: Learner, inputs: NDArray[np.float32], labels: NDArray[np.float32], horizon: int
) -> None:
    for x, label in zip(inputs, labels, strict=True):
        if horizon > 0 and learner.pending == horizon:
            learner.learn(label)
        learner.predict(x)
        if horizon == 0:
            learner.learn(label)


@pytest.mark.parametrize("estimator", CHOICES["estimator"])
@pytest.mark.parametrize("horizon", [0, 1, 3])
def test_what_a_step_leaves_for_the_next_one_changes_no_bit(
    estimator: Estimator, horizon: int
) -> None:
    """Sums taken ahead serve the next step, unless a copy, a reset or a checkpoint came between."""
    config = Config(3, 2, hidden=9, estimator=estimator, max_delay=max(horizon - 1, 0))
    inputs, labels = stream(90, 3, 2, "gaussian")
    whole, pieces = Learner(config), Learner(config)
    whole.run(inputs[:50], labels[:50], horizon=horizon)
    one_by_one(pieces, inputs[:20], labels[:20], horizon)
    pieces = Learner.from_bytes(pieces.to_bytes())
    pieces.run(inputs[20:37], labels[20:37], horizon=horizon)
    pieces.variance()
    one_by_one(pieces, inputs[37:50], labels[37:50], horizon)
    assert pieces.hash() == whole.hash()
    for learner in (whole, pieces):
        learner.reset_state()
    whole.run(inputs[50:], labels[50:], horizon=horizon)
    one_by_one(pieces, inputs[50:], labels[50:], horizon)
    assert pieces.hash() == whole.hash()


def test_pinned_buffers_give_the_bits_of_copies() -> None:
    inputs, labels = stream(30, 3, 2, "gaussian")
    copied, pinned = Learner(3, 2, hidden=4), Learner(3, 2, hidden=4)
    out = np.empty(2, np.float32)
    for x, label in zip(inputs, labels, strict=True):
        pinned.x[:] = x
        assert pinned.predict(pinned.x, out=pinned.y) is pinned.y
        assert copied.predict(x, out=out) is out
        np.testing.assert_array_equal(pinned.y, out)
        pinned.label[:] = label
        pinned.learn(pinned.label)
        copied.learn(label)
    assert pinned.hash() == copied.hash()


def test_an_output_of_another_shape_is_refused_before_anything_happens() -> None:
    learner = Learner(1, 2, hidden=2)
    before = learner.hash()
    for wrong in (np.empty(3, np.float32), np.empty(2), [0.0, 0.0]):
        with pytest.raises(ValueError, match="out"):
            learner.predict(0.5, out=wrong)  # type: ignore[arg-type]
    assert learner.hash() == before
