"""What _step.c shows."""

import numpy as np
from numpy.typing import NDArray

class Step:
    """``predict`` and ``learn`` of one learner, for one sample.

    Args:
        owner: kept for as long as this is: the memory that the addresses point into.
        addresses: of the learner's ``nbt_shared``, of ``nbt_shared_predict`` and
            ``nbt_shared_learn``.
        widths: numbers of an input, of a label and of a forecast.
    """

    def __new__(
        cls, owner: object, addresses: tuple[int, int, int], widths: tuple[int, int, int], /
    ) -> Step: ...
    def predict(
        self, x: object, out: object, /
    ) -> NDArray[np.float32] | tuple[int, NDArray[np.float32]] | None:
        """Out, or a new array; with a status unless that is NBT_OK, and then out is as it was.

        NBT_OK and a new array if another thread has changed the shape or type of out meanwhile.
        None, and nothing has happened, if x or out is no plain array of float32.
        """

    def learn(self, y: object, /) -> int | None:
        """Status; None, and nothing has happened, if y is no plain array of float32."""
