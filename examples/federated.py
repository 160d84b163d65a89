"""Federated averaging on Flower: devices share weights, and no sample leaves a device.

    pip install 'nbt-embed[flower]'
    python examples/federated.py --seeds 3

Every device forecasts with a learner of its own. Every so many rows it sends weights in common
units (``nbt_embed.fleet.sharing``), the server averages them (McMahan et al. 2017,
arXiv 1602.05629), and the device goes on from the mean. docs/guide/federated.md has the equations,
what was measured with this program, and when not to share.

``Devices`` calls Flower's nodes one after the other in this process, without Ray and without a
network; ``client`` and ``Averaging`` are the same on Flower's own engines.
"""

import argparse
import logging
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg
from flwr.supercore.task_identity import TaskIdentity
from numpy.typing import NDArray

from nbt_embed import Config, Learner
from nbt_embed.fleet.sharing import READOUTS, WEIGHTS, from_common, to_common
from nbt_embed.simulation import simulated_sensor

Rows = NDArray[np.float64]

NETWORK = ("theta", "head")
WINDOWS = (25, 300, 1000, 3000)  # first rows of the table's columns, counted for each device


class Sharing(NamedTuple):
    """What devices share: names of arrays, the server's step, and whether in common units."""

    names: tuple[str, ...]
    step: float = 1.0
    common: bool = True


SHARING = {
    "nothing": Sharing(()),
    "readouts": Sharing(READOUTS),
    "everything": Sharing(WEIGHTS),
    "everything, step 2": Sharing(WEIGHTS, step=2.0),
    "the same, own units": Sharing(WEIGHTS, step=2.0, common=False),
}


# ---- what the devices measure ----


def heat_meter(rng: np.random.Generator, rows: int, same_law: bool) -> tuple[Rows, Rows]:
    """Flow and temperature; heat is a product of their past, which takes long to be learnt."""
    noise = rng.normal(size=(rows + 8, 3))
    x = noise[:, :2].copy()
    for t in range(1, rows + 8):
        x[t] = 0.5 * x[t - 1] + 0.87 * noise[t, :2]
    delays = (1, 3) if same_law else rng.permutation(5)[:2]
    flow, temperature = np.roll(x[:, 0], delays[0]), np.roll(x[:, 1], delays[1])
    sign = 1.0 if same_law else rng.choice([-1.0, 1.0])
    heat = 0.4 * flow + sign * flow * temperature + 0.1 * noise[:, 2]
    return x[8:], heat[8:, np.newaxis]


def machine(rng: np.random.Generator, rows: int) -> tuple[Rows, Rows]:
    """The package's simulated sensor before its part comes loose; labels are the next readings."""
    seed = int(rng.integers(2**31))
    readings = simulated_sensor(2 * (rows + 1), seed=seed).inputs.astype(np.float64)
    return readings[:rows], readings[1 : rows + 1]


Maker = Callable[[np.random.Generator, int], tuple[Rows, Rows]]
FLEETS: dict[str, tuple[Maker, Config]] = {
    "same law": (partial(heat_meter, same_law=True), Config(2, 1)),
    "other laws": (partial(heat_meter, same_law=False), Config(2, 1)),
    "sensor": (machine, Config(3, 3, hidden=8, hold_missing=True, anchor=(0, 1, 2))),
}


@cache
def stream(fleet: str, seed: int, device: int, rows: int) -> tuple[Rows, Rows]:
    """Inputs and labels of a device, each channel with a gain and an offset of its own."""
    rng = np.random.default_rng([seed, device])
    X, Y = FLEETS[fleet][0](rng, rows)
    gain, offset = np.exp(0.7 * rng.normal(size=3)), 3 * rng.normal(size=3)
    if fleet == "sensor":
        return X * gain + offset, Y * gain + offset
    return X * gain[:2] + offset[:2], Y * gain[2:] + offset[2:]


# ---- a device ----

client = ClientApp()


