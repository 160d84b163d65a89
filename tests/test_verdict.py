"""The verdict: who wins, by how much, since when, and whether recurrence paid."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("polars", reason="needs the extra [app]")

from nbt_embed.app.trial import HorizonResult
from nbt_embed.app.verdict import Verdict, overall, verdict


def result(
    errors: Mapping[str, tuple[float, ...]],
    losses: dict[str, list[float]] | None = None,
    **more: Any,
) -> HorizonResult:
    """Return a result of models with these errors, one per target."""
    names = {"learner": "this learner", "frozen": "frozen units", "rls": "RLS", "nlms": "NLMS"}
    names |= {"last": "last value", "seasonal": "24 rows ago", "majority": "usual class"}
    kind = more.pop("kind", "rmse")
    models: Any = {
        key: SimpleNamespace(name=names[key], figures=[{kind: value} for value in values])
        for key, values in errors.items()
    }
    losses = losses or {key: [value[0]] for key, value in errors.items()}
    pieces: Any = SimpleNamespace(
        rows=[100 * (i + 1) - 1 for i in range(len(losses["learner"]))],
        losses=[
            {key: np.array([sums[i]]) for key, sums in losses.items()}
            for i in range(len(losses["learner"]))
        ],
    )
    given: Any = {"horizon": 5, "models": models, "first": [10], "counts": [900], "pieces": pieces}
    given |= more
    return SimpleNamespace(**given)  # type: ignore[return-value]


def text(one: Verdict) -> str:
    return " ".join(one.sentences)


def test_a_learner_that_wins() -> None:
    one = verdict(
        result({"learner": (0.8, 8.0), "frozen": (0.9, 9.0), "rls": (1.0, 10.0), "last": (2, 4.0)}),
        classes=False,
    )
    assert one.winner == "learner"
    assert one.ratios["rls"] == pytest.approx(0.8)
    assert one.ratios["last"] == pytest.approx(np.sqrt(0.4 * 2))  # no target weighs more
    assert one.recurrence_paid is True
    assert one.sentences[0] == (
        "5 rows ahead this learner wins: its error is 11 % below that of the last value, the best "
        "of the simple forecasters, and stays ahead from row 10 on."
    )
    assert "Recurrent units help: without them the error is 25 % above" in one.sentences[1]


def test_a_baseline_that_wins_is_named_in_the_first_sentence() -> None:
    one = verdict(
        result({"learner": (1.2,), "frozen": (1.2,), "rls": (1.0,), "last": (3.0,)}), classes=False
    )
    assert one.winner == "rls"
    assert one.sentences[0] == (
        "5 rows ahead recursive least squares wins: its error is 17 % below that of this "
        "learner; use --hidden 0, which is RLS in the C kernel, in fewer bytes."
    )
    assert one.recurrence_paid is False
    assert one.sentences[1].startswith("Recurrent units do not help: without them (--hidden 0)")
    last = verdict(result({"learner": (1.2,), "rls": (1.1,), "last": (1.0,)}), classes=False)
    assert "the last value wins" in last.sentences[0]
    assert "does not justify its bytes" in last.sentences[0]


@pytest.mark.parametrize(
    ("own", "end"),
    [
        (0.995, "the best of the simple forecasters: its error is 0.5 % lower"),
        (0.9999, "the best of the simple forecasters: its error is the same"),
        (1.0001, "whose error is the same"),
        (1.005, "whose error is 0.5 % higher"),
    ],
)
def test_what_differs_by_less_than_a_percent_is_as_good(own: float, end: str) -> None:
    one = verdict(result({"learner": (own,), "rls": (1.0,), "last": (2.0,)}), classes=False)
    assert "as good as" in one.sentences[0]
    assert "wins" not in one.sentences[0]
    assert one.winner == ("learner" if own < 1 else "rls")
    assert one.advised == "rls"
    assert one.sentences[0].endswith(
        f"{end}; use --hidden 0, which is RLS in the C kernel, in fewer bytes."
    )


def test_few_labels_decide_nothing() -> None:
    errors = {"learner": (0.5,), "last": (1.0,)}
    few = verdict(result(errors, counts=[3]), classes=False)
    assert few.sentences[-1] == "Only 3 labels were scored, too few to decide."
    assert "too few" not in text(verdict(result(errors, counts=[30]), classes=False))


def test_frozen_units_are_no_rival() -> None:
    one = verdict(
        result({"learner": (0.9,), "frozen": (0.8,), "rls": (1.0,), "last": (2.0,)}), classes=False
    )
    assert one.winner == one.advised == "learner"
    assert "this learner wins" in one.sentences[0]
    assert "Learning their weights does not" in one.sentences[1]


def test_units_may_pay_without_learning() -> None:
    one = verdict(
        result({"learner": (0.8,), "frozen": (0.801,), "rls": (1.0,), "last": (2.0,)}),
        classes=False,
    )
    assert one.recurrence_paid is False
    assert "Recurrent units help" in one.sentences[1]
    assert "Learning their weights does not" in one.sentences[1]


def test_the_row_from_which_on_the_learner_is_ahead() -> None:
    errors = {"learner": (0.9,), "last": (1.0,)}
    ahead = {"learner": [5.0, 9.0, 9.5, 10.0], "last": [4.0, 9.0, 10.0, 12.0]}
    assert verdict(result(errors, ahead), classes=False).better_from_row == 200
    never = {"learner": [1.0, 13.0], "last": [2.0, 12.0]}
    assert verdict(result(errors, never), classes=False).better_from_row is None
    always = {"learner": [1.0, 2.0], "last": [2.0, 12.0]}
    assert verdict(result(errors, always), classes=False).better_from_row == 10


def test_errors_that_are_nothing_or_infinite() -> None:
    perfect = verdict(result({"learner": (0.0,), "rls": (0.0,), "last": (1.0,)}), classes=False)
    assert np.isnan(perfect.ratios["rls"])
    lost = verdict(result({"learner": (1.0,), "rls": (np.inf,), "last": (2.0,)}), classes=False)
    assert lost.winner == "learner"
    assert "the last value" in lost.sentences[0]
    alone = verdict(result({"learner": (1.0,)}), classes=False)
    assert "no other model has a score" in text(alone)


def test_classes_are_judged_by_bits() -> None:
    one = verdict(
        result({"learner": (0.5,), "last": (1.0,), "majority": (1.5,)}, kind="bits"), classes=True
    )
    assert "its number of bits is 50 % below that of the last value" in one.sentences[0]


def test_several_horizons_have_a_sentence_each() -> None:
    first = verdict(result({"learner": (0.5,), "last": (1.0,)}), classes=False)
    second = verdict(result({"learner": (2.0,), "last": (1.0,)}, horizon=1), classes=False)
    assert overall([first, second]) == (first.sentences[0], second.sentences[0])
    assert second.sentences[0].startswith("1 row ahead the last value wins")
    assert overall([first]) == first.sentences
