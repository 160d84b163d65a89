"""Common part of sources that are read as text: names, counts and state."""

from __future__ import annotations

from collections import Counter

from nbt_embed.live.arrivals import Arrivals, Health, Source, nothing
from nbt_embed.live.layout import Layout


class Flow(Source):
    """A source whose layout is known when it is open."""

    def __init__(self, title: str) -> None:
        self.title, self.state = title, "opening"
        self.counts: Counter[str] = Counter()

    @property
    def health(self) -> Health:
        """State of the source."""
        return Health(
            self.state, {name: count for name, count in dict(self.counts).items() if count}
        )

    def adopt(self, layout: Layout, notes: list[str]) -> None:
        """Use the layout that the first row has decided."""
        self.input_names, self.target_names = layout.input_names, layout.target_names
        self.classes, self.anchor = layout.classes, layout.anchor
        self.notes = tuple(notes)

    def nothing(self, position: object = None) -> Arrivals:
        """Return arrivals without rows."""
        return nothing(len(self.input_names), len(self.target_names), position)
