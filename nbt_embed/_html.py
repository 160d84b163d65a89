"""What notebooks show of an object: its name, and a table of two columns."""

from __future__ import annotations

from collections.abc import Mapping


def html_table(title: str, rows: Mapping[str, str]) -> str:
    """An HTML table with a row for each name and its text."""
    from html import escape  # only notebooks need it

    body = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows.items()
    )
    return f"<table><caption>{escape(title)}</caption>{body}</table>"
