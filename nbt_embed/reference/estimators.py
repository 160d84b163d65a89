"""The estimators of ds/dtheta, one step each. A new one is entered with ``@estimator``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nbt_embed.reference.arrays import Array
from nbt_embed.reference.cells import Step
from nbt_embed.reference.generator import Generator
from nbt_embed.reference.jacobian import jacobian, jacobian_vector
from nbt_embed.reference.metric import Metric
from nbt_embed.reference.nobacktrack import estimate_update
from nbt_embed.reference.residual import Balance, residual_update
from nbt_embed.reference.resonator import Traces
from nbt_embed.reference.rtrl import exact_layer, exact_rtrl
from nbt_embed.reference.settings import Settings
from nbt_embed.reference.traces import own_carry, trace_update
from nbt_embed.reference.unitwise import unitwise_update


@dataclass
class Estimate:
    """What a learner knows of ds/dtheta: the sum of three parts, each 0 where it is not kept.

    v w^T, with v (S) and w (R, D); v is (H, H) where each unit has its own, row i for the
    parameters of unit i. The own-unit traces g (R - 2 C, D) of gates and `resonance` of resonators.
    G (S, R, D), a full matrix. balance: what the scalings of `residual` remember. own: whatever
    else an estimator keeps from step to step.
    """

    v: Array
    w: Array
    g: Array
    resonance: Traces
    G: Array
    balance: Balance
    own: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def start(cls, config: Settings) -> Estimate:
        """No parameter has acted yet."""
        H, C, rows = config.n_hidden, config.n_resonators, (config.n_rows, config.n_cols)
        per_unit = ESTIMATORS[config.estimator].per_unit
        return cls(
            v=np.zeros((H, H) if per_unit else config.n_state),
            w=np.zeros(rows),
            g=np.zeros((config.n_rows - 2 * C, config.n_cols)),
            resonance=Traces.start(C, config.n_cols),
            G=np.zeros((config.n_state, *rows)),
            balance=Balance.start(H),
        )


@dataclass(frozen=True)
class Moment:
    """One step of the network, as an estimator sees it.

    Attributes:
        u: (R - 2 C, D), what each row of a gate sees.
        step: the step of the cell.
        theta: (R - 2 C, H - C + I + 1), parameters of the gates on all of [h; x; 1].
        metric: that of the filter.
        norms: that in which `nobacktrack` measures, as Settings.norm says.
        decay: of the random estimates.
        generator: of signs.
        resonators: parameters (2, C, D), state (2 C) and [x; 1] of the units that resonate.
        layer: the new state (S) of units of any kind, an analytic function of the state (S) and of
            all parameters (R, D).
        at_state: (S), and at_theta, (R, D): where the step was made.
    """

    u: Array
    step: Step
    theta: Array
    metric: Metric
    norms: Metric
    decay: float
    generator: Generator
    resonators: tuple[Array, Array, Array]
    layer: Callable[[Array, Array], Array]
    at_state: Array
    at_theta: Array


Advance = Callable[[Estimate, Moment], None]


@dataclass(frozen=True)
class Estimator:
    """How an estimate advances, and what that needs.

    traces: it keeps own-unit traces, which need a cell with one state float per unit. columns: it
    is of use with cells whose gates see no other unit. per_unit: each unit has a v of its own.
    """

    advance: Advance
    traces: bool
    columns: bool
    per_unit: bool


ESTIMATORS: dict[str, Estimator] = {}


def estimator(
    *, traces: bool = False, columns: bool = False, per_unit: bool = False
) -> Callable[[Advance], Advance]:
    """Enter a function into ``ESTIMATORS`` under its name: Settings(estimator=name) takes it."""

    def enter(advance: Advance) -> Advance:
        ESTIMATORS[advance.__name__] = Estimator(advance, traces, columns, per_unit)
        return advance

    return enter


@estimator(columns=True)
def frozen(_of: Estimate, _at: Moment) -> None:
    """No derivative: the parameters stay as they are."""


@estimator()
def nobacktrack(of: Estimate, at: Moment) -> None:
    """One random rank-one estimate v w^T."""
    z = jacobian_vector(at.step, at.theta, of.v)
    signs = at.generator.signs(len(of.w))
    of.v, of.w = estimate_update(of.w, z, at.u, at.step, signs, at.decay, at.norms)


@estimator(traces=True, columns=True)
def snap1(of: Estimate, at: Moment) -> None:
    """Exact traces inside each unit."""
    of.g = trace_update(of.g, at.u, at.step, own_carry(jacobian(at.step, at.theta)))
    if of.resonance.angle.size > 0:
        of.resonance = of.resonance.after(*at.resonators)


@estimator(traces=True)
def residual(of: Estimate, at: Moment) -> None:
    """Traces, and v w^T of what they leave out."""
    signs = at.generator.signs(at.step.carry.shape[1])
    of.v, of.w, of.g = residual_update(
        of.v, of.w, of.g, at.u, at.step, at.theta, signs, at.decay, of.balance
    )
    of.balance = of.balance.after(of.w, of.g, jacobian(at.step, at.theta), at.metric)


@estimator(traces=True, per_unit=True)
def unitwise(of: Estimate, at: Moment) -> None:
    """Traces, and for each unit a rank-one estimate of what they leave out."""
    signs = at.generator.signs(at.step.carry.shape[1])
    of.v, of.w, of.g = unitwise_update(
        of.v, of.w, of.g, at.u, at.step, at.theta, signs, at.decay, at.metric
    )


@estimator(columns=True)
def rtrl(of: Estimate, at: Moment) -> None:
    """The exact derivative, which the others approximate."""
    if of.resonance.angle.size > 0:
        of.G = exact_layer(of.G, at.layer, at.at_state, at.at_theta)
    else:
        of.G = exact_rtrl(of.G, at.u, at.step, at.theta)
