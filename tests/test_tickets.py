"""Labels in any order: the bits of labels in order, and every wrong ticket."""

import copy
import io
import itertools
import pickle
import struct
import threading
import warnings
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_threads import LEARNER, interrupted_at

from nbt_embed import Learner
from nbt_embed.errors import (
    CheckpointError,
    DivergenceWarning,
    InputError,
    InputTypeError,
    SequenceError,
)
from nbt_embed.tickets import Ticket, Tickets

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {"max_delay": 6},
    "none may wait longer": {"max_delay": 0},
    "categorical": {"max_delay": 3, "link": "categorical"},
    "unitwise": {"max_delay": 4, "cell": "gated", "estimator": "unitwise"},
}


def sample(learner: Learner, t: int) -> tuple[Any, Any]:
    x = np.sin([t / 3, t / 5 + 1])
    return x, (t % 2 if learner.config.link == "categorical" else [x[0] * x[1], x[1]])


def in_order(learner: Learner, events: list[tuple[str, int]]) -> None:
    """The same events by hand: a label is learnt as soon as all older ones have come."""
    labels: dict[int, Any] = {}
    waiting: deque[int] = deque()
    for what, t in events:
        if what == "predict":
            learner.predict(sample(learner, t)[0])
            waiting.append(t)
        else:
            labels[t] = sample(learner, t)[1] if what == "learn" else float("nan")
        while waiting and waiting[0] in labels:
            label = labels.pop(waiting.popleft())
            learner.learn(np.full(learner.config.n_label, np.nan) if label != label else label)


def shuffled(max_delay: int, steps: int, seed: int) -> list[tuple[str, int]]:
    """Predictions, and labels of any of those that wait, some of which never come."""
    draw = np.random.default_rng(seed)
    events: list[tuple[str, int]] = []
    learnt: set[int] = set()
    oldest = made = 0
    while made < steps:
        missing = [t for t in range(oldest, made) if t not in learnt]
        if made - oldest > max_delay or (missing and draw.random() < 0.5):
            t = int(draw.choice(missing))
            events.append(("give up" if draw.random() < 0.2 else "learn", t))
            learnt.add(t)
            while oldest in learnt:
                oldest += 1
        else:
            events.append(("predict", made))
            made += 1
    return events


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("seed", range(3))
def test_the_bits_are_those_of_the_labels_in_order(name: str, seed: int) -> None:
    desk = Tickets(Learner(2, 2, hidden=4, **VARIANTS[name]))
    plain = copy.copy(desk.learner)
    events = shuffled(plain.config.max_delay, 150, seed)
    tickets: dict[int, Ticket] = {}
    for i, (what, t) in enumerate(events):
        x, y = sample(plain, t)
        if what == "predict":
            tickets[t] = desk.predict(x)
        elif what == "learn":
            desk.learn(y, tickets.pop(t))
        else:
            desk.give_up(tickets.pop(t))
        if i % 20 == 7:
            desk = pickle.loads(pickle.dumps(desk))
        elif i % 20 == 17:
            desk = Tickets.from_bytes(desk.to_bytes())
        assert [one.number for one in desk.waiting] == sorted(tickets)
        assert desk.kept == desk.learner.pending - len(tickets)
    in_order(plain, events)
    assert desk.learner.hash() == plain.hash()
    assert desk.learner.counters == plain.counters


def test_the_forecast_is_the_learners_and_cannot_be_changed() -> None:
    desk = Tickets(Learner(1, 1, hidden=3, max_delay=2))
    twin = copy.copy(desk.learner)
    ticket = desk.predict(0.5)
    np.testing.assert_array_equal(ticket.y, twin.predict(0.5))
    assert ticket.number == 0
    with pytest.raises(ValueError, match="read-only"):
        ticket.y[:] = 1
    assert ticket == desk.waiting[0]
    assert "desk" not in repr(ticket)


