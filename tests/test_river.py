"""The estimators for river: its own checks, and what a stream can bring."""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import math
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from nbt_embed import Learner
from nbt_embed.errors import CapacityWarning, ConfigError, InputError, InputTypeError

pytest.importorskip("river", reason="pip install 'nbt-embed[river]'")
pytest.importorskip("sklearn", reason="river's checks use its data sets")
from river import (
    compose,
    datasets,
    drift,
    ensemble,
    evaluate,
    metrics,
    preprocessing,
    stream,
    time_series,
)
from river.checks import yield_checks

from nbt_embed.river import NbtClassifier, NbtForecaster, NbtRegressor

Rows = list[tuple[dict[Any, Any], Any]]
KINDS = (NbtRegressor, NbtClassifier, NbtForecaster)


def river_checks() -> Iterator[Any]:
    for kind in KINDS:
        counts: dict[str, int] = {}
        for parameters in kind._unit_test_params():
            model = kind(**parameters)
            for check in yield_checks(model):
                name = f"{kind.__name__}-{check.__name__}"
                counts[name] = counts.get(name, 0) + 1
                yield pytest.param(model, check, id=f"{name}-{counts[name]}")


@pytest.mark.parametrize(("model", "check"), list(river_checks()))
def test_river_checks(model: Any, check: Callable[[Any], None]) -> None:
    assert not model._unit_test_skips()
    check(model.clone())


@pytest.mark.parametrize(("data", "least"), [("Phishing", 0.90), ("ImageSegments", 0.87)])
def test_accuracy_without_settings(data: str, least: float) -> None:
    rows = getattr(datasets, data)()
    assert evaluate.progressive_val_score(rows, NbtClassifier(), metrics.Accuracy()).get() >= least


