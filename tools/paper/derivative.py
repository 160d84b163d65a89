"""Claim: one random direction whose mean is the exact derivative."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from nbt_embed.reference import jacobian
from tools.learning.summary import Spread
from tools.paper.claim import KERNEL, Claim, Data, table
from tools.paper.runs import Runs
from tools.paper.samples import Estimate, Network, exact_gradients, sampled_gradients
from tools.paper.statistics import (
    Array,
    Interval,
    along,
    covered,
    error_of_means,
    relative_variance,
    slope,
)

STEPS = 100
LATE = tuple(range(20, STEPS, 5))  # where variances are taken; biases at the last step
WIDTHS = (4, 8, 16, 32)
NETWORKS = (0, 1, 2)  # seeds


@dataclass(frozen=True)
class Case:
    """An estimator on a network of a cell; n samples."""

    cell: str
    estimator: str
    n: int
    norm: str = "euclidean"
    decay: float = 1.0
    hidden: int = 8
    seed: int = 0

    @property
    def label(self) -> str:
        """As the page names it."""
        norm = f", {self.norm}" if self.estimator == "nobacktrack" else ""
        decay = "" if self.decay == 1 else f", decay {self.decay}"
        return f"{self.cell}, {self.estimator}{norm}{decay}"

    def samples(self) -> tuple[Network, dict[int, Array], list[Array]]:
        """Network, estimates (n, R, D) after some of the symbols, exact gradients after each."""
        network = Network.trained(self.cell, self.hidden, STEPS, self.seed)
        estimate = Estimate(self.estimator, network, self.n, self.seed, self.decay, self.norm)
        drawn = sampled_gradients(network, estimate, {*LATE, STEPS - 1})
        return network, drawn, exact_gradients(network)

    def bias(self) -> Data:
        """How far means of 1, 4, 16, ... samples are from the exact gradient."""
        _, drawn, exact = self.samples()
        last, truth = _flat(drawn[STEPS - 1]), exact[-1].ravel()
        counts = [4**i for i in range(20) if 8 * 4**i <= self.n]
        return {
            **asdict(self),
            "label": self.label,
            "counts": counts,
            "error": [asdict(one) for one in error_of_means(last, truth, counts)],
            "slope": asdict(slope(last, truth, counts)),
            "along": asdict(along(last, truth)),
            "covered": covered(last, truth),
            "variance_last": relative_variance(last, truth),
            "variance": _variance(drawn, exact),
        }

    def variance(self) -> Data:
        """The variance alone."""
        _, drawn, exact = self.samples()
        return {**asdict(self), "variance": _variance(drawn, exact)}


def _flat(drawn: Array) -> Array:
    return drawn.reshape(len(drawn), -1)


def _variance(drawn: dict[int, Array], exact: list[Array]) -> float:
    """Variance of the estimates over the square of the gradient, both summed over LATE."""
    squares = {t: (exact[t] ** 2).sum() for t in LATE}
    noise = sum(relative_variance(_flat(drawn[t]), exact[t].ravel()) * squares[t] for t in LATE)
    return float(noise / sum(squares.values()))


BIASES = (
    Case("gated", "nobacktrack", 8_192),
    Case("gated", "nobacktrack", 8_192, norm="metric"),
    Case("gated", "residual", 8_192),
    Case("gated", "unitwise", 2_048),
    Case("lstm", "nobacktrack", 8_192),
    Case("lstm", "nobacktrack", 8_192, norm="metric"),
    Case("gated", "nobacktrack", 8_192, decay=0.95),
    Case("gated", "unitwise", 2_048, decay=0.95),
)
SAMPLES = {"nobacktrack": 256, "residual": 256, "unitwise": 64}
VARIANCES = tuple(
    Case("gated", estimator, n, hidden=hidden, seed=seed)
    for hidden in WIDTHS
    for estimator, n in SAMPLES.items()
    for seed in NETWORKS
)


def columnar() -> Data:
    """The traces of the columnar cell compared with exact differentiation; two seeds of signs.

    At the initial weights no unit feeds itself by more than 1 and no trace is bounded.
    """
    found: Data = {}
    for name, read in (("initial", False), ("trained", True)):
        network = Network.trained("columnar", 8, STEPS, read=read)
        steps = list(network.steps())
        theta = network.learner.wide_theta
        bounded = [np.abs(np.diag(jacobian(step, theta))) > 1 for _, step, _ in steps]
        drawn = [
            sampled_gradients(network, Estimate("snap1", network, 1, seed), {STEPS - 1})
            for seed in (0, 1)
        ]
        one, other = (each[STEPS - 1][0] for each in drawn)
        exact = exact_gradients(network)[-1]
        found[name] = {
            "error": float(np.linalg.norm(one - exact) / np.linalg.norm(exact)),
            "variance": float(((one - other) ** 2).sum()),
            "bounded": float(np.mean(bounded)),
        }
    return found


def measure(runs: Runs) -> Data:
    """Biases, variances against width, and the columnar cell."""
    return {
        "biases": runs.map(Case.bias, BIASES),
        "variances": runs.map(Case.variance, VARIANCES),
        "columnar": columnar(),
    }


def variances(data: Data, estimator: str, hidden: int) -> list[float]:
    """Relative variance on each of NETWORKS."""
    return [
        row["variance"]
        for row in data["variances"]
        if (row["estimator"], row["hidden"]) == (estimator, hidden)
    ]


def removed(data: Data, estimator: str, hidden: int) -> float:
    """Share of the variance of nobacktrack that is gone, the median over NETWORKS."""
    pairs = zip(
        variances(data, estimator, hidden), variances(data, "nobacktrack", hidden), strict=True
    )
    return 1 - float(np.median([left / whole for left, whole in pairs]))


def text(data: Data) -> str:
    """Tables of biases and of variances, and the columnar cell."""
    return "\n\n".join([_biases(data), _variances(data), _columnar(data["columnar"])])


def _biases(data: Data) -> str:
    rows = [
        (
            row["label"],
            f"{row['n']:,}",
            Interval(**row["slope"]),
            Interval(**row["along"]),
            f"{100 * row['covered']:.0f} %",
            f"{row['variance']:.3g}",
        )
        for row in data["biases"]
    ]
    header = (
        "cell, estimator; 8 units",
        "samples",
        "exponent of the error",
        "mean along the exact gradient",
        "entries whose interval contains the exact one",
        "variance / gradient²",
    )
    return table(header, rows)


def _variances(data: Data) -> str:
    rows = [
        (
            f"`{estimator}`",
            *(Spread.of(variances(data, estimator, hidden)) for hidden in WIDTHS),
        )
        for estimator in SAMPLES
    ]
    rows += [
        (
            f"removed by `{estimator}`",
            *(f"{100 * removed(data, estimator, hidden):.1f} %" for hidden in WIDTHS),
        )
        for estimator in ("residual", "unitwise")
    ]
    header = ("variance / gradient², gated", *(f"{hidden} units" for hidden in WIDTHS))
    return table(header, rows)


def _columnar(found: Data) -> str:
    initial, trained = found["initial"], found["trained"]
    return (
        f"Columnar cell, own-unit traces (`snap1`), 8 units: variance {trained['variance']:g}, "
        "because nothing is random. The distance from the exact derivative is "
        f"{initial['error']:.1g} of the gradient at the initial weights, where no unit feeds "
        f"itself by more than 1. After training it is {trained['error']:.2g}, because the traces "
        f"of {100 * trained['bounded']:.1f} % of the units' steps are bounded."
    )


CLAIM = Claim(
    "derivative",
    measure,
    text,
    (*KERNEL, "nbt_embed/reference/*.py", "tools/paper/samples.py", "tools/paper/statistics.py"),
)
