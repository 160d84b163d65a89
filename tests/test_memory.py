"""A learner that works for long takes no more memory than at the start."""

import copy
import gc
import importlib
import io
import itertools
import pickle
import pkgutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbt_embed
from nbt_embed import Config, Learner, NbtError, cost, memory_of, metrics, report
from nbt_embed.alarm import Alarm, events
from nbt_embed.alternatives import alternatives
from nbt_embed.amalgamation import amalgamate, kernel_folder, source_names
from nbt_embed.anchor import find_anchor
from nbt_embed.app.reading import ReadOptions, read
from nbt_embed.baselines import LastValue, Naive, Nlms, Rls, Seasonal
from nbt_embed.config import changed
from nbt_embed.errors import SequenceError
from nbt_embed.evaluate import Scored, evaluate, scored_truths
from nbt_embed.export import (
    export_firmware,
    firmware_files,
    golden,
    kernel_of,
    kernel_options,
)
from nbt_embed.faults import Fault, drawn_faults, with_faults
from nbt_embed.footprint import Limits, footprint, misfits
from nbt_embed.parallel import Interrupted, run_all, threads
from nbt_embed.replay import replay
from nbt_embed.simulation import machine, simulated_sensor
from nbt_embed.smaller import Reduction, what_fits
from nbt_embed.streams import Stream, from_arrays
from nbt_embed.sweep import sweep
from nbt_embed.testing import assert_flat
from nbt_embed.tickets import Tickets

KIB = 1024


@pytest.mark.parametrize("calls", [500, pytest.param(5_000, marks=pytest.mark.slow)])
def test_kernel_steps_leave_memory_flat(calls: int) -> None:
    """Of 2,000 steps per call."""
    inputs = np.random.default_rng(0).standard_normal((2_000, 1)).astype(np.float32)
    labels = np.roll(inputs, 1)
    learner = Learner(1, 1, hidden=4)
    assert_flat(lambda: learner.run(inputs, labels, horizon=0), steps=calls)
    assert learner.counters.predictions >= 2_000 * calls


