"""Waiting times between attempts after failures."""

from __future__ import annotations

import random
import time

FIRST, LONGEST = 0.05, 30.0  # seconds
_FACTOR = 1.5
_STABLE = 10.0  # seconds after which a success is stable


class Backoff:
    """Waits that grow with every failure and are randomised by up to a half.

    The end of an outage is noticed within half of its duration. Randomisation spreads the
    reconnections of clients that lost the same server.
    """

    def __init__(self) -> None:
        self._wait = FIRST
        self._since: float | None = None

    def succeeded(self) -> None:
        """Record a success; if it is stable, the next wait is short."""
        self._since = time.monotonic()

    @property
    def stable(self) -> bool:
        """Whether the last success has lasted long enough."""
        return self._since is not None and time.monotonic() - self._since > _STABLE

    def next(self) -> float:
        """Return the seconds to wait after a failure."""
        if self.stable:
            self._wait = FIRST
        self._since = None
        wait, self._wait = self._wait, min(_FACTOR * self._wait, LONGEST)
        return wait * random.uniform(0.5, 1)
