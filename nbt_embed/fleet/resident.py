"""All devices at once, in blocks of time, for samples that can be read only once."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed.arrays import float32
from nbt_embed.errors import InputError
from nbt_embed.fleet.columns import Columns
from nbt_embed.fleet.devices import Devices
from nbt_embed.fleet.series import ANCHOR_ROWS, Piece
from nbt_embed.fleet.settings import Configs, Setting
from nbt_embed.fleet.sources import TimeBlocks
from nbt_embed.parallel import Advance, run_all

_SHARES = 64  # parts into which the devices of a block are divided


def run_resident(
    blocks: TimeBlocks,
    settings: tuple[Setting, ...],
    horizons: tuple[int, ...],
    jobs: int | None,
    progress: Callable[[int], None] | None,
) -> Columns:
    """Return the results of all devices, with all learners in memory.

    Args: as ``simulate``.

    Errors: Interrupted, InputError (a block of another shape), errors of the generator.
    Cost: memory n (NBT_BYTES + some 150 bytes) per pair of setting and horizon, the caller's block,
    and at first all blocks of the first ``ANCHOR_ROWS`` rows.
    """
    devices = range(blocks.devices)
    learners = Devices(
        Configs(settings, horizons, devices), len(settings), horizons, len(blocks.target_names)
    )
    bounds = np.linspace(0, len(devices), min(_SHARES, len(devices)) + 1).astype(int).tolist()
    shares = [range(*pair) for pair in itertools.pairwise(bounds)]

    def on_all(work: Callable[[range, Advance], None]) -> None:
        row = learners.rows(0)
        what = f"shares of the block from row {row}"
        run_all([partial(work, share) for share in shares], jobs, progress, what)

    def feed(piece: Piece) -> None:
        on_all(partial(_feed, learners, *piece))

    checked = _checked(blocks)
    taken = list(_until(checked, ANCHOR_ROWS))
    on_all(partial(_find_anchors, learners, taken))
    while taken:
        feed(taken.pop(0))
    deque(map(feed, checked), maxlen=0)  # a loop would keep the last block
    names = [str(device) for device in devices]
    return learners.columns(0, names, [setting.name for setting in settings])


def _find_anchors(learners: Devices, taken: list[Piece], share: range, advance: Advance) -> None:
    for device in share:
        inputs = np.concatenate([_rows(x, device) for x, _ in taken])[:ANCHOR_ROWS]
        labels = np.concatenate([_rows(y, device) for _, y in taken])[:ANCHOR_ROWS]
        learners.find_anchors(device, inputs, labels)
    advance(0)


def _feed(
    learners: Devices, inputs: NDArray[Any], labels: NDArray[Any], share: range, advance: Advance
) -> None:
    for device in share:
        if not learners.refused(device):
            x = _rows(inputs, device)
            learners.feed(device, x, x if labels is inputs else _rows(labels, device))
        advance(inputs.shape[1])


def _rows(block: NDArray[Any], device: int) -> NDArray[np.float32]:
    return float32("a block", block[device])


def _until(blocks: Iterator[Piece], rows: int) -> Iterator[Piece]:
    """Yield the blocks with the first rows, copied, since a generator may reuse its array."""
    count = 0
    for inputs, labels in blocks:
        count += inputs.shape[1]
        if count >= rows:
            yield inputs, labels
            return
        kept = inputs.copy()
        yield kept, kept if labels is inputs else labels.copy()


def _checked(blocks: TimeBlocks) -> Iterator[Piece]:
    n_in, n_out = len(blocks.input_names), len(blocks.target_names)
    for inputs, labels in blocks.blocks:
        for name, block, width in (("x", inputs, n_in), ("y", labels, n_out)):
            if (block.shape[0], block.shape[2]) != (blocks.devices, width):
                raise InputError(
                    f"a block of {name} has shape {block.shape}: expected ({blocks.devices}, rows, "
                    f"{width}), like the first block"
                )
        if inputs.shape[1] != labels.shape[1]:
            raise InputError(f"a block has {inputs.shape[1]} rows of x and {labels.shape[1]} of y")
        yield inputs, labels
