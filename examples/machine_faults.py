"""A machine whose sensors fail: which faults are reported, and when.

No fault is labelled. The learner forecasts every channel with an interval, and gives every reading
an anomaly score. An alarm makes one event of scores that follow each other.
"""

import numpy as np

from nbt_embed import Learner
from nbt_embed.alarm import events
from nbt_embed.faults import Fault, with_faults
from nbt_embed.metrics import coverage
from nbt_embed.simulation import SWING, simulated_sensor

NOISE = 0.05  # of a channel's swing
machine = simulated_sensor(12_000, seed=1, missing=0, noise=NOISE)
healthy = machine.inputs[:6000]  # the machine itself changes after that
faults = [
    Fault("spike", row=1500, channel=0, size=10),
    Fault("stuck", row=2300, channel=1, rows=100),
    Fault("drift", row=3100, channel=2, rows=40, size=0.8),
    Fault("burst", row=3900, channel=1, rows=15, size=5),
    Fault("swap", row=4700, channel=0, other=2),
]
readings = with_faults(healthy, faults, deviations=NOISE * np.array(SWING))

learner = Learner(n_in=3, n_out=3)
told = learner.run(readings, readings, horizon=1, intervals=True, anomaly=True)
assert told.intervals is not None
assert told.anomaly is not None
by_channel = events(told.anomaly, threshold=0.999, hold_off=100)
alarms = sorted((int(row), channel) for channel, rows in enumerate(by_channel) for row in rows)
width = told.intervals[..., 3] - told.intervals[..., 2]  # of the 80 % intervals

print("  row  fault  channel   alarm at row  by channel  score   wider intervals, times")
for fault in faults:
    after = slice(fault.row, fault.row + 40)
    wider = width[after, fault.channel].max() / np.median(width[: fault.row, fault.channel])
    first = next(((row, by) for row, by in alarms if fault.row <= row < fault.row + 40), None)
    when = f"{first[0]:12}{first[1]:12}{told.anomaly[first]:9.5f}" if first else f"{'never':>33}"
    print(f"{fault.row:5}  {fault.kind:5}{fault.channel:9}{when}{wider:18.1f}")
    alarms = [alarm for alarm in alarms if not fault.row <= alarm[0] < fault.row + 150]
print("alarms without a fault:", ", ".join(f"{row} ({by})" for row, by in alarms) or "none")
inside = [
    coverage(told.intervals[999:-1, c, 2], told.intervals[999:-1, c, 3], readings[1000:, c])
    for c in range(3)
]
print("readings inside, from row 1000 on:", ", ".join(f"{share:.1%}" for share in inside))
