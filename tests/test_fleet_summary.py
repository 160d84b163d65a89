"""What is said of a fleet is backed by its numbers: advice, shares, the worst devices and why."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

for library in ("polars", "rich", "bokeh", "jinja2"):
    pytest.importorskip(library)

from nbt_embed.app import fleet_page, fleet_tables, fleet_text
from nbt_embed.app.fleet_results import Drawn, Parts, parts_of
from nbt_embed.app.fleet_spec import Spec, parse
from nbt_embed.app.fleet_spec_settings import RLS_NAME
from nbt_embed.app.fleet_stream import Source, source_of
from nbt_embed.app.fleet_summary import document_of
from nbt_embed.app.fleet_why import Why, needed_correlation
from nbt_embed.arrays import Float64Array
from nbt_embed.fleet.columns import SCHEMA, Columns
from nbt_embed.fleet.perturb import Perturbed

SPEC = """
title = "Pumps"
devices = {devices}
rows = 10
[stream]
recordings = "shared"
[perturbations]
gain = {{ value = [0.5, 2], together = true }}
noise = {{ value = [0, 1], together = true }}
[grid]
hidden = [2, 4, 8]
"""
NAMES = (RLS_NAME, "hidden 2", "hidden 4", "hidden 8")
BYTES = (2000, 3000, 5000, 9000)


def fleet(devices: int, text: str = SPEC) -> tuple[Spec, Source]:
    spec = parse(text.format(devices=devices), "pumps.toml")
    return spec, source_of(spec)


def columns_of(errors: dict[str, Float64Array], horizon: int = 1) -> Columns:
    """Results with these errors, for which the last value's RMSE is 2."""
    parts = []
    for name, error in errors.items():
        n = len(error)
        part: dict[str, Any] = {key: np.zeros(n, kind) for key, kind in SCHEMA.items()}
        part |= {
            "device": np.arange(n),
            "name": np.array([str(i) for i in range(n)], object),
            "setting": np.array([name] * n, object),
            "error": np.array([""] * n, object),
            "horizon": np.full(n, horizon),
            "rows": np.full(n, 10),
            "memory_bytes": np.full(n, BYTES[NAMES.index(name)]),
            "relative_error": error,
            "rmse": 2 * error,
            "nrmse": error / 2,
            "last_rmse": np.full(n, 2.0),
        }
        parts.append(part)
    return {key: np.concatenate([part[key] for part in parts]) for key in SCHEMA}


def results_of(columns: Columns) -> Parts:
    return parts_of(columns, [1], NAMES)


def document(
    spec: Spec, source: Source, columns: Columns, worst: int = 5, drawn: Drawn | None = None
) -> dict[str, Any]:
    configs, _ = spec.configs(source.series.n_in, source.series.n_out, "gaussian")
    made = document_of(
        spec, source, configs, results_of(columns), drawn or Drawn.of(source), worst, (), "fleet f"
    )
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    return made


def plain(devices: int) -> tuple[dict[str, Any], Parts]:
    """Errors that rise with what was drawn as noise; more units are better. And the results."""
    spec, source = fleet(devices)
    drawn = Drawn.of(source)
    chance = np.random.default_rng(0).standard_normal(devices)
    base = 0.4 + 0.3 * drawn.columns["noise"] + 0.02 * chance
    errors = {name: base * f for name, f in zip(NAMES, (1.3, 1.2, 1.04, 1.0), strict=True)}
    columns = columns_of(errors)
    return document(spec, source, columns, drawn=drawn), results_of(columns)


@pytest.fixture(scope="module")
def rising() -> dict[str, Any]:
    return plain(200)[0]


def test_the_smallest_within_5_percent_is_advised(rising: dict[str, Any]) -> None:
    (horizon,) = rising["horizons"]
    assert horizon["advised"] == "hidden 4"
    assert "use hidden 4, 5,000 bytes" in horizon["verdict"][0]
    marks = [(one["near_best"], one["best_median"], one["best_p90"]) for one in horizon["settings"]]
    assert marks == [(False,) * 3, (False,) * 3, (True, False, False), (True, True, True)]


def test_rows_may_come_in_any_order() -> None:
    columns = columns_of({name: np.linspace(0.1, 0.9, 30) for name in NAMES})
    mixed = np.random.default_rng(0).permutation(len(columns["device"]))
    for key, part in results_of({k: v[mixed] for k, v in columns.items()}).items():
        for name, values in results_of(columns)[key].items():
            assert np.array_equal(part[name], values), (key, name)


