"""A fleet: the bits of lone learners, however devices are grouped and rows are cut."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nbt_embed import Config, Learner
from nbt_embed.baselines import LastValue
from nbt_embed.errors import ConfigError, InputError, InputTypeError, NbtError
from nbt_embed.evaluate import evaluate
from nbt_embed.fleet import Fleet, Series, simulate
from nbt_embed.fleet.plan import cuts, settings_of
from nbt_embed.streams import from_arrays

N, ROWS = 3, 6000
CONFIG = Config(2, 2, hidden=2, hold_missing=True, seed=5)


def walks(n: int = N, rows: int = ROWS, seed: int = 0, missing: float = 0.02) -> Any:
    """Random walks (n, rows, 2) of which some values are missing."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, rows, 2)).cumsum(axis=1).astype(np.float32)
    x[rng.random(x.shape) < missing] = np.nan
    return x


def blocks(x: Any, length: int) -> Iterator[Any]:
    """Blocks of time, all in one array that is used again."""
    array = np.empty((x.shape[0], length, *x.shape[2:]), np.float32)
    for begin in range(0, x.shape[1], length):
        part = x[:, begin : begin + length]
        array[:, : part.shape[1]] = part
        yield array[:, : part.shape[1]]


def assert_same(one: Fleet, other: Fleet) -> None:
    """Every bit of every column, but what devices are called."""
    for name in one.columns:
        if name != "name":
            assert one[name].dtype == other[name].dtype
            assert repr(one[name].tolist()) == repr(other[name].tolist()), name


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """Two settings and two horizons over a few devices."""
    settings = {
        "units": CONFIG,
        "linear": replace(
            CONFIG, hidden=0, estimator="frozen", resonators=0, head=0, head_gain=0.0
        ),
    }
    return simulate(settings, walks(), horizon=[1, 5])


def test_a_device_has_the_bits_of_a_lone_learner(fleet: Fleet) -> None:
    x, row = walks(), 0
    for device in range(N):
        for name in fleet.settings:
            for horizon in (1, 5):
                here = {column: values[row] for column, values in fleet.columns.items()}
                assert (here["device"], here["setting"]) == (device, name)
                assert (here["horizon"], here["seed"]) == (horizon, 5 + device)
                if name == "units":
                    config = replace(CONFIG, seed=5 + device, max_delay=horizon - 1)
                    learner = Learner(config)
                    learner.run(x[device], x[device], horizon=horizon)
                    assert here["hash"] == learner.hash()
                    assert here["memory_bytes"] == learner.memory.total
                    for guard in learner.guard_rows:
                        assert here[guard] == getattr(learner.counters, guard)
                row += 1


@pytest.mark.parametrize("horizon", [0, 1, 5])
def test_errors_are_those_of_evaluate(horizon: int) -> None:
    config = replace(CONFIG, max_delay=4)
    fleet = simulate(config, walks(1), horizon=horizon)
    stream = from_arrays(walks(1)[0])
    alone = evaluate(Learner(config), stream, horizon=horizon)
    last = evaluate(LastValue(2, 2, max_delay=max(horizon - 1, 0)), stream, horizon=horizon)
    assert fleet["rows_scored"][0] == alone.rows
    np.testing.assert_allclose(
        [fleet[name][0] for name in ("rmse", "nrmse", "last_rmse")],
        [alone.rmse, alone.nrmse, last.rmse],
        rtol=1e-10,
    )
    ratio = np.array(alone.nrmse_per_target) / np.array(last.nrmse_per_target)
    np.testing.assert_allclose(fleet["relative_error"][0], np.exp(np.log(ratio).mean()))


def test_anchors_are_those_of_the_whole_stream() -> None:
    x = walks(1, 5000, missing=0)
    y = x[:, :, :1].copy()
    y[0, 4800:] += 1  # until then the label is the first input
    config = Config(2, 1, hidden=2)
    learner = Learner(config)
    learner.run(x[0], y[0], horizon=1)
    assert learner.anchor == (None,)
    assert simulate(config, (x, y))["hash"][0] == learner.hash()
    # Of blocks the first 1,000 rows tell: there it is the input, whatever the blocks.
    anchored = Learner(replace(config, anchor=(0,)))
    anchored.run(x[0], y[0], horizon=1)
    for length in (300, 1700):
        pieces = [(x[:, a : a + length], y[:, a : a + length]) for a in range(0, 5000, length)]
        assert simulate(config, iter(pieces))["hash"][0] == anchored.hash()


@pytest.mark.parametrize("length", [333, 5000])
def test_no_cut_of_the_rows_changes_a_bit(length: int) -> None:
    x = walks(2, 4500)
    x[1, 4200, 0] = np.inf  # refused there, after the rows before it
    whole = simulate(CONFIG, x, horizon=[0, 3])
    assert list(whole["error"] == "") == [True, True, False, False]
    assert list(whole["rows"]) == [4500, 4500, 4200, 4200]
    assert_same(whole, simulate(CONFIG, blocks(x, length), horizon=[0, 3]))


