"""What every file of the reference calls an array, and the guards of divisions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

TINY = 1e-12  # the epsilon_0 that guards the divisions of the estimate
SQUARE_TINY = 1e-20  # the epsilon_1 that guards those of squared norms