def train(message: Message, context: Context) -> Message:
    """Go on from the fleet's weights, learn what was measured since, and give the weights back."""
    run, settings = context.run_config, message.content["config"]
    learner, seen, windows = recall(context)
    fleet = {name: array.numpy() for name, array in message.content["arrays"].items()}
    if run["common"]:
        from_common(learner, fleet)
    else:
        for name, values in fleet.items():
            learner.set_array(name, values)

    device = context.node_config["partition-id"]
    begin = 0 if device < run["early"] else run["rows"] // 2
    now = slice(begin + seen, max(begin + seen, settings["server-round"] * run["every"]))
    X, Y = stream(run["fleet"], run["seed"], device, run["rows"])
    forecasts = learner.run(X[now], Y[now], horizon=0)
    squares = ((forecasts - Y[now]) / np.nanstd(Y, axis=0)) ** 2
    count(windows, seen, squares)
    kept = {"checkpoint": learner.to_bytes(), "rows": seen + len(squares)}
    context.state["learner"] = ConfigRecord(kept)

    names = [name for name in fleet if name in learner.arrays]
    own = to_common(learner, names) if run["common"] else {n: learner.array(n) for n in names}
    content = {
        "arrays": ArrayRecord({name: Array(values) for name, values in own.items()}),
        # not the labels of the round: a device has as much to say as it has learnt
        "metrics": MetricRecord({"num-examples": learner.counters.labels}),
    }
    return Message(RecordDict(content), reply_to=message)


def tell(message: Message, context: Context) -> Message:
    """Sums of squared errors and their number, for every window."""
    return Message(RecordDict({"windows": context.state["windows"]}), reply_to=message)


def recall(context: Context) -> tuple[Learner, int, MetricRecord]:
    """What the device keeps between two rounds: learner, rows that it has seen, and errors."""
    if "learner" not in context.state:
        config = FLEETS[context.run_config["fleet"]][1]
        sums = {name: [0.0] * len(WINDOWS) for name in ("squares", "labels")}
        context.state["windows"] = MetricRecord(sums)
        return Learner(config), 0, context.state["windows"]
    kept = context.state["learner"]
    return Learner.from_bytes(kept["checkpoint"]), kept["rows"], context.state["windows"]


def count(windows: MetricRecord, first: int, squares: Rows) -> None:
    """Add the errors of the rows from `first` on to the windows that they fall into."""
    window = np.searchsorted(WINDOWS, first + np.arange(len(squares)), side="right") - 1
    for place in range(len(WINDOWS)):
        found = squares[window == place]
        windows["squares"][place] += float(np.nansum(found))
        windows["labels"][place] += float(np.sum(~np.isnan(found)))


client.train()(train)
client.query()(tell)


# ---- the server ----


class Averaging(FedAvg):  # type: ignore[misc] # mypy sees nothing of Flower
    """FedAvg whose recurrent weights and head go `step` times as far as the mean of the devices.

    W <- W + step (mean - W): the server's learning rate of Reddi et al. 2021, *Adaptive federated
    optimization*, arXiv 2003.00295. With 1 it is McMahan's.
    """

    def __init__(self, step: float) -> None:
        super().__init__(fraction_evaluate=0.0, min_train_nodes=1, min_available_nodes=1)
        self.step, self.before = step, ArrayRecord()

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Any
    ) -> Iterable[Message]:
        """Remember what the devices start from."""
        self.before = arrays
        messages: Iterable[Message] = super().configure_train(server_round, arrays, config, grid)
        return messages

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Average, in the order of the nodes: a sum of floats depends on it."""
        replies = sorted(replies, key=lambda reply: reply.metadata.src_node_id)
        mean, metrics = super().aggregate_train(server_round, replies)
        for name in NETWORK:
            if mean is not None and name in mean:
                before = self.before[name].numpy()
                mean[name] = Array(before + self.step * (mean[name].numpy() - before))
        return mean, metrics


class Devices:
    """Flower's nodes in this process: the two calls of its ``Grid`` that a strategy makes."""

    def __init__(self, run_config: dict[str, bool | int | str], devices: int) -> None:
        # Who writes a message: what each of Flower's engines says when it begins.
        TaskIdentity.task_id = TaskIdentity.run_id = TaskIdentity.node_id = 1
        self.contexts = {
            device + 1: Context(
                run_id=1,
                node_id=device + 1,
                node_config={"partition-id": device},
                state=RecordDict(),
                run_config=run_config,
            )
            for device in range(devices)
        }

    def get_node_ids(self) -> list[int]:
        """All devices, those too that have not begun to measure."""
        return list(self.contexts)

    def send_and_receive(self, messages: Iterable[Message], **_: Any) -> list[Message]:
        """Call the app of every node that is written to."""
        return [client(one, self.contexts[one.metadata.dst_node_id]) for one in messages]


