"""Messages through a real broker that is killed and restarted twice.

A separate process publishes with quality 1, at a rate and without waiting; this process learns each
message. A message is lost if the broker acknowledged it to the sender and it never arrived. A
killed broker loses the messages that it holds, and has no subscription until this client
reconnects: messages acknowledged in that time are the broker's losses. All other losses are this
package's.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from broker import Broker

from nbt_embed import Config, Learner
from nbt_embed.live.clock import Clock
from nbt_embed.live.sources import open_source

RATE = 1000  # messages per second
OUTAGES = 2
_DOWN = 1.0  # seconds between kill and start
_LATEST = 20.0  # milliseconds, of 99 % of the messages
_FLAT = 4.0  # MB of growth
_HANDED_ON = 0.5  # seconds before a kill in which the broker may still hold an acknowledged message

SENDER = """
import json, socket, sys, time
import paho.mqtt.client as mqtt
port, rate, seconds, out = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
numbers, acknowledged = {}, {}
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="sender", clean_session=False)
client.max_inflight_messages_set(200)
client.reconnect_delay_set(1, 1)
client.on_publish = lambda c, u, mid, code, p: acknowledged.setdefault(mid, time.monotonic())
client.on_socket_open = lambda c, u, s: s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
client.connect("127.0.0.1", port)
client.loop_start()
began, count = time.monotonic(), int(rate * seconds)
for number in range(count):
    wait = began + number / rate - time.monotonic()
    if wait > 0:
        time.sleep(wait)
    payload = json.dumps({"time": time.monotonic(), "number": number, "x": number % 100 / 50})
    numbers[client.publish("measured", payload, 1).mid] = number
until = time.monotonic() + 15
while len(acknowledged) < count and time.monotonic() < until:
    time.sleep(0.1)
known = [[numbers[mid], at] for mid, at in list(acknowledged.items())]
json.dump(known, open(out, "w"))
"""


def measure(options: argparse.Namespace) -> tuple[list[str], bool]:
    """Measure losses by cause, latency from publishing to the answer, and memory."""
    with tempfile.TemporaryDirectory(prefix="nbt-live-") as name:
        folder = Path(name)
        broker = Broker(
            folder, "max_inflight_messages 1000", "max_queued_messages 100000"
        )  # fmt: skip
        try:
            return _measured(broker, folder, options.seconds)
        finally:
            broker.kill()


def _measured(broker: Broker, folder: Path, seconds: float) -> tuple[list[str], bool]:
    kills: list[float] = []

    def outages() -> None:
        for i in range(OUTAGES):
            time.sleep(seconds / (OUTAGES + 1) - (_DOWN if i else 0))
            kills.append(time.monotonic())
            broker.kill()
            time.sleep(_DOWN)
            broker.start()

    learner = Learner(Config(2, 2, 8, hold_missing=True))
    most = int(2 * RATE * seconds)
    sent, delays = np.zeros(most), np.zeros(most)  # full length, since memory is measured
    came = np.zeros(int(RATE * seconds), bool)
    answered = 0
    back: list[float] = []  # times at which this client was subscribed again
    memory: list[float] = []
    where = f"mqtt://{broker.address}/measured?field=number,x"
    out = folder / "acknowledged.json"
    command = [sys.executable, "-c", SENDER, str(broker.port), str(RATE), str(seconds), str(out)]
    with open_source(where) as source:
        process = subprocess.Popen(command)
        threading.Thread(target=outages, daemon=True).start()
        looked, last, away = 0.0, time.monotonic(), False
        clock = Clock()
        for some in source.arrivals(0.02):
            for block in clock.blocks([some]):
                learner.run(block.inputs, block.targets, horizon=1, intervals=True, anomaly=True)
                now = time.monotonic()
                assert block.time is not None
                part = slice(answered, answered + len(block.time))
                sent[part], delays[part] = block.time, now - block.time
                answered = part.stop
            came[some.inputs[:, 0].astype(int)] = True
            now = time.monotonic()
            if source.health.state != "connected":
                away = True
            elif away:
                away = False
                back.append(now)
            if now - looked > seconds / 20:
                looked = now
                memory.append(_megabytes())
            if len(some):
                last = now
            elif process.poll() is not None and now - last > 2:
                break
        process.wait()
        counts = source.health.counts
    acknowledged = json.loads(out.read_text(encoding="utf-8"))
    lost = [at for number, at in acknowledged if not came[number]]
    times = list(zip(kills, back, strict=False))
    brokers = [
        any(kill - _HANDED_ON < at < again for kill, again in times) for at in lost
    ]  # fmt: skip
    stamps = sent[:answered]
    calm = np.ones(len(stamps), bool)
    for kill, again in times:
        calm &= (stamps < kill - 0.1) | (stamps > again + 2.0)
    p50, p99 = np.percentile(delays[:answered][calm] * 1000, [50, 99])
    growth = max(memory[len(memory) // 2 :]) - memory[len(memory) // 4]
    ours = len(lost) - sum(brokers)
    kept = not ours and p99 < _LATEST and growth < _FLAT and len(kills) == OUTAGES
    return [
        f"MQTT, {RATE:,} messages/s for {seconds:g} s, broker killed {len(kills)} times: "
        f"{len(acknowledged):,} acknowledged to the sender, {came.sum():,} learnt, "
        f"{sum(brokers)} lost by the broker, {ours} lost here; "
        f"{clock.counts['twice'] + clock.counts['late']:,} duplicates dropped, "
        f"{counts.get('connections made again', 0)} reconnections",
        f"MQTT, from publishing to the answer, while the broker runs: median {p50:.1f} ms, 99th "
        f"percentile {p99:.1f} ms; memory {growth:+.1f} MB in the second half",
    ], kept


def _megabytes() -> float:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6
