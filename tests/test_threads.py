"""The kernel runs without Python's global lock, and learners share nothing."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from nbt_embed import Learner
from nbt_embed.errors import SequenceError


def stream(steps: int) -> NDArray[np.float32]:
    return np.sin(np.arange(steps, dtype=np.float32) / 5)[:, np.newaxis]


def test_run_lets_other_threads_run() -> None:
    values = stream(300_000)
    learner = Learner(1, 1, hidden=8)
    seconds = []

    def work() -> None:
        start = time.perf_counter()
        learner.run(values, values)
        seconds.append(time.perf_counter() - start)

    worker = threading.Thread(target=work)
    longest, last = 0.0, time.perf_counter()
    worker.start()
    while worker.is_alive():
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    # With the lock held this thread would stand still for the whole run.
    assert longest < seconds[0] / 2


def test_learners_in_threads_give_the_bits_they_give_alone() -> None:
    values = stream(20_000)

    def hash_of(seed: int) -> int:
        learner = Learner(1, 1, hidden=5, seed=seed)
        learner.run(values, values)
        return learner.hash()

    alone = [hash_of(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(hash_of, range(4))) == alone
    assert len(set(alone)) == 4


def is_busy(learner: Learner) -> bool:
    try:
        return learner.pending < 0
    except SequenceError:
        return True


def test_a_learner_that_another_thread_uses_is_refused_and_not_disturbed() -> None:
    values = stream(600_000)
    alone, shared = Learner(1, 1, hidden=8), Learner(1, 1, hidden=8)
    alone.run(values, values)
    worker = threading.Thread(target=shared.run, args=(values, values))
    worker.start()
    while not is_busy(shared) and worker.is_alive():
        pass
    for name, call in (
        ("predict", lambda: shared.predict(0.0)),
        ("learn", lambda: shared.learn(0.0)),
        ("run", lambda: shared.run(values[:1], values[:1])),
        ("to_bytes", shared.to_bytes),
        ("pending", lambda: shared.pending),
    ):
        with pytest.raises(SequenceError, match=f"{name}: another thread is using"):
            call()
    worker.join()
    assert shared.hash() == alone.hash()
