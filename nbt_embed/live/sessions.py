"""Session files: a watch that has stopped for any reason resumes with the same bits.

A session is a zip archive: ``learner.nbt``, a checkpoint of the learner
(docs/reference/checkpoint.md); ``watch.json``, the other state; ``arrays.npz``, its arrays. It is
replaced atomically (``files.write_path``), so it always contains one consistent state.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from nbt_embed import __version__
from nbt_embed.config import Config
from nbt_embed.errors import StreamError, shown
from nbt_embed.files import write_path
from nbt_embed.learner import Learner
from nbt_embed.live.arrivals import Source
from nbt_embed.live.state import Arrays

FORMAT, FORMAT_VERSION = "nbt-embed watch session", 1
_LEARNER, _WATCH, _ARRAYS = "learner.nbt", "watch.json", "arrays.npz"
_MOST = 1 << 31  # bytes of a member; a larger one is refused

# Settings of the learner -> their options; the others have --set.
_OPTIONS = ("hidden", "resonators", "head", "lags", "seed", "cell", "estimator", "filter")
_SWITCHES = {"follow": "--no-follow", "mix_forget": "--no-mixture", "link": "--link"}
_COLUMNS = {"inputs": "--inputs", "targets": "--targets", "classes": "--classes"}


@dataclass(frozen=True)
class Session:
    """Content of a session file: the learner, the JSON value, and its arrays."""

    learner: Learner
    content: dict[str, Any]
    arrays: Arrays


def session_path(file: str) -> str:
    """Return the path of the session of a saved learner."""
    return f"{file}.session"


def packed(learner: bytes, content: Mapping[str, Any], arrays: Arrays) -> bytes:
    """Return a session as bytes. Args: learner, a checkpoint; content, a JSON object; arrays."""
    head = {"format": FORMAT, "format_version": FORMAT_VERSION, "version": __version__}
    held = io.BytesIO()
    np.savez(held, **arrays)  # type: ignore[arg-type]  # names are a0, a1, ...
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr(_LEARNER, learner)
        archive.writestr(_WATCH, json.dumps({**head, **content}, allow_nan=False))
        archive.writestr(_ARRAYS, held.getvalue())
    return whole.getvalue()


def write_session(file: str, learner: Learner, content: Mapping[str, Any], arrays: Arrays) -> None:
    """Write the session, then the learner alone. Errors: OSError, CheckpointError.

    A watch resumes from the session, so it is written first. A crash in between leaves a valid
    learner that is older than the session.
    """
    checkpoint = learner.to_bytes()
    write_path(session_path(file), packed(checkpoint, content, arrays))
    write_path(file, checkpoint)


def read_session(path: str) -> Session:
    """Read a session. Errors: StreamError names the fault and the remedy."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise StreamError(f"{path}: cannot be read ({error.strerror}): check the file") from None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if any(one.file_size > _MOST for one in archive.infolist()):
                raise ValueError("a member is too large")
            content = json.loads(archive.read(_WATCH))
            _check_version(path, content)
            learner = Learner.from_bytes(archive.read(_LEARNER))
            with np.load(io.BytesIO(archive.read(_ARRAYS)), allow_pickle=False) as held:
                arrays = {name: held[name] for name in held.files}
    except StreamError:
        raise
    except Exception as error:  # an untrusted file can be wrong in any way
        raise damaged(path, error) from error
    return Session(learner, content, arrays)


def damaged(path: str, error: object) -> StreamError:
    """Return the error about a session with invalid content."""
    return StreamError(
        f"{path}: is damaged, or not a session of nbt-embed watch ({error}): restore a copy, or "
        "remove it to start again; the learner saved next to it remains usable"
    )


def _check_version(path: str, content: Any) -> None:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError("watch.json has another format")
    version = content.get("format_version")
    if type(version) is not int or version < 1:
        raise ValueError(f"format_version {shown(version)}")
    if version > FORMAT_VERSION:
        raise StreamError(
            f"{path}: was written by nbt-embed {content.get('version')} in format {version}, and "
            f"this version reads up to {FORMAT_VERSION}: install that version, or name another "
            "file with --save to start again"
        )


def plain_settings(
    source: Source,
    config: Config,
    said: Mapping[str, Any],
    horizon: int,
    interval: float | None,
    gap: float | None,
) -> dict[str, Any]:
    """Return the settings that a session must share to be resumed, as a JSON value.

    Args: source; config, of the learner; said, the settings that options gave; horizon, interval,
    gap.
    """
    settings = {
        "inputs": source.input_names,
        "targets": source.target_names,
        "classes": source.classes,
        "horizon": horizon,
        "interval": interval,
        "gap": gap,
        "said": dict(said),
        "config": vars(config),
    }
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    return plain


def check_same(path: str, before: Any, now: Mapping[str, Any]) -> None:
    """Refuse options that do not fit a session.

    Args: before, the session's settings; now, those of the options (``plain_settings``).
    Errors: StreamError names the option and the session's value.
    """
    if not isinstance(before, dict) or not all(
        isinstance(before.get(key), dict) for key in ("said", "config")
    ):
        raise damaged(path, "no settings")

    def refuse(option: str, old: Any, new: Any) -> None:
        if old != new:
            raise StreamError(
                f"{path}: {option}: the session has {_told(old)}, and now it is {_told(new)}: "
                "use the value of the session, or name another file with --save to start again"
            )

    for key, option in _COLUMNS.items():
        refuse(option, before.get(key), now[key])
    for key in ("horizon", "interval", "gap"):
        refuse(f"--{key}", before.get(key), now[key])
    # Given options come first, since other settings follow from them.
    for part in ("said", "config"):
        for name in {**before[part], **now[part]}:
            option = f"--{name}" if name in _OPTIONS else _SWITCHES.get(name, f"--set {name}")
            refuse(option, before[part].get(name), now[part].get(name))


@contextmanager
def alone(file: str) -> Iterator[None]:
    """Lock a session, since two watches on one session would overwrite each other's state.

    The lock is on a file next to the session, which is removed at the end. After a kill the file
    stays, without the lock. Errors: StreamError: another watch has it.
    """
    path = f"{os.path.realpath(session_path(file))}.lock"
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise StreamError(
                f"--save {file}: {path} cannot be written ({error.strerror}): remove it if no "
                "watch runs, or name another file"
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise StreamError(
                f"--save {file}: another nbt-embed watch saves to this file: end it, or name "
                "another file"
            ) from None
        except OSError:  # a file system without locks
            break
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), Path(path).stat()):
                break
        os.close(descriptor)  # the previous owner has just removed the file
    try:
        yield
    finally:
        with suppress(OSError):
            Path(path).unlink()
        os.close(descriptor)


def check_folder(file: str) -> None:
    """Check before a long run that files can be written next to this one.

    Errors: StreamError.
    """
    folder = os.path.dirname(os.path.realpath(file)) or "."  # noqa: PTH120  # as files.write_path
    try:
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StreamError(
            f"--save {file}: nothing can be written in {folder} ({error.strerror}): name a file "
            "in another folder"
        ) from None
    for path in (file, session_path(file)):
        if Path(path).is_dir():
            raise StreamError(f"--save {file}: {path} is a folder: name a file")


def _told(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)
