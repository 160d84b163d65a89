"""Verdict of a trial in words: the best model, the difference, and the gain of recurrence.

Models are compared by one figure each: the geometric mean over the targets of the learner's RMSE
divided by theirs, so that the targets' units have no effect. Classes are compared by bits, the mean
over the targets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nbt_embed.app.models import FROZEN, LAST, LEARNER, RLS, SIMPLE
from nbt_embed.app.trial import HorizonResult
from nbt_embed.arrays import Float64Array

# Difference below which two models are equally good.
_SAME = 0.01
# Scored labels of a target below which the verdict warns.
_FEW = 30
# Difference below which none is reported.
_NOTHING = 0.0005
_NAMES = {
    "RLS": "recursive least squares",
    "no units": "the same learner without units",
    "frozen units": "the same learner with frozen units",
    "last value": "the last value",
    "last class": "the last class",
    "usual class": "the most frequent class",
}


@dataclass(frozen=True)
class Verdict:
    """The verdict on one horizon.

    Attributes:
        sentences: the verdict in words, the result first.
        winner: key of the best model.
        advised: key of the recommended model: a baseline unless the learner is better by 1 %.
        ratios: key of another model -> loss of the learner divided by that model's (``ratio``).
        better_from_row: first row from which the learner's summed loss stays below that of the best
            baseline; None if it is not below at the end.
        recurrence_paid: whether the learner is better than with frozen units and than without
            units, by more than 1 %; None if there are no learning units.
    """

    sentences: tuple[str, ...]
    winner: str
    advised: str
    ratios: dict[str, float]
    better_from_row: int | None
    recurrence_paid: bool | None


def verdict(result: HorizonResult, classes: bool) -> Verdict:
    """Judge one horizon. Args: classes, whether losses are bits."""
    others = [key for key in result.models if key != LEARNER]
    ratios = {key: ratio(result, key, classes) for key in others}
    known = {key: value for key, value in ratios.items() if math.isfinite(value)}
    simple = [key for key in known if key in SIMPLE]
    rival = max(simple, key=lambda key: known[key]) if simple else None
    winner = rival if rival is not None and known[rival] > 1 else LEARNER
    advised = rival if rival is not None and known[rival] > 1 - _SAME else LEARNER
    row = None if rival is None else better_from(result, rival)
    paid = _paid(known)
    sentences = [
        _first(result, winner, advised, rival, known, row, classes),
        *_on_recurrence(known, classes),
        *_on_few(result),
    ]
    return Verdict(tuple(sentences), winner, advised, ratios, row, paid)


def ratio(result: HorizonResult, key: str, classes: bool) -> float:
    """Return the learner's loss divided by another model's: below 1, the learner is better.

    For RMSE the geometric mean over the targets that both were scored on; for bits the mean over
    them. NaN if both errors are 0.
    """
    name = "bits" if classes else "rmse"
    pairs = [
        (own[name], other[name])
        for own, other in zip(
            result.models[LEARNER].figures, result.models[key].figures, strict=True
        )
        if math.isfinite(own[name]) and math.isfinite(other[name])
    ]
    if classes:
        return _over(sum(own for own, _ in pairs), sum(other for _, other in pairs))
    over = [_over(*pair) for pair in pairs]
    over = [one for one in over if math.isfinite(one) and one > 0]
    return math.exp(sum(map(math.log, over)) / len(over)) if over else math.nan


def better_from(result: HorizonResult, rival: str) -> int | None:
    """Return the first row after which the learner's summed loss stays below the rival's."""
    pieces = result.pieces
    scale = np.maximum(pieces.losses[-1][rival], 1e-300)

    def summed(key: str) -> Float64Array:
        totals: Float64Array = np.array([(one[key] / scale).sum() for one in pieces.losses])
        return totals

    behind = np.flatnonzero(~(summed(LEARNER) < summed(rival)))
    if not behind.size:
        return min(first for first in result.first if first is not None)
    last = int(behind[-1])
    return None if last + 1 >= len(pieces.rows) else pieces.rows[last] + 1


def overall(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """Return the sentences at the top of a report: all of one horizon, or the first of each."""
    if len(verdicts) == 1:
        return verdicts[0].sentences
    return tuple([one.sentences[0] for one in verdicts])


def _first(
    result: HorizonResult,
    winner: str,
    advised: str,
    rival: str | None,
    ratios: dict[str, float],
    row: int | None,
    classes: bool,
) -> str:
    ahead = _ahead(result.horizon)
    if rival is None:
        return f"{ahead} no other model has a score to compare with."
    what = "its number of bits is" if classes else "its error is"
    if winner == LEARNER:
        if advised != LEARNER:
            return (
                f"{ahead} this learner is as good as {_name(result, rival)}, the best of the "
                f"simple forecasters: {what} {_alone(ratios[rival])}; {_advice(rival, classes)}."
            )
        text = f"{ahead} this learner wins: {what} {_change(ratios[rival])} that of "
        text += f"{_name(result, rival)}, the best of the simple forecasters"
        if rival != LAST and LAST in ratios:
            text += f", and {_change(ratios[LAST])} that of {_name(result, LAST)}"
        since = f", and stays ahead from row {row:,} on" if row is not None else ""
        return f"{text}{since}."
    if ratios[rival] < 1 + _SAME:
        return (
            f"{ahead} {_name(result, rival)} is as good as this learner, whose "
            f"{what.removeprefix('its ')} {_alone(ratios[rival])}; {_advice(rival, classes)}."
        )
    return (
        f"{ahead} {_name(result, rival)} wins: {what} {_change(1 / ratios[rival])} that of this "
        f"learner; {_advice(rival, classes)}."
    )


def _advice(rival: str, classes: bool) -> str:
    if rival == RLS:
        return "use --hidden 0, which is RLS in the C kernel, in fewer bytes"
    unless = "" if classes else ", unless you need its intervals or alarms"
    return f"a learner does not justify its bytes here{unless}"


def _on_few(result: HorizonResult) -> list[str]:
    most = max(result.counts)
    if most >= _FEW:
        return []
    return [f"Only {most} label{'s were' if most != 1 else ' was'} scored, too few to decide."]


def _on_recurrence(ratios: dict[str, float], classes: bool) -> list[str]:
    """Yield whether recurrent units lower the loss, and whether learning their weights does."""
    if FROZEN not in ratios or RLS not in ratios:
        return []
    units, learning = ratios[RLS], ratios[FROZEN]
    what = "number of bits" if classes else "error"
    if units > 1 - _SAME:
        return [
            f"Recurrent units do not help: without them (--hidden 0) the {what} is "
            f"{_change(1 / units)} that with them."
        ]
    rest = (
        f"with fixed random weights (--estimator frozen) it is {_change(1 / learning)} that with "
        "learnt ones"
    )
    if learning > 1 - _SAME:
        return [
            f"Recurrent units help: without them the {what} is {_change(1 / units)} that with "
            f"them. Learning their weights does not: {rest}."
        ]
    return [
        f"Recurrent units help: without them the {what} is {_change(1 / units)} that with them, "
        f"and {rest}."
    ]


def _paid(ratios: dict[str, float]) -> bool | None:
    if FROZEN not in ratios or RLS not in ratios:
        return None
    return bool(ratios[RLS] < 1 - _SAME and ratios[FROZEN] < 1 - _SAME)  # a bool, not NumPy's


def _ahead(horizon: int) -> str:
    if horizon == 0:
        return "For the label of the same row,"
    return f"{horizon} row{'s' if horizon > 1 else ''} ahead"


def _name(result: HorizonResult, key: str) -> str:
    if key == "seasonal":
        return f"the value {result.models[key].name}"
    name = result.models[key].name
    return _NAMES.get(name, name)


def _change(over: float) -> str:
    """Format a ratio, to be followed by "that of ..."."""
    share = abs(over - 1)
    if share < _NOTHING:
        return "the same as"
    if over >= 2:
        return f"{over:.3g} times"
    digits = 1 if share < 0.1 else 0
    return f"{100 * share:.{digits}f} % {'below' if over < 1 else 'above'}"


def _alone(over: float) -> str:
    """Format a ratio near 1, for the end of a clause."""
    if abs(over - 1) < _NOTHING:
        return "the same"
    return _change(over).replace("below", "lower").replace("above", "higher")


def _over(own: float, other: float) -> float:
    if other > 0:
        return own / other
    return math.nan if own == 0 else math.inf
