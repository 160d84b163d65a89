"""Speed, memory and recovery of a fleet: ``make fleet``.

Devices of one channel (a wave with noise, each with its own phase) learn with 8 units, horizon 1.

* Speed: rounds of a part of the fleet run in turn on one thread by ``Learner.run``, on threads, and
  on Dask with as many processes, so that other load on the machine affects all. Results are steps
  per second of wall time and of processor time, which other processes disturb less. Threads that
  only call ``Learner.run`` show how much of the machine was available.
* Memory: peak resident size of a separate process, minus its size before.
* Losses: a worker process is killed (SIGKILL) three times during a run; a run is stopped repeatedly
  by Ctrl-C and resumed. The files must equal those of an undisturbed run.
* Bits: hashes of 100 devices compared with those of learners that ran singly.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nbt_embed import Learner
from nbt_embed.fleet import simulate
from nbt_embed.parallel import Interrupted
from tools.document import publish
from tools.fleet import memory
from tools.fleet.waves import CONFIG, make_waves, wave

BUILD = Path("build/fleet")
THREADS_TARGET, DASK_TARGET, MEMORY_TARGET = 0.85, 0.75, 1.05


@dataclass
class Rate:
    """Number of steps, and their seconds of wall and processor time."""

    steps: int = 0
    wall: float = 0.0
    cpu: float = 0.0

    def measure(self, steps: int, work: Callable[[], object]) -> None:
        """Add the time of a call, its child processes included."""
        wall, cpu = time.perf_counter(), _cpu()
        work()
        self.steps += steps
        self.wall += time.perf_counter() - wall
        self.cpu += _cpu() - cpu

    @property
    def a_second(self) -> float:
        """Steps per second of wall time."""
        return self.steps / self.wall

    @property
    def a_cpu_second(self) -> float:
        """Steps per second of processor time."""
        return self.steps / self.cpu


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum([one.ru_utime + one.ru_stime for one in used])


def speed(x: Path, devices: int, rows: int, rounds: int, workers: int) -> dict[str, Any]:
    """Return the rates of one thread, of threads and of processes, and their ratios."""
    samples = np.load(x, mmap_mode="r")
    alone, bare, threads, dask = Rate(), Rate(), Rate(), Rate()
    count = max(1, min(200, devices // rounds // 10))  # about as long as the others together
    bounds = np.linspace(0, devices, rounds + 1).astype(int)
    for place, (begin, end) in enumerate(itertools.pairwise(bounds)):
        part = BUILD / "part.npy"
        np.save(part, samples[begin:end])
        waves = np.array(samples[begin : begin + count])

        def one_by_one(waves: np.ndarray[Any, Any] = waves) -> None:
            for device, z in enumerate(waves):
                Learner(replace(CONFIG, seed=device)).run(z, z, horizon=1)

        def fleet(scheduler: str | None, part: Path = part) -> None:
            simulate(CONFIG, part, jobs=workers, scheduler=scheduler)

        steps = (end - begin) * rows
        alone.measure(count * rows, one_by_one)
        threads.measure(steps, lambda: fleet(None))
        alone.measure(count * rows, one_by_one)
        bare.measure(workers * count * rows, lambda: at_once(one_by_one, workers))
        dask.measure(steps, lambda: fleet("processes"))
        print(f"round {place + 1} of {rounds}", file=sys.stderr)
    return {
        "alone": alone.a_second,
        "threads": threads.a_second,
        "dask": dask.a_second,
        "bare": bare.a_second,
        "threads_ratio": threads.a_second / workers / alone.a_second,
        "threads_cpu_ratio": threads.a_cpu_second / alone.a_cpu_second,
        "dask_ratio": dask.a_second / threads.a_second,
        "dask_cpu_ratio": dask.a_cpu_second / threads.a_cpu_second,
    }


def at_once(work: Callable[[], object], workers: int) -> None:
    """Do the same work in several threads."""
    with ThreadPoolExecutor(workers) as pool:
        for future in [pool.submit(work) for _ in range(workers)]:
            future.result()


def files(folder: Path) -> dict[str, bytes]:
    """Return name and content of all files in a folder."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(found)}


def killed(x: Path, seconds: float, workers: int) -> int:
    """Kill the busiest worker three times during a run; return the number that died.

    Args: seconds, duration of an undisturbed run.
    """
    import psutil

    died = 0
    done = threading.Event()

    def kill() -> None:
        nonlocal died
        while died < 3 and not done.wait(seconds / 5):
            children = psutil.Process().children(recursive=True)
            busy = [child for child in children if child.is_running()]
            worker = max(busy, key=lambda child: sum(child.cpu_times()[:2]), default=None)
            if worker is not None and sum(worker.cpu_times()[:2]) > 1.0:
                worker.kill()
                died += 1

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        simulate(
            CONFIG,
            x,
            out=BUILD / "killed",
            scheduler="processes",
            jobs=workers,
            checkpoint_seconds=1.0,
        )
    finally:
        done.set()
        killer.join()
    return died


