"""Which input an output is the future of: found by comparing labels with inputs."""

from __future__ import annotations

from collections.abc import Iterator

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
    the first.

    Args:
        inputs: (T, n_in), NaN where missing.
        labels: (T, n_out), NaN where missing.
        horizon: steps between a forecast and its label, as for ``Learner.run``.

    Cost: O(T) an output where a channel is found, else mostly O(n_in).
    """
    leads = range(1 if horizon else min(_LEADS, len(inputs) // 2) + 1)
    return tuple(
        [next(_channels(inputs, labels[:, o], o, leads), None) for o in range(labels.shape[1])]
    )


def _channels(inputs: Float32Array, label: Float32Array, first: int, leads: range) -> Iterator[int]:
    """The channels that the labels of one output repeat, best first."""
    for lead in leads:
        known = np.flatnonzero(~np.isnan(label[: len(label) - lead]))
        if not len(known):
            return
        # Most channels differ at the first label.
        same = np.flatnonzero(inputs[known[0] + lead] == label[known[0]])
        for channel in sorted(same.tolist(), key=lambda one: one != first):
            if np.array_equal(inputs[known + lead, channel], label[known]):
                yield channel
