"""Libraries that only some parts need, and the extras that bring them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nbt_embed.errors import MissingExtraError

_EXTRAS = {
    "polars": "app",
    "rich": "app",
    "plotext": "app",
    "bokeh": "app",
    "jinja2": "app",
    "matplotlib": "app",
    "shtab": "app",
    "dask": "fleet",
    "distributed": "fleet",
    "tomli": "fleet",
    "optuna": "tune",
    "paho": "mqtt",
    "serial": "serial",
    "river": "river",
    "sklearn": "sklearn",
    "sktime": "sktime",
    "memory_profiler": "test",
    "psutil": "test",
}


@contextmanager
def needs(what: str, **brought: str) -> Iterator[None]:
    """Turn a library that is missing into the command that installs it.

    Args: what, that needs it; brought, more libraries by name, each with the extra that brings it.
    Errors: MissingExtraError.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        extra = brought.get(library) or _EXTRAS.get(library)
        if extra is None:
            raise
        raise MissingExtraError(
            f"{what}: {library} is not installed: pip install 'nbt-embed[{extra}]'"
        ) from None
