"""Labels in any order: every forecast has a ticket, and every label names one.

A learner learns the label of the oldest waiting forecast, so a label that arrives early is kept
until every older forecast has its label or was given up. The bits are those of a learner that gets
the same labels in the order of the forecasts.
"""

from __future__ import annotations

import copy
import json
import os
import struct
import zlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from nbt_embed.arrays import Float32Array, integer, one_sample
from nbt_embed.errors import CheckpointError, InputError, InputTypeError, SequenceError, shown
from nbt_embed.files import Readable, Writable, read_file, write_object, write_path
from nbt_embed.learner import Learner

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from 3.11 on

_END = struct.Struct("<II8s")  # length and CRC-32 of the text before it, and what it is
_MAGIC = b"nbtdesk1"


@dataclass(frozen=True)
class Ticket:
    """A forecast that waits, or has waited, for its label.

    Attributes: number, of all forecasts that its learner ever made, from 0; y (n_out,), the
    forecast, NaN if it was not made through ``Tickets``; desk and key, which identify the
    learner and its copies.
    """

    number: int
    y: Float32Array = field(compare=False)
    desk: str = field(repr=False)
    key: str = field(repr=False)


class _WrongTicketError(SequenceError):
    """This ticket takes no label."""


@dataclass
class _Waiting:
    """A forecast that waits in the learner, and its label, if that has come early."""

    ticket: Ticket
    label: Float32Array | None = None


