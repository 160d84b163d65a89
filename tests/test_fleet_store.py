"""A run directory: whatever stops a run, it goes on and ends with the same bytes."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from test_fleet import assert_same

from nbt_embed import Config
from nbt_embed.errors import FleetError, InputError
from nbt_embed.fleet import Fleet, Series, as_series, simulate
from nbt_embed.fleet import plan as plan_of
from nbt_embed.fleet.columns import Columns, joined
from nbt_embed.fleet.job import Job
from nbt_embed.fleet.simulate import _jobs
from nbt_embed.fleet.sources import Arrays
from nbt_embed.fleet.store import Store, run_directory
from nbt_embed.parallel import Interrupted

pytest.importorskip("polars")

CONFIG = Config(1, 1, hidden=2)
X = np.random.default_rng(0).standard_normal((6, 5000)).cumsum(axis=1).astype(np.float32)
Files = dict[str, bytes]


def files(folder: Path) -> Files:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def run(out: Path, **given: Any) -> Fleet:
    return simulate(CONFIG, X, out=out, horizon=[1, 3], **given)


@pytest.fixture(autouse=True)
def small_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_of, "_LEAST", 15_000 * 2 * 2184)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Fleet, Files]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_of, "_LEAST", 15_000 * 2 * 2184)
        folder = tmp_path_factory.mktemp("fleet") / "whole"
        return run(folder), files(folder)


class Stop(Exception):  # noqa: N818  # not an error
    """The test has had enough."""


def stop_after(rows: int, error: type[BaseException] = Stop) -> Callable[[int], None]:
    left = rows

    def advance(fed: int) -> None:
        nonlocal left
        left -= fed
        if left < 0:
            raise error

    return advance


def jobs(store: Store, seconds: float = 1e9) -> list[Job]:
    settings = plan_of.settings_of(CONFIG, len(X))
    series: Any = as_series(X)
    return _jobs(series, settings, (1, 3), store, seconds)


def test_files_hold_what_is_returned(whole: tuple[Fleet, Files], tmp_path: Path) -> None:
    import polars as pl

    fleet, written = whole
    assert sorted(written) == ["fleet.json", "part-00000.parquet", "part-00001.parquet"]
    assert_same(fleet, simulate(CONFIG, X, horizon=[1, 3]))
    for name, data in written.items():
        (tmp_path / name).write_bytes(data)
    read = pl.read_parquet(tmp_path / "part-*.parquet")
    assert read.equals(fleet.frame(), null_equal=True)
    assert read.schema == fleet.frame().schema == fleet.refused.frame().schema
    assert_same(fleet, run(tmp_path))
    fed: list[int] = []
    run(tmp_path, progress=fed.append)
    assert sum(fed) == X.size


def test_an_interrupted_run_goes_on(whole: tuple[Fleet, Files], tmp_path: Path) -> None:
    rows, stops = 4000, 0
    while True:
        try:
            with pytest.raises(Interrupted):
                run(tmp_path, jobs=1, progress=stop_after(rows, KeyboardInterrupt))
        except pytest.fail.Exception:
            break
        stops += 1
        rows += 7000
    assert stops > 3
    assert files(tmp_path) == whole[1]


def test_a_job_goes_on_from_any_block(whole: tuple[Fleet, Files], tmp_path: Path) -> None:
    store = Store(str(tmp_path), "run")
    (tmp_path / "checkpoints").mkdir()
    job = jobs(store)[0]
    expected = jobs(Store(str(tmp_path), "other"))[0].run(lambda _rows: None)
    for rows in range(0, 15_000, 3000):
        with pytest.raises(Stop):
            job.run(stop_after(rows))
    fed: list[int] = []
    columns = job.run(fed.append)
    assert fed[0] > 12_000
    assert repr(columns) == repr(expected)
    assert not list((tmp_path / "checkpoints").iterdir())
    assert len(whole[0]) > 0


def test_results_of_devices_do_not_lie_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device's own arrays take ten times the memory of its numbers."""
    expected, lengths = run_without_store(), list[int]()
    monkeypatch.setattr("nbt_embed.fleet.job._TOGETHER", 2)

    def counted(parts: Sequence[Columns]) -> Columns:
        lengths.append(len(parts))
        return joined(parts)

    monkeypatch.setattr("nbt_embed.fleet.job.joined", counted)
    assert_same(expected, run_without_store())
    assert max(lengths) == 2


