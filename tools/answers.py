"""All outputs of a learner over a stream: forecasts, their uncertainty, and anomaly scores.

The measurements of intervals and of anomalies share it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from nbt_embed import Learner
from nbt_embed.arrays import Float32Array
from nbt_embed.errors import DivergenceWarning
from nbt_embed.streams import Stream


@dataclass(frozen=True, eq=False)
class Answers:
    """Every output for every row t, computed before any later row; NaN where there is none.

    Attributes:
        forecasts: (T, n_out), of target row t + horizon.
        variances: (T, n_out), the Gaussian variance of these forecasts.
        intervals: (T, n_out, 2 L), lower and upper end of these forecasts at each level.
        anomaly: (T, n_out) in [0, 1], the score of row t; NaN where it has no label.
        scale, freedom: (T, n_out), Student's distribution around these forecasts.
    """

    forecasts: Float32Array
    variances: Float32Array
    intervals: Float32Array
    anomaly: Float32Array
    scale: Float32Array
    freedom: Float32Array


def ask(learner: Learner, stream: Stream, horizon: int) -> Answers:
    """Feed a stream to a fresh learner and collect its outputs.

    A learner that diverges does not warn, because its outputs get a bad score. Cost: that of
    ``Learner.run`` and about 10 µs per row.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)
        return _answers(learner, stream, horizon)


def _answers(learner: Learner, stream: Stream, horizon: int) -> Answers:
    rows, config = len(stream), learner.config
    forecasts = np.empty((rows, stream.n_out), np.float32)
    variances, scale, freedom, anomaly = (np.full_like(forecasts, np.nan) for _ in range(4))
    intervals = np.full((*forecasts.shape, 2 * len(learner.levels)), np.nan, np.float32)

    def learn(t: int) -> None:
        learner.label[...] = stream.targets[t]
        learner.learn(learner.label)
        if config.anomaly:
            anomaly[t] = learner.anomaly

    learner.find_anchor(stream.inputs, stream.targets, horizon=horizon)
    for t in range(rows):
        if horizon and learner.pending == horizon:
            learn(t)
        learner.x[...] = stream.inputs[t]
        forecasts[t] = learner.predict(learner.x, out=learner.y)
        variances[t] = learner.variance()
        if config.intervals:
            intervals[t] = learner.interval()
            scale[t], freedom[t] = learner.student()
        if not horizon:
            learn(t)
    return Answers(forecasts, variances, intervals, anomaly, scale, freedom)
