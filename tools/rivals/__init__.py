"""UORO and truncated backpropagation as models that ``nbt_embed.evaluate`` takes.

    from tools.rivals import UORO, TruncatedBPTT, tuned
    evaluate(tuned(UORO, stream, horizon=1), stream)

Run from a clone of the repository: tools are no part of the package. ``python -m tools.rivals``
compares them with the learner and the simple forecasters on a recording.
"""

from tools.rivals.bptt import TruncatedBPTT
from tools.rivals.rival import Rival, tuned
from tools.rivals.uoro import UORO

__all__ = ["UORO", "Rival", "TruncatedBPTT", "tuned"]