def test_blocks_without_rows_are_passed_over() -> None:
    x = walks(2, 90)
    pieces = [x[:, :0], x[:, :50], x[:, 50:50], (x[:, 50:], x[:, 50:]), (x[:, :0], x[:, :0])]
    assert_same(simulate(CONFIG, x), simulate(CONFIG, iter(pieces)))


def test_no_group_of_devices_changes_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    x = walks(4, 800)
    one = simulate(CONFIG, x, jobs=1)
    monkeypatch.setattr("nbt_embed.fleet.plan._LEAST", 1)
    monkeypatch.setattr("nbt_embed.fleet.plan._PER_RUN", 3)
    settings = settings_of(CONFIG, 4)
    assert len(list(cuts(None, 4, settings, [1]))) == 3
    assert_same(one, simulate(CONFIG, x, jobs=2))


def test_slow_learners_are_fed_in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    x = walks(1, 9000)
    whole = simulate(CONFIG, x, horizon=[0, 4])
    monkeypatch.setattr("nbt_embed.fleet.job._LONG", -1.0)  # every piece takes too long
    fed: list[int] = []
    assert_same(whole, simulate(CONFIG, x, horizon=[0, 4], progress=fed.append))
    assert fed[1:4] == [4096, 2048, 1024]
    assert sum(fed) == 9000


def test_links_other_than_the_gaussian_have_bits() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (2, 300))
    config = Config(3, 3, hidden=2, link="categorical")
    fleet = simulate(config, (np.eye(3)[labels], labels))
    learner = Learner(config)
    chances = learner.run(np.eye(3)[labels[0]], labels[0], horizon=1)
    bits = [-np.log2(chances[row - 1, labels[0, row]]) for row in range(2, 300)]
    np.testing.assert_allclose(fleet["bits"][0], np.mean(bits))
    assert np.isnan(fleet["rmse"]).all()
    events = (labels == 0)[:, :, np.newaxis]
    both = simulate(Config(1, 1, hidden=2, link="bernoulli"), events)
    assert ((both["bits"] > 0.5) & (both["bits"] < 1.5)).all()


@pytest.mark.parametrize("link", ["categorical", "bernoulli"])
def test_no_cut_of_the_rows_changes_a_bit_of_the_bits(link: Any) -> None:
    rng = np.random.default_rng(0)
    config = Config(1, 3 if link == "categorical" else 2, hidden=1, link=link)
    x, y = rng.standard_normal((1, 900, 1)), rng.integers(0, 2, (1, 900, config.n_label))
    pieces = [(x[:, a : a + 7], y[:, a : a + 7]) for a in range(0, 900, 7)]
    assert_same(simulate(config, (x, y)), simulate(config, iter(pieces)))


def test_jobs_hold_about_the_same_work() -> None:
    settings = settings_of(CONFIG, 1_000_000)
    lengths = np.random.default_rng(0).integers(0, 20_000, 1_000_000)
    cut = list(cuts(lengths, len(lengths), settings, [1]))
    assert [one.start for one in cut[1:]] == [one.stop for one in cut[:-1]]
    assert (cut[0].start, cut[-1].stop) == (0, len(lengths))
    assert 100 < len(cut) <= 10_001
    sizes = np.add.reduceat(lengths, [one.start for one in cut])
    assert sizes.max() < 1.1 * np.median(sizes)


ONCE: Iterator[Any] = iter([])
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"streams": np.zeros((0, 5, 2))}, "at least one of each"),
    ({"streams": np.zeros((2, 0, 2))}, "at least one of each"),
    ({"streams": np.zeros(5)}, r"shape \(5,\): expected \(devices, rows, channels\)"),
    ({"streams": [["a"]]}, "dtype <U1: expected an array of real numbers"),
    ({"streams": [[1, 2], [3]]}, "pass a list of Streams"),
    ({"streams": (np.zeros((2, 5, 2)), np.zeros((2, 4, 2)))}, "one label row for each"),
    ({"streams": iter([])}, "yielded nothing"),
    ({"streams": iter([np.zeros((2, 5, 2)), np.zeros((3, 5, 2))])}, r"shape \(3, 5, 2\)"),
    ({"streams": lambda _device: None, "devices": 2}, r"streams\(0\) returned None"),
    ({"streams": lambda _device: np.zeros((4, 2))}, "devices is missing"),
    ({"streams": lambda _device: ONCE, "devices": 2}, "the same iterator twice"),
    ({"streams": iter([np.zeros((2, 0, 2))])}, "yielded nothing: expected blocks"),
    ({"devices": 7}, "devices = 7: the streams are those of 3"),
    ({"configs": None}, "'default' is None: expected a Config"),
    ({"configs": {}}, "configs is empty"),
    ({"configs": {"\ud800": CONFIG}}, "is not a name: expected text"),
    ({"configs": [CONFIG]}, "has 1 for 3 devices"),
    ({"configs": Config(1, 2)}, "n_in = 1: the streams have 2 inputs"),
    ({"configs": {"a": replace(CONFIG, hidden=5000)}}, "'a', device 0: hidden = 5000"),
    ({"horizon": -1}, "horizon = -1"),
    ({"horizon": [1, 1]}, "different numbers"),
    ({"horizon": "1"}, "expected an integer"),
    ({"horizon": 10**7}, "max_delay = 9999999"),
    ({"jobs": 0}, "jobs = 0"),
    ({"checkpoint_seconds": -1}, "checkpoint_seconds = -1"),
    ({"progress": 1}, "progress = 1: expected a function"),
    ({"out": 1}, "out = 1: expected the path"),
    ({"out": ""}, "out = '': expected the path"),
    ({"scheduler": np.zeros(2)}, "scheduler = array"),
    ({"streams": iter([np.zeros((3, 5, 2))]), "scheduler": "processes"}, "is read once"),
]


