"""Perturbations: what the equations say, and the same bits however one looks at a device."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbt_embed.errors import ConfigError
from nbt_embed.fleet.perturb import Distribution, Kind, Perturbation, Perturbed, Shape, Targets
from nbt_embed.fleet.series import Piece, Series

ROWS = 9000  # more than two blocks of noise


class Walks(Series):
    """Random walks: channels a, b; targets a, c; in pieces of so many rows."""

    def __init__(self, cut: int = 5000, rows: int = ROWS) -> None:
        self.devices, self.cut, self.rows = 50, cut, rows
        self.input_names, self.target_names = ("a", "b"), ("a", "c")

    def whole(self, device: int) -> NDArray[np.float32]:
        steps = np.random.default_rng(device).standard_normal((self.rows, 3))
        return steps.cumsum(axis=0).astype(np.float32)

    def pieces(self, device: int, start: int = 0) -> Iterator[Piece]:
        whole = self.whole(device)
        for begin in range(start, self.rows, self.cut):
            part = whole[begin : begin + self.cut]
            yield part[:, :2], part[:, [0, 2]]

    def fingerprint(self) -> str:
        return "walks"


def fixed(kind: Kind, *values: float, shape: Shape = "fixed", **more: Any) -> Perturbation:
    return Perturbation(kind, Distribution(shape, values), **more)


def read(
    perturbations: Sequence[Perturbation],
    device: int = 3,
    start: int = 0,
    series: Series | None = None,
    rows: int | None = None,
    targets: Targets = "perturbed",
) -> Piece:
    made = Perturbed(series or Walks(), perturbations, 4, rows, targets)
    pieces = list(made.pieces(device, start))
    if not pieces:
        return np.empty((0, 2), np.float32), np.empty((0, 2), np.float32)
    inputs, labels = zip(*pieces, strict=True)
    return np.concatenate(inputs), np.concatenate(labels)


def same(one: Piece, other: Piece) -> bool:
    return all(np.array_equal(*pair, equal_nan=True) for pair in zip(one, other, strict=True))


EVERYTHING = (
    fixed("gain", 0.5, 2, shape="uniform"),
    fixed("offset", 0, 1, shape="normal", unit="sd"),
    fixed("noise", 0.1, 0.5, shape="lognormal", channels=("b", "c")),
    fixed("dropouts", 0, 0.3, shape="uniform", length=20),
    fixed("stuck", 0.3, length=200),
    fixed("clock_skew", 1234.5),
    fixed("start", 0, 300, shape="uniform"),
)


def test_without_perturbations_nothing_changes() -> None:
    whole = Walks().whole(3)
    assert same(read(()), (whole[:, :2], whole[:, [0, 2]]))


def test_gain_and_offset_are_a_straight_line() -> None:
    clean = Walks().whole(3).astype(np.float64)
    made, labels = read([fixed("gain", 1.5), fixed("offset", -2, channels=("b",))])
    assert np.array_equal(made[:, 0], (1.5 * clean[:, 0]).astype(np.float32))
    assert np.array_equal(made[:, 1], (1.5 * clean[:, 1] - 2).astype(np.float32))
    assert np.array_equal(labels[:, 0], made[:, 0])  # the same reading
    assert np.array_equal(labels[:, 1], (1.5 * clean[:, 2]).astype(np.float32))


def test_noise_is_white_and_as_strong_as_said() -> None:
    noise = np.subtract(read([fixed("noise", 0.5)])[0], read(())[0], dtype=np.float64)
    assert noise.std(axis=0) == pytest.approx([0.5, 0.5], rel=0.05)
    assert abs(np.corrcoef(noise[1:, 0], noise[:-1, 0])[0, 1]) < 0.05
    assert abs(np.corrcoef(noise.T)[0, 1]) < 0.05  # each channel has its own
    blocks = noise[:4096, 0], noise[4096:8192, 0]
    assert abs(np.corrcoef(*blocks)[0, 1]) < 0.05


def test_a_unit_of_noise_may_be_the_channels_standard_deviation() -> None:
    scale = Walks().whole(3)[:1000].std(axis=0, dtype=np.float64)
    noise = (read([fixed("noise", 2, unit="sd")])[0] - read(())[0]).astype(np.float64)
    assert noise.std(axis=0) == pytest.approx(2 * scale[:2], rel=0.05)


def test_a_fast_clock_reads_between_the_rows() -> None:
    clean = Walks().whole(3).astype(np.float64)
    skew = 0.25  # exact in binary
    made, labels = read([fixed("clock_skew", 1e6 * skew), fixed("start", 7)])
    time = 7 + np.arange(len(made)) * (1 + skew)
    for column, values in ((0, made[:, 0]), (1, made[:, 1]), (2, labels[:, 1])):
        wanted = np.interp(time, np.arange(ROWS), clean[:, column])
        assert values == pytest.approx(wanted, rel=1e-6, abs=1e-6)
    assert time[-1] <= ROWS - 1 < time[-1] + 1 + skew  # to the last row, and no further


def test_a_missing_row_is_missing_between_its_neighbours_only() -> None:
    class Gap(Walks):
        def whole(self, device: int) -> NDArray[np.float32]:
            found = super().whole(device)
            found[100] = np.nan
            return found

    made, _ = read([fixed("clock_skew", 250_000)], series=Gap())
    assert np.flatnonzero(np.isnan(made[:, 0])).tolist() == [80]  # 80 * 1.25 = 100, exactly


def test_an_infinite_reading_stays_infinite() -> None:
    """A learner then refuses the device, where NaN would be taken for a lost reading."""

    class Broken(Walks):
        def whole(self, device: int) -> NDArray[np.float32]:
            found = super().whole(device)
            found[100] = np.inf
            return found

    made, _ = read([fixed("clock_skew", 250_000)], series=Broken())
    assert np.flatnonzero(~np.isfinite(made[:, 0])).tolist() == [80]
    assert made[80, 0] == np.inf


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_dropouts_are_runs_of_the_mean_length(share: float) -> None:
    long = Walks(rows=200_000)
    made, _ = read([fixed("dropouts", share, length=20)], series=long)
    lost = np.isnan(made[:, 0])
    assert lost.mean() == pytest.approx(share, abs=0.05)
    runs = int((np.diff(lost.astype(int)) == 1).sum())
    # Runs without a pause between them are one; a pause of 0 has the chance 1 / (1 + mean).
    pause = 20 * (1 - share) / share
    assert lost.sum() / runs == pytest.approx(20 * (1 + 1 / pause), rel=0.15)
    assert not np.array_equal(lost, np.isnan(made[:, 1]))


@pytest.mark.parametrize("share", [1e-300, 1e-20, 1e-9])
def test_what_is_very_rare_does_not_happen(share: float) -> None:
    assert same(read([fixed("dropouts", share), fixed("stuck", share, length=1e9)]), read(()))


def test_together_means_all_channels_at_once() -> None:
    made, labels = read([fixed("dropouts", 0.3, together=True), fixed("gain", 0, 9, shape="uniform",
                                                                     together=True)])  # fmt: skip
    lost = np.isnan(made)
    assert lost.any()
    assert np.array_equal(lost[:, 0], lost[:, 1])
    assert np.array_equal(lost[:, 0], np.isnan(labels[:, 1]))
    ratio = made[~lost[:, 0]] / Walks().whole(3)[~lost[:, 0], :2]
    assert ratio == pytest.approx(np.full_like(ratio, ratio[0, 0]), rel=1e-5)


def test_a_stuck_spell_repeats_the_last_reading() -> None:
    plain, _ = read([fixed("noise", 0.5)])
    made, _ = read([fixed("noise", 0.5), fixed("stuck", 0.3, length=50)])
    stuck = made[:, 0] != plain[:, 0]
    assert stuck.mean() == pytest.approx(0.3, abs=0.08)
    assert not stuck[0]
    rows = np.flatnonzero(stuck)
    assert np.array_equal(made[rows, 0], made[rows - 1, 0])


def test_always_stuck_is_the_first_reading_for_ever() -> None:
    made, _ = read([fixed("stuck", 1, channels=("a",))])
    assert len(np.unique(made[:, 0])) == 1
    assert len(np.unique(made[:, 1])) > 1000


@pytest.mark.parametrize("cut", [1, 7, 4096, ROWS])
def test_pieces_change_no_bit(cut: int) -> None:
    rows = 1000 if cut == 1 else ROWS
    assert same(read(EVERYTHING, series=Walks(cut, rows)), read(EVERYTHING, series=Walks(99, rows)))


def test_any_row_may_be_the_first() -> None:
    whole = read(EVERYTHING)
    for start in (*range(1, 600, 7), 4095, 4096, 4097, 8191, len(whole[0]) - 1, ROWS, 10 * ROWS):
        assert same(read(EVERYTHING, start=start), (whole[0][start:], whole[1][start:])), start


def test_any_row_may_be_the_first_within_spells_that_follow_one_another() -> None:
    often = [fixed("stuck", 0.9, length=2), fixed("noise", 1)]
    short = Walks(rows=300)
    whole = read(often, series=short)
    for start in range(1, 100):
        made = read(often, start=start, series=short)
        assert same(made, (whole[0][start:], whole[1][start:])), start


def test_devices_do_not_know_of_each_other() -> None:
    made = Perturbed(Walks(), EVERYTHING, 4)
    alone = pickle.loads(pickle.dumps(made.only(range(7, 8))))
    assert made.drawn(7) == alone.drawn(7)
    assert made.drawn(7) != made.drawn(8)
    together = list(zip(made.pieces(8), made.pieces(7), strict=True))  # one after the other
    assert np.array_equal(
        np.concatenate([piece[0] for _, piece in together]), read(EVERYTHING, 7)[0], equal_nan=True
    )


def test_one_kind_does_not_change_another() -> None:
    everything = Perturbed(Walks(), EVERYTHING, 4).drawn(9)
    alone = Perturbed(Walks(), [one for one in EVERYTHING if one.kind == "dropouts"], 4).drawn(9)
    assert alone
    assert alone.items() <= everything.items()
    noisy = [fixed("noise", 1, channels=("b",))]
    assert np.array_equal(read(noisy)[0][:, 1], read([fixed("noise", 1)])[0][:, 1])


def test_rows_end_where_they_should() -> None:
    assert len(read((), rows=777)[0]) == 777
    assert len(read([fixed("start", ROWS - 5)])[0]) == 5
    assert len(read([fixed("start", ROWS + 5)])[0]) == 0


def test_clean_targets_are_read_at_the_same_time() -> None:
    clock = [fixed("clock_skew", 250_000)]
    hard = [*clock, fixed("gain", 9), fixed("noise", 1), fixed("dropouts", 0.5)]
    assert np.array_equal(read(hard, targets="clean")[1], read(clock)[1])
    classes = read(hard, targets="classes")[1]
    rows = np.floor(np.arange(len(classes)) * 1.25).astype(int)
    assert np.array_equal(classes, Walks().whole(3)[rows][:, [0, 2]])


def test_what_devices_drew_has_names_and_the_distribution_that_was_said() -> None:
    made = Perturbed(Walks(), EVERYTHING, 4)
    assert made.columns[:4] == ("gain[a]", "gain[b]", "gain[c]", "offset[a]")
    assert made.columns[-2:] == ("clock_skew", "start")
    assert tuple(made.drawn(0)) == made.columns
    gains = np.array([made.drawn(device)["gain[a]"] for device in range(50)])
    assert 0.5 <= gains.min() < 0.7
    assert 1.8 < gains.max() <= 2
    assert all(made.drawn(device)["start"].is_integer() for device in range(5))
    assert Perturbed(Walks(), [fixed("gain", 2, together=True)]).columns == ("gain",)
    two = Perturbed(Walks(), [fixed("gain", 2, together=True, channels=("a", "b"))])
    assert two.columns == ("gain[a, b]",)


@pytest.mark.parametrize(
    ("shape", "values", "low", "middle", "high"),
    [
        ("uniform", (2, 4), 2, 3, 4),
        ("log_uniform", (0.01, 100), 0.01, 1, 100),
        ("normal", (5, 0.5), 3, 5, 7),
        ("lognormal", (2, 0.5), 2 * np.exp(-2), 2, 2 * np.exp(2)),
        ("choice", (1, 5, 9), 1, 5, 9),
    ],
)
def test_distributions_stay_in_their_bounds(
    shape: Shape, values: tuple[float, ...], low: float, middle: float, high: float
) -> None:
    made = Distribution(shape, values)
    assert made.bounds == pytest.approx((low, high))
    drawn = made.draw(np.random.default_rng(0), 20_000)
    assert low <= drawn.min() <= drawn.max() <= high
    assert np.median(drawn) == pytest.approx(middle, rel=0.05)


def test_the_fingerprint_knows_everything_that_changes_samples() -> None:
    made = {
        Perturbed(Walks(), EVERYTHING, 4).fingerprint(),
        Perturbed(Walks(), EVERYTHING, 5).fingerprint(),
        Perturbed(Walks(), EVERYTHING, 4, 100).fingerprint(),
        Perturbed(Walks(), EVERYTHING[:2], 4, None, "clean").fingerprint(),
        Perturbed(Walks(), EVERYTHING[:2], 4).fingerprint(),
        Perturbed(Walks(), (fixed("gain", 0.5, 3, shape="uniform"), *EVERYTHING[1:]), 4)
        .fingerprint(),
    }  # fmt: skip
    assert len(made) == 6
    assert Perturbed(Walks(), EVERYTHING, 4).fingerprint() in made


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: fixed("noise", 0, 1, shape="normal"), "noise: normal .* from -4 to 4: expected"),
        (lambda: fixed("dropouts", 1.5), "dropouts: .* values from 0 to 1"),
        (lambda: fixed("gain", np.inf), "expected finite numbers"),
        (lambda: fixed("gain", 2, 1, shape="uniform"), r"uniform = \[2, 1\]: expected \[low, high"),
        (lambda: fixed("gain", 0, 1, shape="log_uniform"), "both above 0"),
        (lambda: fixed("stuck", 0.1, length=0.5), "length = 0.5"),
        (lambda: fixed("gain", 1, unit="sd"), "only offset and noise"),
        (lambda: fixed("start", 1, channels=("a",)), "same for all channels"),
        (lambda: read([fixed("gain", 1, channels=("d",))]), "there are a, b, c"),
        (lambda: read([fixed("gain", 1), fixed("gain", 2, channels=("b",))]), "'b' twice"),
        (lambda: read((), rows=0), "rows = 0"),
    ],
)
def test_what_cannot_be_is_refused(make: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()