def used() -> tuple[Tickets, list[Ticket]]:
    """0 learnt, 1 given up; 2 waits, 3 is kept, 4 was given up early."""
    desk = Tickets(Learner(1, 1, hidden=3, max_delay=3))
    tickets = [desk.predict(0.1 * t) for t in range(3)]
    desk.learn(0.5, tickets[0])
    desk.give_up(tickets[1])
    tickets += [desk.predict(0.3), desk.predict(0.4)]
    desk.learn(0.7, tickets[3])
    desk.give_up(tickets[4])
    return desk, tickets


def before_a_reset() -> tuple[Tickets, list[Ticket]]:
    desk, tickets = used()
    desk.learner.reset_state()  # directly: it has the same meaning
    return desk, [*tickets, desk.predict(0)]


def test_every_wrong_ticket_is_refused_with_its_reason() -> None:
    desk, tickets = used()
    _, strangers = used()
    branch = copy.copy(desk)
    of_branch = branch.predict(1.0)
    own = desk.predict(1.0)
    wrong: list[tuple[Any, str]] = [
        (tickets[0], "ticket 0 is settled"),
        (0, "ticket 0 is settled"),
        (tickets[1], "ticket 1 is settled: its label has been learnt, or it was given up"),
        (tickets[3], "ticket 3 has its label already; it waits for ticket 2"),
        (tickets[4], "ticket 4 was given up; it waits for ticket 2"),
        (strangers[2], "ticket 2 belongs to another learner"),
        (of_branch, "ticket 5 was issued by a copy"),
        (replace(tickets[2], key="0"), "ticket 2 was issued by a copy"),
        (replace(own, number=6), "ticket 6 has not been issued: this learner has made 6"),
        (replace(own, number=-1), "ticket -1 has not been issued"),
        (replace(own, number=10**40), "has not been issued"),
        (10**40, "has not been issued"),
    ]
    for ticket, message in wrong:
        before = desk.learner.hash(), desk.waiting, desk.kept
        assert ticket not in desk
        for call in (lambda one: desk.learn(0.0, one), desk.give_up):
            with pytest.raises(SequenceError, match=message):
                call(ticket)
        assert (desk.learner.hash(), desk.waiting, desk.kept) == before
    for ticket in (None, 1.0, "2", True, np.nan, replace(own, number=0.5)):  # type: ignore[arg-type]
        with pytest.raises(InputTypeError, match="ticket = "):
            desk.learn(0.0, ticket)  # type: ignore[arg-type]
        with pytest.raises(InputTypeError, match="ticket = "):
            ticket in desk  # type: ignore[operator]  # noqa: B015
    assert own in desk
    assert 2 in desk
    desk.learn(0.5, np.int64(2))  # type: ignore[arg-type]  # a number does as well
    desk.learn(0.5, own)
    branch.learn(0.5, tickets[2])  # a copy goes on with what waited
    branch.learn(0.5, of_branch)
    assert desk.learner.pending == branch.learner.pending == 0
    assert desk.learner.hash() == branch.learner.hash()


def test_a_ticket_of_before_a_reset_is_refused() -> None:
    desk, tickets = before_a_reset()
    for ticket in tickets[:-1]:
        with pytest.raises(SequenceError, match="dropped by reset_state, or was settled before"):
            desk.learn(0.0, ticket)
    assert desk.kept == 0
    desk.learn(0.0, tickets[-1])
    last = desk.predict(0)
    desk.reset_state()
    with pytest.raises(SequenceError, match="dropped by reset_state"):
        Tickets.from_bytes(desk.to_bytes()).learn(0.0, last)


