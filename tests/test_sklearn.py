"""The estimators for scikit-learn: its own checks, and what a table can hold."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from nbt_embed import Learner
from nbt_embed.errors import ConfigError, InputError

pytest.importorskip("sklearn", minversion="1.6", reason="pip install 'nbt-embed[sklearn]'")
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from nbt_embed.sklearn import STATEFUL_CHECKS, NbtClassifier, NbtRegressor

KINDS = [NbtRegressor, NbtClassifier]


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [kind() for kind in KINDS], expected_failed_checks=lambda _estimator: STATEFUL_CHECKS
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_sklearn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def table(rows: int = 600, seed: int = 0) -> tuple[Any, Any]:
    """Features in units of their own; a target that also depends on the row before."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows + 1, 3))
    target = 3 * values[1:, 0] - np.abs(values[1:, 1]) + values[:-1, 0]
    return values[1:] * [1, 80, 0.1] + [20, 1e5, 0], target


def labelled(rows: int = 600) -> tuple[Any, Any]:
    inputs, target = table(rows)
    return inputs, np.array(["low", "middle", "high"])[np.digitize(target, [-2, 1])]


def test_a_regressor_is_the_loop_over_a_learner() -> None:
    X, y = table()
    model = NbtRegressor(hidden=5, head=7, lags=2, seed=3, settings={"forget": 0.999})
    model.fit(X[:400], y[:400])
    learner = Learner(model.learner_.config)
    assert (learner.config.hidden, learner.config.head, learner.config.forget) == (5, 7, 0.999)
    for x, label in zip(X[:400], y[:400], strict=True):
        learner.predict(x)
        learner.learn(label)
    assert model.learner_.hash() == learner.hash()
    expected = []
    for x in X[400:]:
        expected.append(float(learner.predict(x)[0]))
        learner.learn(np.nan)
    before = pickle.dumps(model)
    assert model.predict(X[400:]).tolist() == expected
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_are_the_whole(kind: Any) -> None:
    X, y = table() if kind is NbtRegressor else labelled()
    whole, pieces = kind().fit(X, y), kind()
    for start in range(0, 600, 150):
        pieces.partial_fit(X[start : start + 150], y[start : start + 150])
    assert whole.learner_.hash() == pieces.learner_.hash()
    again = pickle.loads(pickle.dumps(kind().fit(X[:300], y[:300])))
    assert again.partial_fit(X[300:], y[300:]).learner_.hash() == whole.learner_.hash()
    assert (
        whole.fit(X[:300], y[:300]).learner_.hash()
        == clone(whole).fit(X[:300], y[:300]).learner_.hash()
    )


def test_no_forecast_knows_its_own_or_a_later_row() -> None:
    X, y = table()
    model = NbtRegressor().fit(X[:400], y[:400])
    forecasts = model.predict(X[400:])
    changed = X[400:].copy()
    changed[100:] += 5
    assert np.array_equal(model.predict(changed)[:100], forecasts[:100])
    assert not np.array_equal(model.predict(changed)[100:], forecasts[100:])


