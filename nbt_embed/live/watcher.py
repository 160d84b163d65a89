"""The loop of ``nbt-embed watch``: arrivals are learnt, answered, saved and shown."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from nbt_embed.app.results import Pictures
from nbt_embed.errors import NbtError, StreamError
from nbt_embed.live.answers import Answers
from nbt_embed.live.arrivals import Arrivals, Health, Source
from nbt_embed.live.clock import Clock
from nbt_embed.live.document import watch_document
from nbt_embed.live.out import Out
from nbt_embed.live.sessions import Session, damaged, session_path, write_session
from nbt_embed.live.watching import Said, Watch
from nbt_embed.output import note

PATIENCE = 0.2  # seconds without a row after which signals and views are checked
_SHARE = 0.05  # share of the time that views may take
_RATE_SECONDS = 2.0  # window of the rows per second


class View(Protocol):
    """A display of a watch."""

    def due(self, now: float) -> bool:
        """Return whether an update is due, and schedule the next. Args: ``time.monotonic()``."""
        ...

    def show(self, document: Mapping[str, Any], pictures: Pictures) -> None:
        """Show the current state."""
        ...


class Publishes(Protocol):
    """A receiver of answers as objects (``live.publish.Publisher``)."""

    def send(self, rows: list[dict[str, Any]]) -> None:
        """Accept answers, without waiting."""
        ...

    @property
    def health(self) -> Health:
        """State of the receiver."""
        ...


@dataclass(frozen=True)
class Saving:
    """What is saved, and when.

    Attributes: file, of the learner; every, rows between saves, None: only at the end; settings,
    which a session must share to be resumed (``sessions.check_same``); where, the source.
    """

    file: str
    every: int | None
    settings: Mapping[str, Any]
    where: str


class Watcher:
    """Reads a source to its end, or until a signal.

    Args:
        source, clock, watch: the rows, their placement in time, and the learner with its scores.
        answers, out: format and destination of the output; None: no output.
        publisher: a second receiver of the answers, or None.
        saving: what is saved, or None.
        views: displays.
        arguments: of the command.
    """

    def __init__(
        self,
        source: Source,
        clock: Clock,
        watch: Watch,
        answers: Answers,
        out: Out | None,
        publisher: Publishes | None,
        saving: Saving | None,
        views: Sequence[View],
        arguments: Sequence[str],
    ) -> None:
        self.source, self.clock, self.watch = source, clock, watch
        self.signal: int | None = None
        """The number of the signal that ended the watch, or None."""
        self._answers, self._out, self._publisher = answers, out, publisher
        self._saving, self._views, self._arguments = saving, views, arguments
        self._position: Any = None
        self._taken = self._skip = 0  # rows that the source has returned, and rows to skip
        self._saved_rows: int | None = None
        self._tried_rows = 0  # of the last attempt to save
        self._trouble: str | None = None
        self._resumed_after: int | None = None
        self._whole = True  # exactly the taken rows are learnt, so the state can be saved
        self._writing = False
        self._told_late = clock.counts["late"] > 0  # whether dropped rows were reported
        self._unwritten: BaseException | None = None  # why answers could not be written
        self._began = time.monotonic()
        self._marks: deque[tuple[float, int]] = deque(maxlen=8)
        self._next_look = 0.0

    def resume(self, session: Session, path: str, skips: bool, where: str) -> None:
        """Resume from a session. Args: skips, whether the source starts at its first row again.

        Errors: StreamError, if the session is damaged or the source cannot continue.
        """
        content = session.content
        try:
            taken, position, before = content["taken"], content["position"], content["where"]
            if type(taken) is not int or taken < 0 or type(before) is not str:
                raise ValueError("no rows")
            self.watch.recall(content["watch"], session.arrays)
            if content["rows"] != self.watch.rows:
                raise ValueError("other rows")
            self._seen()  # check that it can be shown
        except Exception as error:  # an untrusted session can be wrong in any way
            raise damaged(path, error) from error
        if skips:
            self._skip = taken
        elif position is not None and before == where:
            try:
                self.source.seek(position)
            except StreamError as error:
                raise StreamError(f"{path}: {error}") from error
        if before != where:
            note(
                f"{path}: belongs to the source {before}: the rows of {where} are learnt as its "
                "continuation"
            )
            position = None
        self._position, self._taken = position, 0 if skips else taken
        self._saved_rows = self._tried_rows = self._resumed_after = self.watch.rows
        note(f"{path}: continues after row {self.watch.rows - 1:,}, counted from 0")

    def run(self) -> None:
        """Read the source to its end.

        A signal to end (SIGINT, SIGTERM, SIGHUP), or an answer that cannot be written, ends the
        loop between two rows. The learner is then saved, unless answers are missing in an output
        file. A second signal stops at once, without another save.

        Errors: of source and learner; BrokenPipeError; StreamError; KeyboardInterrupt.
        """
        with self._signals():
            try:
                self._show(self._views)
                self._follow()
            finally:
                # An incomplete output file fits the previous save.
                if self._whole and not isinstance(self._unwritten, StreamError):
                    self._save()
                    self._show(self._views)
        if self._unwritten is not None:
            raise self._unwritten
        if self._trouble is not None:
            raise StreamError(f"--save {self._trouble}: free some space, or name another file")

    def document(self) -> dict[str, Any]:
        """Return the current state (docs/reference/json.md)."""
        seconds = time.monotonic() - self._began
        saving = self._saving
        course = {
            "seconds": seconds,
            "rows_per_second": self._rate(),
            "resumed_after": None if self._resumed_after is None else self._resumed_after - 1,
            "saved": None
            if saving is None
            else {"file": saving.file, "rows": self._saved_rows, "trouble": self._trouble},
        }
        published = None if self._publisher is None else self._publisher.health
        return watch_document(
            self.watch, self.source, self.clock.counts, course, self._arguments, published
        )

    def _follow(self) -> None:
        self._write(self._answers.header, begins=True)
        if self._unwritten is not None:
            return
        for block in self.clock.blocks(self._arrivals()):
            if len(block.inputs):
                self._answer(self.watch.feed(block))

    def _arrivals(self) -> Iterator[Arrivals]:
        """Yield arrivals; all earlier rows are learnt when the next arrival is requested."""
        for some in self.source.arrivals(PATIENCE):
            for row, text in some.remarks:
                note(f"row {self._taken + row:,} (counted from 0): {text}")
            if self._skip:
                gone = min(self._skip, len(some))
                self._skip, self._taken = self._skip - gone, self._taken + gone
                some = _after(some, gone)
            self._whole = False
            yield some
            self._taken += len(some)
            self._whole = True
            if some.position is not None:
                self._position = some.position
            if self._unwritten is not None:
                return
            self._look()
            if self.signal is not None:
                return

    def _look(self) -> None:
        """Do what is due between two arrivals."""
        now, saving = time.monotonic(), self._saving
        if self.clock.counts["late"] and not self._told_late:
            self._told_late = True
            note(
                "a row has an earlier time than the row before it: such rows are dropped and "
                "counted; --time none ignores the times"
            )
        if not self._marks or now - self._marks[-1][0] > _RATE_SECONDS / 8:
            self._marks.append((now, self.watch.rows))
        if (
            saving is not None
            and saving.every is not None
            and self.watch.rows - self._tried_rows >= saving.every
        ):
            self._save()
        if now >= self._next_look:
            self._show([view for view in self._views if view.due(now)])
            self._next_look = now + (time.monotonic() - now) / _SHARE

    def _show(self, views: Sequence[View]) -> None:
        if views:
            document, pictures = self._seen()
            for view in views:
                view.show(document, pictures)

    def _seen(self) -> tuple[dict[str, Any], Pictures]:
        return self.document(), self.watch.pictures

    def _answer(self, said: Said) -> None:
        if self._out is not None:
            self._write(self._answers.lines(said))
        if self._publisher is not None:
            self._publisher.send(self._answers.rows(said))

    def _write(self, data: bytes, begins: bool = False) -> None:
        """Write answers; after a failure, the rows that were taken are still learnt."""
        if self._out is None or self._unwritten is not None:
            return
        self._writing = True
        try:
            (self._out.begin if begins else self._out.write)(data)
        except (BrokenPipeError, StreamError) as error:
            self._unwritten = error
        except KeyboardInterrupt:  # the reader of the answers is blocked, and a signal has come
            self._out = None
        finally:
            self._writing = False

    def _save(self) -> None:
        """Write the session; after a failure, try again later."""
        saving, watch = self._saving, self.watch
        if saving is None or (self._saved_rows == watch.rows and self._trouble is None):
            return
        self._tried_rows = watch.rows
        arrays: dict[str, Any] = {}
        content = {
            "rows": watch.rows,
            "taken": self._taken,
            "where": saving.where,
            "position": self._position,
            "clock": self.clock.state,
            "watch": watch.remembered(arrays),
            "settings": dict(saving.settings),
            "out": None if self._out is None else self._out.mark(),
            "hash": f"{watch.learner.hash():016x}",
        }
        try:
            write_session(saving.file, watch.learner, content, arrays)
        except (OSError, NbtError) as error:
            reason = getattr(error, "strerror", None) or error
            if self._trouble is None:
                note(f"{session_path(saving.file)}: cannot be written ({reason}); retried later")
            self._trouble = f"{saving.file}: cannot be written ({reason})"
            return
        self._trouble, self._saved_rows = None, watch.rows

    def _rate(self) -> float | None:
        """Return the recent rows per second."""
        if len(self._marks) < 2:
            return None
        (began, before), now = self._marks[0], time.monotonic()
        return (self.watch.rows - before) / max(now - began, 1e-9)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Record the first signal, so that it does not interrupt a row."""

        def told(number: int, _frame: object) -> None:
            again = self.signal is not None
            self.signal = number
            if again or self._writing:
                raise KeyboardInterrupt

        before: dict[int, Any] = {}
        try:
            for number in map(int, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)):
                if signal.getsignal(number) != signal.SIG_IGN:
                    before[number] = signal.signal(number, told)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _after(some: Arrivals, rows: int) -> Arrivals:
    """Return arrivals without their first rows."""
    return replace(
        some, time=some.time[rows:], inputs=some.inputs[rows:], targets=some.targets[rows:]
    )
