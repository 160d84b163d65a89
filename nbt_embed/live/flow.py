"""What sources that are read as text have in common: names, counts and how they are."""

from __future__ import annotations

from collections import Counter

from nbt_embed.live.arrivals import Arrivals, Health, Source, nothing
from nbt_embed.live.layout import Layout


class Flow(Source):
    """A source whose layout is known once it is open."""

    def __init__(self, title: str) -> None:
        self.title, self.state = title, "opening"
        self.counts: Counter[str] = Counter()

    @property
    def health(self) -> Health:
        """How the source is."""
        return Health(
            self.state, {name: count for name, count in dict(self.counts).items() if count}
        )

    def adopt(self, layout: Layout, notes: list[str]) -> None:
        """Take over what the first row has decided."""
        self.input_names, self.target_names = layout.input_names, layout.target_names
        self.classes, self.anchor = layout.classes, layout.anchor
        self.notes = tuple(notes)

    def nothing(self, position: object = None) -> Arrivals:
        """Arrivals without a row."""
        return nothing(len(self.input_names), len(self.target_names), position)
