"""What a learner says about a stream: forecasts, how sure it is of them, what surprised it.

The one place where the tools ask the learner.
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
    """Everything for every row t, from before any later row was seen; NaN where it says nothing.

    Attributes:
        forecasts: (T, n_out), of target row t + horizon.
        variances: (T, n_out), the Gaussian variance of these forecasts.
        intervals: (T, n_out, 2 L), lower and upper end of these forecasts at each level.
        anomaly: (T, n_out) in [0, 1], how strange row t is; NaN where it has no label.
        scale, freedom: (T, n_out), Student's distribution around these forecasts.
    """

    forecasts: Float32Array
    variances: Float32Array
    intervals: Float32Array
    anomaly: Float32Array
    scale: Float32Array
    freedom: Float32Array


def ask(learner: Learner, stream: Stream, horizon: int) -> Answers:
    """Feed a stream to a fresh learner and note what it says.

    A learner that diverges does not warn: what is made of its answers gets a bad score, and that is
    the message. Cost: that of ``Learner.run`` and some 10 µs a row.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)
        return _asked(learner, stream, horizon)


def _asked(learner: Learner, stream: Stream, horizon: int) -> Answers:
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
