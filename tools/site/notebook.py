"""A notebook as a page: its text, its programs, and what they printed."""

from __future__ import annotations

import json
import re
from typing import Any


def output(one: dict[str, Any]) -> str:
    """One output of a cell: a picture inside the page, a table, or text."""
    data = one.get("data", {})
    if "image/png" in data:
        return f"![](data:image/png;base64,{''.join(data['image/png']).replace(chr(10), '')})"
    if "text/html" in data:
        return "".join(data["text/html"])
    text = "".join(one.get("text", data.get("text/plain", "")))
    return f"```text\n{text.rstrip()}\n```" if text.strip() else ""


def page(notebook: str) -> str:
    """The cells of a notebook as Markdown."""
    parts = []
    for cell in json.loads(notebook)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(re.sub(r"\.ipynb(?=[)#])", ".md", source))
        else:
            parts += [f"```python\n{source}\n```", *map(output, cell["outputs"])]
    return "\n\n".join(filter(None, parts)) + "\n"
