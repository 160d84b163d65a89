"""How the pictures of the documents look: settings of matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "savefig.dpi": 130,
    "figure.constrained_layout.use": True,
}
# For pictures whose bytes are the same every time.
SVG_STYLE = STYLE | {"svg.hashsalt": "nbt_embed", "svg.fonttype": "none"}


def draw_svg(picture: Figure, path: Path) -> None:
    """Write it as SVG, the same bytes every time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(path, metadata={"Date": None})
