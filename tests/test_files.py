"""Where a learner may be saved: whole or not at all, and nothing but the file's content changes."""

from __future__ import annotations

import errno
import fcntl
import gzip
import io
import itertools
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from nbt_embed import Learner, files
from nbt_embed.errors import InputError, InputTypeError, NbtError, OwnerWarning

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture(scope="module")
def learner() -> Learner:
    """Return a learner with a forecast that waits."""
    one = Learner(2, 1, hidden=3)
    one.predict([0.5, -0.5])
    return one


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder in which no temporary file is left at the end."""
    yield tmp_path
    assert left_behind(tmp_path) == []


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def left_behind(folder: Path) -> list[str]:
    return [name for name in names(folder) if name.endswith(".nbt-tmp")]


def test_a_device_stays_a_device(learner: Learner, folder: Path) -> None:
    learner.save("/dev/null")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(OSError, match="No space") as caught:
        learner.save("/dev/full")
    assert caught.value.errno == errno.ENOSPC
    (folder / "link").symlink_to("/dev/null")
    learner.save(folder / "link")
    assert stat.S_ISCHR((folder / "link").stat().st_mode)


def test_a_fifo_is_written_to_if_somebody_reads(learner: Learner, folder: Path) -> None:
    path = folder / "pipe"
    os.mkfifo(path)
    with pytest.raises(OSError, match=r"without a reader.*start its reader") as caught:
        learner.save(path)
    assert caught.value.filename == str(path)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(path.read_bytes()))
    reader.start()
    while reader.is_alive():
        with suppress(OSError):  # the reader is not there yet
            learner.save(path)
            break
    reader.join()
    assert found == [learner.to_bytes()]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_folders_sockets_and_block_devices_are_refused(learner: Learner, folder: Path) -> None:
    with pytest.raises(IsADirectoryError, match="name a file in it"):
        learner.save(folder)
    (folder / "link").symlink_to(folder)
    with pytest.raises(IsADirectoryError):
        learner.save(folder / "link")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket"))
        with pytest.raises(OSError, match="Is a socket: open it yourself"):
            learner.save(folder / "socket")
        assert stat.S_ISSOCK((folder / "socket").stat().st_mode)
    with pytest.raises(FileNotFoundError):
        learner.save(folder / "missing" / "learner.nbt")
    (folder / "loop").symlink_to(folder / "loop")
    with pytest.raises(OSError, match="symbolic links"):
        learner.save(folder / "loop")


@AS_ROOT
def test_a_block_device_is_refused(learner: Learner, folder: Path) -> None:
    try:
        os.mknod(folder / "disk", 0o600 | stat.S_IFBLK, os.makedev(7, 250))
    except PermissionError:
        pytest.skip("this container makes no devices")
    with pytest.raises(OSError, match="Is a block device"):
        learner.save(folder / "disk")
    assert stat.S_ISBLK((folder / "disk").stat().st_mode)


def test_links_stay_and_their_targets_are_written(learner: Learner, folder: Path) -> None:
    (folder / "there").mkdir()
    (folder / "new").symlink_to("there/new.nbt")  # to nothing yet
    (folder / "again").symlink_to("new")
    for _ in range(2):
        learner.save(folder / "again")
        assert (folder / "new").is_symlink()
        assert (folder / "again").is_symlink()
        assert Learner.load(folder / "there" / "new.nbt").hash() == learner.hash()


def test_standard_output_is_written_to(learner: Learner, folder: Path) -> None:
    """Its name in /proc leads to a pipe, to a file, or to a file that has no name any more."""
    learner.save(folder / "learner.nbt")
    program = (
        "import sys; from nbt_embed import Learner\nLearner.load(sys.argv[1]).save('/dev/stdout')"
    )
    command = [sys.executable, "-c", program, str(folder / "learner.nbt")]
    assert subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout == learner.to_bytes()
    with (folder / "out").open("wb") as file:
        subprocess.run(command, stdout=file, check=True)
    assert (folder / "out").read_bytes() == learner.to_bytes()
    with tempfile.TemporaryFile() as file:
        subprocess.run(command, stdout=file, check=True)
        file.seek(0)
        assert file.read() == learner.to_bytes()


def test_the_holder_of_an_open_file_sees_what_is_saved_to_its_descriptor(
    learner: Learner, folder: Path
) -> None:
    """A file that took the name would be another one than the holder reads and writes."""
    with (folder / "held").open("w+b") as held:
        (folder / "link").symlink_to(f"/dev/fd/{held.fileno()}")
        for path in (f"/proc/self/fd/{held.fileno()}", f"/dev/fd/{held.fileno()}", folder / "link"):
            held.truncate(0)
            learner.save(path)
            held.seek(0)
            assert held.read() == learner.to_bytes() == (folder / "held").read_bytes()


@AS_ROOT
def test_owner_group_and_permissions_stay(learner: Learner, folder: Path) -> None:
    path = folder / "learner.nbt"
    for mode in (0o600, 0o4640, 0o444):
        path.write_bytes(b"old")
        os.chown(path, 65534, 65533)
        path.chmod(mode)
        learner.save(path)
        now = path.stat()
        assert (now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)) == (65534, 65533, mode)


def test_an_owner_that_cannot_be_kept_is_said(
    learner: Learner, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "learner.nbt"
    path.write_bytes(b"old")
    path.chmod(0o664)
    asked: list[tuple[int, int]] = []

    def refuse(_: int, user: int, group: int) -> None:
        asked.append((user, group))
        raise PermissionError(errno.EPERM, "Operation not permitted")

    real = os.fstat

    def elsewhere(descriptor: int) -> os.stat_result:
        """What a file of another user looks like from here: the new one has another owner."""
        fields = list(real(descriptor))
        fields[4] += 1
        return os.stat_result(fields)

    monkeypatch.setattr(os, "fchown", refuse)
    monkeypatch.setattr(os, "fstat", elsewhere)
    with pytest.warns(OwnerWarning, match=r"learner\.nbt: the owner was .* only root") as caught:
        learner.save(path)
    assert caught[0].filename == __file__
    old = path.stat()
    assert asked == [(old.st_uid, old.st_gid), (-1, old.st_gid)]
    # Another group gets no more than everybody had.
    assert stat.S_IMODE(old.st_mode) == 0o644
    assert path.read_bytes() == learner.to_bytes()


def test_a_new_file_has_the_permissions_of_any_other(learner: Learner, folder: Path) -> None:
    before = os.umask(0o027)
    try:
        learner.save(folder / "new.nbt")
        (folder / "plain").touch()
    finally:
        os.umask(before)
    assert (folder / "new.nbt").stat().st_mode == (folder / "plain").stat().st_mode


def test_the_mask_of_the_process_is_left_alone(
    learner: Learner, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that another thread makes meanwhile would get the wrong permissions."""
    monkeypatch.setattr(os, "umask", lambda _: pytest.fail("umask"))
    learner.save(folder / "new.nbt")