def interrupted(x: Path, rows: int, workers: int) -> int:
    """Stop a run repeatedly by Ctrl-C; return the number of stops."""
    times = 0
    while True:
        left = rows

        def stop(fed: int) -> None:
            nonlocal left
            left -= fed
            if left < 0:
                raise KeyboardInterrupt

        try:
            simulate(CONFIG, x, out=BUILD / "interrupted", jobs=workers, progress=stop)
        except (Interrupted, KeyboardInterrupt):
            times += 1
            rows += rows // 2
        else:
            return times


def hashes(rows: int) -> int:
    """Return how many of 100 devices have the hash of a learner that ran by itself."""
    fleet = simulate(CONFIG, lambda device: wave(device, rows), devices=100)
    alone = []
    for device in range(100):
        learner, z = Learner(replace(CONFIG, seed=device)), wave(device, rows)
        learner.run(z, z, horizon=1)
        alone.append(learner.hash())
    return int((fleet["hash"] == np.array(alone, np.uint64)).sum())


def _files(same: bool) -> str:
    return "same files" if same else "other files"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--losses", type=int, default=500, help="devices of the runs with losses")
    parser.add_argument(
        "--memory",
        type=int,
        nargs=2,
        default=(10_000, 10_000),
        metavar=("DEVICES", "ROWS"),
        help="of all learners at once; fewer devices do not show the learners alone",
    )
    parser.add_argument("--document", type=Path)
    given = parser.parse_args(arguments)
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    x, few = BUILD / "waves.npy", BUILD / "few.npy"
    make_waves(x, given.devices, given.rows)
    make_waves(few, min(given.losses, given.devices), given.rows)

    rates = speed(x, given.devices, given.rows, given.rounds, given.workers)
    most, memory_rows = given.memory
    resident = memory.measured("resident", most, memory_rows, given.workers)
    jobs = memory.measured("jobs", given.losses, given.rows, given.workers)
    began = time.perf_counter()
    simulate(CONFIG, few, out=BUILD / "whole", jobs=given.workers)
    seconds = time.perf_counter() - began
    whole = files(BUILD / "whole")
    died = killed(few, seconds, given.workers)
    kept = files(BUILD / "killed") == whole
    stops = interrupted(few, given.rows * min(given.losses, given.devices) // 8, given.workers)
    resumed = files(BUILD / "interrupted") == whole
    equal = hashes(given.rows)

    lines = [
        (
            "threads",
            f">= {THREADS_TARGET}",
            rates["threads_ratio"] >= THREADS_TARGET,
            f"{rates['threads_ratio']:.3f} x {given.workers} x {rates['alone']:,.0f} steps/s "
            f"= {rates['threads']:,.0f}; {rates['threads'] / rates['bare']:.3f} of bare threads; "
            f"by processor time {rates['threads_cpu_ratio']:.3f}",
        ),
        (
            "Dask, processes",
            f">= {DASK_TARGET}",
            rates["dask_ratio"] >= DASK_TARGET,
            f"{rates['dask_ratio']:.3f} x threads = {rates['dask']:,.0f} steps/s; by processor "
            f"time {rates['dask_cpu_ratio']:.3f}",
        ),
        (
            "memory, all resident",
            f"<= {MEMORY_TARGET}",
            resident.ratio <= MEMORY_TARGET,
            str(resident),
        ),
        ("memory, jobs", "< all resident", jobs.grown <= resident.grown, str(jobs)),
        ("worker killed", "same files", kept and died == 3, f"{_files(kept)} after {died} kills"),
        (
            "interrupted",
            "same files",
            resumed and stops > 0,
            f"{_files(resumed)} after {stops} stops",
        ),
        ("lone learners", "same hashes", equal == 100, f"{equal} of 100"),
    ]
    head = (
        f"{given.devices:,} devices x {given.rows:,} samples, 8 units, {given.workers} threads "
        "or processes\n\n| what | measured | target |\n|---|---|---|\n"
    )
    text = head + "\n".join(
        f"| {what} | {measured} | {target} |" for what, target, _, measured in lines
    )
    content = {**rates, "resident": vars(resident), "jobs": vars(jobs), "stops": stops}
    publish(text, content, BUILD / "fleet.json", given.document, "fleet")
    return 0 if all(reached for _, _, reached, _ in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
