"""How the pictures of the documents look: settings of matplotlib."""

from __future__ import annotations

from typing import Any

STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "savefig.dpi": 130,
    "figure.constrained_layout.use": True,
}