# ---- the table ----


def errors(fleet: str, sharing: Sharing, seed: int, options: argparse.Namespace) -> Rows:
    """Root mean square errors over the labels' deviation: of all windows, early devices and late.

    Returns: (2 windows,), NaN where no row falls into a window.
    """
    early = options.devices - options.devices // 4
    every = options.every if sharing.names else options.rows
    run_config: dict[str, bool | int | str] = {
        "fleet": fleet,
        "seed": seed,
        "rows": options.rows,
        "early": early,
        "every": every,
        "common": sharing.common,
    }
    devices = Devices(run_config, options.devices)
    fresh = to_common(Learner(FLEETS[fleet][1]), sharing.names)
    Averaging(sharing.step).start(
        devices,
        ArrayRecord({name: Array(values) for name, values in fresh.items()}),
        num_rounds=-(-options.rows // every),
    )
    asked = [Message(RecordDict(), node, "query") for node in devices.get_node_ids()]
    told = [reply.content["windows"] for reply in devices.send_and_receive(asked)]
    squares, labels = (np.array([one[name] for one in told]) for name in ("squares", "labels"))
    groups = slice(0, early), slice(early, None)
    sums = [np.stack([squares[group].sum(0), labels[group].sum(0)]) for group in groups]
    with np.errstate(invalid="ignore"):
        root: Rows = np.sqrt(np.concatenate([one[0] / one[1] for one in sums]))
    return root


def print_table(fleet: str, options: argparse.Namespace) -> None:
    """Error without sharing, and by what factor each way of sharing changes it."""
    found = {
        way: np.log([errors(fleet, sharing, seed, options) for seed in range(options.seeds)])
        for way, sharing in SHARING.items()
    }
    alone = found.pop("nothing")
    ends = [*(str(end) for end in WINDOWS[1:]), ""]
    names = [f"{first}-{end}" for first, end in zip(WINDOWS, ends, strict=True)]
    names += [f"late {name}" for name in names]
    filled = [column for column, error in enumerate(alone[0]) if not np.isnan(error)]
    rows = [
        (fleet, [names[column] for column in filled]),
        ("nothing", [f"{error:.3f}" for error in np.exp(alone.mean(axis=0))[filled]]),
    ]
    for way, logs in found.items():
        factors = np.exp([(logs - alone).mean(axis=0), (logs - alone).max(axis=0)]).T
        rows.append((way, [f"{mean:.2f} ({worst:.2f})" for mean, worst in factors[filled]]))
    print()
    for way, cells in rows:
        print(f"{way:20}" + "".join(f"{cell:>15}" for cell in cells))


def positive(text: str) -> int:
    """A number of something. Errors: argparse.ArgumentTypeError."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r}: expected an integer of at least 1")
    return int(text)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fleet", choices=FLEETS, action="append", help="default: the first two")
    parser.add_argument("--devices", type=positive, default=8, help="a quarter joins half way")
    parser.add_argument("--rows", type=positive, default=4000)
    parser.add_argument("--every", type=positive, default=50, help="rows between two rounds")
    parser.add_argument("--seeds", type=positive, default=1)
    options = parser.parse_args()
    logging.getLogger("flwr").setLevel(logging.ERROR)
    print(
        "Error over the labels' deviation if nothing is shared, and times what if something is (in "
        "the worst seed),\nby rows of a device: all that begin together, and those that join late"
    )
    for fleet in options.fleet or list(FLEETS)[:2]:
        print_table(fleet, options)


if __name__ == "__main__":
    main()
