"""A fleet's document for a terminal: verdict, tables, the worst devices with reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from nbt_embed.app import fleet_tables
from nbt_embed.app.fleet_verdict import devices
from nbt_embed.app.tables import count, safe
from nbt_embed.app.terminal import WIDTH, in_ascii, rendered, shown_table

_SETTINGS_SHOWN = 30
_REFUSED_SHOWN = 5


def report(
    document: Mapping[str, Any], width: int = WIDTH, colour: bool = False, ascii_only: bool = False
) -> str:
    """Return the report of a fleet; its length does not grow with the number of devices.

    Args: as ``terminal.report``.
    """
    text = rendered(Group(*_parts(document, width)), width, colour)
    return in_ascii(text) if ascii_only else text


def _parts(document: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    source = document["source"]
    yield _sentence(
        f"{source['title']}: {devices(source['devices'])}, up to {count(source['rows'])} rows each",
        "bold",
    )
    yield ""
    for horizon in document["horizons"]:
        yield from map(_sentence, horizon["verdict"])
    yield ""
    for horizon in document["horizons"]:
        scored = any(one["scored"] for one in horizon["settings"])
        for made in fleet_tables.tables_of(document, horizon, _SETTINGS_SHOWN) if scored else ():
            yield from shown_table(made, width)
        if horizon["worst"]:
            yield _sentence(fleet_tables.worst_table(document, horizon).title, "bold")
            yield _sentence(horizon["explained"])
            yield from map(_sentence, fleet_tables.worst_sentences(document, horizon))
            yield ""
        failed = fleet_tables.failed_table(horizon)
        if failed.rows:
            yield _sentence(failed.title, "bold")
            yield from (_sentence(": ".join(row)) for row in failed.rows[:_REFUSED_SHOWN])
            yield ""


def _sentence(text: str, style: str = "") -> RenderableType:
    return Text(safe(text), style, overflow="fold")