def test_a_full_learner_says_what_to_do_or_gives_the_oldest_up() -> None:
    desk = Tickets(Learner(1, 1, hidden=3, max_delay=1))
    plain = copy.copy(desk.learner)
    desk.predict(0.1), desk.predict(0.2)
    before = desk.learner.hash()
    with pytest.raises(SequenceError, match=r"the oldest is ticket 0: .* give_up\(0\)"):
        desk.predict(0.3)
    assert desk.learner.hash() == before
    desk = Tickets(desk.learner, give_up_oldest=True)
    desk.learn(0.5, 1)
    with pytest.raises(InputError):
        desk.predict(np.nan)  # a refused input gives nothing up
    assert desk.learner.hash() == before
    assert desk.predict(0.3).number == 2  # of two places one was kept: both are free now
    for x, y in ((0.1, np.nan), (0.2, 0.5)):
        plain.predict(x)
        if x == 0.2:
            plain.learn(np.nan)
            plain.learn(y)
    plain.predict(0.3)
    assert desk.learner.hash() == plain.hash()
    assert desk.kept == 0


def test_a_label_is_looked_at_when_it_comes() -> None:
    desk = Tickets(Learner(1, 2, hidden=3, max_delay=3, link="categorical"))
    desk.predict(0), desk.predict(1)
    for bad, error in ((2, InputError), (np.inf, InputError), ("a", InputTypeError)):
        with pytest.raises(error):
            desk.learn(bad, 1)
    assert desk.kept == 0
    with pytest.raises(InputError, match="shape"):
        desk.learn([0, 1], 1)
    label = np.zeros(1, np.float32)
    desk.learn(label, 1)
    label[:] = 99  # it has been copied
    desk.learn(0, 0)
    assert desk.learner.pending == 0


def test_a_kept_label_that_is_refused_names_its_ticket_and_may_come_again() -> None:
    desk = Tickets(Learner(1, 1, hidden=3, max_delay=3, follow=False, scale_steps=20))
    for t in range(50):
        desk.learn(np.sin(t), desk.predict(np.sin(t)))
    first, second, third = (desk.predict(0.1) for _ in range(3))
    desk.learn(1e17, second)  # absurd, which only the learner can say
    desk.learn(0.2, third)
    with pytest.raises(InputError, match=f"ticket {second.number}, kept until now, is refused"):
        desk.learn(0.1, first)
    assert desk.waiting == (second,)
    with pytest.raises(InputError, match="too far from the running mean"):
        desk.learn(1e17, second)
    desk.learn(0.2, second)
    assert desk.learner.pending == 0


def test_the_learner_itself_may_be_used_meanwhile() -> None:
    learner = Learner(1, 1, hidden=3, max_delay=3)
    learner.predict(0.1)
    desk = Tickets(learner)
    learner.predict(0.2)
    assert [one.number for one in desk.waiting] == [0, 1]
    assert np.isnan(desk.waiting[1].y).all()
    desk.learn(0.5, desk.waiting[1])
    learner.learn(0.1)  # of the oldest; the kept one follows with the next call
    third = desk.predict(0.3)
    assert [one.number for one in desk.waiting] == [2]
    learner.learn(0.5)
    with pytest.raises(SequenceError, match="is settled"):
        desk.learn(0.0, third)


def test_a_warning_that_is_raised_leaves_the_tickets_right() -> None:
    learner = Learner(
        1, 1, hidden=2, filter="sgd", sgd_rate=100.0, gate=0.0, scale_steps=0, max_delay=2
    )
    desk = Tickets(learner)
    tickets = [desk.predict(1e4) for _ in range(3)]
    desk.learn(1e5, tickets[1])
    with warnings.catch_warnings():
        warnings.simplefilter("error", DivergenceWarning)
        with pytest.raises(DivergenceWarning):
            desk.learn(1e5, tickets[0])
    assert learner.pending == 2  # the step ran
    with pytest.warns(DivergenceWarning), pytest.raises(SequenceError, match="is settled"):
        desk.learn(1e5, tickets[0])
    assert learner.pending == 1  # the label that was kept has had its turn


