"""The Python learner: same bits by every route, causality, refusals that change nothing."""

from __future__ import annotations

import gc
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from settings import kinds, still

from nbt_embed import Config, Learner, NbtError, memory_of
from nbt_embed._kernel import ffi, lib
from nbt_embed.config import CHOICES, Cell, Estimator, Filter, Link
from nbt_embed.errors import (
    ConfigError,
    DivergenceWarning,
    InputError,
    InputTypeError,
    SequenceError,
)
from tools.learning.tasks import lorenz

COMBINATIONS = kinds("cell", "estimator", "filter", "link")


def stream(
    steps: int, n_in: int, n_out: int, link: str = "gaussian", seed: int = 3
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A seeded random walk with labels of the link, a tenth of them missing."""
    rng = np.random.default_rng(seed)
    X = np.cumsum(rng.normal(size=(steps, n_in)), axis=0).astype(np.float32)
    if link == "categorical":
        Y = rng.integers(0, n_out, steps).astype(np.float32)
    else:
        Y = np.tanh(X[:, :1] + rng.normal(size=(steps, n_out))).astype(np.float32)
        Y = (Y > 0).astype(np.float32) if link == "bernoulli" else Y
    Y[rng.random(Y.shape) < 0.1] = np.nan
    return X, Y


def loop(learner: Learner, X: Any, Y: Any, horizon: int) -> NDArray[np.float32]:
    """What ``run`` promises to equal."""
    rows = []
    for x, y in zip(X, Y, strict=True):
        if horizon and learner.pending == horizon:
            learner.learn(y)
        rows.append(learner.predict(x))
        if not horizon:
            learner.learn(y)
    return np.array(rows)


@pytest.mark.parametrize(("cell", "estimator", "filter_", "link"), COMBINATIONS)
@pytest.mark.parametrize("horizon", [0, 1, 3])
def test_run_has_the_bits_of_the_loop(
    cell: Cell, estimator: Estimator, filter_: Filter, link: Link, horizon: int
) -> None:
    config = Config(
        2,
        3,
        hidden=7,
        lags=2,
        max_delay=2,
        cell=cell,
        estimator=estimator,
        filter=filter_,
        link=link,
    )
    X, Y = stream(150, 2, 3, link)
    one, two, pieces = Learner(config), Learner(config), Learner(config)
    out = one.run(X, Y, horizon=horizon)
    expected = loop(two, X, Y, horizon)
    np.testing.assert_array_equal(out, expected)
    assert one.hash() == two.hash()
    parts = [
        pieces.run(X[a:b], Y[a:b], horizon=horizon) for a, b in [(0, 1), (1, 1), (1, 70), (70, 150)]
    ]
    np.testing.assert_array_equal(np.concatenate(parts), expected)
    assert pieces.hash() == one.hash()
    assert np.isfinite(out).all()


@pytest.mark.parametrize("horizon", [0, 1, 4])
@pytest.mark.parametrize("link", ["gaussian", "categorical", "bernoulli"])
def test_later_labels_change_no_earlier_prediction(horizon: int, link: Link) -> None:
    X, Y = stream(120, 2, 3, link)
    config = Config(2, 3, hidden=6, max_delay=3, link=link)
    before = Learner(config).run(X, Y, horizon=horizon)
    for t in (0, 1, 50, 118):
        changed = Y.copy()
        changed[t + 1 :] = 1 - np.nan_to_num(changed[t + 1 :]) if link == "bernoulli" else 0
        after = Learner(config).run(X, changed, horizon=horizon)
        np.testing.assert_array_equal(after[: t + 1], before[: t + 1])
        # With horizon 0 the label at t + 1 is learnt after row t + 1.
        if t == 50:
            assert not np.array_equal(after[t + 1 :], before[t + 1 :])


def test_same_seed_same_bits_other_seed_other_bits() -> None:
    X, Y = stream(100, 1, 1)
    runs = [Learner(1, 1, seed=seed).run(X, Y, horizon=1) for seed in (5, 5, 6)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


@pytest.mark.parametrize(
    ("estimator", "share"),
    [("nobacktrack", 0.8), ("snap1", 0.6), ("residual", 0.65), ("unitwise", 0.6)],
)
def test_learning_the_recurrent_weights_beats_its_frozen_twin(
    estimator: Estimator, share: float
) -> None:
    """A chaotic series, one step ahead, eight units: median over five seeds."""
    series = lorenz(5000, seed=0)
    errors: dict[str, float] = {}
    names: tuple[Estimator, Estimator] = ("frozen", estimator)
    for name in names:
        forecasts = [
            Learner(1, 1, hidden=8, cell="gated", estimator=name, seed=seed).run(
                series, series, horizon=1
            )
            for seed in range(5)
        ]
        errors[name] = float(
            np.median([np.square(f[2500:-1] - series[2501:]).mean() for f in forecasts])
        )
    assert errors[estimator] < share * errors["frozen"], errors


def test_scalars_lists_and_any_layout_are_accepted() -> None:
    X, Y = stream(40, 3, 1)
    expected = Learner(3, 1).run(X, Y, horizon=0)
    for inputs in (X.astype(np.float64), X.tolist(), np.asfortranarray(X), X[::1]):
        np.testing.assert_array_equal(Learner(3, 1).run(inputs, Y[:, 0], horizon=0), expected)
    learner = Learner(1, 1, hidden=1)
    assert learner.predict(1).shape == (1,)
    learner.learn(np.float64(0.25))
    assert learner.predict([1]).shape == (1,)
    learner.learn([2])


def test_size_one_and_an_empty_stream() -> None:
    learner = Learner(1, 1, hidden=1)
    before = learner.hash()
    assert learner.run(np.zeros((0, 1)), np.zeros((0, 1)), horizon=0).shape == (0, 1)
    assert learner.hash() == before
    assert np.isfinite(learner.run(np.ones((1, 1)), np.ones((1, 1)), horizon=0)).all()


BAD_CALLS: list[tuple[str, tuple[Any, ...], type[Exception], str]] = [
    ("predict", ([1.0],), InputError, r"x has shape \(1,\): expected \(2,\)"),
    ("predict", ([1.0, math.nan],), InputError, r"x\[1\] is nan.*hold_missing"),
    ("predict", ([1.0, math.inf],), InputError, r"x\[1\] is inf"),
    ("predict", ([1.0, 1e300],), InputError, r"x\[1\] is inf"),
    ("predict", ([1.0, 3e38],), InputError, r"expected a value from -1e\+18"),
    ("predict", (["a", "b"],), InputTypeError, "dtype"),
    ("predict", ([1j, 2j],), InputTypeError, "complex"),
    ("predict", (None,), InputTypeError, "dtype object"),
    ("learn", ([0.0, 0.0],), InputError, r"y has shape \(2,\): expected \(1,\)"),
    ("learn", ([math.inf],), InputError, r"y\[0\] is inf"),
    ("learn", ([3e38],), InputError, r"expected a value from -1e\+18"),
    ("run", (np.zeros((5, 3)), np.zeros((5, 1)), 0), InputError, r"X has shape \(5, 3\)"),
    ("run", (np.zeros((5, 2)), np.zeros((4, 1)), 0), InputError, "Y has 4 rows and X has 5"),
    ("run", (np.zeros((5, 2)), np.zeros((5, 1)), 2), InputError, "max_delay >= 1"),
    ("run", (np.zeros((5, 2)), np.zeros((5, 1)), -1), InputError, "horizon = -1"),
    ("run", (np.zeros((5, 2)), np.zeros((5, 1)), 1.0), InputTypeError, "horizon = 1.0: .* integer"),
    ("run", ([[1, 2], [3]], [0, 0], 1), InputError, "X: .*inhomogeneous"),
    ("run", (np.zeros((5, 2)), np.zeros((5, 1)), 0), SequenceError, "1 forecasts wait"),
]


@pytest.mark.parametrize(("call", "arguments", "error", "message"), BAD_CALLS)
def test_a_refused_call_changes_nothing(
    call: str, arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    learner = Learner(2, 1)
    X, Y = stream(30, 2, 1)
    learner.run(X, Y, horizon=1)
    if call == "predict":
        learner.learn(math.nan)
    before, counters = learner.hash(), learner.counters
    named = {}
    if call == "run":
        *arguments, named["horizon"] = arguments  # type: ignore[assignment]
    with pytest.raises(error, match=message) as caught:
        getattr(learner, call)(*arguments, **named)
    assert isinstance(caught.value, NbtError)
    assert learner.hash() == before
    assert learner.counters == counters


def test_out_of_turn_calls_say_what_to_do() -> None:
    learner = Learner(1, 1, max_delay=1)
    with pytest.raises(SequenceError, match="predict first"):
        learner.learn(0.0)
    learner.predict(0.0)
    learner.predict(0.0)
    before = learner.hash()
    with pytest.raises(SequenceError, match="max_delay = 1"):
        learner.predict(0.0)
    assert learner.hash() == before
    learner.reset_state()
    assert learner.pending == 0


@pytest.mark.parametrize(
    ("link", "label", "message"),
    [
        ("categorical", 3, r"class index in 0\.\.2"),
        ("categorical", -1, "class index"),
        ("categorical", 1.5, "class index"),
        ("bernoulli", [0, 2, 0], r"\[0, 1\]"),
    ],
)
def test_labels_outside_the_link_are_refused(link: Link, label: Any, message: str) -> None:
    learner = Learner(1, 3, link=link)
    learner.predict(0.0)
    before = learner.hash()
    with pytest.raises(InputError, match=message):
        learner.learn(label)
    assert learner.hash() == before
    learner.learn(2 if link == "categorical" else [0, 1, 0.5])
    with pytest.raises(ConfigError, match="gaussian"):
        learner.variance()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cell": "gru"}, r"cell = 'gru': expected one of 'tanh'"),
        ({"hidden": 4097}, "hidden = 4097: expected a value from 0 to 4096"),
        ({"hidden": -1}, "hidden = -1"),
        ({"hidden": 2.5}, "hidden = 2.5"),
        ({"decay": 1.5}, "decay = 1.5: expected a value from 0 to 1"),
        ({"decay": math.nan}, "decay = nan"),
        ({"info_rate": 0.0}, "info_rate = 0.0"),
        ({"tau_max": 1.1}, "tau_max = 1.1: expected a value from 1.6"),
        ({"seed": 2**64}, "seed"),
        ({"max_delay": 2**21}, "max_delay"),
        ({"hiden": 3}, "unknown setting 'hiden': did you mean 'hidden'. expected one of n_in, "),
        ({"hidden_size": 3}, "'hidden_size': did you mean 'hidden'"),
        ({"Cell": "lstm"}, "'Cell': did you mean 'cell'"),
        ({"colour": 3}, "unknown setting 'colour': expected one of"),
        ({"link": "Categorial"}, "link = 'Categorial': did you mean 'categorical'. expected one"),
        ({"hidden": 10**400}, r"hidden = 10{76}\.\.\.: expected a value"),
        ({"hidden": 10**5000}, "hidden = <int that cannot be printed>: expected a value"),
        ({"seed": -(10**5000)}, "seed = <int that cannot be printed>"),
        ({"rate": 10**5000}, "rate = <int that cannot be printed>: expected a number"),
        ({"cell": "g" * 5000}, r"cell = 'g{76}\.\.\.: did you|cell = 'g{76}\.\.\.: expected"),
        (
            {"cell": "lstm", "estimator": "residual"},
            "one of 'frozen', 'nobacktrack', 'rtrl' with cell = 'lstm'",
        ),
        (
            {"cell": "columnar", "estimator": "unitwise"},
            "^estimator = 'unitwise': expected one of 'frozen', 'snap1' with cell = 'columnar' and "
            "hidden = 16; or leave it out$",
        ),
        (  # refused whatever its size: nothing is said of fewer units
            {"cell": "resonator", "estimator": "rtrl", "filter": "kalman_quasi"},
            "^estimator = 'rtrl': expected one of 'frozen', 'snap1' with cell = 'resonator' and "
            "hidden = 16; or leave it out$",
        ),
        (
            {"cell": "columnar", "filter": "kalman_quasi"},
            "^filter = 'kalman_quasi': expected one of 'sgd', 'kalman' with cell = 'columnar'",
        ),
        ({"hidden": 0, "cell": "columnar", "estimator": "snap1"}, "'snap1': expected one of 'fro"),
        ({"head": -1}, "^head = -1: expected a value from 0 to 4096$"),
        ({"head": 8.5}, r"^head = 8\.5: expected an integer$"),
        (
            {"head": 0, "head_gain": 1},
            r"^head_gain = 1\.0: needs head above 0, and head = 0; change that, or leave head_gain",
        ),
        ({"head": 8, "head_gain": 101}, r"^head_gain = 101\.0: expected a value from 0 to 100$"),
        (
            {"cell": "gated", "resonators": 2},
            '^resonators = 2: needs cell="columnar" or "resonator", and cell = \'gated\'; change',
        ),
        (
            {"cell": "columnar", "resonators": 17},
            "^resonators = 17: expected a value from 0 to 16 with cell = 'columnar' and hidden = ",
        ),
        (
            {"cell": "resonator", "resonators": 3},
            "^resonators = 3: expected 16 with cell = 'resonator' and hidden = 16; or leave it",
        ),
        ({"hidden": 128, "estimator": "rtrl"}, "hidden = 128: .* 1 to 127; rtrl .* fewer units or"),
        ({"lags": 1024, "estimator": "rtrl", "hidden": 46}, r"hidden = 46: .* from 1 to 44; rtrl"),
    ],
)
def test_a_bad_setting_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Learner(1, 1, **settings)


def test_other_names_and_numbers_in_a_message_are_short_too() -> None:
    learner = Learner(1, 1)
    with pytest.raises(ConfigError, match=r"array 'tetha': did you mean 'theta'. expected one of"):
        learner.array("tetha")
    for horizon in (10**5000, -(10**5000)):
        with pytest.raises(InputError, match="horizon = <int that cannot be printed>: max_delay"):
            learner.run([1.0], [1.0], horizon=horizon)


@pytest.mark.parametrize("n_in", [1, 13, 14, 68, 20000])
@pytest.mark.parametrize("link", CHOICES["link"])
def test_defaults_are_the_kernels(link: Link, n_in: int) -> None:
    kernel = lib.nbt_config_default(n_in, 3, 16, CHOICES["link"].index(link))
    config = Config(n_in, 3, link=link)
    for name, _ in ffi.typeof("nbt_config").fields:
        value = getattr(config, "hidden" if name == "n_hidden" else name)
        value = CHOICES[name].index(value) if name in CHOICES else value
        assert np.float32(value) == np.float32(getattr(kernel, name)), name


def test_a_huge_first_sample_is_refused_and_does_no_harm() -> None:
    learner = Learner(1, 1)
    with pytest.raises(InputError):
        learner.predict(1e20)
    learner.predict(1.0)
    with pytest.raises(InputError):
        learner.learn(-3e38)
    learner.learn(1.0)


def test_rtrl_is_refused_where_no_number_of_units_would_do() -> None:
    with pytest.raises(ConfigError, match=r"estimator = 'rtrl': .* 'unitwise'; rtrl keeps"):
        Learner(5000, 1, lags=1000, hidden=1, estimator="rtrl")


def test_the_exact_derivative_can_be_seen() -> None:
    learner = Learner(2, 1, hidden=3, lags=1, cell="lstm", estimator="rtrl")
    X, Y = stream(20, 2, 1)
    learner.run(X, Y, horizon=0)
    assert learner.array("rtrl").shape == (6, 12 * 6)
    assert learner.array("rtrl").any()
    learner.reset_state()
    assert not learner.array("rtrl").any()


def test_the_coupling_with_the_bias_can_be_seen() -> None:
    learner = Learner(2, 1, hidden=3, lags=1, filter="kalman_quasi")
    X, Y = stream(50, 2, 1)
    learner.run(X, Y, horizon=0)
    coupling = learner.array("coupling")
    assert coupling.shape == learner.array("covariance").shape == (6, 6)
    assert coupling[:, :-1].all()
    assert not coupling[:, -1].any()
    assert learner.array("covariance").min() > 0
    plain = memory_of(Config(2, 1, hidden=3, lags=1, cell="gated")).total
    assert learner.memory.total == plain + 4 * coupling.size
    assert "coupling" not in Learner(2, 1, filter="kalman_quasi", estimator="frozen").arrays


def test_config_and_fields_do_not_mix() -> None:
    with pytest.raises(ConfigError, match="not both"):
        Learner(Config(1, 1), hidden=3)  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="n_out is missing"):
        Learner(1)  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="from 2 to"):
        Learner(1, 1, link="categorical")


def test_held_inputs_repeat_the_last_value() -> None:
    X, Y = stream(60, 2, 1)
    X[20:25, 0] = np.nan
    filled = X.copy()
    filled[20:25, 0] = X[19, 0]
    settings = still(hold_missing=True, scale_steps=10)
    held = Learner(2, 1, **settings).run(X, Y, horizon=0)
    np.testing.assert_array_equal(held, Learner(2, 1, **settings).run(filled, Y, horizon=0))
    first = Learner(2, 1, **settings)
    assert np.isfinite(first.predict([math.nan, math.nan])).all()


def test_missing_labels_learn_nothing_but_the_state_advances() -> None:
    learner = Learner(1, 2)
    X, Y = stream(50, 1, 2)
    learner.run(X, Y, horizon=0)
    names = ("theta", "readout", "covariance", "readout_covariance", "noise")
    before = {name: learner.array(name) for name in names}
    state = learner.array("learning_state")
    learner.run(X[:5], np.full((5, 2), np.nan), horizon=0)
    for name, array in before.items():
        np.testing.assert_array_equal(learner.array(name), array)
    assert not np.array_equal(learner.array("learning_state"), state)
    learner.predict(1.0)
    learner.learn([1.0, math.nan])
    readout = learner.array("readout")
    assert np.array_equal(readout[1], before["readout"][1])
    assert not np.array_equal(readout[0], before["readout"][0])


@pytest.mark.parametrize("estimator", ["unitwise", "snap1"])
def test_reset_state_keeps_what_was_learnt(estimator: Estimator) -> None:
    learner = Learner(1, 1, estimator=estimator)
    X, Y = stream(50, 1, 1)
    learner.run(X, Y, horizon=1)
    theta, readout = learner.array("theta"), learner.array("readout")
    learner.reset_state()
    np.testing.assert_array_equal(learner.array("theta"), theta)
    np.testing.assert_array_equal(learner.array("readout"), readout)
    assert not learner.array("state").any()
    for name in {"w", "traces", "angle_traces"} & set(learner.arrays):
        assert not learner.array(name).any()


def test_arrays_are_read_only_and_outlive_the_learner() -> None:
    learner = Learner(3, 2, hidden=5, lags=1, cell="lstm")
    assert set(learner.arrays) >= {"theta", "readout", "w", "v", "covariance", "noise"}
    shapes = {name: learner.array(name).shape for name in learner.arrays}
    assert shapes["theta"] == shapes["w"] == shapes["covariance"] == (20, 9)
    assert shapes["readout"] == (2, 9)
    assert shapes["v"] == shapes["state"] == (10,)
    assert shapes["readout_covariance"] == (9, 9)
    theta = learner.array("theta")
    copy = theta.copy()
    with pytest.raises(ValueError, match="read-only"):
        theta[0, 0] = 1
    del learner
    gc.collect()
    np.testing.assert_array_equal(theta, copy)
    frozen = Learner(3, 2, estimator="frozen", filter="sgd", link="bernoulli")
    with pytest.raises(ConfigError, match="array 'w': expected one of theta, readout"):
        frozen.array("w")


def test_sixteen_gated_units_fit_in_ten_kibibytes() -> None:
    config = Config(3, 1, hidden=16, estimator="nobacktrack", **still())
    memory = memory_of(config)
    assert memory == Learner(config).memory
    assert memory.total <= 10 * 1024


@pytest.mark.parametrize(("cell", "estimator", "filter_", "link"), COMBINATIONS)
def test_absurd_streams_leave_finite_parameters(
    cell: Cell, estimator: Estimator, filter_: Filter, link: Link
) -> None:
    """Steps, spikes and constants of every size that is accepted; parameters stay finite."""
    learner = Learner(
        2,
        2,
        hidden=4,
        cell=cell,
        estimator=estimator,
        filter=filter_,
        link=link,
        scale_steps=0,
        info_floor=1e-6,
        info_rate=0.5,
        rate=100.0,
        sgd_rate=100.0,
        recurrent_gain=100.0,
        input_gain=100.0,
    )
    rng = np.random.default_rng(2)
    X = (10.0 ** rng.integers(-30, 6, size=(3000, 2))) * rng.choice([-1, 1], size=(3000, 2))
    Y = np.roll(X, 1, axis=0)
    if link != "gaussian":
        Y = rng.integers(0, 2, size=(3000, 2) if link == "bernoulli" else (3000, 1))
    out = None
    try:
        out = learner.run(X, Y, horizon=0)
    except DivergenceWarning:
        assert learner.counters.skipped > 0
    for name in learner.arrays:
        assert np.isfinite(learner.array(name)).all(), name
    assert out is None or np.isfinite(out).all()
