"""Compare the bytes of a learner with a budget."""

from __future__ import annotations

from dataclasses import replace

from nbt_embed._kernel_config import Memory, memory_of
from nbt_embed.alternatives import alternatives
from nbt_embed.arrays import integer
from nbt_embed.config import Config
from nbt_embed.errors import ConfigError, InputTypeError, shown
from nbt_embed.learner import Learner
from nbt_embed.report import memory_table


def assert_bytes(learner: Learner | Config, budget: int) -> Memory:
    """Fail if a learner takes more bytes than a budget.

    The assertion compares ``Memory.total``, the kernel's one block, which is the same on every
    target.

    Examples:
        >>> from nbt_embed import Config
        >>> assert_bytes(Config(1, 1, hidden=4), 8 * 1024).total <= 8 * 1024
        True

    Args:
        learner: a learner, or the configuration of one.
        budget: bytes.

    Returns: the bytes by purpose.
    Errors: AssertionError, with the bytes by purpose, the largest number of units with which the
    configuration fits, and other methods that fit (``nbt_embed.alternatives``); ConfigError,
    InputTypeError (an argument).
    Cost: none; no learner is built.
    """
    __tracebackhide__ = True
    config = learner.config if isinstance(learner, Learner) else learner
    if not isinstance(config, Config):
        raise InputTypeError(f"learner = {shown(learner)}: expected a Learner or a Config")
    budget, memory = integer("budget", budget), memory_of(config)
    if memory.total > budget:
        over = memory.total - budget
        said = [
            f"the learner takes {memory.total:,} bytes, {over:,} more than the budget {budget:,}",
            memory_table(memory),
            *(_fewer_units(config, budget) or ["it does not fit with any number of units"]),
        ]
        said += [
            f"{other.name} would fit: {other.memory_bytes:,} bytes, {other.formula}"
            for other in alternatives(config)
            if other.memory_bytes <= budget
        ]
        raise AssertionError("\n".join(said))
    return memory


def _fewer_units(config: Config, budget: int) -> list[str]:
    """Return a phrase on the largest learner of the same kind that fits; empty if none fits."""
    fits, too_many = -1, config.hidden
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if _total(config, middle) <= budget:
            fits = middle
        else:
            too_many = middle
    if fits < 0:
        return []
    return [f"with hidden={fits} it fits: {_total(config, fits):,.0f} bytes"]


def _total(config: Config, hidden: int) -> float:
    """Return the bytes with this number of units; infinity if there is no such learner."""
    resonators = min(config.resonators or 0, hidden)
    try:
        return memory_of(replace(config, hidden=hidden, resonators=resonators)).total
    except ConfigError:
        return float("inf")
