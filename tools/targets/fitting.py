"""Which terms the cost of a function of the kernel is made of, and their coefficients.

A function takes a number of instructions for each of what it loops over, so its cost is a sum of a
few terms (nbt_embed/_terms.py). Which of the thousands that there are is found by simultaneous
orthogonal matching pursuit (Tropp, Gilbert and Strauss 2006): the term that explains most of what
is left, on all processors together, is taken, again and again, if its coefficient is above 0
(Bruckstein, Elad and Zibulevsky 2008). How many is decided by
cross-validation over the kernels. The coefficients are, for each processor, those with the least
squared error relative to the whole step, none below 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Array = NDArray[np.float64]

_MOST_TERMS = 32
_FOLDS = 4
_ENOUGH = 1e-5  # of the whole, root mean square: nothing needs a closer fit
_LESS = 0.995  # times the cross-validated error before: what further terms must at least bring
_ALIKE = 1e-5  # square of what is left of a term that others make up
# More than so many times the other processor's is no other speed, but code that the compiler's line
# table calls by another name in these samples.
_MOST_TIMES = 4.0
_PATIENCE = 6  # so many terms that bring nothing end the search
# How strongly coefficients may be drawn to those of another processor.
_PULLS = (1e-4, 0.01, 0.1, 1.0)


@dataclass(frozen=True)
class Terms:
    """Candidates: names, how simple each is (1 most), and their values (samples, terms)."""

    names: tuple[str, ...]
    simple: Array
    values: Array


@dataclass(frozen=True)
class Samples:
    """What one processor takes.

    Attributes: values (samples, terms); cost and whole (samples,), of a function and of the step;
    kernel (samples,), number of the kernel that each belongs to.
    """

    values: Array
    cost: Array
    whole: Array
    kernel: NDArray[np.intp]

    def relative_to(self, terms: Sequence[int]) -> Array:
        """Values of terms over the whole: times the coefficients the function's share."""
        found: Array = self.values[:, terms] / self.whole[:, np.newaxis]
        return found

    @property
    def goal(self) -> Array:
        """The function's share of the whole."""
        return self.cost / self.whole


def candidates(rows: Sequence[dict[str, float]], simple_of: Callable[[str], float]) -> Terms:
    """The terms of samples; of those that are the same in all of them the simplest."""
    names = sorted({name for row in rows for name in row})
    names.sort(key=simple_of, reverse=True)
    values = table_of(rows, names)
    simplest: dict[bytes, int] = {}
    for i in range(len(names)):
        simplest.setdefault(values[:, i].tobytes(), i)
    keep = list(simplest.values())
    found = tuple(names[i] for i in keep)
    return Terms(found, np.array([simple_of(name) for name in found]), values[:, keep])


def table_of(rows: Sequence[dict[str, float]], names: Sequence[str]) -> Array:
    """(rows, names); 0 where a row has none."""
    place = {name: i for i, name in enumerate(names)}
    values = np.zeros((len(rows), len(names)))
    for row, terms in zip(values, rows, strict=True):
        for name, value in terms.items():
            if name in place:
                row[place[name]] = value
    return values


