"""The run directory: the identity of a run, its results, and the checkpoints of its jobs.

    fleet.json           settings, horizons, fingerprint of the samples, versions
    part-00000.parquet   results of job 0, and so on
    checkpoints/         of the running jobs; removed when all are done

Every file is written atomically (``nbt_embed.files``). A checkpoint or a part that is damaged, or
of another run, counts as missing: the job repeats the work, with the same bits.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbt_embed._extras import needs
from nbt_embed.errors import CheckpointError, FleetError, shown
from nbt_embed.files import write_path
from nbt_embed.fleet.checkpoint import Checkpoint
from nbt_embed.fleet.columns import SCHEMA, TEXT, Columns, columns_of

if TYPE_CHECKING:
    import polars as pl

FORMAT = 1
SEEN = ".seen-"
"""Names of files by which a caller and its workers check that they see the same folder."""

_DESCRIPTION, _CHECKPOINTS = "fleet.json", "checkpoints"
_KEY = "nbt_embed.fleet"  # key of a part's metadata
_OPEN = 32 * "0"  # placeholder while the hash is computed


@dataclass(frozen=True)
class Store:
    """A run directory, also for remote jobs. Attributes: directory; run, its identity."""

    directory: str
    run: str

    def part(self, job: int) -> Columns | None:
        """Return the results of the job of this number, None if it is not done."""
        try:
            data = self._part(job).read_bytes()
        except FileNotFoundError:
            return None
        return _columns_of(data, f"{self.run} {job}")

    def write_part(self, job: int, columns: Columns) -> None:
        """Write the results of a job, and remove its checkpoint. Errors: OSError."""
        write_path(str(self._part(job)), _part_bytes(columns, f"{self.run} {job}"))
        with suppress(FileNotFoundError):
            self._checkpoint(job).unlink()

    def checkpoint(self, job: int) -> Checkpoint | None:
        """Return the checkpoint of a job, None if there is none."""
        try:
            data = self._checkpoint(job).read_bytes()
        except FileNotFoundError:
            return None
        try:
            return Checkpoint.from_bytes(data, f"{self.run} {job}")
        except CheckpointError:
            return None

    def write_checkpoint(self, job: int, kept: Checkpoint) -> None:
        """Write the checkpoint of a job.

        Errors: OSError; CheckpointError (a learner with a number that is not finite).
        """
        write_path(str(self._checkpoint(job)), kept.to_bytes(f"{self.run} {job}"))

    def _part(self, job: int) -> Path:
        return Path(self.directory, f"part-{job:05}.parquet")

    def _checkpoint(self, job: int) -> Path:
        return Path(self.directory, _CHECKPOINTS, f"job-{job:05}.npz")


@contextmanager
def run_directory(path: str | Path, description: dict[str, Any]) -> Iterator[Store]:
    """Return the store of a run, locked against other processes within the block.

    Args: path, of the folder, which is created; description, the identity of the run, as JSON
    values: if the folder holds a run, it must be the same one. If the block ends without an error,
    checkpoints are removed.

    Errors: FleetError (another run, another process), OSError, MissingExtraError.
    """
    with needs("a run directory"):  # before the first job, not after it
        import polars as pl  # noqa: F401
    folder = Path(path).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        text = json.dumps({"format": FORMAT, **description}, indent=1, allow_nan=False) + "\n"
        found = folder / _DESCRIPTION
        if found.exists():
            _compare(found, json.loads(text))
        elif any(folder.glob("part-*.parquet")):
            raise FleetError(
                f"{folder} holds part-*.parquet and no {_DESCRIPTION}: these files would be "
                "replaced; name another folder"
            )
        else:
            write_path(str(found), text.encode())
        checkpoints = folder / _CHECKPOINTS
        checkpoints.mkdir(exist_ok=True)
        yield Store(str(folder), hashlib.blake2b(text.encode(), digest_size=16).hexdigest())
        with suppress(OSError):  # of another user
            left = (*folder.glob(f"{SEEN}*"), *checkpoints.glob("*job-*.npz*"))
            for one in left:  # also files of killed processes
                one.unlink()
            checkpoints.rmdir()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder against other processes, if its file system has locks."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FleetError(
                f"{folder}: another process simulates into this folder; wait for it, or name "
                "another folder"
            ) from None
        except OSError:
            pass
        yield
    finally:
        os.close(descriptor)


def _compare(path: Path, wanted: dict[str, Any]) -> None:
    """Refuse to resume another run. Errors: FleetError names the differences, OSError."""
    try:
        found = json.loads(path.read_bytes())
        if not isinstance(found, dict):
            raise ValueError("no object")
    except (ValueError, RecursionError) as error:
        raise FleetError(
            f"{path} is damaged ({error}): the contents of the folder are unknown; name another one"
        ) from None
    different = list(_differences(found, wanted))
    if different:
        raise FleetError(
            f"{path.parent} holds another run: {', '.join(different[:3])}; name another folder, "
            "or pass the same arguments to continue that run"
        )


def _differences(found: Any, wanted: Any, name: str = "") -> Iterator[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted({*found, *wanted}):
            yield from _differences(
                found.get(key, "nothing"),
                wanted.get(key, "nothing"),
                f"{name}.{key}" if name else key,
            )
    elif found != wanted:
        yield f"{name} was {shown(found)} and is {shown(wanted)} now"


def frame(columns: Columns) -> pl.DataFrame:
    """The columns as a polars frame. Errors: MissingExtraError."""
    with needs("results as a frame or in a file"):
        import polars as pl
    return pl.DataFrame(
        [
            pl.Series(name, values.tolist(), pl.String) if name in TEXT else pl.Series(name, values)
            for name, values in columns.items()
        ]
    )


def is_part(path: Path) -> bool:
    """Return whether a file is results of a fleet, by its name and its folder."""
    return path.match("part-*.parquet") and (path.parent / _DESCRIPTION).exists()


def _part_bytes(columns: Columns, whose: str) -> bytes:
    """Return results as Parquet, with identity and hash of all bytes in the metadata."""
    file, opened = io.BytesIO(), f"{whose} {_OPEN}"
    frame(columns).write_parquet(file, metadata={_KEY: opened})
    data = file.getvalue()
    return data.replace(opened.encode(), _sealed(data, whose))


def _columns_of(data: bytes, whose: str) -> Columns | None:
    """Return the results in a part, None if it is damaged or of another job.

    A damaged file is not read with polars, which may end the process.
    """
    seals = re.compile(re.escape(f"{whose} ").encode() + rb"[0-9a-f]{32}")
    opened = seals.sub(f"{whose} {_OPEN}".encode(), data)
    if set(seals.findall(data)) != {_sealed(opened, whose)}:
        return None
    import polars as pl

    read = pl.read_parquet(io.BytesIO(data))
    return columns_of({name: read[name].to_numpy() for name in SCHEMA})


def _sealed(data: bytes, whose: str) -> bytes:
    """Return identity and hash, which replace identity and placeholder in the data."""
    return f"{whose} {hashlib.blake2b(data, digest_size=16).hexdigest()}".encode()
