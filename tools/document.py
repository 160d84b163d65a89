"""Measured text in a Markdown document, between <!-- name --> and <!-- /name -->."""

from __future__ import annotations

from pathlib import Path


def put(path: Path, name: str, output: str, fenced: bool = True) -> None:
    """Replace what stands between the markers by the output, as a block of code if fenced."""
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(f"<!-- {name} -->")
    _, after = rest.split(f"<!-- /{name} -->")
    content = f"```\n{output}\n```" if fenced else output
    block = f"<!-- {name} -->\n{content}\n<!-- /{name} -->"
    path.write_text(before + block + after, encoding="utf-8")
