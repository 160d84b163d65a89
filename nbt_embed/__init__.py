"""Online learning of small recurrent networks in a fixed number of bytes.

``Learner`` is the entry: ``predict(x)``, then ``learn(y)`` when the label arrives.
"""

from nbt_embed import _interrupt as _interrupt  # first: Ctrl-C while the rest is imported
from nbt_embed.config import Config
from nbt_embed.errors import NbtError
from nbt_embed.learner import Counters, Learner, Memory, memory_of

__version__ = "0.1.0"

__all__ = ["Config", "Counters", "Learner", "Memory", "NbtError", "__version__", "memory_of"]