@pytest.mark.parametrize("steps", [50_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_python_steps_leave_memory_flat(steps: int) -> None:
    values = np.sin(np.arange(1000, dtype=np.float32))
    learner = Learner(1, 1, hidden=4)

    def step(i: int) -> None:
        learner.predict(values[i % 1000])
        learner.learn(values[(i + 1) % 1000])

    assert_flat(step, steps=steps, limit=0)


Sample = Callable[[Learner], tuple[Any, Any]]

SAMPLES: dict[str, Sample] = {
    "its own buffers": lambda one: (one.x, one.label),
    "arrays": lambda one: (one.x.copy(), one.label.copy()),
    "float64": lambda one: (one.x.astype(float), one.label.astype(float)),
    "lists": lambda one: (one.x.tolist(), one.label.tolist()),
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_calls_of_every_kind_leave_memory_flat(kind: str) -> None:
    learner = Learner(1, 1, hidden=4)

    def step() -> None:
        x, label = SAMPLES[kind](learner)
        learner.predict(x, out=learner.y if x is learner.x else None)
        learner.learn(label)
        with suppress(SequenceError):
            learner.learn(label)
            pytest.fail("accepted")

    assert_flat(step, steps=10_000, limit=0)


def test_building_and_dropping_learners_gives_the_memory_back() -> None:
    config: dict[str, Any] = {"hidden": 64, "cell": "lstm"}
    assert Learner(3, 2, **config).memory.total > 100 * KIB
    assert_flat(lambda: Learner(3, 2, **config).predict([0.0, 0.0, 0.0]), steps=300)


Call = Callable[[], object]


def steps(model: Any) -> None:
    model.predict([0.5])
    model.learn([0.25])


def kept(desk: Tickets) -> None:
    first, second = desk.predict(0.5), desk.predict(0.25)
    desk.learn(0.5, second)
    desk.give_up(first)


def refused(call: Call) -> Call:
    """Return a call that expects the package's own error."""

    def expect() -> None:
        with suppress(NbtError):
            call()
            pytest.fail("accepted")

    return expect


def public_calls(folder: Path) -> dict[str, Call]:
    """Every public call, by the name of what it shows; after a colon, another use of the same."""
    one = Learner(1, 1, hidden=3, max_delay=1)
    z = np.sin(np.arange(40.0))
    wide = np.stack([z, z], axis=1)
    model = Learner(2, 2, hidden=3)
    log = ["label,x,hash", "0.5,0.25,"]
    desk = Tickets(copy.copy(one))
    path, csv, names = folder / "one.nbt", folder / "z.csv", itertools.count()
    one.save(path)
    csv.write_text("a\n" + "".join(f"{value}\n" for value in z))
    config, stream = Config(1, 1, hidden=3), from_arrays(z)
    calls: dict[str, Call] = {
        "Learner": lambda: Learner(1, 1, hidden=3),
        "Learner: a Config": lambda: Learner(config),
        "Learner: refused": refused(lambda: Learner(1, 1, hidden=-1)),
        "Learner.predict": lambda: steps(one),
        "Learner.predict: refused": refused(lambda: one.predict([1.0, 2.0])),
        "Learner.peek": lambda: one.peek(0.5, intervals=True),
        "Learner.peek: refused": refused(lambda: one.peek([1.0, 2.0])),
        "Learner.learn": lambda: steps(one),
        "Learner.run": lambda: one.run(z, z, horizon=0),
        "Learner.run: masked": lambda: one.run(z, np.ma.masked_less(z, 0), horizon=0),
        "Learner.run: refused": refused(lambda: one.run(z, z[1:], horizon=0)),
        "Learner.find_anchor": lambda: Learner(1, 1, hidden=1).find_anchor(z, z, horizon=1),
        "anchor.find_anchor": lambda: find_anchor(z[:, None], z[:, None], 1),
        "Learner.anchor": lambda: one.anchor,
        "Learner.guard_rows": lambda: one.guard_rows,
        "Learner.variance": one.variance,
        "Learner.interval": one.interval,
        "Learner.student": one.student,
        "Run": lambda: one.run(z, z, horizon=0, intervals=True, anomaly=True),
        "alarm.Alarm": lambda: Alarm(0.9, 3).count(0.5),
        "alarm.events": lambda: events(abs(z), threshold=0.9, hold_off=3),
        "faults.Fault": lambda: Fault("stuck", 1, 0, rows=2),
        "faults.with_faults": lambda: with_faults(wide, [Fault("spike", 1, 0, size=9.0)], [1, 1]),
        "faults.drawn_faults": lambda: drawn_faults(2, 2, 10, 200),
        "Learner.to_bytes": one.to_bytes,
        "Learner.from_bytes": lambda: Learner.from_bytes(one.to_bytes()),
        "Learner.from_bytes: refused": refused(lambda: Learner.from_bytes(b"no checkpoint")),
        "Learner.save": lambda: one.save(path),
        "Learner.save: a file": lambda: one.save(io.BytesIO()),
        "Learner.load": lambda: Learner.load(path),
        "Learner.replay": lambda: copy.copy(model).replay(["label,label,x,x,hash", ",,1,2,"]),
        "Learner.reset_state": lambda: copy.copy(one).reset_state(),
        "Learner.hash": one.hash,
        "Learner.array": lambda: [one.array(name) for name in one.arrays],
        "Learner.array: refused": refused(lambda: one.array("none")),
        "Learner.set_array": lambda: one.set_array("theta", one.array("theta")),
        "Learner.set_array: refused": refused(lambda: one.set_array("theta", 0.0)),
        "Learner.reseed": lambda: one.reseed(3),
        "Learner: copied": lambda: copy.copy(one),
        "Learner: pickled": lambda: pickle.dumps(one),
        "Learner: shown": lambda: (repr(one), one._repr_html_()),
        "Config": lambda: Config(1, 1, decay=0.9),
        "Config: shown": lambda: (repr(config), config._repr_html_(), hash(config)),
        "Config.arguments": config.arguments,
        "config.changed": lambda: changed(config, seed=1),
        "Memory.total": lambda: one.memory.total,
        "memory_of": lambda: memory_of(config),
        "memory_of: refused": refused(lambda: memory_of(Config(1, 1, lags=0))),
        "cost.cost": lambda: cost.cost(config, "Cortex-M4F"),
        "cost.Cost": lambda: cost.cost(config, "Cortex-M0").milliseconds_low,
        "cost.Code": lambda: cost.code(config, "Cortex-M0")[0].flash,
        "cost.code": lambda: cost.code(config, "Cortex-M4F"),
        "footprint.Footprint": lambda: footprint(config, "m4f").ram_bytes,
        "footprint.Limits": lambda: Limits(ram=16 << 10),
        "footprint.footprint": lambda: footprint(config, "m4f", 64.0, 100.0, 3.3, 12.0),
        "footprint.misfits": lambda: misfits(footprint(config, "m4f"), Limits(ram=1024)),
        "smaller.Fitting": lambda: what_fits(footprint(config, "m4f"), Limits(ram=8192))[0].names,
        "smaller.Reduction": lambda: Reduction("the same", lambda config: config),
        "smaller.what_fits": lambda: what_fits(footprint(config, "m4f"), Limits(ram=8192)),
        "cost.Processor": lambda: cost.processor_of("m4f").board,
        "cost.processor_of": refused(lambda: cost.processor_of("Z80")),
        "cost.processors": cost.processors,
        "evaluate.Scored": lambda: Scored(2, 1).truths(0, wide.astype(np.float32)),
        "evaluate.evaluate": lambda: evaluate(LastValue(1, 1), stream),
        "evaluate.scored_truths": lambda: scored_truths(stream, 1, 0),
        "curve.curve": lambda: evaluate(LastValue(1, 1), stream).curve(every=5),
        "sweep.sweep": lambda: sweep([config], stream, (0, 1), jobs=1),
        "parallel.run_all": lambda: run_all([lambda advance: advance(1)], 1),
        "parallel.threads": lambda: threads(1),
        "parallel.Interrupted": lambda: Interrupted(1, 2),
        "baselines.LastValue": lambda: steps(LastValue(1, 1)),
        "baselines.Naive": lambda: steps(Naive(1, 1)),
        "baselines.Seasonal": lambda: Seasonal(1, 1, period=5).run(z, z, horizon=1),
        "baselines.Nlms": lambda: Nlms(1, 1).run(z, z, horizon=1),
        "baselines.Rls": lambda: Rls(2, 2).run(wide, wide, horizon=1),
        "metrics.RegressionScore": lambda: regression(wide),
        "metrics.coverage": lambda: metrics.coverage(z - 1, z + 1, z),
        "metrics.interval_score": lambda: metrics.interval_score(z - 1, z + 1, z, 0.8),
        "metrics.pinball_loss": lambda: metrics.pinball_loss(z, z, 0.8),
        "metrics.log_loss": lambda: metrics.log_loss(z, np.ones(40), z),
        "metrics.brier_score": lambda: metrics.brier_score(z**2, z > 0),
        "metrics.reliability": lambda: metrics.reliability(z**2, z > 0).error,
        "metrics.SymbolScore": lambda: metrics.SymbolScore().update(abs(wide), np.zeros(40)),
        "streams.Stream": lambda: Stream(wide, wide, ("a", "b"), ("a", "b")),
        "streams.from_arrays": lambda: len(from_arrays(wide)) and from_arrays(wide).n_out,
        "app.reading.read": lambda: read([csv], ReadOptions()).close(),
        "simulation.simulated_sensor": lambda: simulated_sensor(20),
        "simulation.machine": lambda: list(
            itertools.islice(machine(np.random.default_rng(0), 5), 9)
        ),
        "tickets.Tickets": lambda: desk.learn(0.25, desk.predict(0.5)),
        "tickets.Tickets: kept": lambda: kept(Tickets(copy.copy(one))),
        "tickets.Tickets: refused": refused(lambda: desk.learn(0.25, -1)),
        "tickets.Tickets: saved": lambda: Tickets.from_bytes(desk.to_bytes()),
        "tickets.Ticket": lambda: desk.waiting,
        "replay.replay": lambda: replay(Learner(1, 1, hidden=2), log),
        "replay.replay: refused": refused(lambda: replay(one, ["label,hash"])),
        "alternatives.alternatives": lambda: alternatives(config),
        "amalgamation.amalgamate": lambda: amalgamate("title"),
        "amalgamation.source_names": lambda: source_names(kernel_folder()),
        "amalgamation.kernel_folder": kernel_folder,
        "export.export_firmware": lambda: export_firmware(one, folder / f"f{next(names)}"),
        "export.firmware_files": lambda: firmware_files(one),
        "export.golden": lambda: golden(one),
        "export.kernel_of": lambda: kernel_of(config),
        "export.kernel_options": lambda: kernel_options(config),
        "report.memory_table": lambda: report.memory_table(one.memory),
        "report.alternatives_table": lambda: report.alternatives_table(
            one.memory, alternatives(config)
        ),
        "report.guard_notes": lambda: report.guard_notes(one.guard_rows),
        "report.json_text": lambda: report.json_text({"a": [1.5, None]}),
        "report.size_document": lambda: report.size_document(config, one.memory, (), "0"),
    }
    for name in (
        *("x", "label", "y", "config", "simd", "memory", "pending", "counters", "arrays"),
        *("levels", "anomaly", "estimate_is_exact", "settable"),
    ):
        calls[f"Learner.{name}"] = partial(getattr, one, name)
    return calls


def regression(values: Any) -> None:
    score = metrics.RegressionScore(2)
    score.update(values, values)
    assert score.nrmse_per_target == (0.0, 0.0)


# What is the package's own, runs once in a process, or is called by another library, with whose
# tests it is tested: by module; then what is a result or an interface.
OWN = {"arrays", "cli", "errors", "files", "options", "output", "river", "sklearn", "sktime"}
RESULTS = {"Alternative", "Amalgamation", "Curve", "Difference", "Evaluation", "Golden", "Swept"}
RESULTS |= {"Counters", "Memory", "Reliability", "Replay", "Baseline", "Model", "Repeater"}


def public_names() -> set[str]:
    """What a user may call: functions and classes of the modules, and what a learner has."""
    found = {f"Learner.{name}" for name in vars(Learner) if not name.startswith("_")}
    for info in pkgutil.iter_modules(nbt_embed.__path__):
        if info.name.startswith("_") or info.name in OWN:
            continue
        module = importlib.import_module(f"nbt_embed.{info.name}")
        found |= {
            name if hasattr(nbt_embed, name) and info.name != name else f"{info.name}.{name}"
            for name, value in vars(module).items()
            if not name.startswith("_")
            and callable(value)
            and getattr(value, "__module__", None) == module.__name__
            and name not in RESULTS
        }
    return found


def test_no_public_call_is_left_out(tmp_path: Path) -> None:
    assert public_names() - set(public_calls(tmp_path)) == set()


# Calls that a program makes once: of tens of milliseconds, and with cycles of objects inside.
ONCE = ("amalgamation", "app", "export")


@pytest.mark.parametrize("once", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_every_public_call_leaves_memory_flat(once: bool, tmp_path: Path) -> None:
    """What is kept of a call is an object at least: a tuple of one takes 48 bytes."""
    leaks = {}
    gc.collect()
    gc.freeze()  # once for all calls
    try:
        for name, call in public_calls(tmp_path).items():
            if name.startswith(ONCE) != once:
                continue
            limit = KIB if once else 40
            try:
                assert_flat(call, steps=4 if once else 48, warmup=2, limit=limit)
            except AssertionError:  # of so few calls, what is kept of the last ones may still fill
                try:
                    assert_flat(call, steps=16 if once else 1000, limit=limit)
                except AssertionError as error:
                    leaks[name] = str(error)
    finally:
        gc.unfreeze()
    assert leaks == {}