def run_without_store() -> Fleet:
    return simulate(CONFIG, X[:, :50])


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "other job", "other run"])
def test_a_checkpoint_that_is_no_good_is_not_used(damage: str, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    first, second = jobs(Store(str(tmp_path), "run"))
    expected = jobs(Store(str(tmp_path), "x"))[0].run(lambda _rows: None)
    (tmp_path / "part-00000.parquet").unlink()
    path = tmp_path / "checkpoints" / "job-00000.npz"
    writer = jobs(Store(str(tmp_path), "strange"))[0] if damage == "other run" else first
    with pytest.raises(Stop):
        (second if damage == "other job" else writer).run(stop_after(9000))
    if damage == "other job":
        shutil.move(tmp_path / "checkpoints" / "job-00001.npz", path)
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    path.write_bytes(data[: {"cut": len(data) // 2, "empty": 0}.get(damage, len(data))])
    fed: list[int] = []
    assert repr(first.run(fed.append)) == repr(expected)
    assert fed[0] == 0


def test_a_refused_device_reads_no_further_when_it_goes_on(tmp_path: Path) -> None:
    """Whatever would come after the row that was refused, be it an error."""
    (tmp_path / "checkpoints").mkdir()

    def blocks(_device: int) -> Iterator[Any]:
        yield np.ones(plan_of._USUAL_ROWS)
        yield np.full(4096 * 3 - plan_of._USUAL_ROWS, np.inf)
        raise InputError("unreadable")

    series: Any = as_series(blocks, 1)
    setting = plan_of.settings_of(CONFIG, 1)
    job, again = (
        _jobs(series, setting, (1,), Store(str(tmp_path), run), 0)[0] for run in ("a", "b")
    )
    expected = job.run(lambda _rows: None)
    (tmp_path / "part-00000.parquet").unlink()
    with pytest.raises(Stop):
        again.run(stop_after(4096 * 3 - 1))
    assert repr(again.run(lambda _rows: None)) == repr(expected)
    assert expected["error"][0].startswith(f"row {plan_of._USUAL_ROWS}: ")


def test_names_that_are_no_text_can_be_kept(tmp_path: Path) -> None:
    class Odd(Arrays):
        def name(self, _device: int) -> str:
            return os.fsdecode(b"caf\xe9")

        def only(self, _devices: range) -> Series:
            return self

    assert set(simulate(CONFIG, Odd(X[:, :20]), out=tmp_path)["name"]) == {"caf?"}


def test_own_files_alone_are_removed(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    for name in (".seen-1", "checkpoints/.job-00000.npz.0123abcd.nbt-tmp", "checkpoints/notes"):
        (tmp_path / name).touch()
    simulate(CONFIG, X[:, :20], out=tmp_path)
    assert sorted(files(tmp_path)) == ["checkpoints/notes", "fleet.json", "part-00000.parquet"]


@pytest.mark.parametrize(
    "damage", [("", "["), ("anchor", "anchos"), ('"format": 1', '"format": 2')]
)
def test_a_damaged_description_is_refused(damage: tuple[str, str], tmp_path: Path) -> None:
    simulate(CONFIG, X[:, :20], out=tmp_path)
    path = tmp_path / "fleet.json"
    path.write_text(path.read_text().replace(*damage) if damage[0] else 10**5 * damage[1])
    with pytest.raises(FleetError, match=r"fleet\.json is damaged|holds another run: "):
        simulate(CONFIG, X[:, :20], out=tmp_path)


def test_a_part_that_is_no_good_is_made_again(whole: tuple[Fleet, Files], tmp_path: Path) -> None:
    run(tmp_path)
    path = tmp_path / "part-00001.parquet"
    good = path.read_bytes()
    places = np.random.default_rng(0).integers(0, len(good), 2).tolist()
    damaged = [bytes([*good[:at], good[at] ^ 4, *good[at + 1 :]]) for at in (0, *places)]
    for bad in (*damaged, good[:100], b"", (tmp_path / "part-00000.parquet").read_bytes()):
        path.write_bytes(bad)
        assert_same(whole[0], run(tmp_path))
        assert files(tmp_path) == whole[1]


def test_another_run_is_refused(whole: tuple[Fleet, Files], tmp_path: Path) -> None:
    run(tmp_path)
    changed = X.copy()
    changed[3, 2500] += 1
    with pytest.raises(FleetError, match="holds another run: samples was"):
        simulate(CONFIG, changed, out=tmp_path, horizon=[1, 3])
    with pytest.raises(FleetError, match=r"horizons was \[1, 3\] and is \[1\] now"):
        simulate(CONFIG, X, out=tmp_path)
    with pytest.raises(FleetError, match=r"settings\.default\.gate was 5\.0 and is 4\.0 now"):
        simulate(Config(1, 1, hidden=2, gate=4.0), X, out=tmp_path, horizon=[1, 3])
    assert files(tmp_path) == whole[1]
    (tmp_path / "fleet.json").write_text("{")
    with pytest.raises(FleetError, match=r"fleet\.json is damaged"):
        run(tmp_path)
    (tmp_path / "fleet.json").unlink()
    with pytest.raises(FleetError, match="these files would be replaced"):
        run(tmp_path)


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    with run_directory(tmp_path, {}), pytest.raises(FleetError, match="another process"):
        run(tmp_path)


def test_two_processes_at_the_same_job_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    expected = jobs(Store(str(tmp_path), "x"))[0].run(lambda _rows: None)
    (tmp_path / "part-00000.parquet").unlink()
    done: list[Any] = []
    both = [
        threading.Thread(
            target=lambda: done.append(
                jobs(Store(str(tmp_path), "run"), 0.0)[0].run(lambda _: None)
            )
        )
        for _ in range(2)
    ]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert [repr(one) for one in done] == 2 * [repr(expected)]


PROGRAM = """
import sys
sys.path.insert(0, "tests")
from pathlib import Path
import test_fleet_store as here
here.plan_of._LEAST = 15_000 * 2 * 2184
print("ready", flush=True)
here.run(Path(sys.argv[1]), checkpoint_seconds=float(sys.argv[2]), jobs=2)
"""


def start(out: Path, seconds: float, **given: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(out), str(seconds)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **given
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_killed_run_goes_on(whole: tuple[Fleet, Files], tmp_path: Path) -> None:
    process = start(tmp_path, 0.0)
    while not list(tmp_path.glob("checkpoints/*.npz")):
        time.sleep(0.001)
    process.kill()
    process.communicate()
    fed: list[int] = []
    run(tmp_path, progress=fed.append)
    assert files(tmp_path) == whole[1]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=str)
def test_a_run_that_is_ended_again_and_again(
    number: signal.Signals, whole: tuple[Fleet, Files], tmp_path: Path
) -> None:
    for wait in (0.02, 0.1, 0.2, 0.3):
        process = start(tmp_path, 0.05)
        time.sleep(wait)
        process.send_signal(number)
        process.communicate()
    run(tmp_path)
    assert files(tmp_path) == whole[1]


def test_a_full_disk_loses_nothing(whole: tuple[Fleet, Files], tmp_path: Path) -> None:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    process = start(tmp_path, 1e9, preexec_fn=limit)
    said = process.communicate()[1]
    assert process.returncode == 1
    assert "File too large" in said
    assert str(tmp_path / "part-0000") in said
    assert not list(tmp_path.glob(".*"))
    run(tmp_path)
    assert files(tmp_path) == whole[1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match=str(tmp_path)):
        run(tmp_path)


def test_a_generator_begins_again(tmp_path: Path) -> None:
    first = simulate(CONFIG, iter([X[:, :3000], X[:, 3000:]]), out=tmp_path)
    again = simulate(CONFIG, iter([X[:, :3000]]), out=tmp_path)  # done: no more is looked at
    assert_same(first, again)
    with pytest.raises(FleetError, match="samples was"):
        simulate(CONFIG, iter([X[:, :2999]]), out=tmp_path)
