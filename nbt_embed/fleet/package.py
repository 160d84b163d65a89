"""Jobs as bytes for workers elsewhere, each with no more than it needs."""

from __future__ import annotations

import io
import pickle
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cloudpickle

from nbt_embed.errors import InputTypeError

if TYPE_CHECKING:
    from nbt_embed.fleet.job import Job
    from nbt_embed.fleet.series import Series

SHARED_BYTES = 1 << 20
"""A series that cannot be cut, and is as large as that, is sent once and not with every job."""

_SERIES = "series"  # stands for the shared series in the bytes of a job


class Packer:
    """Packs the jobs of one run.

    Attributes: shared, a series in bytes that the jobs packed so far do not hold, or None.
    """

    def __init__(self) -> None:
        self.shared: bytes | None = None
        self._looked_at: Series | None = None  # the last that could not be cut

    def pack(self, job: Job) -> tuple[bytes, bool]:
        """The job, and whether ``shared`` is to go with it.

        Errors: InputTypeError where something cannot be sent to another process.
        """
        series = job.series.only(job.devices)
        if series is job.series and series is not self._looked_at:
            self._looked_at = series
            content = _dumped(series)
            self.shared = content if len(content) >= SHARED_BYTES else None
        apart = self.shared is not None and series is self._looked_at
        settings = tuple([setting.only(job.devices) for setting in job.settings])
        job = replace(job, series=series, settings=settings)
        return _dumped(job, series if apart else None), apart


def unpack(content: bytes, shared: Series | None = None) -> Any:
    """What was packed. Errors: whatever the classes of what is in it raise."""
    return _Unpickler(content, shared).load()


def _dumped(value: object, apart: Series | None = None) -> bytes:
    file = io.BytesIO()
    try:
        _Pickler(file, apart).dump(value)
    except Exception as error:  # a class may raise anything here
        reason = "".join(traceback.format_exception_only(type(error), error)).strip()
        raise InputTypeError(
            f"streams or configs cannot be sent to another process ({reason}): pass what pickle "
            "takes, as arrays, paths or a function of the device that opens what it reads itself, "
            "or leave scheduler = None, which stays in this process"
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
