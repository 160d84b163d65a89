"""Which input an output is the future of: found by comparing labels with inputs."""

from __future__ import annotations

import numpy as np

from nbt_embed.arrays import Float32Array

# Rows between a label and the input that it repeats, at horizon 0.
_LEADS = 64

Anchor = tuple[int | None, ...]


def find_anchor(inputs: Float32Array, labels: Float32Array, horizon: int) -> Anchor:
    """For every output the input channel that its labels repeat, or None.

    A label that belongs to the inputs of its row, horizon h > 0: every label that is there equals
    the channel in the same row. Horizon 0 pairs the label with a forecast from its own row, so that
    a label of the future stands some rows before the input that it repeats: up to 64 rows are
    tried, the same row first. Of several channels that of the output's own number is taken, else
    the first. Labels that do not vary are those of a machine that idles: they find a channel only
    if they are not 0 and no other channel repeats them.

    Args:
        inputs: (T, n_in), NaN where missing.
        labels: (T, n_out), NaN where missing.
        horizon: steps between a forecast and its label, as for ``Learner.run``.

    Cost: O(T) an output where a channel is found, else mostly O(n_in).
    """
    leads = range(1 if horizon else min(_LEADS, len(inputs) // 2) + 1)
    return tuple([_channel(inputs, labels[:, o], o, leads) for o in range(labels.shape[1])])


def _channel(inputs: Float32Array, label: Float32Array, first: int, leads: range) -> int | None:
    """The channel that the labels of one output repeat."""
    for lead in leads:
        known = np.flatnonzero(~np.isnan(label[: len(label) - lead]))
        if not len(known):
            return None
        begin = label[known[0]]
        # Most channels differ at the first label.
        same = np.flatnonzero(inputs[known[0] + lead] == begin)
        repeating = [
            channel
            for channel in same.tolist()
            if np.array_equal(inputs[known + lead, channel], label[known])
        ]
        if not repeating:
            continue
        if (label[known] == begin).all() and (begin == 0 or len(repeating) > 1):
            return None
        return first if first in repeating else int(repeating[0])
    return None
