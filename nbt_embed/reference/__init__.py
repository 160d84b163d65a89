"""The method in float64 NumPy: docs/design.md, sections 1 to 5 and 11, one equation a line.

Purpose: the readable form of the algorithm, which the C kernel follows step by step, and the place
to try a new cell or estimator first (docs/reference/numpy.md). Nothing here is fast; nothing is
shared with the kernel.

Read first: learner.py, one ``predict`` and one ``learn``; then cells.py and estimators.py, which
hold what can be chosen; then links.py, filter.py and covariance.py, what a label changes. stream.py
adds what follows a stream (section 11): units.py, the anchor, mixture.py, intervals.py, anomaly.py.

Symbols and shapes are those of the table in docs/design.md:

    I = n_in * lags   H = n_hidden   O = n_out   D = H + I + 1   parts = 2 (lstm: h, c) or 1 (h)
    S = parts * H     R = gates * H, row r belongs to unit r mod H     u = [h; x; 1]  (D)
    K = head          F = H + K + I + 1                                f = [h; phi; x; 1]  (F)

A row of `columnar` sees of h only its own unit, so that D = I + 2 and u differs from row to row.
The last C of its units may be resonators (resonator.py), all of them with the cell `resonator`.
Then h is [h; p; q] everywhere but in u, with E = S = H + C entries in place of H, and the rows of a
resonator are not the gates of a cell: [nu, w_a] and [omega, w_b].

`rtrl` carries the exact derivative: it is what the other estimators approximate. With H = 0 there
is no network, and what remains is recursive least squares on [x; 1].

Functions that take `...` axes work on many independent sign streams at once, so that tests of
unbiasedness average over the very code that the learner runs.
"""

from nbt_embed.reference.arrays import Array
from nbt_embed.reference.cells import CELLS, Cell, Step, cell, sigmoid, with_input
from nbt_embed.reference.checks import check_cell
from nbt_embed.reference.covariance import ReadoutCovariance
from nbt_embed.reference.differences import complex_derivative, numeric_derivative
from nbt_embed.reference.estimators import ESTIMATORS, Estimate, Estimator, Moment, estimator
from nbt_embed.reference.generator import Generator
from nbt_embed.reference.jacobian import by_row, jacobian, jacobian_vector, sum_rows
from nbt_embed.reference.learner import ReferenceLearner
from nbt_embed.reference.links import Innovation, innovation, prediction
from nbt_embed.reference.metric import Metric
from nbt_embed.reference.nobacktrack import estimate_update
from nbt_embed.reference.residual import Balance, residual_update
from nbt_embed.reference.rtrl import exact_rtrl
from nbt_embed.reference.scaler import Scaler
from nbt_embed.reference.settings import Settings
from nbt_embed.reference.stream import StreamLearner
from nbt_embed.reference.traces import own_carry, trace_update
from nbt_embed.reference.unitwise import unitwise_update

__all__ = [
    "CELLS",
    "ESTIMATORS",
    "Array",
    "Balance",
    "Cell",
    "Estimate",
    "Estimator",
    "Generator",
    "Innovation",
    "Metric",
    "Moment",
    "ReadoutCovariance",
    "ReferenceLearner",
    "Scaler",
    "Settings",
    "Step",
    "StreamLearner",
    "by_row",
    "cell",
    "check_cell",
    "complex_derivative",
    "estimate_update",
    "estimator",
    "exact_rtrl",
    "innovation",
    "jacobian",
    "jacobian_vector",
    "numeric_derivative",
    "own_carry",
    "prediction",
    "residual_update",
    "sigmoid",
    "sum_rows",
    "trace_update",
    "unitwise_update",
    "with_input",
]