@pytest.mark.parametrize(
    "name",
    [
        *("é" * 127, "€" * 85, "\U0001f600" * 63, "a" * 255, "a" * 250, "é" * 110 + "a"),
        *("x\ny", "\udcff", " ", ".hidden", "-n", "ends.nbt-tmp", "\udcc3" * 255),
    ],
    ids=ascii,
)
def test_every_name_that_open_takes(name: str, learner: Learner, tmp_path: Path) -> None:
    path = tmp_path / name
    for _ in range(2):
        learner.save(path)
    assert Learner.load(path).hash() == learner.hash()
    assert names(tmp_path) == [name]
    with pytest.raises(OSError, match="name too long"):
        learner.save(tmp_path / ("é" * 128))


def test_a_path_as_long_as_the_system_takes(
    learner: Learner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    part = "d" * 200
    for _ in range(21):
        Path(part).mkdir()
        monkeypatch.chdir(part)
    learner.save("learner.nbt")
    assert names(Path()) == ["learner.nbt"]


SAVE_FOR_EVER = """
import sys
from nbt_embed import Learner
learner = Learner(1, 1, hidden=120, estimator="nobacktrack")
print("ready", flush=True)
while True:
    learner.save(sys.argv[1])
"""


def test_the_next_save_removes_what_killed_ones_left(learner: Learner, tmp_path: Path) -> None:
    path = tmp_path / "other.nbt"
    for _ in range(200):
        with subprocess.Popen(
            [sys.executable, "-c", SAVE_FOR_EVER, str(path)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            while not left_behind(tmp_path):
                assert process.poll() is None
            process.send_signal(signal.SIGSTOP)
            # Alive: what it writes at the moment is not for others to remove.
            living = left_behind(tmp_path)
            learner.save(tmp_path / "learner.nbt")
            assert left_behind(tmp_path) == living
            process.kill()
        if living:
            break
    assert left_behind(tmp_path) == living != []
    learner.save(tmp_path / "learner.nbt")
    assert left_behind(tmp_path) == []


def test_only_what_is_surely_left_behind_is_removed(learner: Learner, tmp_path: Path) -> None:
    kept = [".a.0123456.nbt-tmp", "a.01234567.nbt-tmp", ".a.01234567.nbt-tmp.gz", ".a.nbt-tmp"]
    for name in [*kept, ".a.01234567.nbt-tmp"]:
        (tmp_path / name).write_bytes(b"what")
    (tmp_path / ".b.01234567.nbt-tmp").mkdir()
    (tmp_path / ".c.01234567.nbt-tmp").symlink_to(tmp_path / kept[0])
    with (tmp_path / ".d.01234567.nbt-tmp").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        learner.save(tmp_path / "learner.nbt")
    others = [f".{letter}.01234567.nbt-tmp" for letter in "bcd"]
    assert names(tmp_path) == sorted([*kept, *others, "learner.nbt"])


def test_many_saves_at_once_give_one_whole_file(folder: Path) -> None:
    learners = [Learner(1, 1, hidden=8, seed=seed) for seed in range(4)]
    path = folder / "learner.nbt"
    whole = {one.to_bytes() for one in learners}
    over = threading.Event()
    (folder / "link").symlink_to(path)

    def save(one: Learner) -> None:
        for turn in range(50):
            one.save(folder / ("link" if turn % 2 else "learner.nbt"))

    def look() -> None:
        while not over.is_set():
            if path.exists():
                assert path.read_bytes() in whole

    threads = [threading.Thread(target=save, args=(one,)) for one in learners]
    looker = threading.Thread(target=look)
    for thread in [looker, *threads]:
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    looker.join()
    assert names(folder) == ["learner.nbt", "link"]


def test_a_handler_may_save_in_the_middle_of_a_save(
    learner: Learner, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, real, path = Learner(1, 1), os.fsync, folder / "learner.nbt"

    def interrupted(descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", real)
        other.save(path)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", interrupted)
    learner.save(path)
    assert Learner.load(path).hash() == learner.hash()


def test_another_save_may_take_a_new_file_for_one_left_behind(
    learner: Learner, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, removed = fcntl.flock, list[str]()

    def late(file: Any, how: int) -> None:
        """Before the lock of the new file comes, somebody else locks and removes it."""
        if how == fcntl.LOCK_EX and not removed:
            removed.extend(left_behind(folder))
            (folder / removed[0]).unlink()
        real(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    learner.save(folder / "learner.nbt")
    assert len(removed) == 1
    assert names(folder) == ["learner.nbt"]


def test_an_interrupt_at_any_instruction_leaves_nothing_open(
    learner: Learner, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "learner.nbt"
    learner.save(path)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    left, closing = 0, set()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if frame.f_code.co_filename != files.__file__:
            return None
        frame.f_trace_opcodes = True
        if event == "call" and "held" not in frame.f_locals:
            closing.discard(id(frame))
        elif event == "return":  # of a context manager, also where it has opened something
            closing.add(id(frame))
        elif event == "opcode" and id(frame) not in closing:
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    descriptors = len(names(Path("/proc/self/fd")))
    for count in itertools.count(1):
        left = count
        sys.settrace(trace)
        try:
            learner.save(path)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        assert len(names(Path("/proc/self/fd"))) == descriptors, count
        assert names(folder) == ["learner.nbt"], count
        if left > 0:
            break
    assert count > 100
    assert Learner.load(path).hash() == learner.hash()


@pytest.mark.parametrize("name", ["fsync", "fchmod", "replace", "fstatvfs"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    name: str, learner: Learner, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "learner.nbt"
    path.write_bytes(b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, name, fail)
        with pytest.raises(OSError, match="No space") as caught:
            learner.save(path)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert names(folder) == ["learner.nbt"]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", FileNotFoundError),
        ("missing/learner.nbt", FileNotFoundError),
        ("new/", FileNotFoundError),
        ("file/", NotADirectoryError),
        ("file/learner.nbt", NotADirectoryError),
        ("lost", FileNotFoundError),
        ("loop", OSError),
        (".", IsADirectoryError),
    ],
)
def test_an_error_names_the_path_that_was_asked_for(
    name: str,
    error: type[OSError],
    learner: Learner,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (folder / "file").write_bytes(b"old")
    (folder / "lost").symlink_to("missing/target")
    (folder / "loop").symlink_to("loop")
    monkeypatch.chdir(folder)
    before = names(folder)
    with pytest.raises(error) as caught:
        learner.save(name)
    assert caught.value.filename == name
    assert names(folder) == before
    assert (folder / "file").read_bytes() == b"old"


def test_file_and_folder_are_forced_to_the_disk(
    learner: Learner, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        events.append(f"{kind} of {os.fstat(descriptor).st_size if kind == 'file' else 'any'}")
        real_fsync(descriptor)

    def replace(*arguments: Any, **where: Any) -> None:
        events.append("replace")
        real_replace(*arguments, **where)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    learner.save(folder / "learner.nbt")
    assert events == [f"file of {len(learner.to_bytes())}", "replace", "folder of any"]


class Raw(io.RawIOBase):
    """A raw file that takes a few bytes at a time."""

    def __init__(self, most: int | None) -> None:
        self.most, self.got = most, b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int | None:
        if self.most is None:
            return None
        taken = bytes(data[: self.most])
        self.got += taken
        return len(taken)


class Plain:
    """What has a method write and is no file of io."""

    def __init__(self, answer: Callable[[int], object]) -> None:
        self.answer, self.got = answer, b""

    def write(self, data: Any) -> object:
        answer = self.answer(len(data))
        self.got += bytes(data if answer is None or answer is True else data[:answer])
        return answer


def test_a_file_that_takes_some_bytes_is_given_the_rest(learner: Learner, folder: Path) -> None:
    whole = learner.to_bytes()
    raw = Raw(7)
    files: list[Any] = [
        raw,
        Plain(lambda n: min(n, 100)),
        Plain(lambda _: None),
        Plain(lambda n: n),
        Plain(lambda n: np.int64(min(n, 100))),
        Plain(lambda _: True),
    ]
    for file in files:
        learner.save(file)
        assert file.got == whole
    with (folder / "raw").open("wb", buffering=0) as unbuffered:
        learner.save(unbuffered)
    with gzip.open(folder / "zipped", "wb") as zipped:
        learner.save(zipped)
    with gzip.open(folder / "zipped") as zipped, (folder / "raw").open("rb", buffering=0) as again:
        assert Learner.load(zipped).hash() == Learner.load(again).hash() == learner.hash()


@pytest.mark.parametrize(
    ("file", "error", "message"),
    [
        (Raw(None), BlockingIOError, "takes no bytes now"),
        (Raw(0), OSError, "took 0 of"),
        (Plain(lambda n: n + 1), OSError, "write.. took"),
        (io.StringIO(), InputTypeError, "StringIO, a text file: .* mode 'wb', or pass its buffer"),
        (tempfile.NamedTemporaryFile("w"), InputTypeError, "a text file"),  # noqa: SIM115
        (None, InputTypeError, "file is NoneType: expected a path or an open binary file"),
        (3, InputTypeError, "file is int"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_binary_file_is_refused(
    file: Any, error: type[Exception], message: str, learner: Learner
) -> None:
    with pytest.raises(error, match=message):
        learner.save(file)


def test_closed_files_and_text_are_refused_both_ways(learner: Learner, folder: Path) -> None:
    path = folder / "learner.nbt"
    learner.save(path)
    closed = io.BytesIO()
    closed.close()
    with pytest.raises(InputError, match="file is closed: open it with mode 'wb'"):
        learner.save(closed)
    with pytest.raises(InputError, match="file is closed: open it with mode 'rb'"):
        Learner.load(closed)
    with path.open(errors="replace") as text:
        with pytest.raises(InputTypeError, match=r"TextIOWrapper, a text file: .* mode 'rb'"):
            Learner.load(text)  # type: ignore[arg-type]
        with pytest.raises(NbtError, match="mode 'wb'"):
            learner.save(text)  # type: ignore[arg-type]
    with path.open("rb") as reading, pytest.raises(OSError, match="write"):
        learner.save(reading)
    assert Learner.load(path).hash() == learner.hash()
    with tempfile.NamedTemporaryFile() as wrapped:
        learner.save(wrapped)
        wrapped.seek(0)
        assert Learner.load(wrapped).hash() == learner.hash()


def test_a_file_comes_in_pieces(learner: Learner) -> None:
    reader, writer = os.pipe()

    def send() -> None:
        whole = learner.to_bytes()
        with os.fdopen(writer, "wb", buffering=0) as file:
            for start in range(0, len(whole), 1000):
                file.write(whole[start : start + 1000])
                time.sleep(0.001)

    sender = threading.Thread(target=send)
    sender.start()
    with os.fdopen(reader, "rb", buffering=0) as file:
        assert Learner.load(file).hash() == learner.hash()
    sender.join()
