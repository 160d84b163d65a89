"""Predictions and what a label says about them: docs/design.md, section 3."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbt_embed.reference.arrays import Array
from nbt_embed.reference.cells import sigmoid


@dataclass(frozen=True)
class Innovation:
    """What one label says, at one output V f.

    t (O): whitened innovation. F (O, O): factor of the curvature Lambda = F F^T; the score in
    natural parameters is F t. varsigma (O). kappa: weight of the sample for the readout
    covariance. error (O): what sgd follows, label - prediction. labelled (O): outputs with a label.
    """

    t: Array
    F: Array
    varsigma: Array
    kappa: float
    error: Array
    labelled: NDArray[np.bool_]

    @property
    def curvature(self) -> Array:
        """Lambda = F F^T (O, O)."""
        return self.F @ self.F.T


def prediction(link: str, raw: Array) -> Array:
    """link(V f), (O): scaled units (gaussian) or probabilities."""
    if link == "gaussian":
        return raw
    if link == "bernoulli":
        return np.clip(sigmoid(raw), 1e-9, 1 - 1e-6)
    p = np.exp(raw - raw.max())
    return np.asarray(np.maximum(p / p.sum(), 1e-9))


def innovation(link: str, raw: Array, label: Array, noise: Array) -> Innovation:
    """Compare one label with the output: the row of the link in the table of section 3.

    Arguments: raw = V f (O); label (O), or (1) with a class index, NaN where missing; noise r (O).
    """
    y, ones = prediction(link, raw), np.ones(raw.size)
    if link == "categorical":
        labelled = np.repeat(~np.isnan(label), raw.size)
        k = int(label[0]) if labelled[0] else 0
        hit = np.eye(raw.size)[k]
        middle = (y + hit) / 2
        F = np.diag(np.sqrt(middle)) - np.outer(middle, np.sqrt(middle))
        t, error, varsigma = (hit - y) / np.sqrt(middle), hit - y, ones
    else:
        labelled = ~np.isnan(label)
        error = np.where(labelled, label - y, 0.0)
        middle = y + error / 2
        root = np.sqrt(1 / noise) if link == "gaussian" else np.sqrt(middle * (1 - middle))
        F = np.diag(root)
        t = error * root if link == "gaussian" else error / root
        varsigma = noise if link == "gaussian" else ones
    F = F * labelled * labelled[:, None]
    kappa = 1.0
    if link != "gaussian" and labelled.any():
        curvature = F @ F.T
        kappa = float(np.trace(curvature @ curvature) / np.trace(curvature))
    return Innovation(t * labelled, F, varsigma, kappa, error * labelled, labelled)
