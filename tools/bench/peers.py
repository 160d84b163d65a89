"""Libraries that run a case, and their times compared with ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from typing import Any, Protocol

from nbt_embed import Config
from tools.bench.clock import Spread, alternate, ratios
from tools.bench.headline import CONFIG, Float32Array, Stream, stream, usual
from tools.bench.ours import Installed, OneByOne, SameFlags


class Runner(Protocol):
    """A learner that takes a stream."""

    def run(self, stream: Stream) -> Float32Array:
        """Forecasts (T, O)."""


@dataclass(frozen=True)
class Peer:
    """One rival. steps: samples per round. against: those of ours that it is compared with."""

    name: str
    make: Callable[[], Runner]
    steps: int
    against: tuple[str, ...] = ("installed",)


def lazy(module: str, name: str, *arguments: Any) -> Callable[[], Runner]:
    """Import when it is its turn, so that a missing library leaves only its own peer out."""
    return lambda: getattr(import_module(f"tools.bench.{module}"), name)(*arguments)


@dataclass(frozen=True)
class Ours:
    """One of ours, and the configuration whose stream all of its peers get."""

    make: Callable[[], Runner]
    config: Config = CONFIG


# The default learner on the headline's stream, with as many units.
LIKE_HEADLINE = Config(CONFIG.n_in, CONFIG.n_out, hidden=CONFIG.hidden)
OURS_STEPS = 4000
OURS = {
    "installed": Ours(Installed.of),
    "same flags": Ours(SameFlags),
    "run": Ours(partial(Installed.of, usual()), usual()),
    "one by one": Ours(partial(OneByOne.of, usual()), usual()),
}
# What of -ffast-math lets sums be vectorised. The flag itself would switch denormal numbers off in
# the whole process, ours included, as soon as the library is loaded.
REORDER = ("-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math", "-ffp-contract=fast")
# The headline's case: the same method by others, and other methods for the same network.
HEADLINE = (
    Peer("nbt_embed, default learner of 32 units", partial(Installed.of, LIKE_HEADLINE), 2000),
    Peer("C, plain loops, same flags", lazy("unfused", "Unfused"), 1500, ("same flags",)),
    Peer("C, plain loops, sums in any order", lazy("unfused", "Unfused", *REORDER), 3000),
    Peer("NumPy, same method", lazy("numpy_peer", "NumpyPeer"), 300),
    Peer("JAX jitted scan, same method", lazy("jax_peer", "JaxPeer"), 2000),
    Peer("PyTorch LSTMCell, Adam, span 1", lazy("torch_peer", "TorchPeer", 1, False), 64),
    Peer("PyTorch LSTMCell, Adam, span 16", lazy("torch_peer", "TorchPeer", 16, False), 160),
    Peer("PyTorch LSTM, Adam, 16 samples at once", lazy("torch_peer", "TorchPeer", 16, True), 800),
    Peer("braintrace UORO, Adam", lazy("braintrace_peer", "BraintracePeer"), 1000),
)
# What somebody with a stream of sensors would take instead of the default learner.
BOTH = ("run", "one by one")
USUAL = (
    Peer("river LinearRegression", lazy("linear_peers", "RiverPeer", False), 2000, BOTH),
    Peer(
        "river StandardScaler | LinearRegression",
        lazy("linear_peers", "RiverPeer", True),
        500,
        BOTH,
    ),
    Peer("NumPy recursive least squares", lazy("linear_peers", "NumpyRls"), 2000, BOTH),
    Peer("SciPy's BLAS recursive least squares", lazy("linear_peers", "BlasRls"), 3000, BOTH),
    Peer("reservoirpy, RLS readout", lazy("reservoir_peer", "ReservoirPeer"), 500, BOTH),
    Peer("PyTorch GRUCell, Adam, span 1", lazy("torch_peer", "GruPeer"), 64, BOTH),
    Peer(
        "braintrace GRUCell, UORO, Adam",
        lazy("braintrace_peer", "BraintracePeer", usual(), "GRUCell"),
        1000,
        BOTH,
    ),
)


def compare(peer: Peer, rounds: int) -> dict[str, Any]:
    """Microseconds per sample of it and of ours in turns, and the ratios; or why it is missing.

    "ours": a dictionary for each of peer.against, in its order.
    """
    try:
        theirs = peer.make()
    except ImportError as error:
        return {"peer": peer.name, "missing": f"not installed: {error.name}"}
    config = OURS[peer.against[0]].config
    runners = [OURS[name].make() for name in peer.against]
    long, short = (stream(steps, config) for steps in (OURS_STEPS, peer.steps))
    works = [*(partial(one.run, long) for one in runners), partial(theirs.run, short)]
    for work in 2 * works:  # compiles, and finds its caches
        work()
    *ours, taken = alternate(works, rounds)
    theirs_us = [1e6 * one / peer.steps for one in taken]
    found = []
    for name, times in zip(peer.against, ours, strict=True):
        ours_us = [1e6 * one / OURS_STEPS for one in times]
        ratio = ratios(ours_us, theirs_us)
        found.append({"name": name, "us": asdict(Spread.of(ours_us)), "ratio": asdict(ratio)})
    return {
        "peer": peer.name,
        "peer_us": asdict(Spread.of(theirs_us)),
        "ours": found,
        "rounds": rounds,
    }


def alone(rounds: int) -> list[dict[str, Any]]:
    """Microseconds per sample of the default learner, in one call and one per sample, in turns."""
    samples = stream(OURS_STEPS, usual())
    works = [partial(OURS[name].make().run, samples) for name in BOTH]
    for work in 2 * works:
        work()
    return [
        {"name": name, "us": asdict(Spread.of([1e6 * one / OURS_STEPS for one in times]))}
        for name, times in zip(BOTH, alternate(works, rounds), strict=True)
    ]
