"""Forecasts of messages: a sensor's topic is learnt as it comes, and forecasts are published.

With an address, as ``python examples/live_mqtt.py mqtt://localhost/plant/pump``, it follows a
broker for ever. Without one it follows a simulated device: every source is iterated alike.
"""

import sys
from contextlib import ExitStack

from nbt_embed import Learner
from nbt_embed.live.publish import Publisher
from nbt_embed.live.sources import open_source

SIMULATED = "simulated:?rate=max&rows=2000"

address = sys.argv[1] if len(sys.argv) > 1 else SIMULATED
with ExitStack() as stack:
    source = stack.enter_context(open_source(address))
    publisher = None
    if address != SIMULATED:
        where, _, options = address.partition("?")
        same = "&".join(one for one in options.split("&") if not one.startswith("field="))
        publisher = stack.enter_context(Publisher(f"{where}/forecast?{same}".rstrip("?")))
    learner = Learner(
        len(source.input_names), len(source.target_names), hold_missing=True, anchor=source.anchor
    )
    print(f"{source.title}: {', '.join(source.input_names)}; {learner.memory.total} bytes")
    for row, (time, x, y) in enumerate(source):
        if learner.pending:
            learner.learn(y)
        forecast = learner.predict(x)
        if publisher is not None:
            named = dict(zip(source.target_names, forecast.tolist(), strict=True))
            publisher.send([{"time": time, **named}])
        if row % 500 == 0:
            told = ", ".join(
                f"{name} {value:.3f}"
                for name, value in zip(source.target_names, forecast.tolist(), strict=True)
            )
            print(f"row {row}, {time:.2f} s: next {told}")
    print(source.health.state)