def numbers(rows: int, seed: int = 0) -> Rows:
    """Targets that follow from two features and from the row before."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows + 1, 2)).tolist()
    return [
        ({"a": 20 + b, "b": 1e5 + 80 * c}, 3 * b - abs(c) + before)
        for (before, _), (b, c) in itertools.pairwise(values)
    ]


def classes(rows: int, seed: int = 0) -> Rows:
    return [(x, "high" if y > 0 else "low") for x, y in numbers(rows, seed)]


def learnt(model: Any, rows: Rows) -> Any:
    for x, y in rows:
        model.learn_one(x, y)
    return model


def test_a_regressor_is_the_loop_over_a_learner() -> None:
    model = NbtRegressor(hidden=5, head=7, lags=2, seed=3, settings={"forget": 0.999})
    learner: Learner | None = None
    for x, y in numbers(300):
        forecast = model.predict_one(x)
        model.learn_one(x, y)
        if learner is None:
            assert forecast == 0.0
            learner = Learner(model._config(2, 1))
            assert (learner.config.hidden, learner.config.head, learner.config.lags) == (5, 7, 2)
            assert (learner.config.seed, learner.config.forget) == (3, 0.999)
            learner.predict([x["a"], x["b"]])
        else:
            assert forecast == learner.predict([x["a"], x["b"]])[0]
        learner.learn(y)
    assert learner is not None
    assert model._learner is not None
    assert model._learner.hash() == learner.hash()


def test_a_classifier_is_the_loop_over_a_learner() -> None:
    model = NbtClassifier()
    rows = [({"a": 1.0, "b": 2.0}, "low"), *classes(300)]
    learner = Learner(model._config(2, 2))
    for x, y in rows:
        probabilities = model.predict_proba_one(x)
        model.learn_one(x, y)
        expected = learner.predict([x["a"], x["b"]])
        learner.learn(["low", "high"].index(y))
        if len(probabilities) == 2:
            assert probabilities == pytest.approx(dict(zip(["low", "high"], expected, strict=True)))
    assert model._learner is not None
    assert model._learner.hash() == learner.hash()


def test_the_order_of_features_does_not_matter() -> None:
    rows = numbers(100)
    turned = [(dict(reversed(x.items())), y) for x, y in rows]
    assert pickle.dumps(learnt(NbtRegressor(), rows)) == pickle.dumps(
        learnt(NbtRegressor(), turned)
    )


@pytest.mark.parametrize("make", [NbtRegressor, NbtClassifier])
def test_asking_changes_nothing(make: Any) -> None:
    rows = numbers(50) if make is NbtRegressor else classes(50)
    quiet, asked = make(), make()
    for x, y in rows:
        for question in (x, {**x, "new": 4.0}, {"a": 3}, {}, {"a": "text", "b": None}):
            asked.predict_one(question)
        quiet.learn_one(x, y)
        asked.learn_one(x, y)
    assert pickle.dumps(quiet) == pickle.dumps(asked)


@pytest.mark.parametrize("delay", [1, 7, dt.timedelta(seconds=11)], ids=str)
@pytest.mark.parametrize("make", [NbtRegressor, NbtClassifier])
def test_late_labels_are_those_of_a_loop(make: Any, delay: Any) -> None:
    """The state stands at the last row whose label came; nothing later is known."""
    rows = numbers(200) if make is NbtRegressor else classes(200)
    start = dt.datetime(2026, 1, 1)
    timed = [({**x, "at": start + dt.timedelta(seconds=3 * i)}, y) for i, (x, y) in enumerate(rows)]
    late = delay if isinstance(delay, int) else 4  # rows
    moment = None if isinstance(delay, int) else "at"
    steps = evaluate.iter_progressive_val_score(
        timed,
        make(),
        metrics.MAE() if make is NbtRegressor else metrics.Accuracy(),
        moment=moment,
        delay=delay,
        yield_predictions=True,
    )
    model, expected = make(), []
    for i, (x, _) in enumerate(rows):
        if i >= late:
            model.learn_one(*rows[i - late])
        expected.append(model.predict_one(x))
    assert [step["Prediction"] for step in steps] == expected


def test_a_pipeline_of_late_labels_learns() -> None:
    model = preprocessing.StandardScaler() | NbtClassifier()
    score = evaluate.progressive_val_score(
        datasets.Phishing().take(600), model, metrics.Accuracy(), delay=20
    )
    assert score.get() > 0.85


def test_new_features_leave_what_was_learnt() -> None:
    rows = numbers(1500)
    model = learnt(NbtRegressor(), rows[:1000])
    before = model._learner.hash()
    x, y = rows[1000]
    plain, wide = copy.deepcopy(model), model
    plain.learn_one(x, y)
    wide.learn_one({**x, "new": 0.0}, y)
    assert plain._learner.hash() != before
    assert wide._learner.config.n_in == 3
    for x, y in rows[1001:]:
        expected = plain.predict_one(x)
        assert wide.predict_one({**x, "new": 0.0}) == pytest.approx(expected, rel=1e-4, abs=1e-4)
        plain.learn_one(x, y)
        wide.learn_one({**x, "new": 0.0}, y)


def test_a_sensor_that_fails_holds_and_a_word_that_is_absent_is_0() -> None:
    model = NbtRegressor()
    for row in range(20):
        x: dict[str, Any] = {"sensor": 20.0 + row % 3, "steady": 1.0}
        if row % 5 == 1:
            x["word"] = 1.0
        model.learn_one(x, 1.0)
    features = model._features
    assert np.isnan(features.row({})[[0, 1]]).all()  # the learner repeats the last value
    assert features.row({"steady": 1.0}).tolist()[1:] == [1.0, 0.0]
    assert features.row({"sensor": None, "word": float("nan")}).tolist()[2:] != [0.0]
    for _ in range(25):  # longer away than it was there
        model.learn_one({"steady": 1.0}, 1.0)
    assert features.row({"steady": 1.0}).tolist() == [0.0, 1.0, 0.0]


def test_what_values_may_be() -> None:
    values = [3, 3.0, np.float32(3), np.int8(3), Decimal(3), Fraction(3), np.array(3.0)]
    plain = learnt(NbtRegressor(), [({"v": 3.0}, 1.0)] * len(values))
    mixed = learnt(NbtRegressor(), [({"v": value}, 1.0) for value in values])
    assert pickle.dumps(mixed) == pickle.dumps(plain)
    flags = [({"v": flag}, 1.0) for flag in (True, np.bool_(False), 1)]
    assert pickle.dumps(learnt(NbtRegressor(), flags)) == pickle.dumps(
        learnt(NbtRegressor(), [({"v": flag}, 1.0) for flag in (1, 0, 1)])
    )


def test_strings_are_one_hot_and_dates_are_no_features() -> None:
    model = NbtClassifier()
    colours = ["red", "green", "red", "blue", np.str_("red"), None, "green"]
    for i, colour in enumerate(colours * 40):
        x = {"colour": colour, "when": dt.datetime(2026, 1, 1), "day": np.datetime64("2026-01-01")}
        model.learn_one({**x, "n": i % 2}, colour == "red")
    assert len(model._features) == 4
    assert model.predict_one({"colour": "red", "n": 0}) is True
    assert model.predict_one({"colour": "green", "n": 0}) is False
    assert model.predict_one({"colour": "never seen", "n": 0}) is False


def test_names_may_be_anything() -> None:
    rows: Rows = [
        ({True: 0.5, "1": 2.0, (1,): 3.0, None: 1.0, "": i % 3}, float(i % 3)) for i in range(50)
    ]
    model = learnt(NbtRegressor(), rows)
    assert model._learner.config.n_in == 5
    assert model.predict_one({1: 0.5}) == model.predict_one({True: 0.5})  # equal keys, as in a dict


class Foreign:
    """A value of another library, which raises what it likes."""

    def __ne__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = object.__hash__

    def __float__(self) -> float:
        raise RuntimeError

    def __repr__(self) -> str:
        return "a foreign value"


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (math.inf, InputError, "feature 'b' is inf"),
        (-1e30, InputError, "feature 'b' is -1e.30"),
        (10**400, InputError, "feature 'b' is"),
        ([1, 2], InputTypeError, r"feature 'b' is \[1, 2\]: expected a number, a string"),
        (1j, InputTypeError, "feature 'b' is 1j"),
        (np.complex64(1), InputTypeError, "feature 'b' is np.complex64"),
        (np.array(1 + 2j), InputTypeError, "feature 'b' is array"),
        (b"raw", InputTypeError, "feature 'b' is b'raw'"),
        (bytearray(b"1"), InputTypeError, "feature 'b' is bytearray"),
        (memoryview(b"1"), InputTypeError, "feature 'b' is <memory"),
        (np.void(b"1"), InputTypeError, "feature 'b' is np.void"),
        (np.array("1.5"), InputTypeError, "feature 'b' is array"),
        (Foreign(), InputTypeError, "feature 'b' is a foreign value"),
        (np.zeros(3), InputTypeError, "feature 'b' is array"),
        (Decimal("sNaN"), InputTypeError, "feature 'b' is Decimal"),
    ],
)
@pytest.mark.parametrize("make", KINDS)
def test_a_bad_value_is_named_and_nothing_is_lost(
    make: Any, value: Any, error: type[Exception], words: str
) -> None:
    model = make()
    if make is NbtForecaster:
        for x, y in numbers(5):
            model.learn_one(y, x)
    else:
        learnt(model, numbers(5))
    before = pickle.dumps(model)
    bad = {"a": 20.0, "b": value, "new": 3.0}
    calls: list[tuple[Any, Any]] = [
        (model.learn_one, (1.0, bad) if make is NbtForecaster else (bad, 1.0))
    ]
    calls.append(
        (model.forecast, (1, [bad])) if make is NbtForecaster else (model.predict_one, (bad,))
    )
    for call, arguments in calls:
        with pytest.raises(error, match=words):
            call(*arguments)
        assert pickle.dumps(model) == before


def test_bad_labels_and_rows_are_named() -> None:
    model = learnt(NbtRegressor(), numbers(5))
    before = pickle.dumps(model)
    for label, error in (("3", InputTypeError), (math.inf, InputError), ([1], InputTypeError)):
        with pytest.raises(error, match="y is"):
            model.learn_one({"a": 1.0, "new": 1.0}, label)
    with pytest.raises(InputTypeError, match="x is list: expected a dict"):
        model.learn_one([1.0], 1.0)
    assert pickle.dumps(model) == before
    sorter = NbtClassifier()
    before = pickle.dumps(sorter)
    for unhashable in (["a"], (1, ["a"]), np.zeros(2), {"a": 1}):
        with pytest.raises(InputTypeError, match=r"y is .*: expected a label"):
            sorter.learn_one({"a": 1.0}, unhashable)
    assert pickle.dumps(sorter) == before


@pytest.mark.parametrize("make", [NbtRegressor, NbtClassifier])
def test_a_missing_label_moves_the_state_alone(make: Any) -> None:
    import pandas as pd

    rows = numbers(50) if make is NbtRegressor else classes(50)
    model = learnt(make(), rows)
    readout, state = model._learner.array("readout"), model._learner.array("state")
    before = model._learner.counters.missing
    for label in (None, math.nan, np.float32("nan"), pd.NA, Decimal("nan")):
        model.learn_one(rows[0][0], label)
    assert np.array_equal(model._learner.array("readout"), readout)
    assert not np.array_equal(model._learner.array("state"), state)
    assert model._learner.counters.missing == before + 5
    if make is NbtClassifier:
        assert set(model.predict_proba_one(rows[0][0])) == {"high", "low"}


def test_classes_appear() -> None:
    model = NbtClassifier()
    assert model.predict_proba_one({"a": 1.0}) == {}
    assert model.predict_one({"a": 1.0}) is None
    model.learn_one({"a": 1.0}, "only")
    assert model.predict_proba_one({"a": 1.0}) == {"only": 1.0}
    labels: list[Any] = ["only", 7, None, (1, 2), True, "other"]
    rng = np.random.default_rng(0)
    for _ in range(600):
        at = int(rng.integers(0, len(labels)))
        model.learn_one({"a": float(at), "b": float(at % 2)}, labels[at])
    found = [model.predict_one({"a": float(at), "b": float(at % 2)}) for at in (0, 1, 3, 4, 5)]
    assert found == ["only", 7, (1, 2), True, "other"]
    assert model._learner is not None
    assert model._learner.config.n_out == 5


def test_a_hundred_classes() -> None:
    model = NbtClassifier()
    rng = np.random.default_rng(0)
    hits = 0
    for row in range(3000):
        at = int(rng.integers(0, 100))
        x: dict[Any, int] = {f"bit {i}": at >> i & 1 for i in range(7)}
        hits += row >= 2000 and model.predict_one(x) == at
        model.learn_one(x, at)
    probabilities = model.predict_proba_one(x)
    assert len(probabilities) == 100
    assert sum(probabilities.values()) == pytest.approx(1)
    assert hits > 800


def test_what_is_beyond_the_limits_is_left_out() -> None:
    model = NbtClassifier(max_features=2, max_classes=2)
    with pytest.warns(CapacityWarning, match="feature 'c' is ignored.*max_features = 2"):
        model.learn_one({"a": 1.0, "b": 2.0, "c": 3.0}, "x")
    model.learn_one({"a": 2.0, "b": 1.0, "d": 3.0, "e": "text"}, "y")  # warned once
    with pytest.warns(CapacityWarning, match="label 'z' is ignored.*max_classes = 2"):
        model.learn_one({"a": 1.0, "b": 2.0}, "z")
    model.learn_one({"a": 1.0, "b": 2.0}, "w")
    assert list(model.predict_proba_one({"a": 1.0})) == ["x", "y"]
    assert model._learner is not None
    assert (model._learner.config.n_in, model._learner.config.n_out) == (2, 2)
    assert model._learner.counters.missing == 2


def test_what_is_masked_is_missing() -> None:
    masks: list[Any] = [np.ma.masked, np.ma.array(7.0, mask=True)]
    for masked in masks:
        for make in (NbtRegressor, NbtClassifier):
            model, missing = (learnt(make(), numbers(5)) for _ in range(2))
            for one, value in ((model, masked), (missing, None)):
                one.learn_one({"a": value, "b": 1.0}, 1.0)
                one.learn_one({"a": 1.0, "b": 1.0}, value)
            assert pickle.dumps(model) == pickle.dumps(missing)


@pytest.mark.parametrize("make", KINDS)
def test_a_warning_that_is_an_error_comes_before_anything_has_changed(make: Any) -> None:
    # pytest makes errors of warnings (pyproject.toml).
    def learn(model: Any, x: Any, y: Any) -> None:
        model.learn_one(y, x) if make is NbtForecaster else model.learn_one(x, y)

    def ask(model: Any) -> Any:
        x = {"a": 1.0}
        return model.forecast(1, [x]) if make is NbtForecaster else model.predict_one(x)

    model, other = make(max_features=2), make(max_features=2)
    learn(model, {"a": 1.0}, 1.0)
    learn(model, {"a": 2.0}, 0.0)
    before = ask(model)
    crowd = {"a": 0.0, "b": 2.0, "c": 3.0}
    with pytest.raises(CapacityWarning, match="feature 'c'"):
        learn(model, crowd, 1.0)
    assert ask(model) == before
    learn(model, crowd, 1.0)  # warned once
    for x, y in (({"a": 1.0}, 1.0), ({"a": 2.0}, 0.0)):
        learn(other, x, y)
    with pytest.warns(CapacityWarning, match="feature 'c'"):
        learn(other, crowd, 1.0)
    assert pickle.dumps(model) == pickle.dumps(other)


def test_a_class_too_many_is_said_before_its_row_is_counted() -> None:
    model, other = (learnt(NbtClassifier(max_classes=2), [({"a": 1.0}, "x")]) for _ in range(2))
    learnt(model, [({"a": 1.0}, "y")])
    learnt(other, [({"a": 1.0}, "y")])
    with pytest.raises(CapacityWarning, match="label 'z'"):
        model.learn_one({"a": 2.0, "b": 1.0}, "z")
    other._full = True
    assert pickle.dumps(model) == pickle.dumps(other)


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("where", ["_ready", "predict", "learn"])
def test_an_interrupt_leaves_a_model_that_goes_on(
    make: Any, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    rows: Rows = [({"a": 1.0, "b": 0.5}, 1.0), ({"a": 2.0, "b": 1.0}, 0.0)]
    grown: Rows = [({"a": 1.0, "b": 2.0, "new": 3.0}, 2.0)]

    def learn(x: Any, y: Any) -> None:
        model.learn_one(*((y, x) if make is NbtForecaster else (x, y)))

    model = make()
    for x, y in rows * 3:
        learn(x, y)
    with monkeypatch.context() as patch:
        patch.setattr(make if where == "_ready" else Learner, where, interrupted)
        with pytest.raises(KeyboardInterrupt):
            learn(*grown[0])
    asked = model.forecast(2) if make is NbtForecaster else model.predict_one(grown[0][0])
    assert asked is not None
    for x, y in grown + rows:
        learn(x, y)
    assert model._learner.pending == 0


@pytest.mark.filterwarnings("ignore::nbt_embed.errors.CapacityWarning")
def test_memory_is_flat_whatever_the_keys() -> None:
    model = NbtRegressor(hidden=2, head=2, max_features=8)
    sizes = []
    for row in range(3000):
        x = {f"key {(row * 7 + i) % 5000}": float(i) for i in range(3)}
        model.learn_one(x, float(row % 5))
        if row in (500, 2999):
            sizes.append(model._raw_memory_usage)
    assert sizes[0] == sizes[1]
    assert model._learner is not None
    assert sizes[0] < 4 * model._learner.memory.total
    if hasattr(evaluate, "evaluate"):  # before 0.26 river does not look into slots
        assert sizes[0] > model._learner.memory.total


@pytest.mark.parametrize("make", [NbtRegressor, NbtClassifier])
def test_a_pickle_goes_on_with_the_same_bits(make: Any) -> None:
    rows = numbers(200) if make is NbtRegressor else classes(200)
    whole = learnt(make(), rows)
    half = pickle.loads(pickle.dumps(learnt(make(), rows[:100])))
    assert pickle.dumps(learnt(half, rows[100:])) == pickle.dumps(whole)
    twin = copy.deepcopy(whole)
    before = pickle.dumps(twin)
    learnt(whole, rows)
    assert pickle.dumps(twin) == before


def test_clones_are_fresh_and_may_have_other_parameters() -> None:
    model = learnt(NbtRegressor(hidden=3, settings={"forget": 0.99}), numbers(20))
    fresh = model.clone()
    assert fresh._learner is None
    assert (fresh.hidden, fresh.settings) == (3, {"forget": 0.99})
    assert fresh.settings is not model.settings
    assert model.clone({"hidden": 4}).hidden == 4
    taught = model.clone(include_attributes=True)
    assert pickle.dumps(taught) == pickle.dumps(model)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"settings": {"forgett": 1}}, "'forgett' is unknown: did you mean 'forget'"),
        ({"settings": {"link": "gaussian"}}, "'link' is decided by the estimator"),
        ({"settings": {"hidden": 3}}, "hidden = 3 is a parameter of NbtRegressor"),
        ({"hidden": "many"}, "hidden = 'many'"),
        ({"max_features": 0}, "max_features = 0: expected an integer from 1 on"),
        ({"max_features": 100_000}, "n_in = 100000"),
        ({"hidden": -1}, "hidden = -1"),
    ],
)
def test_bad_parameters_are_named(parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        NbtRegressor(**parameters)


@pytest.mark.parametrize(
    "parameters",
    [
        {"head": 0},
        {"hidden": 0},
        {"hidden": 0, "head": 0},
        {"head": None},
        {"lags": None},
        {"settings": {"follow": False}},
        {"settings": {"filter": "sgd"}},
        {"settings": {"cell": "gated"}},
        {"settings": {"cell": "lstm"}},
        {"settings": {"estimator": "frozen"}},
        {"settings": {"mix_forget": 0}},
        {"settings": {"rate": 0.1, "prior": 2.0, "head_gain": 0.5}},
    ],
    ids=str,
)
@pytest.mark.parametrize("make", KINDS)
def test_every_learner_can_be_asked_for(make: Any, parameters: dict[str, Any]) -> None:
    if make is NbtClassifier and "mix_forget" in parameters.get("settings", {}):
        parameters = {"settings": {"drift_steps": 0}}
    model = make(**parameters)
    for x, y in numbers(20):
        arguments = (y, x) if make is NbtForecaster else (x, round(y))
        model.learn_one(*arguments)
    for name, value in parameters.get("settings", {}).items():
        assert getattr(model._learner.config, name) == pytest.approx(value)


def test_more_classes_than_a_learner_can_have_are_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="n_out = 10000"):
        NbtClassifier(max_classes=10_000)


@pytest.mark.parametrize(
    "model",
    [
        ensemble.BaggingRegressor(NbtRegressor(hidden=2, head=4), n_models=3, seed=1),
        preprocessing.TargetStandardScaler(regressor=NbtRegressor(hidden=2, head=4)),
    ],
    ids=lambda model: type(model).__name__,
)
def test_wrappers_of_regressors(model: Any) -> None:
    score = evaluate.progressive_val_score(datasets.TrumpApproval().take(300), model, metrics.MAE())
    assert score.get() < 1


def test_wrappers_of_classifiers() -> None:
    model = ensemble.ADWINBaggingClassifier(NbtClassifier(hidden=2, head=4), n_models=3, seed=1)
    score = evaluate.progressive_val_score(datasets.Phishing().take(400), model, metrics.Accuracy())
    assert score.get() > 0.8
    retrained = drift.DriftRetrainingClassifier(
        NbtClassifier(hidden=2, head=4), drift_detector=drift.binary.DDM()
    )
    learnt(retrained, classes(300))


def test_features_of_an_encoder_grow() -> None:
    rng = np.random.default_rng(0)
    towns = [f"town {i}" for i in range(30)]
    effect = rng.normal(size=30)
    model = (compose.SelectType(str) | preprocessing.OneHotEncoder()) | NbtRegressor()
    own = NbtRegressor()
    errors, own_errors = [], []
    for _ in range(1200):
        at = min(int(rng.exponential(4)), 29)
        x, y = {"town": towns[at]}, float(effect[at])
        errors.append(abs(model.predict_one(x) - y))
        own_errors.append(abs(own.predict_one(x) - y))
        model.learn_one(x, y)
        own.learn_one(x, y)
    scale = np.abs(effect).mean()
    assert np.mean(errors[-300:]) < 0.2 * scale
    assert np.mean(own_errors[-300:]) < 0.2 * scale


def test_mini_batches_are_rows() -> None:
    pd = pytest.importorskip("pandas")
    rows = numbers(60)
    frame = pd.DataFrame([x for x, _ in rows], index=range(100, 160))
    target = pd.Series([y for _, y in rows], index=frame.index)
    batched, looped = NbtRegressor(), learnt(NbtRegressor(), rows)
    batched.learn_many(frame[:40], target[:40])
    batched.learn_many(frame[40:], target[40:])
    assert pickle.dumps(batched) == pickle.dumps(looped)
    forecasts = batched.predict_many(frame[:5])
    assert forecasts.index.tolist() == [100, 101, 102, 103, 104]
    assert forecasts.tolist() == [looped.predict_one(x) for x, _ in rows[:5]]
    with pytest.raises(InputError, match="y has 3 values and X 5 rows"):
        batched.learn_many(frame[:5], target[:3])
    with pytest.raises(InputTypeError, match=r"X is ndarray: expected a pandas.DataFrame"):
        batched.learn_many(frame.to_numpy(), target)
    sorter = NbtClassifier()
    sorter.learn_many(frame, target > 0)
    found = sorter.predict_proba_many(frame[:3])
    assert set(found.columns) == {True, False}
    assert found.sum(axis=1).tolist() == pytest.approx([1, 1, 1])
    assert NbtClassifier().predict_proba_many(frame[:3]).empty


def wave(rows: int) -> list[float]:
    rng = np.random.default_rng(0)
    values: list[float] = (
        20 + 3 * np.sin(np.arange(rows) / 4) + 0.1 * rng.normal(size=rows)
    ).tolist()
    return values


def test_a_forecaster_is_the_loop_over_a_learner() -> None:
    model = NbtForecaster(seed=2)
    values = wave(400)
    learner = Learner(2, 1, lags=12, anchor=(0,), hold_missing=True, seed=2)
    model.learn_one(values[0], {"load": 0.0})
    for t in range(1, 400):
        model.learn_one(values[t], {"load": t % 3})
        learner.predict([values[t - 1], t % 3])
        learner.learn(values[t])
    assert model._learner is not None
    assert model._learner.hash() == learner.hash()
    before = pickle.dumps(model)
    forecasts = model.forecast(3, [{"load": load} for load in (1, 2, 0)])
    last, expected = values[-1], []
    for load in (1, 2, 0):
        last = float(learner.predict([last, load])[0])
        learner.learn(math.nan)
        expected.append(last)
    assert forecasts == expected
    assert pickle.dumps(model) == before


def test_forecasts_reach_far_and_begin_early() -> None:
    model = NbtForecaster()
    assert model.forecast(2) == [0.0, 0.0]
    model.learn_one(5)
    assert model.forecast(2) == [5.0, 5.0]
    assert model.forecast(0) == []
    for value in wave(1500):
        model.learn_one(value)
    truth = 20 + 3 * np.sin(np.arange(1500, 1520) / 4)
    assert np.abs(np.array(model.forecast(20)) - truth).max() < 0.6
    assert np.isfinite(model.forecast(2000)).all()
    with pytest.raises(ConfigError, match="horizon = -1"):
        model.forecast(-1)
    with pytest.raises(InputError, match="xs has 1 rows: expected horizon = 2"):
        model.forecast(2, ({} for _ in range(1)))


def test_a_fault_does_not_send_forecasts_away() -> None:
    values = [*wave(60), -15.0, -40.0, -80.0]
    model = NbtForecaster()
    for value in values:
        model.learn_one(value)
    span = max(values) - min(values)
    assert model._learner is not None
    free = copy.copy(model._learner)
    last = values[-1]
    for _ in range(100):
        last = float(free.predict(last)[0])
        free.learn(math.nan)
    assert not min(values) - span <= last <= max(values) + span
    for forecast in model.forecast(100):
        assert min(values) - span <= forecast <= max(values) + span


def test_a_value_that_is_missing_is_forecast_over() -> None:
    whole, holed = NbtForecaster(), NbtForecaster()
    for t, value in enumerate(wave(1200)):
        whole.learn_one(value)
        holed.learn_one(None if t % 10 == 5 else value)
    whole_error, holed_error = (
        np.abs(np.array(model.forecast(5)) - (20 + 3 * np.sin(np.arange(1200, 1205) / 4))).max()
        for model in (whole, holed)
    )
    assert whole_error < 0.5
    assert holed_error < 1.0


def test_forecasts_through_river_need_no_pipeline() -> None:
    """Its rows hold a date."""
    scored = getattr(evaluate, "evaluate", time_series.evaluate)  # where it is since 0.26
    found = scored(
        datasets.AirlinePassengers(), NbtForecaster(), metrics.MAE(), horizon=6, agg_func=max
    )
    assert found.get() < 60


def test_a_stream_of_questions_and_answers() -> None:
    """simulate_qa hands the features to the learner twice; neither call keeps them."""
    model, held = NbtRegressor(), []
    for _, x, y in stream.simulate_qa(numbers(30), moment=None, delay=3):
        if y is None:
            model.predict_one(x)
        else:
            model.learn_one(x, y)
        x.clear()
        held.append(x)
    assert model.predict_one({"a": 20.0, "b": 1e5}) != 0


def test_without_river_the_command_is_named() -> None:
    program = "import sys; sys.modules['river'] = None; import nbt_embed.river"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode
    last = done.stderr.strip().splitlines()[-1]
    assert last.endswith("river is not installed: pip install 'nbt-embed[river]'")
    assert "MissingExtraError" in last
