"""Federated averaging on Flower: the example, and what its devices and its server do."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from conftest import ROOT, run

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("flwr") is None, reason="pip install 'nbt-embed[flower]'"
)
EXAMPLE = ROOT / "examples" / "federated.py"


def table(*options: str) -> dict[str, list[float]]:
    """Rows of the table without the worst seeds: early devices' windows, then late ones'."""
    lines = run(sys.executable, str(EXAMPLE), *options).splitlines()
    rows = lines[lines.index("") + 2 :]
    return {
        line[:20].strip(): [float(n) for n in line[20:].split() if n[0] != "("] for line in rows
    }


def test_devices_with_one_law_and_other_gains_help_each_other() -> None:
    rows = table("--fleet", "same law", "--devices", "4", "--rows", "3000")
    assert max(rows["readouts"]) > 1
    assert rows["everything"][2] < 1
    assert rows["everything, step 2"][2] < 0.9 * rows["everything"][2]
    assert rows["everything, step 2"][2] < 0.95 * rows["the same, own units"][2]
    *_, late, later = rows["everything, step 2"]
    assert max(late, later) < 0.8


@pytest.mark.slow
def test_devices_with_other_laws_hurt_each_other() -> None:
    rows = table("--fleet", "other laws")
    assert rows["everything"][2] > 1.1
    assert rows["everything, step 2"][2] > 1.1


@pytest.mark.slow
def test_a_sensor_that_joins_late_gains_in_common_units_alone() -> None:
    rows = table("--fleet", "sensor")
    assert max(rows["everything"][-3:]) < 1 < min(rows["the same, own units"][-3:])


def python(program: str) -> str:
    """Run a program next to the example, whose imports warn of their own dependencies."""
    start = f"import sys; sys.path.insert(0, {str(EXAMPLE.parent)!r})\nfrom federated import *\n"
    return run(sys.executable, "-c", start + program)


DEVICE = """
run_config = {"fleet": "same law", "seed": 0, "rows": 400, "early": 1, "common": True, "every": 50}
devices = Devices(run_config, 2)
def ask(round_, node, arrays):
    content = {"arrays": ArrayRecord(arrays), "config": ConfigRecord({"server-round": round_})}
    return devices.send_and_receive([Message(RecordDict(content), node, "train")])[0].content
def learner(node):
    return Learner.from_bytes(devices.contexts[node].state["learner"]["checkpoint"])
"""


def test_a_device_that_shares_nothing_learns_as_a_lone_learner() -> None:
    """It catches up on the rounds that it has missed, and one that joins late begins late."""
    python(
        DEVICE
        + """
for round_ in (1, 2, 5, 8):
    reply = ask(round_, 1, {}), ask(round_, 2, {})
X, Y = stream("same law", 0, 0, 400)
lone = Learner(FLEETS["same law"][1])
lone.run(X, Y, horizon=0)
assert learner(1).hash() == lone.hash()
assert reply[0]["metrics"]["num-examples"] == lone.counters.labels
assert learner(2).counters.predictions == 200
swings = [stream("same law", 0, device, 400)[1].std() for device in range(8)]
assert max(swings) > 2 * min(swings)
"""
    )


def test_a_device_goes_on_from_the_fleets_weights() -> None:
    python(
        DEVICE
        + """
own = ask(1, 1, {name: Array(v) for name, v in to_common(Learner(FLEETS["same law"][1])).items()})
fleet = {name: array.numpy() + 0.1 for name, array in own["arrays"].items()}
expected = learner(1)
from_common(expected, fleet)
reply = ask(1, 1, {name: Array(values) for name, values in fleet.items()})
assert learner(1).hash() == expected.hash()
for name, values in to_common(expected).items():
    assert (reply["arrays"][name].numpy() == values).all()
"""
    )


def test_the_server_weights_by_labels_and_steps_on_with_the_network() -> None:
    python(
        """
TaskIdentity.task_id = TaskIdentity.run_id = TaskIdentity.node_id = 1
def record(value):
    names = ("theta", "readout")
    return ArrayRecord({name: Array(np.full((2, 2), value, np.float32)) for name in names})
from itertools import permutations
def reply(node, value, labels):
    message = Message(RecordDict(), node, "train")
    metrics = MetricRecord({"num-examples": labels})
    return Message(RecordDict({"arrays": record(value), "metrics": metrics}), reply_to=message)
server = Averaging(3.0)
server.configure_train(1, record(1.0), ConfigRecord(), Devices({}, 2))
arrays, _ = server.aggregate_train(1, [reply(2, 4.0, 30), reply(1, 0.0, 10)])
assert (arrays["readout"].numpy() == 3.0).all()  # (10 0 + 30 4) / 40
assert (arrays["theta"].numpy() == 7.0).all()  # 1 + 3 (3 - 1)
some = [reply(1, 0.1, 3), reply(2, 1e8, 7), reply(3, -1e8, 7)]
means = [server.aggregate_train(1, order)[0]["readout"].numpy() for order in permutations(some)]
assert len({mean.tobytes() for mean in means}) == 1
"""
    )
