"""Libraries that only some sources need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nbt_embed.errors import MissingExtraError

_EXTRAS = {"polars": "app", "paho": "mqtt", "serial": "serial"}


@contextmanager
def needed(title: str) -> Iterator[None]:
    """Turn a library that is missing into the command that installs it.

    Args: title, what needs it. Errors: MissingExtraError.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in _EXTRAS:
            raise
        raise MissingExtraError(
            f"{title}: {library} is not installed: pip install 'nbt-embed[{_EXTRAS[library]}]'"
        ) from None
