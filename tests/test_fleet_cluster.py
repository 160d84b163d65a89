"""Jobs of a fleet on Dask: the same results, whatever happens to workers and schedulers."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

pytest.importorskip("distributed")
from distributed import Client, LocalCluster, get_client
from fleet_jobs import CountingJob, Deadly, Folder

from nbt_embed import Config
from nbt_embed.errors import ClusterError, ConfigError, InputTypeError
from nbt_embed.fleet import Fleet, cluster, connection, local_cluster, remote, simulate
from nbt_embed.fleet.job import Job
from nbt_embed.fleet.package import Packer, unpack
from nbt_embed.parallel import Interrupted

WORKER = "distributed.cli.dask_worker"
SEVERAL = {"2 units": Config(1, 1, hidden=2), "5 units": Config(1, 1, hidden=5)}


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A scheduler and two workers in threads of this process."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as own,
        Client(own, set_as_default=False) as connected,
    ):
        yield connected


def run_on(
    where: object,
    jobs: list[CountingJob],
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[dict[str, Any]]:
    found = cluster.run_on(cast("Any", where), cast("list[Job]", jobs), workers, progress)
    return cast("list[dict[str, Any]]", found)


def numbers(results: list[dict[str, Any]]) -> list[int]:
    return [one["number"] for one in results]


def same(one: Fleet, other: Fleet) -> bool:
    return all(
        np.array_equal(one[name], other[name], equal_nan=one[name].dtype.kind == "f")
        for name in ("device", "setting", "horizon", "seed", "rmse", "relative_error", "hash")
    )


def test_processes_give_the_bits_of_threads_though_one_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARK", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    streams, told = Deadly(tmp_path, devices=(17,)), list[int]()
    found = simulate(
        SEVERAL, streams, devices=30, horizon=[1, 3], scheduler="processes", jobs=2,
        progress=told.append, out=tmp_path / "out",
    )  # fmt: skip
    assert (tmp_path / "killed-17").exists()
    assert same(found, simulate(SEVERAL, streams, devices=30, horizon=[1, 3]))
    assert sum(told) == 30 * streams.rows
    assert not workers_of(tmp_path)
    left = {path.name for path in (tmp_path / "temporary").rglob("*")}
    assert left <= {"dask-scratch-space", "global.lock", "purge.lock"}  # Dask's, once


def workers_of(mark: Path) -> list[int]:
    """Processes of workers that were started where the environment says MARK=mark."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            command = (folder / "cmdline").read_bytes()
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # no process, or one that is no more
            continue
        if WORKER.encode() in command and f"MARK={mark}".encode() in environment:
            found.append(int(folder.name))
    return sorted(found)


def test_results_stand_in_the_order_of_the_jobs(client: Client) -> None:
    jobs = [CountingJob(number, seconds=0.002 * (number < 3)) for number in range(12)]
    told: list[int] = []
    assert numbers(run_on(client, jobs, progress=told.append)) == list(range(12))
    assert sum(told) == 12 * 20
    assert client.status == "running"  # who brought it closes it


def test_no_more_processes_are_started_than_there_are_jobs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[int] = []
    monkeypatch.setattr(local_cluster.Processes, "start", lambda _self, n: started.append(n))
    monkeypatch.setattr(connection, "_client", lambda _address: nullcontext())
    for workers, jobs in ((10**6, 3), (2, 3)):
        with connection.connected("processes", workers, jobs):
            pass
    assert started == [3, 2]


def test_no_jobs_give_no_results(client: Client) -> None:
    assert run_on(client, []) == []


def test_the_scheduler_holds_few_jobs_and_hears_little_of_them(client: Client) -> None:
    scheduler = scheduler_of(client)
    held: list[int] = []
    jobs = [CountingJob(number, rows=500) for number in range(16)]
    heard = count_events(client)
    run_on(client, jobs, progress=lambda _rows: held.append(len(scheduler.tasks)))
    assert max(held) <= 5  # two workers: 2 + 2 // 4 + 1, and what is just let go of
    assert count_events(client) - heard <= 16 * 4  # of 16 * 500 reports
    wait_for(lambda: not scheduler.tasks)


def scheduler_of(client: Client) -> Any:
    assert isinstance(client.cluster, LocalCluster)
    return client.cluster.scheduler


