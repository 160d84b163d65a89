"""How long to wait before something that failed is tried again."""

from __future__ import annotations

import random
import time

FIRST, LONGEST = 0.05, 30.0  # seconds
_FACTOR = 1.5
_STABLE = 10.0  # seconds that a success must have lasted to be one


class Backoff:
    """Waits that grow from one failure to the next, of which chance takes up to a half.

    An outage is noticed to be over within half of the time that it took. Chance keeps clients that
    lost the same server from coming back in step.
    """

    def __init__(self) -> None:
        self._wait = FIRST
        self._since: float | None = None

    def succeeded(self) -> None:
        """It works; the next wait is short if it works for a while."""
        self._since = time.monotonic()

    @property
    def stable(self) -> bool:
        """Whether the last success has lasted for a while."""
        return self._since is not None and time.monotonic() - self._since > _STABLE

    def next(self) -> float:
        """Seconds to wait after a failure."""
        if self.stable:
            self._wait = FIRST
        self._since = None
        wait, self._wait = self._wait, min(_FACTOR * self._wait, LONGEST)
        return wait * random.uniform(0.5, 1)