class Tickets:
    """A learner whose labels may come in any order.

    Examples:
        >>> learner = Learner(n_in=1, n_out=1, max_delay=2)
        >>> desk = Tickets(learner)
        >>> first, second = desk.predict(0.1), desk.predict(0.2)
        >>> desk.learn(0.4, second)       # kept until the first has its label
        >>> learner.pending, desk.kept
        (2, 1)
        >>> desk.learn(0.3, first)        # both are learnt, the first one first
        >>> learner.pending
        0

    Args:
        learner: it holds at most max_delay + 1 forecasts that wait. Its own calls
            still work: forecasts made by them have tickets in ``waiting``.
        give_up_oldest: whether ``predict`` gives up the oldest forecast while max_delay + 1 wait
            (True), or is refused (False).

    At most max_delay + 1 forecasts and labels are kept. A pickle, a deep copy and ``save`` keep the
    learner with them; earlier tickets are valid in each of them.
    Errors: SequenceError (a ticket that has been used, or is not of this learner; two threads at
    once) leaves everything as it was.
    """

    def __init__(self, learner: Learner, *, give_up_oldest: bool = False) -> None:
        if not isinstance(learner, Learner):
            raise InputTypeError(f"learner is {shown(learner)}: expected a Learner")
        self._learner = learner
        self._give_up_oldest = bool(give_up_oldest)
        self._desk = os.urandom(8).hex()
        # All that wait, by number, oldest first. The first of a dict is slow to find after many
        # have been taken from its front.
        self._forecasts: OrderedDict[int, _Waiting] = OrderedDict()
        self._dropped = _counts(learner).dropped
        self._reset = 0  # forecasts before this one were dropped by a reset, or settled before
        learner._alone("Tickets", self._look)

    @property
    def learner(self) -> Learner:
        """The learner."""
        return self._learner

    @property
    def waiting(self) -> tuple[Ticket, ...]:
        """The tickets without a label, oldest first."""
        return self._learner._alone(
            "waiting",
            lambda: tuple([one.ticket for one in self._look().values() if one.label is None]),
        )

    @property
    def kept(self) -> int:
        """Number of early labels, which wait for those of older forecasts."""
        return self._learner._alone(
            "kept", lambda: sum(one.label is not None for one in self._look().values())
        )

    def predict(self, x: ArrayLike) -> Ticket:
        """Advance the learner by one sample and forecast; the forecast is ``y`` of the ticket.

        Args:
            x: (n_in,) as for ``Learner.predict``.

        Errors and warnings: those of ``Learner.predict``; SequenceError while max_delay + 1
        forecasts wait, unless give_up_oldest.
        """
        sample = one_sample("x", x, self._learner.config.n_in)
        return self._learner._alone("predict", lambda: self._predict(sample))

    def learn(self, y: ArrayLike, ticket: Ticket | int) -> None:
        """Learn the label of this forecast, as soon as all older ones have theirs.

        Args:
            y: (n_out,) label, as for ``Learner.learn``; NaN is missing.
            ticket: from ``predict``, or its number.

        Errors and warnings: those of ``Learner.learn``; SequenceError for a ticket that has its
        label, was given up, was dropped by a reset, or is not of this learner. A label that was
        kept may be refused when it is learnt (a value out of range): InputError then names its
        ticket, which waits for a label again.
        """
        label = one_sample("y", y, self._learner.config.n_label)
        self._learner._check_label(label)
        self._learner._alone("learn", lambda: self._settle(ticket, label))

    def give_up(self, ticket: Ticket | int) -> None:
        """Give up the label of this forecast: nothing is learnt from it.

        Errors: as ``learn``.
        """
        self.learn(np.full(self._learner.config.n_label, np.nan, np.float32), ticket)

    def __contains__(self, ticket: Ticket | int) -> bool:
        """Whether ``learn`` would take a label of this ticket. Errors: InputTypeError."""
        try:
            self._learner._alone("in", lambda: self._find(ticket))
        except _WrongTicketError:
            return False
        return True

    def reset_state(self) -> None:
        """``Learner.reset_state``: forecasts and labels that wait are dropped."""
        self._learner.reset_state()

    def to_bytes(self) -> bytes:
        """The learner's checkpoint, and behind it the tickets; ``Learner.load`` reads it as well.

        Errors: CheckpointError if a number is not finite.
        """
        return self._learner._alone("to_bytes", self._to_bytes)

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Self:
        """What ``to_bytes`` made. Errors: CheckpointError, InputTypeError."""
        learner = Learner.from_bytes(data)
        facts = _facts(bytes(memoryview(data)))
        try:
            self = cls(learner, give_up_oldest=facts["give_up_oldest"])
            self._desk, self._reset = str(facts["desk"]), int(facts["reset"])
            rows = {number: rest for number, *rest in facts["waiting"]}
            for number, one in self._forecasts.items():
                key, y, label = rows.pop(number)
                one.ticket = self._ticket(number, _array(y, learner.config.n_out), str(key))
                one.label = None if label is None else _array(label, learner.config.n_label)
        except (KeyError, TypeError, ValueError):
            rows = {-1: None}
        if rows:
            raise CheckpointError("the tickets are not those of the learner: use an earlier file")
        return self

    def save(self, file: str | os.PathLike[str] | Writable) -> None:
        """Write ``to_bytes`` to a path or an open binary file. Errors: as ``Learner.save``."""
        data = self.to_bytes()
        if isinstance(file, (str, bytes, os.PathLike)):
            write_path(os.fsdecode(file), data)
        else:
            write_object(file, data)

    @classmethod
    def load(cls, file: str | os.PathLike[str] | Readable) -> Self:
        """Read what ``save`` wrote. Errors: as ``Learner.load``."""
        name, data = read_file(file)
        try:
            return cls.from_bytes(data)
        except CheckpointError as error:
            raise CheckpointError(f"{name}: {error}") from None

    def __copy__(self) -> Self:
        """A copy has a learner of its own, as copies of learners are."""
        return copy.deepcopy(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._learner!r}, give_up_oldest={self._give_up_oldest})"

    # ---- with other threads kept out ----

    def _look(self) -> OrderedDict[int, _Waiting]:
        """The forecasts that wait, brought to what the learner says: it may have been used itself.

        The learner is the truth about which they are, so no interrupt can leave a ticket with
        another one's forecast.
        """
        counts = _counts(self._learner)
        if counts.dropped > self._dropped:
            self._dropped, self._reset = counts.dropped, counts.oldest
        forecasts = self._forecasts
        while forecasts and next(iter(forecasts)) < counts.oldest:
            forecasts.popitem(last=False)
        waiting = range(counts.oldest, counts.made)
        if len(forecasts) != len(waiting) or (waiting and waiting[0] not in forecasts):
            unknown = np.full(self._learner.config.n_out, np.nan, np.float32)
            self._forecasts = forecasts = OrderedDict(
                (number, forecasts.get(number) or _Waiting(self._ticket(number, unknown)))
                for number in waiting
            )
        return forecasts

    def _ticket(self, number: int, y: Float32Array, key: str | None = None) -> Ticket:
        y.flags.writeable = False
        return Ticket(number, y, self._desk, key or os.urandom(8).hex())

    def _predict(self, x: Float32Array) -> Ticket:
        learner = self._learner
        self._learn_on()
        forecasts = self._look()
        if learner.pending > learner.config.max_delay:
            oldest = next(iter(forecasts))
            if not self._give_up_oldest:
                raise SequenceError(
                    f"{len(forecasts)} forecasts wait for labels, as many as max_delay = "
                    f"{learner.config.max_delay} allows; the oldest is ticket {oldest}: learn its "
                    f"label, give_up({oldest}), or Tickets(learner, give_up_oldest=True)"
                )
            learner.peek(x)  # an input that is refused gives nothing up
            self._settle(oldest, np.full(learner.config.n_label, np.nan, np.float32))
        y = learner.predict(x)
        number = _counts(learner).made - 1
        ticket = self._ticket(number, y)
        self._forecasts[number] = _Waiting(ticket)
        return ticket

    def _settle(self, ticket: Ticket | int, label: Float32Array) -> None:
        self._learn_on()
        found = self._find(ticket)
        found.label = label
        self._learn_on(found)

    def _learn_on(self, newest: _Waiting | None = None) -> None:
        """Learn all labels whose turn has come, the one of `newest` for the first time."""
        while (first := next(iter(self._look().values()), None)) and first.label is not None:
            try:
                self._learner.learn(first.label)
            except InputError as error:
                first.label = None
                if first is newest:
                    raise
                raise InputError(
                    f"the label of ticket {first.ticket.number}, kept until now, is refused: "
                    f"{error}; its forecast waits for a label again"
                ) from None

    def _find(self, ticket: Ticket | int) -> _Waiting:
        """The forecast of a ticket that may still be given a label. Errors: _WrongTicketError."""
        if isinstance(ticket, Ticket):
            number = integer("ticket", ticket.number)
            if ticket.desk != self._desk:
                raise _WrongTicketError(f"ticket {shown(number)} belongs to another learner")
        elif isinstance(ticket, (bool, np.bool_)):
            raise InputTypeError(f"ticket = {shown(ticket)}: expected a Ticket, or its number")
        else:
            number = integer("ticket", ticket)
        forecasts = self._look()
        made = _counts(self._learner).made
        if not 0 <= number < made:
            raise _WrongTicketError(
                f"ticket {shown(number)} has not been issued: this learner has made {made} "
                "forecasts"
            )
        if number not in forecasts:
            how = (
                "was dropped by reset_state, or was settled before"
                if number < self._reset
                else "is settled: its label has been learnt, or it was given up"
            )
            raise _WrongTicketError(f"the forecast of ticket {number} {how}")
        found = forecasts[number]
        if isinstance(ticket, Ticket) and ticket.key != found.ticket.key:
            raise _WrongTicketError(f"ticket {number} was issued by a copy of this learner")
        if found.label is not None:
            how = "was given up" if np.isnan(found.label).all() else "has its label already"
            first = next(iter(forecasts))
            raise _WrongTicketError(
                f"the forecast of ticket {number} {how}; it waits for ticket {first}"
            )
        return found

    def _to_bytes(self) -> bytes:
        rows = [
            [number, one.ticket.key, _hex(one.ticket.y), _hex(one.label)]
            for number, one in self._look().items()
        ]
        facts = {
            "desk": self._desk,
            "give_up_oldest": self._give_up_oldest,
            "reset": self._reset,
            "waiting": rows,
        }
        text = json.dumps(facts, separators=(",", ":")).encode()
        end = _END.pack(len(text), zlib.crc32(text), _MAGIC)
        return self._learner.to_bytes() + text + end