@pytest.mark.parametrize(("change", "says"), REFUSED, ids=[says for _, says in REFUSED])
def test_what_cannot_be_simulated_is_refused(change: dict[str, Any], says: str) -> None:
    given: dict[str, Any] = {"configs": CONFIG, "streams": walks(3, 20), **change}
    with pytest.raises((ConfigError, InputError, InputTypeError), match=says):
        simulate(given.pop("configs"), given.pop("streams"), **given)


def test_a_device_that_is_refused_does_not_stop_the_others() -> None:
    def stream(device: int) -> Any:
        if device == 1:
            raise NbtError("the card was not readable")
        return np.zeros((40 if device else 0, 2)) if device % 2 == 0 else np.ones((9, 3))

    x = walks(1, 50)[0]
    fleet = simulate(CONFIG, lambda device: x if device == 0 else stream(device), devices=4)
    assert fleet["error"][0] == ""
    assert fleet["rows"][0] == 50
    assert fleet["error"][1] == "the card was not readable"
    assert fleet["error"][2] == ""
    assert "device 3 has 3 inputs" in fleet["error"][3]
    assert np.isnan(fleet["rmse"][1])
    assert len(fleet.refused) == 2
    short = simulate(CONFIG, walks(1, 2), horizon=1)
    assert short["error"][0].startswith("nothing to score: no target from row 2")


class Own(Series):
    """A series of a caller's own, of one device, that gives what it is told."""

    devices, input_names, target_names = 1, ("a",), ("a",)

    def __init__(self, *given: Any) -> None:
        self._given = given

    def pieces(self, _device: int, _start: int = 0) -> Iterator[Any]:
        return iter(self._given)

    def fingerprint(self) -> str:
        return "own"


def test_pieces_of_an_own_series_are_real_numbers_of_any_kind() -> None:
    x, config = np.cos(np.arange(60) / 7), Config(1, 1, hidden=1)
    assert_same(
        simulate(config, x.astype(np.float32)[np.newaxis]),
        simulate(config, Own((x[:9], x[:9]), (x[9:, np.newaxis].tolist(), x[9:]))),
    )
    for bad, says in (
        ((x, x[1:]), "60 rows of inputs and 59 of labels"),
        (x, "pieces returned ndarray: expected pairs"),
        ((x, np.zeros((60, 2))), r"Y has shape \(60, 2\)"),
    ):
        assert re.search(says, simulate(config, Own(bad))["error"][0])


def test_seeds_go_around_and_may_be_given() -> None:
    config = replace(CONFIG, seed=2**64 - 1)
    assert simulate(config, walks(2, 20))["seed"].tolist() == [2**64 - 1, 0]
    own = [replace(CONFIG, seed=9, hidden=1), replace(CONFIG, seed=9)]
    fleet = simulate(own, walks(2, 20))
    assert fleet["seed"].tolist() == [9, 9]
    assert fleet["memory_bytes"][0] < fleet["memory_bytes"][1]


def test_results_can_be_chosen_and_ranked(fleet: Fleet) -> None:
    assert repr(fleet) == "Fleet(3 devices, settings units, linear, horizons 1, 5)"
    some = fleet.select("units", 5)
    assert len(some) == N
    assert set(some["horizon"]) == {5}
    worst = some.worst(2)
    assert worst["nrmse"].tolist() == sorted(some["nrmse"], reverse=True)[:2]
    summary = fleet.summary()[1]
    assert (summary.setting, summary.horizon, summary.devices) == ("units", 5, N)
    assert summary.nrmse[0] == np.median(some["nrmse"])
    assert summary.nrmse[2] == worst["nrmse"][0]
    assert "linear, horizon 1" in fleet._repr_html_()
    with pytest.raises(ConfigError, match="did you mean 'nrmse'"):
        fleet.worst(by="nrms")
    with pytest.raises(ConfigError, match="expected one of units, linear"):
        fleet.select("unit")
    with pytest.raises(ConfigError, match="expected one of device, name"):
        fleet["x"]
    with pytest.raises(ConfigError, match="expected one of device, name"):
        fleet[["rmse", "nrmse"]]  # type: ignore[index]
    with pytest.raises(ConfigError, match="expected one of 1, 5"):
        fleet.select(horizon=[1, 5])  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="expected one of device, seed"):
        fleet.worst(by=["nrmse"])  # type: ignore[arg-type]
