"""Execute docs/guide/tutorial.ipynb and compare its output with what is stored: ``make notebook``.

``--document`` stores what was executed instead. What is stored has no times, no counts of
executions that depend on how often it was run, and no paths of a machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "docs/guide/tutorial.ipynb"
BYTES = 300_000


def executed(notebook: Any) -> Any:
    """The notebook with the outputs of this machine. Errors: nbclient's CellExecutionError."""
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources)
        client.execute()
    for cell in notebook.cells:
        cell.metadata.clear()
        for output in cell.get("outputs", ()):
            if "text/html" in output.get("data", {}):
                output.data.pop("text/plain", None)  # says it again, with times
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def said(notebook: Any) -> list[tuple[str, list[str]]]:
    """Every cell with code, and its texts and tables; pictures are left out."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            texts = []
            for output in cell.outputs:
                data = output.get("data", {})
                if "image/png" not in data:
                    texts += [
                        output.get("text", ""),
                        data.get("text/html", ""),
                        data.get("text/plain", ""),
                    ]
            found.append((cell.source, [text for text in texts if text]))
    return found


def problems(stored: Any, text: str) -> list[str]:
    """What must not be in a stored notebook."""
    found = []
    if len(text) > BYTES:
        found.append(f"{len(text):,} bytes, more than {BYTES:,}")
    found += [
        f"holds {part!r}, of a machine"
        for part in ("/home/", "/tmp/", "/root/", "/Users/", "site-packages", str(ROOT))
        if part in text
    ]
    for number, cell in enumerate(stored.cells):
        if cell.cell_type == "code" and cell.execution_count is None:
            found.append(f"cell {number} was not executed")
        if any(
            one.output_type == "error" or one.get("name") == "stderr"
            for one in cell.get("outputs", ())
        ):
            found.append(f"cell {number} has an error or a warning")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Exit 1 if something else is printed than what is stored, or if it must not be stored."""
    parser = argparse.ArgumentParser(prog="python -m tools.notebook", description=__doc__)
    parser.add_argument("--document", action="store_true", help="store what was executed")
    options = parser.parse_args(arguments)
    stored = nbformat.read(NOTEBOOK, as_version=4)
    made = executed(nbformat.read(NOTEBOOK, as_version=4))
    if options.document:
        stored = made
        nbformat.write(made, NOTEBOOK)
    wrong = problems(stored, NOTEBOOK.read_text(encoding="utf-8"))
    for (source, before), (_, now) in zip(said(stored), said(made), strict=True):
        if before != now:
            wrong.append(f"{source}\nprinted {now}\nand what is stored is {before}")
    for one in wrong:
        print(f"{NOTEBOOK.name}: {one}")
    print(f"{NOTEBOOK.name}: {len(made.cells)} cells, {len(wrong)} problems")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
