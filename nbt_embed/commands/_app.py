"""What ``run``, ``demo``, ``compare`` and ``tune`` need beyond the learner: the extra [app]."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nbt_embed.errors import MissingExtraError

_LIBRARIES = {
    "polars": "app",
    "rich": "app",
    "plotext": "app",
    "bokeh": "app",
    "jinja2": "app",
    "matplotlib": "app",
    "shtab": "app",
    "optuna": "tune",
    "paho": "mqtt",
    "serial": "serial",
}


@contextmanager
def extra(command: str) -> Iterator[None]:
    """Turn a library that is missing into the command that installs it.

    Errors: MissingExtraError.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in _LIBRARIES:
            raise
        name = _LIBRARIES[library]
        raise MissingExtraError(
            f"{command}: {library} is not installed: pip install 'nbt-embed[{name}]'"
        ) from None
