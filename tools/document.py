"""Measured text in a Markdown document, between <!-- name --> and <!-- /name -->."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def put(path: Path, name: str, output: str, fenced: bool = True) -> None:
    """Replace what stands between the markers by the output, as a block of code if fenced."""
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(f"<!-- {name} -->")
    _, after = rest.split(f"<!-- /{name} -->")
    content = f"```\n{output}\n```" if fenced else output
    block = f"<!-- {name} -->\n{content}\n<!-- /{name} -->"
    path.write_text(before + block + after, encoding="utf-8")


def publish(
    text: str, content: dict[str, Any], summary: Path, document: Path | None, name: str
) -> None:
    """Print a report, write its figures as JSON, and put it into a document on request."""
    print(text)
    summary.parent.mkdir(parents=True, exist_ok=True)
    summary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if document is not None:
        put(document, name, text, fenced=False)
