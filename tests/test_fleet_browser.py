"""The page of a fleet in a browser: it draws, fits, and can be read by everybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

for library in ("polars", "rich", "bokeh", "jinja2"):
    pytest.importorskip(library)

from test_browser import browser, opened, settled
from test_fleet_summary import plain

from nbt_embed.app.fleet_page import page

__all__ = ["browser"]  # a fixture


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
def test_it_draws_fits_and_can_be_read_by_everybody(
    browser: Any, width: int, scheme: str, tmp_path: Path
) -> None:
    axe_core = pytest.importorskip("axe_core_python", reason="pip install '.[browser]'")
    axe = (Path(axe_core.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    path = tmp_path / "fleet.html"
    path.write_text(page(*plain(200)), encoding="utf-8")
    with opened(browser, path, width, scheme) as tab:
        settled(tab)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        for role, count in (("circle", 1), ("star", 1), ("ring", 1), ("band", 1), ("devices", 1)):
            assert tab.evaluate(f"drawn('{role}').length") == count, role
        points = "drawn('devices')[0].data_source.data.x.length"
        assert tab.evaluate(points) == 600  # 200 devices with each of three settings
        tab.evaluate(axe)
        found = tab.evaluate("axe.run()")["violations"]
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        assert not [(one["id"], one["nodes"][0]["html"][:300]) for one in serious]
