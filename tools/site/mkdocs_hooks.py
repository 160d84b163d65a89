"""MkDocs loads hooks by the path of a file; theirs is ``tools.site.hooks``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.site.hooks import on_files, on_page_markdown, on_post_build

__all__ = ["on_files", "on_page_markdown", "on_post_build"]
