"""The search: the same for a seed, within its budget, honest about what it bought."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nbt_embed import Config
from nbt_embed._kernel_config import memory_of
from nbt_embed.cost import processor_of
from nbt_embed.errors import ConfigError, InputError
from nbt_embed.simulation import simulated_sensor
from nbt_embed.streams import Stream, from_arrays

for library in ("optuna", "polars", "rich"):
    pytest.importorskip(library)

from nbt_embed.app import tuned as outcome
from nbt_embed.app.models import LAST, RLS
from nbt_embed.app.tuning import DEFAULT, TUNED, Search, Tuned, rows_of, tune
from nbt_embed.parallel import Interrupted

M4F = processor_of("m4f")
SEARCH = Search(trials=10, seeds=2, settings={"hidden": 6})


@pytest.fixture(scope="module")
def stream() -> Stream:
    whole = simulated_sensor(1500, seed=3)
    return replace(whole, targets=whole.targets[:, :1].copy(), target_names=whole.target_names[:1])


@pytest.fixture(scope="module")
def tuned(stream: Stream) -> Tuned:
    return tune(stream, SEARCH)


def document(stream: Stream, tuned: Tuned) -> dict[str, object]:
    return outcome.document_of("sensor", stream, tuned, M4F, 64.0, None, [], "nbt-embed tune x")


def test_a_seed_finds_the_same_settings_whatever_runs_at_once(stream: Stream, tuned: Tuned) -> None:
    for jobs in (1, 3):
        assert tune(stream, SEARCH, jobs=jobs) == tuned


def test_another_seed_proposes_other_settings(stream: Stream, tuned: Tuned) -> None:
    other = tune(stream, replace(SEARCH, seed=1))
    assert other.parts[DEFAULT] == tuned.parts[DEFAULT]
    assert other.settings != tuned.settings


def test_the_search_is_never_worse_than_the_defaults_where_it_looked(tuned: Tuned) -> None:
    # Of two seeds the search scores both, and the defaults are among what it tries.
    assert np.mean(tuned.parts[TUNED].first) <= np.mean(tuned.parts[DEFAULT].first) * 1.001
    assert tuned.tried <= SEARCH.trials


def test_what_is_fixed_is_not_searched(tuned: Tuned) -> None:
    best = tuned.parts[TUNED].config
    assert best is not None
    assert best.hidden == 6
    assert "hidden" not in tuned.settings


def test_the_rest_is_not_seen_by_the_search(stream: Stream, tuned: Tuned) -> None:
    targets = stream.targets.copy()
    targets[tuned.split :] = np.random.default_rng(0).normal(size=targets[tuned.split :].shape)
    inputs = stream.inputs.copy()
    inputs[tuned.split :] = 0
    other = tune(replace(stream, inputs=inputs, targets=targets), SEARCH)
    # The anchor is looked for in the whole stream, so it is given for both.
    anchored = replace(SEARCH, settings={**SEARCH.settings, "anchored": False})
    first = tune(stream, anchored)
    second = tune(replace(stream, inputs=inputs, targets=targets), anchored)
    assert first.settings == second.settings
    assert first.parts[TUNED].first == second.parts[TUNED].first
    assert first.parts[TUNED].rest != second.parts[TUNED].rest
    assert other.split == tuned.split


def test_a_budget_holds(stream: Stream) -> None:
    bytes_allowed = 4000
    found = tune(stream, Search(trials=12, seeds=1, memory_bytes=bytes_allowed))
    assert (found.parts[DEFAULT].memory_bytes or 0) > bytes_allowed
    assert (found.parts[TUNED].memory_bytes or 0) <= bytes_allowed


def test_a_budget_below_every_learner_is_refused(stream: Stream) -> None:
    with pytest.raises(
        ConfigError, match=r"none of 4 settings that were tried fits into 100 bytes"
    ):
        tune(stream, Search(trials=4, memory_bytes=100))


def test_parts_hold_every_model(stream: Stream, tuned: Tuned) -> None:
    assert list(tuned.parts) == [DEFAULT, TUNED, RLS, LAST]
    assert tuned.parts[LAST].rest == (1.0,)
    assert len(tuned.parts[DEFAULT].rest) == SEARCH.seeds
    assert tuned.split == int(0.4 * len(stream))
    config = tuned.parts[DEFAULT].config
    assert config is not None
    assert tuned.parts[DEFAULT].memory_bytes == memory_of(config).total


def test_the_rest_is_scored_as_compare_scores(stream: Stream, tuned: Tuned) -> None:
    from nbt_embed import Learner
    from nbt_embed.evaluate import evaluate

    part = tuned.parts[TUNED]
    assert part.config is not None
    for seed, losses in enumerate(part.losses):
        learner = Learner(replace(part.config, seed=seed))
        made = evaluate(learner, stream, score_from=tuned.split)
        assert losses[0] == pytest.approx(made.rmse, rel=1e-9)


def made_of(tuned: Tuned, before: tuple[float, ...], after: tuple[float, ...]) -> Tuned:
    """The same search with other errors on the rest."""
    parts = dict(tuned.parts)
    parts[DEFAULT] = replace(parts[DEFAULT], rest=before)
    parts[TUNED] = replace(parts[TUNED], rest=after)
    return replace(tuned, parts=parts, settings={"rate": 0.1}, search=replace(SEARCH, seeds=3))


def test_what_was_bought_is_said(tuned: Tuned) -> None:
    bought = made_of(tuned, (1.0, 1.1, 0.9), (0.8, 0.85, 0.95))
    assert bought.bought
    assert bought.gain == pytest.approx(0.15)
    sentence = outcome.verdict(bought)[0]
    assert sentence.startswith("Tuning gave a 15.0 % lower error on the rest (better")
    assert "with 2 of 3 seeds" in sentence
    assert "bytes" in sentence


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ((1.0, 1.1, 0.9), (1.1, 1.2, 1.0), "the error is 10.0 % higher"),
        ((1.0, 1.1, 0.9), (1.05, 0.5, 0.95), "the error is 5.0 % lower"),  # one seed of three
        ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), "the error is the same"),
        ((1.0, 1.0, 1.0), (math.inf, math.inf, 1.0), "the tuned learner diverges"),
    ],
)
def test_that_nothing_was_bought_is_said(
    tuned: Tuned, before: tuple[float, ...], after: tuple[float, ...], said: str
) -> None:
    nothing = made_of(tuned, before, after)
    assert not nothing.bought
    sentence = outcome.verdict(nothing)[0]
    assert sentence.startswith("Tuning did not help:")
    assert said in sentence
    assert "Keep the defaults." in sentence


def test_the_document_is_json_and_repeats_the_learner(stream: Stream, tuned: Tuned) -> None:
    made = json.loads(json.dumps(document(stream, tuned), allow_nan=False))
    config = eval(made["config"], {"Config": Config})
    assert config == tuned.parts[TUNED].config
    assert made["models"]["tuned"]["memory_bytes"] == tuned.parts[TUNED].memory_bytes


def test_the_table_fits_80_columns(stream: Stream, tuned: Tuned) -> None:
    from nbt_embed.commands.compare import text_of

    made = document(stream, tuned)
    text = text_of(made["source"], [(made["verdict"], outcome.table(made))], [str(made["config"])])  # type: ignore[arg-type, list-item]
    assert max(map(len, text.splitlines())) <= 80


def test_classes_and_dense_cells_can_be_tuned() -> None:
    draw = np.random.default_rng(1)
    signal = draw.normal(size=(1000, 1)).astype(np.float32)
    stream = from_arrays(signal, (signal > 0).astype(np.float32))
    search = Search(trials=5, seeds=1, settings={"cell": "gated", "hidden": 3})
    found = tune(stream, search, horizon=0, classes=2)
    config = found.parts[TUNED].config
    assert config is not None
    assert config.link == "categorical"
    assert found.parts[TUNED].losses[0][0] < 1


def test_settings_that_no_proposal_mends_are_refused_by_name(stream: Stream) -> None:
    with pytest.raises(ConfigError, match="hidden = 5000: expected"):
        tune(stream, Search(trials=3, settings={"hidden": 5000}))


def test_too_short_a_stream_is_refused(stream: Stream) -> None:
    short = replace(stream, inputs=stream.inputs[:300], targets=stream.targets[:300])
    with pytest.raises(InputError, match=r"the stream has 300 rows, of which the smaller part has"):
        tune(short, SEARCH)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"trials": 1}, "trials = 1: expected 2 or more"),
        ({"seeds": 0}, "seeds = 0: expected 1 or more"),
        ({"first": 1.0}, "first = 1.0: expected a share between 0 and 1"),
    ],
)
def test_impossible_searches_are_refused(settings: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Search(**settings)  # type: ignore[arg-type]


def test_progress_counts_no_more_than_was_said(stream: Stream) -> None:
    fed: list[int] = []
    tune(stream, SEARCH, progress=fed.append)
    assert 0 < sum(fed) <= rows_of(stream, SEARCH, 1)


def test_an_interrupt_says_how_far_it_came(stream: Stream) -> None:
    calls: list[int] = []

    def stop(rows: int) -> None:
        calls.append(rows)
        if len(calls) == 10:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"^4 of 10 trials were done$"):
        tune(stream, SEARCH, jobs=1, progress=stop)


def test_without_optuna_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from nbt_embed.cli import main

    pytest.importorskip("nbt_embed.app.reading")
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["tune", str(tmp_path / "none.csv")]) == 2
    assert "optuna is not installed: pip install 'nbt-embed[tune]'" in capsys.readouterr().err
