"""Online learning of small recurrent networks in a fixed number of bytes.

``Learner`` is the entry: ``predict(x)``, then ``learn(y)`` when the label arrives.
"""

from nbt_embed import _interrupt as _interrupt  # first: Ctrl-C while the rest is imported
from nbt_embed import _load as _load  # before the others: it says why an import fails
from nbt_embed import _selfcheck as _selfcheck
from nbt_embed._kernel_config import Counters, Memory, memory_of
from nbt_embed.config import Config
from nbt_embed.errors import NbtError
from nbt_embed.learner import Learner, Run

__version__ = "0.1.0"

__all__ = [
    "Config",
    "Counters",
    "Learner",
    "Memory",
    "NbtError",
    "Run",
    "__version__",
    "memory_of",
]