def test_figures_are_those_of_devices(rising: dict[str, Any]) -> None:
    one = rising["horizons"][0]["settings"][1]
    _, source = fleet(200)
    base = 0.4 + 0.3 * Drawn.of(source).columns["noise"]
    base += 0.02 * np.random.default_rng(0).standard_normal(200)
    error = np.sort(1.2 * base)
    assert one["error"] == {
        "least": error[0], "p10": error[20], "median": error[100], "p90": error[180],
        "worst": error[-1],
    }  # fmt: skip
    assert one["loss"]["median"] == 2 * error[100]
    assert one["quantiles"][20] == error[100]
    assert one["loses_to_last"] == pytest.approx((error > 1).mean())
    assert one["loses_to_rls"] == 0
    assert rising["horizons"][0]["last_loss"]["median"] == 2


def test_the_worst_have_reasons_with_numbers(rising: dict[str, Any]) -> None:
    (horizon,) = rising["horizons"]
    _, source = fleet(200)
    noise = Drawn.of(source).columns["noise"]
    assert horizon["worst_of"] == "hidden 4"
    assert "correlates with noise (+0.9" in horizon["explained"]
    errors = [one["error"] for one in horizon["worst"]]
    assert errors == sorted(errors, reverse=True)
    for one in horizon["worst"]:
        rank = 1 + int((noise > noise[one["device"]]).sum())
        (reason,) = one["reasons"]
        assert f"noise {noise[one['device']]:.4g}, rank {rank} of 200" in reason
        assert "the error rises with it, rank correlation +0.9" in reason
    by_column = {one["column"]: one for one in horizon["correlations"]}
    assert by_column["noise"]["tells"]
    assert not by_column["gain"]["tells"]


def test_nothing_is_explained_by_chance() -> None:
    spec, source = fleet(200)
    told = 0
    for seed in range(20):
        error = np.random.default_rng(seed).random(200)
        made = document(spec, source, columns_of(dict.fromkeys(NAMES, error)), 200)
        for one in made["horizons"][0]["worst"]:
            (reason,) = one["reasons"]
            told += not reason.startswith("no drawn value explains the error: ")
    assert told == 0


def test_both_ends_of_a_value_may_be_bad() -> None:
    gain = np.linspace(0.5, 1.5, 101)
    why = Why(np.abs(gain - 1), {"gain": gain}, {}, np.zeros(101, np.int64))
    (along,) = why.columns
    assert along.distance
    assert along.tells
    for device in (0, 100):
        assert "rises with the distance from the median" in why.reasons(device)[0]
    assert "no drawn value explains the error" in why.reasons(50)[0]


@pytest.mark.parametrize("sign", [1, -1])
def test_what_befell_few_devices_is_a_reason(sign: int) -> None:
    """A rank correlation of two devices in sixty is no more than chance gives."""
    chance = np.random.default_rng(1)
    error, lost = chance.random(60), np.zeros(60)
    lost[[7, 40]] = 0.9 * sign
    error[[7, 40]] = 2.0
    why = Why(error, {"dropouts": lost, "gain": chance.random(60)}, {}, np.arange(60))
    assert not any(one.tells for one in why.columns)
    assert why.reasons(7) == [
        f"dropouts {0.9 * sign:g}, median 0 (2 of the 2 devices with such values are among the "
        "2 worst)"
    ]
    assert why.summary().endswith(
        " Few devices stand out in dropouts, and 2 of these 2 are among the 2 worst."
    )
    worst = np.argsort(-error)[2]
    assert "dropouts" not in why.reasons(int(worst))[0]


def test_few_devices_that_are_not_the_worst_explain_nothing() -> None:
    lost = np.zeros(60)
    lost[[7, 40]] = 0.9
    why = Why(np.random.default_rng(1).random(60), {"dropouts": lost}, {}, np.arange(60))
    assert why.few == []
    assert "Few" not in why.summary()


def test_a_short_recording_is_a_reason() -> None:
    spec, source = fleet(60)
    error = np.random.default_rng(1).random(60)
    error[[3, 8, 20]] = 3.0
    columns = columns_of(dict.fromkeys(NAMES, error))
    columns["rows"][np.isin(columns["device"], [3, 8, 20])] = 4
    (horizon,) = document(spec, source, columns)["horizons"]
    for one in horizon["worst"][:3]:
        assert "rows 4, median 10 (3 of the 3 devices" in one["reasons"][0]