@dataclass(frozen=True)
class _Counts:
    """Forecasts that a learner has made; the oldest that waits; those that resets dropped."""

    made: int
    oldest: int
    dropped: int


def _counts(learner: Learner) -> _Counts:
    counters, pending = learner.counters, learner.pending
    made = counters.predictions
    return _Counts(made, made - pending, made - pending - counters.labels - counters.missing)


def _facts(data: bytes) -> dict[str, Any]:
    """What stands behind a checkpoint. Errors: CheckpointError."""
    size, crc, magic = _END.unpack(data[-_END.size :])
    text = data[-_END.size - size : -_END.size]
    if magic != _MAGIC:
        raise CheckpointError(
            "the checkpoint has no tickets, as it was not written by Tickets.save; start with "
            "Tickets(Learner.load(file))"
        )
    if len(text) != size or zlib.crc32(text) != crc:
        raise CheckpointError("the tickets are damaged: use an earlier file")
    facts: dict[str, Any] = json.loads(text)
    return facts


def _hex(array: Float32Array | None) -> str | None:
    return None if array is None else array.astype("<f4").tobytes().hex()


def _array(text: str, size: int) -> Float32Array:
    """What ``_hex`` made. Errors: ValueError."""
    return np.frombuffer(bytes.fromhex(text), "<f4").astype(np.float32).reshape(size)
