"""What the instructions of a learning step grow with, part by part (docs/design.md, section 8).

A step is one ``learn`` and one ``predict``. Its instructions are a sum of coefficients, which
``make cost`` measures for every processor, times the terms below, which follow from the settings.
Symbols as in docs/design.md, section 1. "late" terms are those of a step whose label comes more
than one row later: the learning state then goes forward by itself, once more.
"""

from __future__ import annotations

from nbt_embed._kernel_config import shape_of
from nbt_embed.config import CHOICES, Config

Terms = dict[str, float]


def terms_of(config: Config) -> Terms:
    """Name -> size of every term that is not 0. Errors: ConfigError. Cost: O(1)."""
    found = _shared(config) | _readouts(config) | _head(config)
    found |= _columns(config) if config.traces_are_exact else _dense(config)
    return {name: float(value) for name, value in found.items() if value}


def _late(config: Config) -> int:
    return int(config.max_delay > 0)


def _sizes(config: Config) -> tuple[int, int, int, int]:
    """Inputs I, states that are seen E, head Q, outputs O."""
    states, _, _ = shape_of(config)
    seen = config.hidden if config.cell == "lstm" else states
    return config.n_in * (config.lags or 1), seen, config.head or 0, config.n_out


def _shared(config: Config) -> Terms:
    """What every sample and every label cost: intake, units, mixture, intervals, links."""
    inputs, _, _, n_out = _sizes(config)
    late, gaussian = _late(config), config.link == "gaussian"
    return {
        "step": 1,
        "step late": late,
        "step kalman": config.filter != "sgd",
        "step units": config.hidden > 0,
        "step learns": config.estimator != "frozen",
        "step follow": config.follow,
        "step follow classes": config.follow and not gaussian,
        "step mixture": bool(config.mix_forget),
        "channels": config.n_in,
        "channels follow": config.n_in * config.follow,
        "channels stuck": config.n_in * (config.stuck_steps > 0),
        "inputs": inputs,
        "inputs late": inputs * late,
        "outputs": n_out,
        "outputs late": n_out * late,
        "outputs gaussian": n_out * gaussian,
        "outputs kalman": n_out * (config.filter != "sgd"),
        "outputs follow": n_out * (config.follow and gaussian),
        "outputs mixture": n_out * bool(config.mix_forget),
        "outputs intervals": n_out * bool(config.intervals),
        "outputs levels": n_out * (config.intervals or 0),
        "outputs anomaly": n_out * bool(config.anomaly),
        "outputs categorical": n_out * (config.link == "categorical"),
        "outputs bernoulli": n_out * (config.link == "bernoulli"),
        "outputs² categorical": n_out**2 * (config.link == "categorical"),
    }


def _readouts(config: Config) -> Terms:
    """The readouts and their covariances: the network's, the slow one, the linear ones."""
    inputs, seen, head, n_out = _sizes(config)
    features = seen + inputs + 1 + head
    triangle = features * (features + 1) // 2
    late, kalman, slow = _late(config), config.filter != "sgd", bool(config.slow_forget)
    taps = config.linear_lags + 1 if config.linear_lags else 0
    return {
        "readout": features * n_out,
        "readout late": features * n_out * late,
        "features": features,
        "features late": features * late,
        "features kalman": features * kalman,
        "covariance": triangle * kalman,
        "slow covariance": triangle * slow,
        "slow features": features * slow,
        "slow readout": features * n_out * slow,
        "linear covariance": n_out * taps * (taps + 1) // 2,
        "linear taps": n_out * taps,
        "linear outputs": n_out * (taps > 0),
    }


def _head(config: Config) -> Terms:
    """The head; its slopes change those along the recurrent weights; the innovation."""
    inputs, seen, head, n_out = _sizes(config)
    late, kalman = _late(config), config.filter != "sgd"
    learns = config.estimator != "frozen"
    weights, pairs = head * (seen + inputs + 1), n_out * (n_out + 1) // 2
    # One direction for all weights: the innovation covariance is diagonal but for it.
    along = config.estimator == "nobacktrack" and config.link != "categorical" and not head
    traces = learns and config.estimator != "nobacktrack"
    directions = seen * traces
    if config.estimator in ("residual", "unitwise"):
        directions *= 2
    return {
        "head weights": weights,
        "head weights late": weights * late,
        "head weights kalman": weights * kalman,
        "head units": head,
        "head units late": head * late,
        "head outputs": head * n_out,
        "slopes": n_out * seen * learns,
        "slopes traces": n_out * seen * traces,
        "slopes traces kalman": n_out * seen * (traces and kalman),
        "slopes head": n_out * head * seen * learns,
        "slopes head kalman": n_out * head * seen * (learns and kalman),
        "innovation": pairs * directions * (kalman and n_out > 1),
        "innovation single": directions * (kalman and n_out == 1),
        "innovation head": pairs * head * kalman,
        "solution": n_out**2 * (kalman and not along),
        "solution³": n_out**3 * (kalman and not along),
    }


def _columns(config: Config) -> Terms:
    """A columnar layer: forward pass, traces, their change."""
    inputs, _, _, _ = _sizes(config)
    late, kalman = _late(config), config.filter != "sgd"
    learns = config.estimator != "frozen"
    resonators = config.resonators or 0
    found: Terms = {}
    for kind, units in (("gated", config.hidden - resonators), ("resonator", resonators)):
        weights = units * (inputs + 2)
        found |= {
            f"{kind} columns": units * (1 + late),
            f"{kind} columns learn": units * learns,
            f"{kind} columns kalman": units * (learns and kalman),
            f"{kind} weights": weights * (1 + late),
            f"{kind} weights learn": weights * learns,
            f"{kind} weights kalman": weights * (learns and kalman),
        }
    return found


def _dense(config: Config) -> Terms:
    """Cells whose units see each other, and the estimators of their derivative."""
    _, rows, columns = shape_of(config)
    late, weights = _late(config), rows * columns
    estimator, units, n_out = config.estimator, config.hidden, config.n_out
    learns = estimator != "frozen"
    kalman, quasi = config.filter != "sgd", config.filter == "kalman_quasi"
    random = estimator in ("nobacktrack", "residual", "unitwise")  # has w
    traces = estimator in ("snap1", "residual", "unitwise")  # has g
    found: Terms = {
        "dense weights late": weights * late,
        "dense weights kalman": weights * (learns and kalman),
        "dense weights quasi": weights * (learns and quasi),
        "random weights kalman": weights * (random and kalman),
        "traces weights kalman": weights * (traces and kalman),
        "random weights quasi": weights * (random and quasi),
        "traces weights quasi": weights * (traces and quasi),
        "dense rows kalman": rows * (learns and kalman),
        "dense rows quasi": rows * (learns and quasi),
    }
    for name in CHOICES["estimator"]:
        found[f"{name} weights"] = weights * (estimator == name)
        found[f"{name} weights late"] = weights * (learns and estimator == name) * late
        found[f"{name} rows"] = rows * (learns and estimator == name)
    for name in CHOICES["cell"]:
        found[f"{name} units forward"] = units * (config.cell == name) * (1 + late)
    if estimator == "unitwise":
        found |= {
            "unitwise units²": units**2,
            "unitwise units³": units**3,
            "unitwise outputs": n_out * units**2,
        }
    return found