def test_one_device_unlike_all_others_is_a_suspicion() -> None:
    error, noise = np.linspace(1, 0, 40), np.zeros(40)
    noise[0] = 3.0
    why = Why(error, {"noise": noise}, {}, np.arange(40))
    assert why.reasons(0) == [
        "noise 3 is far from that of the other devices (median 0) and may be the reason: too few "
        "devices have such values to decide"
    ]
    assert "all of its values are ordinary" in why.reasons(1)[0]
    noise[[10, 20, 30]] = 3.0  # devices that do as well as others: no suspicion any more
    why = Why(error, {"noise": noise}, {}, np.arange(40))
    assert why.reasons(0)[0].startswith("no drawn value explains the error: the most unusual is")


def test_a_recording_may_be_the_reason() -> None:
    recording = np.arange(100) % 5
    error = np.random.default_rng(0).random(100) + (recording == 3)
    why = Why(error, {}, {}, recording, "pump_{}".format)
    (reason,) = why.reasons(3)
    assert reason.startswith("recording pump_3: the median error of its 20 devices is 1.")
    assert "rank 1 of 5 recordings" in reason
    assert "pump" not in why.reasons(4)[0]
    alone = Why(error, {}, {}, np.arange(100))
    assert alone.groups is None
    assert "the remaining cause is its recording or seed" in alone.reasons(3)[0]
    shared = Why(error, {}, {}, np.zeros(100, np.int64))
    assert shared.reasons(3)[0].endswith("the remaining cause is its seed")


def test_a_guard_that_acted_stands_beside() -> None:
    acted = np.zeros(60)
    acted[:5] = [9, 8, 7, 6, 5]
    error = np.where(acted > 0, 2 + acted, np.linspace(0, 1, 60))
    why = Why(error, {}, {"reopened": acted}, np.arange(60))
    assert "guard reopened 9 times, rank 1 of 60" in why.reasons(0)[0]
    assert "no drawn value" in why.reasons(30)[0]


def test_a_guard_that_did_not_act_is_no_reason() -> None:
    acted = np.arange(60.0)
    why = Why(-acted, {}, {"limited": acted}, np.arange(60))
    assert why.columns[0].tells
    assert all("guard" not in reason for reason in why.reasons(0))


def test_few_devices_tell_nothing() -> None:
    assert needed_correlation(2, 3) == 1
    assert needed_correlation(5, 3) == 1
    assert 0.1 < needed_correlation(1000, 40) < 0.13
    spec, source = fleet(2)
    made = document(spec, source, columns_of(dict.fromkeys(NAMES, np.array([0.5, 0.6]))))
    assert "The devices differ too little" in made["horizons"][0]["explained"]


def test_diverged_and_refused_devices_are_counted_and_named() -> None:
    spec, source = fleet(20)
    columns = columns_of({name: np.linspace(0.4, 0.5, 20) for name in NAMES})
    last = columns["setting"] == NAMES[-1]
    columns["diverged"][last & np.isin(columns["device"], [1, 2, 3])] = True
    columns["relative_error"][columns["diverged"]] = np.inf
    refused = columns["device"] == 7
    columns["error"][refused] = "row 3 is infinite"
    columns["relative_error"][refused] = np.nan
    made = document(spec, source, columns)
    (horizon,) = made["horizons"]
    assert horizon["advised"] == RLS_NAME  # the fewest bytes, and the same errors
    biggest = horizon["settings"][-1]
    assert (biggest["scored"], biggest["refused"], biggest["diverged"]) == (19, 1, 3)
    assert biggest["error"]["p90"] is None
    assert "1 device had a refused stream" in " ".join(horizon["verdict"])
    assert "The learners of 3 devices diverged with hidden 8." in " ".join(horizon["verdict"])
    assert [one["device"] for one in horizon["failed"]] == [7]
    text = fleet_text.report(made)
    assert "7: row 3 is infinite" in text
    assert "inf" in text
    fleet_page.page(made, results_of(columns))


