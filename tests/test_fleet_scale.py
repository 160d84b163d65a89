"""The arithmetic behind docs/evidence/scale.md."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("distributed")
from tools.fleet import scale_plan
from tools.fleet.scale_cost import fitted
from tools.fleet.scale_plan import Measured, plan, simulated_seconds

FREE = Measured(8, 2e-6, 0.0, 0.0)  # a scheduler that costs nothing


@pytest.fixture(autouse=True)
def _equal_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale_plan, "MACHINE_NOISE", 0.0)


def test_cores_share_the_work_where_nothing_else_costs() -> None:
    assert simulated_seconds(np.full(40, 3.0), FREE, 4, 0.0)[0] == pytest.approx(30.0)
    assert simulated_seconds(np.full(41, 3.0), FREE, 4, 0.0)[0] == pytest.approx(33.0)  # one idles


def test_a_scheduler_that_is_busy_all_the_time_sets_the_pace() -> None:
    slow = Measured(8, 2e-6, 0.5, 0.0)
    seconds, busy = simulated_seconds(np.full(100, 1.0), slow, 50, 0.0)
    assert seconds == pytest.approx(100 * 0.5 + 1.0)
    assert busy == 50.0
    reporting = Measured(8, 2e-6, 0.5, 0.025)  # 20 reports a second: half of its time
    assert simulated_seconds(np.full(100, 1.0), reporting, 50, 0.0)[0] == pytest.approx(101.0)


def test_lost_workers_cost_time() -> None:
    work = np.full(100, 3600.0)
    without, _ = simulated_seconds(work, FREE, 10, 0.0)
    once_an_hour, _ = simulated_seconds(work, FREE, 10, 1.0)
    assert 1.0 < once_an_hour / without < 1.02  # some 10 s an hour, and uneven ends


def test_a_plan_cuts_as_simulate_does() -> None:
    found = plan(FREE, 100_000, 1000, 10, 0.0)
    assert found.core_hours == pytest.approx(100_000 * 1000 * 2e-6 / 3600)
    assert found.ideal == pytest.approx(found.core_hours / 10)
    assert found.jobs * found.job_seconds == pytest.approx(found.core_hours * 3600)
    assert 0.9 < found.efficiency <= 1.0


def test_a_fit_finds_the_cost_of_devices_and_of_samples() -> None:
    points = {(n, rows): n * (2e-4 + rows * 3e-6) for n in (10, 300) for rows in (50, 7000)}
    np.testing.assert_allclose(fitted(points), (2e-4, 3e-6))