def test_another_thread_is_refused_between_the_steps_of_a_call() -> None:
    desk = Tickets(Learner(1, 1, hidden=3, max_delay=10))
    refused: list[str] = []

    def meddle() -> None:
        for call in (lambda: desk.predict(0.0), lambda: desk.waiting, desk.to_bytes):
            try:
                call()
            except SequenceError as error:
                refused.append(str(error))

    def inside() -> None:
        thread = threading.Thread(target=meddle)
        thread.start()
        thread.join()

    desk.learner._alone("test", inside)
    assert len(refused) == 3
    assert all("another thread" in one for one in refused)
    assert desk.predict(0.0).number == 0


TICKETS = Tickets.learn.__code__.co_filename
CALLS: list[Callable[[Tickets], object]] = [
    lambda desk: desk.predict(0.7),
    lambda desk: desk.learn(0.3, 0),
    lambda desk: desk.give_up(2),
    Tickets.to_bytes,
]


@pytest.mark.parametrize("call", CALLS, ids=["predict", "learn", "give_up", "to_bytes"])
def test_an_interrupt_at_any_moment_mixes_no_tickets_up(call: Callable[[Tickets], object]) -> None:
    full = Tickets(Learner(1, 1, hidden=2, max_delay=2), give_up_oldest=True)
    forecasts = [float(full.predict(0.1 * t).y[0]) for t in range(3)]
    full.learn(0.5, 1)
    for opcode in itertools.count(1, 7):
        desk = copy.copy(full)
        is_hit = interrupted_at(opcode, partial(call, desk), LEARNER, TICKETS)
        made, waiting = desk.learner.counters.predictions, desk.waiting
        assert len(waiting) + desk.kept == desk.learner.pending
        for ticket in waiting:
            assert made - desk.learner.pending <= ticket.number < made
            if ticket.number < 3:
                assert ticket.y[0] == forecasts[ticket.number]
        for ticket in waiting:
            if ticket in desk:  # looking may have learnt what an interrupt had held up
                desk.learn(0.2, ticket)
        assert desk.learner.pending == 0
        if not is_hit:
            break
    assert opcode > 100


def test_files_hold_learner_and_tickets(tmp_path: Path) -> None:
    desk, tickets = used()
    path = tmp_path / "lab.nbt"
    desk.save(path)
    loaded = Tickets.load(path)
    assert loaded.waiting == desk.waiting
    np.testing.assert_array_equal(loaded.waiting[0].y, desk.waiting[0].y)
    assert loaded.to_bytes() == desk.to_bytes()
    assert Learner.load(path).hash() == desk.learner.hash()
    loaded.learn(0.5, tickets[2])
    assert loaded.learner.pending == 0
    file = io.BytesIO()
    desk.save(file)
    assert file.getvalue() == path.read_bytes()
    desk.learner.save(path)
    with pytest.raises(CheckpointError, match=r"lab\.nbt: .*no tickets"):
        Tickets.load(path)


def test_damaged_tickets_are_refused() -> None:
    desk, _ = used()
    data = desk.to_bytes()
    start = len(desk.learner.to_bytes())
    for at in range(start, len(data), 5):
        damaged = bytearray(data)
        damaged[at] ^= 1
        with pytest.raises(CheckpointError):
            Tickets.from_bytes(damaged)
    for cut in (1, 16, 40):
        with pytest.raises(CheckpointError):
            Tickets.from_bytes(data[:-cut])
    for old, new in ((b"[2,", b"[9,"), (b'"desk"', b'"disk"'), (b"null", b'"00"')):
        text = data[start:-16].replace(old, new)
        end = struct.pack("<II", len(text), zlib.crc32(text)) + data[-8:]
        with pytest.raises(CheckpointError, match="not those of the learner"):
            Tickets.from_bytes(data[:start] + text + end)


def test_what_is_no_learner_is_refused() -> None:
    with pytest.raises(InputTypeError, match="expected a Learner"):
        Tickets(3)  # type: ignore[arg-type]