def test_where_nobody_is_scored_it_is_said() -> None:
    spec, source = fleet(3)
    columns = columns_of({name: np.full(3, np.nan) for name in NAMES})
    columns["error"][:] = "nothing to score"
    made = document(spec, source, columns)
    assert made["horizons"][0]["verdict"] == [
        "1 row ahead: no device has a score.",
        "3 devices had a refused stream, or nothing to score.",
    ]
    assert "nothing to score" in fleet_text.report(made)
    assert "nothing to score" in fleet_page.page(made, results_of(columns))


def test_a_fleet_that_stands_still_cannot_be_compared() -> None:
    spec, source = fleet(3)
    columns = columns_of({name: np.full(3, np.nan) for name in NAMES})
    made = document(spec, source, columns)
    assert made["horizons"][0]["verdict"][1] == (
        "3 devices cannot be compared: the last value has no error on them."
    )


def test_no_setting_may_be_near_the_best_in_both() -> None:
    n = 100
    even, uneven = np.full(n, 0.5), np.r_[np.full(n // 2 + 1, 0.4), np.full(n // 2 - 1, 0.8)]
    spec, source = fleet(n)
    errors = {RLS_NAME: np.full(n, 0.9), "hidden 2": even, "hidden 4": uneven, "hidden 8": uneven}
    (horizon,) = document(spec, source, columns_of(errors))["horizons"]
    assert horizon["advised"] is None
    assert (
        "hidden 4 has the lowest median (0.400), hidden 2 the lowest 90th" in horizon["verdict"][0]
    )


def test_losing_to_the_last_value_is_said() -> None:
    spec, source = fleet(10)
    (horizon,) = document(spec, source, columns_of(dict.fromkeys(NAMES, np.full(10, 1.5))))[
        "horizons"
    ]
    assert "No setting beats the last value on half of the devices." in horizon["verdict"]
    assert horizon["settings"][0]["loses_to_last"] == 1


def test_tens_of_thousands_of_devices_stay_readable() -> None:
    n = 30_000
    spec, source = fleet(10)
    source = replace(source, series=cast("Perturbed", _Many(source, n)))
    rng = np.random.default_rng(0)
    drawn = Drawn({"noise": rng.random(n), "gain": rng.random(n)})
    errors = {name: drawn.columns["noise"] + rng.random(n) for name in NAMES}
    columns = columns_of(errors)
    made = document(spec, source, columns, drawn=drawn)
    page = fleet_page.page(made, results_of(columns))
    few, results = plain(200)
    assert len(json.dumps(made)) < 1.2 * len(json.dumps(few))
    assert len(page) < 1.02 * len(fleet_page.page(few, results))  # the script that draws
    assert len(fleet_text.report(made).splitlines()) < 60
    assert " of 30,000, median" in " ".join(fleet_tables.worst_sentences(made, made["horizons"][0]))


class _Many:
    """A series of more devices than it has."""

    def __init__(self, source: Source, devices: int) -> None:
        self.devices = devices
        self.input_names, self.target_names = (
            source.series.input_names,
            source.series.target_names,
        )
        self.n_in, self.n_out = source.series.n_in, source.series.n_out


def test_many_settings_are_thinned_to_those_that_matter() -> None:
    rows = [
        {"name": f"s{i}", "key": "learner", "memory_bytes": 1000 + i, "advised": i == 40,
         "best_median": i == 40, "best_p90": i == 7, "error": {"median": 1 - 0.01 * (i // 10)}}
        for i in range(50)
    ]  # fmt: skip
    shown = fleet_tables.shown_settings({"settings": rows}, 30)
    assert [one["name"] for one in shown] == ["s0", "s7", "s10", "s20", "s30", "s40"]
    assert len(fleet_tables.shown_settings({"settings": rows})) == 50


def test_single_devices_are_drawn_where_they_are_few() -> None:
    few = fleet_page.page(*plain(200))
    assert "one device</li>" in few
    assert "one device</li>" not in fleet_page.page(*plain(700))
    assert "Pumps" in few
    assert "[grid]\nhidden = [2, 4, 8]</pre>" in few


def test_names_on_the_page_are_text_and_no_markup() -> None:
    text = SPEC.replace("Pumps", "<script>alert(1)</script>")
    spec, source = fleet(5, text)
    columns = columns_of({name: np.linspace(0.1, 0.2, 5) for name in NAMES})
    columns["name"][:] = "</script><b>x"
    page = fleet_page.page(document(spec, source, columns), results_of(columns))
    assert "<script>alert" not in page
    assert "<b>x" not in page