def count_events(client: Client) -> int:
    events = scheduler_of(client).get_events()
    return sum(len(one) for topic, one in events.items() if topic.startswith("nbt_embed"))


def wait_for(reached: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_as_many_jobs_at_once_as_asked_for(client: Client) -> None:
    scheduler = scheduler_of(client)
    held: list[int] = []
    jobs = [CountingJob(number) for number in range(8)]
    run_on(client, jobs, 1, lambda _rows: held.append(len(scheduler.tasks)))
    assert max(held) <= 2  # and one that is just let go of
    with pytest.raises(ConfigError, match="jobs = 0"):
        run_on(client, jobs, 0)


def test_an_error_of_a_job_reaches_the_caller_and_stops_the_others(
    client: Client, tmp_path: Path
) -> None:
    store = Folder(str(tmp_path))
    jobs = [
        CountingJob(0, rows=10**6, seconds=0.005, store=store),
        CountingJob(1, seconds=0.03, store=store, mishap="raise", at=9),
        CountingJob(2, store=store),
    ]
    with pytest.raises(KeyError, match="quark"):
        run_on(client, jobs)
    assert store.rows(1) == 9
    assert 0 < store.rows(0) < 10**6  # it wrote this as it was stopped
    before = store.path(0).stat().st_mtime_ns
    time.sleep(0.05)
    assert store.path(0).stat().st_mtime_ns == before


@pytest.mark.parametrize("error", [TimeoutError, CancelledError, OSError])
def test_errors_of_a_job_are_not_taken_for_those_of_the_cluster(
    client: Client, error: type[Exception]
) -> None:
    with pytest.raises(error, match="quark"):
        run_on(client, [CountingJob(0, mishap="raise", error=error)])


def test_an_interrupt_leaves_checkpoints_and_says_how_far_it_came(
    client: Client, tmp_path: Path
) -> None:
    store = Folder(str(tmp_path))

    def jobs(seconds: float) -> list[CountingJob]:
        return [CountingJob(number, 5000, seconds, store) for number in range(2)]

    def interrupt(_rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="0 of 2 jobs were done"):
        run_on(client, jobs(0.005), progress=interrupt)
    rows = [store.rows(number) for number in range(2)]
    assert 0 < sum(rows) < 10_000
    told: list[int] = []
    assert numbers(run_on(client, jobs(0), progress=told.append)) == [0, 1]
    assert sum(told) == 10_000  # with what the first call did


BOTH = threading.Barrier(2)


def wait_for_a_job(number: int) -> list[int]:
    """A task that runs a job on its own cluster, when both workers have such a task."""
    BOTH.wait(20)
    return numbers(run_on(get_client(), [CountingJob(number)]))


def test_tasks_that_wait_for_jobs_leave_them_their_workers(client: Client) -> None:
    tasks = client.map(wait_for_a_job, [3, 4], pure=False)
    assert [task.result(timeout=20) for task in tasks] == [[3], [4]]


def test_a_series_that_jobs_share_is_sent_once(client: Client) -> None:
    large, small = bytes(2 << 20), bytes(100)
    for series, most in ((large, 1000), (small, 2000)):
        jobs = [CountingJob(number, series=series) for number in range(5)]
        packer = Packer(cast("list[Job]", jobs))
        content = packer.pack(cast("Job", jobs[3]))
        assert (packer.apart is None) == (series is small)
        assert len(content) < most
        apart = None if packer.apart is None else unpack(packer.apart)
        assert unpack(content, apart) == jobs[3]
        found = run_on(client, jobs)
        assert [one["series"] for one in found] == [len(series)] * 5


def test_what_cannot_be_sent_is_refused_before_anything_is_fed(client: Client) -> None:
    jobs = [CountingJob(0, series=threading.Lock()), CountingJob(1)]
    with pytest.raises(InputTypeError, match=r"cannot be sent to another process .*lock"):
        run_on(client, jobs)


class Sealed:
    """Cannot be unpacked."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("no number",)


def test_what_a_worker_cannot_unpack_is_told_with_its_address(client: Client) -> None:
    with pytest.raises(ClusterError, match=r"worker inproc://.* cannot unpack .*no number"):
        run_on(client, [CountingJob(0, series=Sealed())])


@pytest.mark.parametrize(
    ("scheduler", "text"),
    [
        ("threads?", "expected \"processes\""),
        (7, "scheduler = 7: expected"),
        ("tcp://", "missing port"),
        ("tls://127.0.0.1:1", "no certificates for it"),
        ("tcp://host:port", "expected \"processes\""),
    ],
)  # fmt: skip
def test_a_scheduler_that_is_none_is_refused(scheduler: object, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        run_on(scheduler, [CountingJob(0)])


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_CONNECT", 0.2)
    with pytest.raises(ClusterError, match=r"tcp://127.0.0.1:1: no Dask scheduler answers"):
        run_on("tcp://127.0.0.1:1", [CountingJob(0)])


def test_a_closed_client_is_refused(client: Client) -> None:
    other = Client(scheduler_of(client).address, set_as_default=False)
    other.close()
    with pytest.raises(ConfigError, match="the Client is closed"):
        run_on(other, [CountingJob(0)])


def test_a_worker_that_computes_other_bits_is_refused() -> None:
    version, bits = remote.software()
    with pytest.raises(ClusterError, match=r"worker w: has nbt_embed 9.9, this process"):
        connection.check_software("w", ("9.9", bits))
    with pytest.raises(ClusterError, match="its kernel computes other bits"):
        connection.check_software("w", (version, "0"))
    connection.check_software("w", (version, bits))


def test_records_of_dask_stay_off_the_terminal_while_jobs_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def record() -> int:
        for name in ("distributed", "distributed.client", "tornado.application"):
            logging.getLogger(name).critical("lost")
        return len(caplog.records)

    before = record()
    assert before > 0
    one, other = connection.quiet(), connection.quiet()  # of calls in two threads
    with one:
        assert record() == before
        other.__enter__()
    assert record() == before
    other.__exit__()
    assert record() == 2 * before


def test_a_worker_says_what_is_wrong_with_the_run_directory(tmp_path: Path) -> None:
    here = str(tmp_path)
    assert remote.describe(None, "mark") == (remote.software(), "")
    assert remote.describe(here, "mark")[1] == "does not see it"
    (tmp_path / "mark").touch()
    assert remote.describe(here, "mark")[1] == ""
    assert [one.name for one in tmp_path.iterdir()] == ["mark"]


@pytest.mark.slow
def test_three_killed_workers_change_no_bit_of_the_results(tmp_path: Path) -> None:
    streams = Deadly(tmp_path, devices=(3, 4, 21))
    for name, scheduler in (("killed", "processes"), ("whole", None)):
        simulate(
            SEVERAL, streams, devices=40, scheduler=scheduler, jobs=2, out=tmp_path / name,
            checkpoint_seconds=0,
        )  # fmt: skip
    assert len(list(tmp_path.glob("killed-*"))) == 3
    parts = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert len(parts) > 2
    assert parts == sorted(path.name for path in (tmp_path / "killed").iterdir())
    for part in parts:
        assert (tmp_path / "killed" / part).read_bytes() == (tmp_path / "whole" / part).read_bytes()


@pytest.mark.slow
def test_a_job_goes_on_while_it_gets_further_though_each_try_loses_its_worker(
    tmp_path: Path,
) -> None:
    """More losses than Dask allows for."""
    store = Folder(str(tmp_path))
    jobs = [CountingJob(0, 6, 0.0, store, "kill once", at=-1), CountingJob(1)]
    assert numbers(run_on("processes", jobs, 2)) == [0, 1]


@pytest.mark.slow
def test_a_job_that_kills_every_worker_is_given_up_by_name() -> None:
    jobs = [CountingJob(number, mishap="kill" * (number == 1), at=5) for number in range(3)]
    with pytest.raises(ClusterError, match=r"job 1 \(devices 10 to 19\): 8 workers .*SIGKILL"):
        run_on("processes", jobs, 2)


@pytest.mark.slow
def test_a_worker_that_hangs_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_cluster, "WORKER_TTL", "1s")  # Dask waits for 5 s at least
    monkeypatch.setenv("MARK", str(tmp_path))
    stopped: list[int] = []

    def stop_one(_rows: int) -> None:
        if not stopped:
            stopped.append(workers_of(tmp_path)[0])
            os.kill(stopped[0], signal.SIGSTOP)

    jobs = [CountingJob(number, rows=60, seconds=0.02) for number in range(4)]
    assert numbers(run_on("processes", jobs, 2, stop_one)) == [0, 1, 2, 3]
    assert not workers_of(tmp_path)


SCRIPT = """
import sys
from fleet_jobs import CountingJob, Folder
from nbt_embed.fleet import cluster
jobs = [CountingJob(number, 100_000, 0.01, Folder(sys.argv[1])) for number in range(4)]
print(cluster.run_on("processes", jobs, 2, lambda rows: print(rows, flush=True)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_script_that_ends_leaves_checkpoints_and_no_process(
    tmp_path: Path, number: signal.Signals
) -> None:
    """It has no ``if __name__ == "__main__"``, and the signal goes to its whole group."""
    (tmp_path / "script.py").write_text(SCRIPT)
    paths = os.pathsep.join(path for path in sys.path if path)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py"), str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "MARK": str(tmp_path), "PYTHONPATH": paths},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().strip().isdigit()  # at work
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=60)
    wait_for(lambda: not workers_of(tmp_path))
    assert any(Folder(str(tmp_path)).rows(job) > 0 for job in (0, 1))  # one may not have begun
    if number == signal.SIGINT:
        assert errors.strip().endswith("Interrupted: 0 of 4 jobs were done")
        assert "distributed" not in errors  # no records of Dask
    else:
        assert errors == ""


@contextmanager
def running_cluster(folder: Path) -> Iterator[tuple[str, Callable[..., Any], Any]]:
    """A scheduler that anybody may have started: its address, a function for workers, itself."""
    file = folder / "scheduler.json"
    processes: list[subprocess.Popen[bytes]] = []

    def start(module: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{module}", "--no-dashboard", *arguments]
        paths = os.pathsep.join(path for path in sys.path if path)
        process = subprocess.Popen(
            command, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": paths}, **options
        )
        processes.append(process)
        return process

    def worker(*arguments: str) -> subprocess.Popen[bytes]:
        local = ("--no-nanny", "--nthreads", "1", "--local-directory", str(folder))
        return start("dask_worker", address, *local, *arguments, cwd=folder)

    own = ("--port", "0", "--host", "127.0.0.1", "--scheduler-file", str(file))
    scheduler = start("dask_scheduler", *own, "--dashboard-address", "127.0.0.1:0")
    wait_for(lambda: file.exists() and file.read_text().endswith("}"))
    address = json.loads(file.read_text())["address"]
    try:
        yield address, worker, scheduler
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_a_running_cluster_is_checked_before_anything_is_fed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_WORKERS", 0.5)
    with running_cluster(tmp_path) as (address, worker, _):
        with pytest.raises(ClusterError, match="has no workers; start some"):
            run_on(address, [CountingJob(0)])
        monkeypatch.setattr(connection, "_WORKERS", 20)
        worker()
        assert numbers(run_on(address, [CountingJob(0), CountingJob(1)])) == [0, 1]

        (tmp_path / "here" / "out").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / "here")
        store = Folder("/proc/self/cwd/out")  # a place that is another one for the worker
        with pytest.raises(ClusterError, match=r"directory /proc/self/cwd/out: .* does not see it"):
            run_on(address, [CountingJob(0, store=store)])
        assert not any((tmp_path / "here" / "out").iterdir())

        (tmp_path / "other.py").write_text("import nbt_embed; nbt_embed.__version__ = '9.9'")
        worker("--preload", str(tmp_path / "other.py"))
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=20)
        with pytest.raises(ClusterError, match=r"worker tcp://.*: has nbt_embed 9.9, this process"):
            run_on(address, [CountingJob(0)])


@pytest.mark.slow
def test_a_scheduler_that_goes_away_is_an_error_and_jobs_leave_checkpoints(tmp_path: Path) -> None:
    store = Folder(str(tmp_path))
    with running_cluster(tmp_path) as (address, worker, scheduler):
        worker()

        def end(_rows: int) -> None:
            scheduler.kill()

        with pytest.raises(ClusterError, match="the connection to the scheduler is lost"):
            run_on(address, [CountingJob(0, 10**6, 0.01, store)], progress=end)
        wait_for(lambda: store.rows(0) > 0)
