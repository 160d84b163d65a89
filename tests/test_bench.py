"""The measurements of tools/bench: peers that compute what the kernel does, tables, the gate."""

from __future__ import annotations

import json
import os
from dataclasses import astuple, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import HOST, ROOT, Build, missing

from nbt_embed import Learner
from nbt_embed.reference import Generator
from tools.bench import (
    clock,
    grid,
    headline,
    instructions,
    limits,
    linear_peers,
    machine,
    page,
    peers,
    small,
    targets,
)
from tools.bench.headline import CONFIG, Float32Array, Stream
from tools.bench.instructions import Case

STEPS = 400


@pytest.fixture(scope="module")
def stream() -> Stream:
    """The headline's stream with the kernel's own signs."""
    generator = Generator(CONFIG.seed)
    theta = headline.initial_theta()
    for _ in range(theta.size):
        generator.word()
    signs = np.array([generator.signs(len(theta)) for _ in range(STEPS)], np.float32)
    return replace(headline.stream(STEPS), signs=signs)


@pytest.fixture(scope="module")
def forecasts(stream: Stream) -> Float32Array:
    """What the kernel forecasts; no guard has done anything."""
    learner = Learner(CONFIG)
    out = learner.run(stream.x, stream.y, horizon=0)
    counted = astuple(learner.counters)
    assert counted[:2] == (STEPS, STEPS)
    assert not any(counted[2:])
    return out


def test_there_is_something_to_learn(stream: Stream, forecasts: Float32Array) -> None:
    error = ((forecasts - stream.y) ** 2).mean(axis=1)
    assert error[-200:].mean() < 0.5 * (stream.y[-200:] ** 2).mean()


@pytest.mark.parametrize(
    ("module", "name", "flags"),
    [
        ("unfused", "Unfused", ()),
        ("unfused", "Unfused", peers.REORDER),
        ("numpy_peer", "NumpyPeer", ()),
        ("jax_peer", "JaxPeer", ()),
        # The kernel takes a compiler half a minute at these flags.
        pytest.param("ours", "SameFlags", (), marks=pytest.mark.slow),
    ],
    ids=["plain loops", "plain loops, any order", "numpy", "jax", "same flags"],
)
def test_peers_of_the_same_method_forecast_the_same(
    module: str, name: str, flags: tuple[str, ...], stream: Stream, forecasts: Float32Array
) -> None:
    if module == "jax_peer":
        pytest.importorskip("jax", reason="JAX is not installed: pip install '.[bench]'")
    peer: peers.Runner = getattr(import_module(f"tools.bench.{module}"), name)(*flags)
    # In two pieces: a peer goes on where it ended.
    half = STEPS // 2
    pieces = [
        Stream(stream.x[part], stream.y[part], stream.signs[part])
        for part in (slice(None, half), slice(half, None))
    ]
    got = np.concatenate([peer.run(piece) for piece in pieces])
    np.testing.assert_allclose(got, forecasts, rtol=0, atol=1e-5)
    if name == "SameFlags":
        np.testing.assert_array_equal(got, forecasts)


@pytest.mark.parametrize(("span", "at_once"), [(1, False), (16, False), (16, True)])
def test_pytorch_learns_the_stream(span: int, at_once: bool) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[bench]'")
    torch_peer = import_module("tools.bench.torch_peer")
    peer = torch_peer.TorchPeer(span, at_once)
    stream = headline.stream(800, signs=False)
    first = peer.run(stream)
    for _ in range(4):
        last = peer.run(stream)
    assert first.shape == stream.y.shape
    assert ((last - stream.y) ** 2).mean() < 0.9 * ((first - stream.y) ** 2).mean()


def test_both_ways_through_a_span_are_the_same_learner() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[bench]'")
    torch_peer = import_module("tools.bench.torch_peer")
    whole, single = torch_peer.TorchPeer(16, True), torch_peer.TorchPeer(16, False)
    with torch.no_grad():
        for part in ("network", "readout"):
            to, from_ = (getattr(peer, part).parameters() for peer in (single, whole))
            for weight, other in zip(to, from_, strict=True):
                weight.copy_(other)
    stream = headline.stream(160, signs=False)
    np.testing.assert_allclose(whole.run(stream), single.run(stream), atol=1e-5)


def test_rounds_alternate() -> None:
    order: list[str] = []
    times = clock.alternate((lambda: order.append("a"), lambda: order.append("b")), 3)
    assert order == ["a", "b"] * 3
    assert [len(one) for one in times] == [3, 3]
    ratio = clock.ratios([1.0, 2.0, 4.0], [2.0, 8.0, 4.0])
    assert (ratio.median, ratio.low, ratio.high) == (2.0, 1.0, 4.0)
    assert str(clock.Spread(1234.5, 0.12345, 99.96)) == "1,234 (0.123 to 100)"