def test_it_learns_what_depends_on_the_row_before() -> None:
    X, y = table(3000)
    assert NbtRegressor().fit(X[:2500], y[:2500]).score(X[2500:], y[2500:]) > 0.9
    X, y = labelled(3000)
    model = NbtClassifier(hidden=16).fit(X[:2500], y[:2500])
    assert model.score(X[2500:], y[2500:]) > 0.8
    probabilities = model.predict_proba(X[2500:])
    assert probabilities.shape == (500, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert model.classes_.tolist() == ["high", "low", "middle"]


def test_search_and_validation_in_time() -> None:
    X, y = table(400)
    pipeline = make_pipeline(StandardScaler(), NbtRegressor(hidden=2, head=4))
    split = TimeSeriesSplit(3)
    search = GridSearchCV(
        pipeline,
        {"nbtregressor__hidden": [0, 4], "nbtregressor__settings": [None, {"forget": 0.99}]},
        cv=split,
        n_jobs=2,
    )
    search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(X[:5]).shape == (5,)
    assert np.isfinite(cross_val_score(pipeline, X, y, cv=split)).all()
    X, y = labelled(400)
    assert (cross_val_score(NbtClassifier(hidden=2, head=4), X, y, cv=split) > 0.4).all()


def forecast(model: Any, X: Any) -> Any:
    return model.predict(X)


def test_other_processes_give_the_same_bits() -> None:
    X, y = table(200)
    model = NbtRegressor(hidden=2, head=4).fit(X[:150], y[:150])
    found = Parallel(n_jobs=2)(delayed(forecast)(model, X[150:]) for _ in range(2))
    assert all(np.array_equal(one, model.predict(X[150:])) for one in found)


def test_several_targets() -> None:
    X, y = table()
    both = np.c_[y, -2 * y + 7]
    model = NbtRegressor().fit(X[:500], both[:500])
    assert model.predict(X[500:]).shape == (100, 2)
    assert model.score(X[500:], both[500:]) > 0.7
    assert NbtRegressor().fit(X, y[:, np.newaxis]).predict(X).shape == (600, 1)
    with pytest.raises(ValueError, match="y has 1 outputs: partial_fit needs 2"):
        model.partial_fit(X, y)
    X, y = labelled()
    several = MultiOutputClassifier(NbtClassifier(hidden=2, head=4)).fit(X, np.c_[y, y])
    assert several.predict(X[:4]).shape == (4, 2)
    TransformedTargetRegressor(NbtRegressor(hidden=2, head=4)).fit(*table()).predict(X[:4])


def test_missing_features_hold() -> None:
    X, y = table()
    model = NbtRegressor().fit(X[:500], y[:500])
    holed, repeated, other = X[500:].copy(), X[500:].copy(), X[500:].copy()
    holed[5, 1], repeated[5, 1], other[5, 1] = np.nan, X[504, 1], 2e5 - X[505, 1]
    expected = model.predict(repeated)[5]
    assert abs(model.predict(holed)[5] - expected) < 0.01 * abs(model.predict(other)[5] - expected)
    holed = X.copy()
    holed[0, 0] = holed[7, 2] = np.nan
    assert np.isfinite(NbtRegressor().fit(holed, y).predict(holed)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_masked_features_are_missing_and_masked_labels_are_refused(kind: Any) -> None:
    X, y = table(50) if kind is NbtRegressor else labelled(50)
    masked = np.ma.masked_greater(X, 1.0)
    assert masked.mask.any()
    model, missing = kind().fit(masked, y), kind().fit(masked.filled(np.nan), y)
    assert pickle.dumps(model) == pickle.dumps(missing)
    assert (model.predict(masked) == missing.predict(masked.filled(np.nan))).all()
    mask = np.arange(50) == 7
    with pytest.raises(ValueError, match="y has masked values"):
        model.partial_fit(X, np.ma.array(y, mask=mask))
    assert pickle.dumps(model) == pickle.dumps(missing)


def test_frames_of_pandas() -> None:
    pd = pytest.importorskip("pandas")
    X, y = table(100)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    plain = NbtRegressor(hidden=2, head=4).fit(X, y)
    model = NbtRegressor(hidden=2, head=4).fit(frame, pd.Series(y))
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    assert model.learner_.hash() == plain.learner_.hash()
    nullable = frame.convert_dtypes()
    assert NbtRegressor(hidden=2, head=4).fit(nullable, y).learner_.hash() == plain.learner_.hash()
    nullable.loc[3, "b"] = pd.NA
    assert np.isfinite(model.fit(nullable, y).predict(nullable)).all()
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["c", "b", "a"]])
    labels = pd.Series(np.where(y > 0, "up", "down"), dtype="category")
    assert set(NbtClassifier().fit(frame, labels).predict(frame)) <= {"up", "down"}
    with pytest.raises(ValueError, match="could not convert string"):
        model.fit(frame.assign(kind=labels), y)


def test_frames_of_polars() -> None:
    pl = pytest.importorskip("polars")
    X, y = table(100)
    frame = pl.DataFrame(X, schema=["a", "b", "c"])
    plain = NbtRegressor(hidden=2, head=4).fit(X, y)
    model = NbtRegressor(hidden=2, head=4).fit(frame, pl.Series(y))
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    assert model.learner_.hash() == plain.learner_.hash()
    holed = frame.with_columns(pl.when(pl.col("a") > 20).then(pl.col("a")).alias("a"))
    assert np.isfinite(model.fit(holed, y).predict(holed)).all()


@pytest.mark.parametrize("kind", ["default", "pandas", "polars"])
def test_behind_transformers_with_names(kind: str) -> None:
    pd = pytest.importorskip("pandas")
    if kind == "polars":
        pytest.importorskip("polars")
    X, y = table(200)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    frame["kind"] = pd.Series(np.where(y > 0, "up", "down"), dtype="category")
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["a", "b", "c"]),
            ("kinds", OneHotEncoder(sparse_output=False), ["kind"]),
        ]
    )
    pipeline = make_pipeline(columns, NbtRegressor(hidden=2, head=4))
    pipeline.set_output(transform=kind)
    pipeline.fit(frame, y)
    assert pipeline.predict(frame).shape == (200,)
    assert pipeline.score(frame, y) > 0.5


