"""Measured text in a Markdown document, between <!-- name --> and <!-- /name -->."""

from __future__ import annotations

from pathlib import Path


def put(path: Path, name: str, output: str) -> None:
    """Replace what stands between the markers by the output, as a block of code."""
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(f"<!-- {name} -->")
    _, after = rest.split(f"<!-- /{name} -->")
    block = f"<!-- {name} -->\n```\n{output}\n```\n<!-- /{name} -->"
    path.write_text(before + block + after, encoding="utf-8")
