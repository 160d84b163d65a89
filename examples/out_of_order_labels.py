"""A laboratory whose results come back in any order: every forecast gives a ticket.

Samples of a process are measured at once, and analysed by hand hours later, some of them never. The
tickets and what waits are saved with the learner, as a program that runs for days is stopped now
and then.
"""

import io

import numpy as np

from nbt_embed import Learner
from nbt_embed.tickets import Ticket, Tickets

SAMPLES = 4000
rng = np.random.default_rng(0)
sensor = np.cumsum(rng.normal(size=SAMPLES)) * 0.1
result = np.convolve(sensor, np.exp(-np.arange(20) / 6), mode="full")[:SAMPLES]

desk = Tickets(Learner(n_in=1, n_out=1, max_delay=12, seed=3), give_up_oldest=True)
due: dict[int, list[tuple[Ticket, float]]] = {}  # sample -> results that come back then
forecasts = []
most = 0
for t, x in enumerate(sensor):
    for ticket, y in due.pop(t, []):
        if ticket in desk:  # else the next samples could not wait for it, and it was given up
            desk.learn(y, ticket)
            most = max(most, desk.kept)
    ticket = desk.predict(x)
    forecasts.append(ticket.y[0])
    if rng.random() > 0.05:  # a twentieth is lost
        due.setdefault(t + int(rng.integers(1, 12)), []).append((ticket, result[t]))
    if t == SAMPLES // 2:  # the program is stopped and goes on
        file = io.BytesIO()
        desk.save(file)
        file.seek(0)
        desk = Tickets.load(file)

late = slice(SAMPLES // 2, None)
error = np.sqrt(np.mean(np.square(np.array(forecasts)[late] - result[late])))
print(f"error {error:.3f} on a signal with standard deviation {result[late].std():.3f}")
counters = desk.learner.counters
print(f"{counters.labels} results learnt, {counters.missing} given up")
print(f"{len(desk.waiting)} samples wait for results; at most {most} results waited for older ones")