@pytest.mark.parametrize(
    "names",
    [
        ["b", "a"],
        [2, 7],
        [True, False],
        np.array(["x", "y"], dtype=object),
        [np.int8(3), np.int8(-3)],
    ],
    ids=str,
)
def test_class_names_of_any_type(names: Any) -> None:
    X, y = table(300)
    labels = np.asarray(names)[(y > 0).astype(int)]
    model = NbtClassifier().fit(X, labels)
    found = model.predict(X)
    assert found.dtype == labels.dtype
    assert (found == labels).mean() > 0.6
    assert np.array_equal(model.classes_, np.unique(labels))


def test_one_class_and_many() -> None:
    X, _ = table(300)
    model = NbtClassifier().fit(X, np.full(300, "only"))
    assert set(model.predict(X)) == {"only"}
    assert (model.predict_proba(X) == 1).all()
    many = np.arange(300) % 100
    assert NbtClassifier().fit(X, many).predict_proba(X).shape == (300, 100)


def test_classes_that_come_later_are_said_first() -> None:
    X, y = labelled()
    model = NbtClassifier().partial_fit(X[:5], ["low"] * 5, classes=["high", "low", "middle"])
    assert model.predict_proba(X[:2]).shape == (2, 3)
    model.partial_fit(X, y)
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match=r"y holds .*'huge'.*, which is not one of the classes"):
        model.partial_fit(X[:1], ["huge"])
    with pytest.raises(ValueError, match="the first call of partial_fit had"):
        model.partial_fit(X[:1], ["low"], classes=["low", "high"])
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_leaves_the_estimator_as_it_was(kind: Any) -> None:
    X, y = table(50) if kind is NbtRegressor else labelled(50)
    model = kind().fit(X, y)
    before = pickle.dumps(model)
    huge = X.copy()
    huge[30, 1] = 1e30
    with pytest.raises(InputError, match=r"row 30: x\[1\] is 1e\+30"):
        model.partial_fit(huge, y)
    infinite = X.copy()
    infinite[3, 0] = np.inf
    for bad in (infinite, X[:, :2], X[:0]):
        with pytest.raises(ValueError, match=r"infinity|features|sample"):
            model.partial_fit(bad, y[: len(bad)])
        with pytest.raises(ValueError, match=r"infinity|features|sample"):
            model.predict(bad)
    assert pickle.dumps(model) == before


def test_small_and_odd_shapes() -> None:
    X, y = table(50)
    assert NbtRegressor().fit(X[:1], y[:1]).predict(X[:1]).shape == (1,)
    assert NbtRegressor().fit(X[:, :1], y).predict(X[:3, :1]).shape == (3,)
    assert np.allclose(NbtRegressor().fit(X, np.full(50, 7.0)).predict(X), 7, atol=1e-3)
    with pytest.warns(DataConversionWarning, match="column-vector"):
        NbtClassifier().fit(X, (y > 0)[:, np.newaxis])
    with pytest.raises(NotFittedError):
        NbtRegressor().predict(X)
    with pytest.raises(TypeError, match="sample_weight"):
        NbtRegressor().fit(X, y, sample_weight=np.ones(50))  # type: ignore[call-arg]


def test_sparse_tables_are_refused() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    X, y = table(50)
    with pytest.raises(TypeError, match="dense data is required"):
        NbtRegressor().fit(sparse.csr_matrix(X), y)


def test_bad_parameters_are_named_at_fit() -> None:
    X, y = table(20)
    for parameters, words in (
        ({"hidden": -1}, "hidden = -1"),
        ({"settings": {"forgett": 1}}, "'forgett' is unknown: did you mean 'forget'"),
        ({"settings": {"seed": 1}}, "seed = 1 is a parameter of NbtRegressor"),
    ):
        with pytest.raises(ConfigError, match=words):
            NbtRegressor(**parameters).fit(X, y)


def test_without_scikit_learn_the_command_is_named() -> None:
    program = "import sys; sys.modules['sklearn'] = None; import nbt_embed.sklearn"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode
    last = done.stderr.strip().splitlines()[-1]
    assert last.endswith("sklearn is not installed: pip install 'nbt-embed[sklearn]'")
