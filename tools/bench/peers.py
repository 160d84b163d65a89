"""Who runs the headline case, and how long each takes beside ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, Protocol

from tools.bench.clock import Spread, alternate, ratios
from tools.bench.headline import Float32Array, Stream, stream
from tools.bench.ours import Installed, SameFlags


class Runner(Protocol):
    """A learner that takes a stream."""

    def run(self, stream: Stream) -> Float32Array:
        """Forecasts (T, O)."""


@dataclass(frozen=True)
class Peer:
    """One rival. steps: samples a round. against: the one of ours that it is compared with."""

    name: str
    make: Callable[[], Runner]
    steps: int
    against: str = "installed"


def lazy(module: str, name: str, *arguments: Any) -> Callable[[], Runner]:
    """Import when it is its turn, so that a missing library leaves only its own peer out."""
    return lambda: getattr(import_module(f"tools.bench.{module}"), name)(*arguments)


# What of -ffast-math lets sums be vectorised. The flag itself would switch denormal numbers off in
# the whole process, ours included, as soon as the library is loaded.
REORDER = ("-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math", "-ffp-contract=fast")
OURS: dict[str, Callable[[], Runner]] = {"installed": Installed.of, "same flags": SameFlags}
OURS_STEPS = 4000
PEERS = (
    Peer("C, plain loops, same flags", lazy("unfused", "Unfused"), 1500, "same flags"),
    Peer("C, plain loops, sums in any order", lazy("unfused", "Unfused", *REORDER), 3000),
    Peer("NumPy, same method", lazy("numpy_peer", "NumpyPeer"), 300),
    Peer("JAX jitted scan, same method", lazy("jax_peer", "JaxPeer"), 2000),
    Peer("PyTorch LSTMCell, Adam, span 1", lazy("torch_peer", "TorchPeer", 1, False), 64),
    Peer("PyTorch LSTMCell, Adam, span 16", lazy("torch_peer", "TorchPeer", 16, False), 160),
    Peer("PyTorch LSTM, Adam, 16 samples at once", lazy("torch_peer", "TorchPeer", 16, True), 800),
    Peer("braintrace UORO, Adam", lazy("braintrace_peer", "BraintracePeer"), 1000),
)


def compare(peer: Peer, rounds: int) -> dict[str, Any]:
    """Microseconds a sample of both, and their ratio; or why it was not measured."""
    try:
        theirs = peer.make()
    except ImportError as error:
        return {"peer": peer.name, "missing": f"not installed: {error.name}"}
    ours = OURS[peer.against]()
    long, short = (stream(steps) for steps in (OURS_STEPS, peer.steps))
    for _ in range(2):  # compiles, and finds its caches
        ours.run(long)
        theirs.run(short)
    taken = alternate((lambda: ours.run(long), lambda: theirs.run(short)), rounds)
    ours_us, theirs_us = (
        [1e6 * one / steps for one in times]
        for times, steps in zip(taken, (OURS_STEPS, peer.steps), strict=True)
    )
    return {
        "peer": peer.name,
        "against": peer.against,
        "ours_us": asdict(Spread.of(ours_us)),
        "peer_us": asdict(Spread.of(theirs_us)),
        "ratio": asdict(ratios(ours_us, theirs_us)),
        "rounds": rounds,
    }
