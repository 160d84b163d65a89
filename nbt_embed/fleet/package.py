"""Jobs as bytes for workers, each with only the data that it needs."""

from __future__ import annotations

import io
import pickle
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cloudpickle

from nbt_embed.errors import InputTypeError

if TYPE_CHECKING:
    from nbt_embed.fleet.job import Job
    from nbt_embed.fleet.series import Series

_LARGE = 1 << 20  # bytes from which a series that all jobs read is sent separately
_SERIES = "series"  # replaces it in the bytes of a job


class Packer:
    """Packs the jobs of one run, whose devices are already split where possible.

    Attributes: apart, the bytes of a series that is sent once instead of with every job, or None.

    Errors: InputTypeError if the series cannot be sent to another process.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.apart: bytes | None = None
        self._series: Series | None = None
        if len(jobs) > 1 and jobs[0].series is jobs[1].series:
            content = _dumped(jobs[0].series)
            if len(content) >= _LARGE:
                self.apart, self._series = content, jobs[0].series

    def pack(self, job: Job) -> bytes:
        """Pack a job. Errors: InputTypeError if something cannot be sent to another process."""
        return _dumped(job, self._series)


def unpack(content: bytes, shared: Series | None = None) -> Any:
    """Unpack bytes. Errors: any exception of the classes in them."""
    return _Unpickler(content, shared).load()


def _dumped(value: object, apart: Series | None = None) -> bytes:
    file = io.BytesIO()
    try:
        _Pickler(file, apart).dump(value)
    except Exception as error:  # a class may raise anything here
        reason = "".join(traceback.format_exception_only(type(error), error)).strip()
        raise InputTypeError(
            f"streams or configs cannot be sent to another process ({reason}): pass objects that "
            "pickle supports, such as arrays, paths or a function of the device that opens its "
            "files, or use scheduler = None, which runs in this process"
        ) from error
    return file.getvalue()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # published without types
    def __init__(self, file: io.BytesIO, apart: Series | None) -> None:
        super().__init__(file)
        self._apart = apart

    def persistent_id(self, value: object) -> str | None:
        return _SERIES if self._apart is not None and value is self._apart else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, shared: Series | None) -> None:
        super().__init__(io.BytesIO(content))
        self._shared = shared

    def persistent_load(self, name: object) -> Series | None:
        assert name == _SERIES
        return self._shared