class Search:
    """The search for the terms of functions, each of which has other costs of the same samples."""

    def __init__(self, simple: Array, values: Sequence[Array], whole: Sequence[Array]) -> None:
        """By processor: values (samples, terms); whole (samples,). simple (terms,)."""
        self._simple = simple
        self._columns = []
        for one, step in zip(values, whole, strict=True):
            columns = one / step[:, np.newaxis]
            self._columns.append(columns / (np.sqrt((columns**2).sum(axis=0)) + 1e-30))
        # Scalar products of a term with all, by processor: functions share most of their terms.
        self._products: dict[int, list[Array]] = {}

    def selected(self, processors: Sequence[Samples]) -> list[int]:
        """Places of the terms that a function is made of, on all processors.

        The terms are made orthogonal to those that have been taken by their scalar products alone
        (as in Batch-OMP: Rubinstein, Zibulevsky and Elad 2008).
        """
        left = [one.goal @ columns for one, columns in zip(processors, self._columns, strict=True)]
        size = [(columns**2).sum(axis=0) for columns in self._columns]
        taken: list[list[Array]] = [[] for _ in processors]
        path: list[int] = []
        best, errors = 0, [_rms([one.goal for one in processors])]
        while len(path) < _MOST_TERMS and errors[-1] > _ENOUGH:
            gain = sum(
                np.where(n > _ALIKE, np.maximum(rest, 0.0) ** 2 / np.maximum(n, _ALIKE), 0.0)
                / len(one.cost)
                for rest, n, one in zip(left, size, processors, strict=True)
            )
            chosen = int(np.argmax(gain * self._simple))
            if np.max(gain) <= 1e-14:
                break
            if chosen not in self._products:
                self._products[chosen] = [one[:, chosen] @ one for one in self._columns]
            products = self._products[chosen]
            for rest, n, basis, product in zip(left, size, taken, products, strict=True):
                if n[chosen] > _ALIKE:
                    length = np.sqrt(n[chosen])
                    row = product.copy()
                    for other in basis:
                        row -= other[chosen] * other
                    row /= length
                    rest -= row * (rest[chosen] / length)
                    n -= row**2
                    basis.append(row)
            path.append(chosen)
            errors.append(
                _rms([_left_out(one.relative_to(path), one.goal, one.kernel) for one in processors])
            )
            if errors[-1] < _LESS * errors[best]:
                best = len(path)
            elif len(path) - best >= _PATIENCE:
                break
        return path[:best]


def coefficients(samples: Samples, terms: Sequence[int], known: Array | None = None) -> Array:
    """The coefficients of terms.

    known: those of another processor or kernel, of more samples. Terms that these samples do not
    tell apart are then shared out as there, and what they do not have is taken from there: each
    coefficient is drawn to a multiple of the one there, the same for all. How strongly is what has
    the least error in the cross-validation.
    """
    relative, goal = samples.relative_to(terms), samples.goal
    if known is None:
        return solved(relative, goal)
    share = relative @ known
    if not np.any(share):
        return known  # of a function that no kernel here has
    times = float(share @ goal) / float(share @ share)
    known = known * min(max(times, 1 / _MOST_TIMES), _MOST_TIMES)

    def error(pull: float) -> float:
        return _rms([_left_out(relative, goal, samples.kernel, known, pull)])

    return solved(relative, goal, known, min(_PULLS, key=error))


def solved(values: Array, goal: Array, known: Array | None = None, pull: float = 0.0) -> Array:
    """The coefficients b >= 0 with the least |values b - goal|² + pull Σ (size (b - known))².

    Of terms that are 0 in all samples: the known ones.
    """
    found = np.zeros(values.shape[1]) if known is None else known.copy()
    here = np.any(values != 0, axis=0)
    if here.any():
        there = None if known is None else known[here]
        found[here] = _solved(values[:, here], goal, there, pull)
    return found


def _solved(values: Array, goal: Array, known: Array | None, pull: float) -> Array:
    size = np.linalg.norm(values, axis=0)
    rows = values / size
    if known is not None and pull > 0:
        rows = np.vstack([rows, np.sqrt(pull) * np.eye(len(size))])
        goal = np.concatenate([goal, np.sqrt(pull) * known * size])
    orthogonal, triangle = np.linalg.qr(rows)  # of the same squares in fewer rows
    solution, _ = nnls(triangle, goal @ orthogonal, maxiter=100 * max(len(size), 10))
    found: Array = solution / size
    return found


def _left_out(
    values: Array,
    goal: Array,
    kernel: NDArray[np.intp],
    known: Array | None = None,
    pull: float = 0.0,
) -> Array:
    """The error of each sample by the coefficients of the kernels of other folds."""
    error = np.zeros(len(goal))
    for fold in range(_FOLDS):
        out = kernel % _FOLDS == fold
        if out.any() and not out.all():
            found = solved(values[~out], goal[~out], known, pull)
            error[out] = values[out] @ found - goal[out]
    return error


def _rms(errors: Sequence[Array]) -> float:
    """Of all processors alike, however many samples each has."""
    return float(np.sqrt(np.mean([np.mean(error**2) for error in errors])))