def test_work_is_repeated_until_the_clock_can_see_it() -> None:
    done: list[int] = []
    n = clock.times_for(lambda k: done.append(sum(range(1000 * k))), 1e-3, 10**6)
    assert 1 < n <= 10**6
    assert clock.times_for(lambda _: None, 1.0, 8) == 8


def test_the_grid_holds_what_the_kernel_takes() -> None:
    found = list(grid.cases((8, 1024), grid.OPERATIONS))
    kinds = {(case.cell, case.estimator, case.filter) for case in found}
    assert ("lstm", "unitwise", "kalman") not in kinds
    assert ("gated", "frozen", "kalman_quasi") not in kinds
    assert len(kinds) == 3 * (5 * 3 + 2) + 2 * 3 + 2 + 2 * 2 * 2  # dense, lstm, columns
    assert max(case.hidden for case in found if case.estimator == "unitwise") == 8
    assert max(case.hidden for case in found if case.estimator == "nobacktrack") == 1024


def test_what_a_step_has_to_do_at_least() -> None:
    lstm = grid.Case("lstm", "nobacktrack", "kalman", 32)
    # theta, w, P, half of which is written; the triangle read twice; V, v, the two states, noise,
    # scalers and guards once.
    least = 22 * 128 * 41 + 12 * 41 * 42 // 2 + 8 * 8 * 41 + 8 * 64 + 16 * 64
    assert least < limits.moved_bytes(lstm) < 1.02 * least
    assert limits.Work.of(lstm) == limits.Work(128 * 41, 0, 0, 41 * 40 // 2, 5 * 32)
    usual = grid.Usual(hidden=16)  # 8 gated columns, 8 resonators of two states, 16 units behind
    states, head = 8 + 2 * 8, 16
    inputs = 2 * 3 + 1  # of two lags
    factors = (states + head + inputs, states + head + inputs, 10 + 1)  # twice, and a linear one
    assert limits.Work.of(usual) == limits.Work(
        directed=0,
        traced=32 * 8,
        head=head * (states + inputs),
        factor=sum(n * (n - 1) // 2 for n in factors),
        squash=2 * 8 + 4 * 8 + head,
    )
    assert limits.moved_bytes(usual) > 12 * sum(n * (n + 1) // 2 for n in factors)


def test_loops_of_the_limit_stay_finite_and_use_no_subnormal_numbers() -> None:
    for part in (*limits.LOOPS, "squash"):
        work, units = limits.computer(part)
        assert units == 16 * limits.COLS
        fresh, long = clock.seconds(lambda w=work: w(2000)), clock.seconds(lambda w=work: w(2000))  # type: ignore[misc]
        assert long < 5 * fresh  # subnormal numbers take a processor ten to a hundred times as long


def usual_stream(steps: int) -> Stream:
    return headline.stream(steps, headline.usual())


def test_lags_are_the_newest_first() -> None:
    x = np.arange(24, dtype=np.float32).reshape(12, 2)
    rows = linear_peers.lagged(x)
    assert rows.shape == (12, 2 * linear_peers.LAGS)
    np.testing.assert_array_equal(rows[0], np.r_[x[0], np.zeros(18)])
    np.testing.assert_array_equal(rows[11], x[11:1:-1].ravel())


def least_squares(stream: Stream) -> Float32Array:
    """The same forecasts by solving the normal equations again for every sample."""
    rows = np.concatenate([linear_peers.lagged(stream.x), np.ones((len(stream), 1))], axis=1)
    out = []
    for t in range(len(stream)):
        weight = linear_peers.FORGET ** np.arange(t, 0, -1)
        prior = linear_peers.FORGET**t / linear_peers.START * np.eye(rows.shape[1])
        information = (rows[:t].T * weight) @ rows[:t] + prior
        w = np.linalg.solve(information, (rows[:t].T * weight) @ stream.y[:t, 0])
        out.append(rows[t] @ w)
    return np.array(out, np.float32)[:, None]


@pytest.mark.parametrize("name", ["NumpyRls", "BlasRls"])
def test_recursive_least_squares_solve_the_normal_equations(name: str) -> None:
    if name == "BlasRls":
        pytest.importorskip("scipy", reason="SciPy is not installed: pip install '.[bench]'")
    peer = getattr(linear_peers, name)()
    stream = usual_stream(90)
    first = peer.run(stream)
    np.testing.assert_allclose(first, least_squares(stream), rtol=1e-3, atol=1e-3)
    assert not np.array_equal(peer.run(stream), first)  # it has gone on


@pytest.mark.parametrize(
    ("module", "name", "arguments", "library"),
    [
        ("linear_peers", "NumpyRls", (), "numpy"),
        ("linear_peers", "BlasRls", (), "scipy"),
        ("linear_peers", "RiverPeer", (False,), "river"),
        ("linear_peers", "RiverPeer", (True,), "river"),
        ("reservoir_peer", "ReservoirPeer", (), "reservoirpy"),
        ("torch_peer", "GruPeer", (), "torch"),
        pytest.param(
            *("braintrace_peer", "BraintracePeer", (headline.usual(), "GRUCell"), "braintrace"),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["NumPy", "BLAS", "river", "river scaled", "reservoirpy", "PyTorch", "braintrace"],
)
def test_what_else_one_would_take_learns_the_stream(
    module: str, name: str, arguments: tuple[Any, ...], library: str
) -> None:
    pytest.importorskip(library, reason=f"{library} is not installed: pip install '.[bench]'")
    peer = getattr(import_module(f"tools.bench.{module}"), name)(*arguments)
    stream = usual_stream(600)
    for _ in range(4):
        out = peer.run(stream)
    assert out.shape == stream.y.shape
    assert out.dtype == np.float32
    assert ((out - stream.y) ** 2).mean() < 0.7 * (stream.y**2).mean()


def test_one_by_one_is_the_same_learner_as_run() -> None:
    stream = usual_stream(300)
    run, pairs = (peers.OURS[name].make() for name in peers.BOTH)
    np.testing.assert_array_equal(run.run(stream), pairs.run(stream))


def measured() -> dict[str, Any]:
    """Every part of the JSON, measured briefly; peers are missing."""
    case = grid.Case("lstm", "nobacktrack", "kalman", 8)
    jax, river = (
        peers.Peer(name, peers.lazy("no_such", "Peer"), 1, against)
        for name, against in (
            ("JAX jitted scan, same method", ("installed",)),
            ("river LinearRegression", peers.BOTH),
        )
    )
    plain = next(peer for peer in peers.HEADLINE if peer.name.startswith("C, plain loops, same"))
    rls = next(peer for peer in peers.USUAL if peer.name.startswith("NumPy"))
    return {
        "schema": 2,
        "machine": machine.describe(),
        "processor_share": 0.5,
        "usual_alone": peers.alone(2),
        "usual": [peers.compare(river, 2), peers.compare(replace(rls, steps=50), 2)],
        "peers": [
            peers.compare(jax, 2),
            peers.compare(replace(plain, steps=50, against=("installed",)), 2),
        ],
        "small": [small.step("nobacktrack", 2)],
        "pairs": [small.pairs("default learner, 16 units", 2)],
        "flat": grid.flatness((8, 16), 2, 1e-4),
        "limits": [
            # As if it were of a size that has a target.
            {**limits.measure(case, 2, 1e-4), "hidden": targets.SHARE_FROM},
            limits.measure(grid.Usual(hidden=8), 2, 1e-4),
        ],
        "grid": grid.measure([case], 2, 1e-4),
    }


@pytest.mark.slow
def test_everything_is_measured_judged_and_shown(tmp_path: Path) -> None:
    data = json.loads(json.dumps(measured()))
    about = data["machine"]
    assert about["threads"] == 1
    assert "-march=native" in about["native"]["flags"]
    assert about["package"]["compiler"] != "unknown"
    assert about["versions"]["numpy"] == np.__version__
    found = targets.outcomes(data)
    for name in ("JAX", "river"):
        assert [one.measured for one in found if one.subject.startswith(name)] == [
            "not installed: tools.bench.no_such"
        ]
    assert len(found) == 9
    document = tmp_path / "speed.md"
    names = ("machine", "targets", "usual", "peers", "limits", "grid", "small")
    document.write_text("".join(f"<!-- {n} -->\nold\n<!-- /{n} -->\nprose\n" for n in names))
    page.write(data, found, document)
    text = document.read_text()
    assert "old" not in text
    assert text.count("prose") == len(names)
    assert "lstm, µs per step" in text
    assert "nbt_embed, default learner, run" in text


def test_targets_stand_with_their_measurements() -> None:
    def spread(value: float) -> dict[str, float]:
        return {"median": value, "low": 0.9 * value, "high": 1.1 * value}

    def row(name: str, *ratios: float) -> dict[str, Any]:
        return {"peer": name, "ours": [{"ratio": spread(ratio)} for ratio in ratios]}

    def share(name: str, hidden: int, value: float) -> dict[str, Any]:
        return {"name": name, "hidden": hidden, "share": spread(value)}

    keys = ("added_us", "pinned_added_us", "python_us", "pinned_us", "c_us")
    data: dict[str, Any] = {
        "usual": [
            row("river LinearRegression", 49.0, 60.0),
            row("a peer without a target", 1.0, 1.0),
        ],
        "peers": [row("JAX jitted scan, same method", 7.0)],
        "flat": {"hidden": [32, 512], "ratio": spread(1.6)},
        "limits": [
            share("default learner", 8, 0.3),
            share("default learner", 16, 0.3),
            share("default learner", 32, 0.3),
            share("lstm nobacktrack", 128, 0.1),
            share("lstm nobacktrack", 256, 0.7),
        ],
        "small": [],
        "pairs": [dict.fromkeys(keys, spread(0.9)) | {"name": "default learner"}],
    }
    found = targets.outcomes(data)
    assert [(one.subject.split(",")[0], one.measured, one.target) for one in found] == [
        ("river LinearRegression", "49 (44.1 to 53.9) times", ">= 50 times our time"),
        ("JAX jitted scan", "7 (6.3 to 7.7) times", ">= 6 times our time"),
        ("ns per parameter", "1.6 (1.44 to 1.76) times", "<= 1.5 times"),
        ("share of the machine's limit", "0.3 (0.27 to 0.33)", ">= 0.25"),
        ("share of the machine's limit", "0.3 (0.27 to 0.33)", ">= 0.55"),
        ("share of the machine's limit", "0.7 (0.63 to 0.77)", ">= 0.6"),
        ("Python pair above two C calls", "0.9 (0.81 to 0.99) µs (0.9 - 0.9)", "<= 0.8 µs"),
        ("Python pair above two C calls", "0.9 (0.81 to 0.99) µs (0.9 - 0.9)", "<= 1 µs"),
    ]


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[bench]'")
    from tools.bench.picture import cost

    spread = {"median": 1e3, "low": 1e3, "high": 1e3}
    row = {"cell": "lstm", "estimator": "nobacktrack", "filter": "kalman", "hidden": 8}
    row |= {"ns": spread, "ns_per_parameter": 1.0, "parameters": 10}
    row |= {"step_us": spread, "bytes_us": spread, "arithmetic_us": spread}
    rows = [row, {**row, "hidden": 16}]
    cost({"grid": rows, "limits": rows}).savefig(tmp_path / "cost.png")
    assert (tmp_path / "cost.png").stat().st_size > 10_000


def test_the_gate_sees_two_percent() -> None:
    before = {"a": 1000, "b": 2000}
    baseline = {"compiler": "gcc 12.2.0 x86_64", "instructions": before}
    same = "gcc 12.4.0 x86_64"
    assert instructions.verdict(baseline, same, {"a": 1009, "b": 1991}) == ("as the baseline", 0)
    message, code = instructions.verdict(baseline, same, {"a": 1020, "b": 2000})
    assert (message, code) == ("a: 1000 -> 1020 (+2.0%)", 1)
    assert instructions.verdict(baseline, same, {"a": 980, "b": 2000})[1] == 1
    assert instructions.changes(before, {"a": 1000, "c": 1}) == [
        "b: no longer counted",
        "c: not in the baseline",
    ]
    message, code = instructions.verdict(baseline, "gcc 13.1.0 x86_64", {"a": 1, "b": 1})
    assert code == 0
    assert message.startswith("not compared")


@pytest.mark.slow
def test_instructions_are_counted_and_do_not_scatter(build: Build, tmp_path: Path) -> None:
    for name in instructions.missing_tools():
        missing(f"{name} is not installed")
    program = build("gcc", *HOST, source=ROOT / "tools" / "bench" / "steps.c")
    case = Case("gated", "nobacktrack", "kalman", 8)
    first, second = (instructions.count(program, case, tmp_path, 20) for _ in range(2))
    assert first == second
    assert 20 < first / case.weights < 1000


def test_the_baseline_knows_every_case() -> None:
    stored = json.loads(instructions.BASELINE.read_text(encoding="utf-8"))
    assert set(stored["instructions"]) == {case.name for case in instructions.CASES}
    assert instructions.major(stored["compiler"])


def test_the_process_starts_anew_with_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[dict[str, str]] = []
    monkeypatch.setattr(os, "execve", lambda *call: started.append(call[2]))
    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    machine.restart_with_one_thread("tools.bench", [])
    (environment,) = started
    assert environment.items() >= machine.ONE_THREAD.items()
    for name, value in machine.ONE_THREAD.items():
        monkeypatch.setenv(name, value)
    machine.restart_with_one_thread("tools.bench", [])
    assert len(started) == 1
