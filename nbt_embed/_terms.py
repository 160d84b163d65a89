"""What the instructions of a learning step grow with (docs/design.md, section 8).

A step is one ``learn`` and one ``predict``. Every function of the kernel takes a number of
instructions for each of what it loops over, its *sizes*, where the learner has the *parts* that it
is for. So the instructions of a step are a sum of coefficients times products of a size and a part.
``make cost`` finds out which products, and measures the coefficients for every processor
(costs.json). Symbols as in docs/design.md, section 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from nbt_embed._kernel_config import shape_of
from nbt_embed.config import Config

_ALWAYS, _TIMES = "always", " | "
# Parts that change what others cost.
_SHAPING = (
    "late", "prompt", "single output", "several outputs", "covariances", "sgd", "diagonal",
    "quasi-diagonal",
)  # fmt: skip
_SHAPING_CODE = ("covariances", "follow gaussian", "head", "dense", "learns", "several outputs")
_LACKS = frozenset({"no head", "no mixture", "fixed units", "fixed units gaussian", "prompt"})
# Loops that take several rows at a time have a rest.
_ROWS_AT_ONCE = 4


def sizes_of(config: Config) -> dict[str, int]:
    """What loops go over. Errors: ConfigError. Cost: O(1)."""
    states, rows, columns = shape_of(config)
    units, n_out, head = config.hidden, config.n_out, config.head or 0
    resonators = config.resonators or 0
    inputs = config.n_in * (config.lags or 1)
    seen = units if config.cell == "lstm" else states  # features among the state floats
    hidden = seen + head
    features = hidden + inputs + 1
    pairs = n_out * (n_out + 1) // 2
    taps = config.linear_lags + 1 if config.linear_lags else 0
    gated = units - resonators if config.traces_are_exact else 0
    learnt = int(config.estimator != "frozen")  # the filter goes over no other weights
    fours, features_by_four = units // _ROWS_AT_ONCE, features // _ROWS_AT_ONCE
    return {
        "1": 1,
        "channels": config.n_in,
        "inputs": inputs,
        "outputs": n_out,
        "units": units,
        "gated columns": gated,
        "resonators": resonators,
        "states": states,
        "seen": seen,
        "head": head,
        "hidden features": hidden,
        "features": features,
        "rows": rows,
        "weights": rows * columns,
        "learnt weights": learnt * rows * columns,
        "gated weights": learnt * gated * (inputs + 2),
        "resonator weights": learnt * resonators * (inputs + 2),
        "inputs outputs": inputs * n_out,
        "units outputs": units * n_out,
        "rows outputs": rows * n_out,
        "seen outputs": seen * n_out,
        "head outputs": head * n_out,
        "hidden features outputs": hidden * n_out,
        "features outputs": features * n_out,
        "features²/2": features * (features - 1) // 2,
        "features by four": features_by_four,
        "features by four, rest": features % _ROWS_AT_ONCE,
        "head weights": head * (seen + inputs + 1),
        "head seen": head * seen,
        "head inputs": head * (inputs + 1),
        "head seen outputs": head * seen * n_out,
        "outputs²": n_out**2,
        "outputs³": n_out**3,
        "pairs": pairs,
        "pairs seen": pairs * seen,
        "pairs head": pairs * head,
        "pairs units": pairs * units,
        "outputs² seen": n_out**2 * seen,
        "outputs² units": n_out**2 * units,
        "units²": units**2,
        "units³": units**3,
        "units² outputs": units**2 * n_out,
        "rows units": rows * units,
        "units by four": fours,
        "units by four, rest": units % _ROWS_AT_ONCE,
        "units by four, units": fours * units,
        "units by four, units²": fours * units**2,
        "units by four, rest, units²": units % _ROWS_AT_ONCE * units**2,
        "taps outputs": taps * n_out,
        "taps² outputs": taps**2 * n_out,
        "levels outputs": (config.intervals or 0) * n_out,
    }


def parts_of(config: Config) -> frozenset[str]:
    """What the learner has, one by one and two at a time. Cost: O(1)."""
    alone = _parts(config)
    shaping = alone.intersection(_SHAPING)
    both = {" + ".join(sorted(two)) for two in product(shaping, alone) if two[0] != two[1]}
    return frozenset({_ALWAYS, *alone, *both})


def _parts(config: Config) -> frozenset[str]:
    estimator, gaussian = config.estimator, config.link == "gaussian"
    dense = config.hidden > 0 and not config.traces_are_exact
    learns, covariances = estimator != "frozen", config.filter != "sgd"
    directed = estimator == "nobacktrack" and config.link != "categorical" and not config.head
    known = {
        "late": config.max_delay > 0,
        "prompt": config.max_delay == 0,
        "single output": config.n_out == 1,
        "several outputs": config.n_out > 1,
        "covariances": covariances,
        "sgd": not covariances,
        "diagonal": config.filter == "kalman",
        "quasi-diagonal": config.filter == "kalman_quasi",
        "learns": learns,
        "columns": config.hidden > 0 and config.traces_are_exact,
        "columns learn": config.traces_are_exact and learns,
        "dense": dense,
        "dense frozen": dense and not learns,
        "dense learns": dense and learns,
        "traces": dense and estimator in ("snap1", "residual", "unitwise"),
        "random": estimator in ("nobacktrack", "residual", "unitwise"),
        "snap1": dense and estimator == "snap1",
        "nobacktrack": estimator == "nobacktrack",
        "residual": estimator == "residual",
        "unitwise": estimator == "unitwise",
        # The innovation covariance is diagonal but for one direction.
        "one direction": directed,
        "directions": learns and not directed,
        "cell tanh": config.cell == "tanh",
        "cell leaky": config.cell == "leaky",
        "cell gated": config.cell == "gated",
        "cell lstm": config.cell == "lstm",
        "cell resonator": config.cell == "resonator",
        "resonators": bool(config.resonators),
        "head": bool(config.head),
        "no head": not config.head,
        "gaussian": gaussian,
        "categorical": config.link == "categorical",
        "bernoulli": config.link == "bernoulli",
        "follow": config.follow,
        "follow gaussian": config.follow and gaussian,
        "follow classes": config.follow and not gaussian,
        "fixed units": not config.follow,
        "fixed units gaussian": not config.follow and gaussian,
        "prior units": bool(config.prior_units),
        "anchored": bool(config.anchored),
        "follow labels": config.follow and gaussian and not config.anchored,
        "mixture": bool(config.mix_forget),
        "no mixture": not config.mix_forget,
        "slow": bool(config.slow_forget),
        "linear": bool(config.linear_lags),
        "intervals": bool(config.intervals),
        "anomaly": bool(config.anomaly),
        "gate": bool(config.gate),
        "stuck": config.stuck_steps > 0,
        "hold missing": config.hold_missing,
        "rollback": config.rollback_steps > 0,
    }
    # Which loop over the weights is compiled.
    swept = {f"{estimator}, {config.filter}"} if dense and learns else set()
    return frozenset({name for name, has in known.items() if has} | swept)


def kernel_parts_of(config: Config) -> frozenset[str]:
    """What decides about the code of the kernel that ``nbt-embed export`` writes.

    Its sizes are constants there, but loops stay loops, mostly: so flash and stack follow from what
    there is, not from how much of it. Cost: O(1).
    """
    alone = _parts(config) - _LACKS  # a learner that has more has no less code
    shaping = alone.intersection(_SHAPING_CODE)
    both = {" + ".join(sorted(two)) for two in product(shaping, alone) if two[0] != two[1]}
    return frozenset({_ALWAYS, *alone, *both})


def terms_of(config: Config) -> dict[str, float]:
    """Value of every product of a size and parts that is not 0. Errors: ConfigError."""
    return {
        f"{size}{_TIMES}{part}": float(value)
        for size, value in sizes_of(config).items()
        if value
        for part in parts_of(config)
    }


def kernel_terms_of(config: Config) -> dict[str, float]:
    """1 for everything that the kernel holds (``kernel_parts_of``)."""
    return dict.fromkeys(kernel_parts_of(config), 1.0)


def value_of(config: Config, coefficients: Mapping[str, float]) -> float:
    """Sum of coefficients times ``terms_of``, without making all of them. Errors: ConfigError."""
    sizes, parts = sizes_of(config), parts_of(config)
    total = 0.0
    for term, coefficient in coefficients.items():
        size, _, part = term.partition(_TIMES)
        total += coefficient * sizes[size] if part in parts else 0.0
    return total


def instructions_of(
    config: Config,
    coefficients: Mapping[str, float],
    like: Mapping[str, float] | None,
    ratio: tuple[float, float],
) -> float:
    """Instructions of a step on a processor, within the ratios to a similar one (like), if any."""
    value = value_of(config, coefficients)
    if like is None:
        return value
    other = value_of(config, like)
    return min(max(value, ratio[0] * other), ratio[1] * other)


def kernel_value_of(config: Config, coefficients: Mapping[str, float]) -> float:
    """The same for ``kernel_terms_of``."""
    parts = kernel_parts_of(config)
    return sum(coefficient for part, coefficient in coefficients.items() if part in parts)
