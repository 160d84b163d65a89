"""The virtual board in the browser: ``make board``.

Compiles the kernel to WebAssembly with clang and lld, and writes docs/board/index.html, which holds
all that it needs (docs/guide/virtual-board.md).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tools.board.build import PAGE, compiled, page


def main(arguments: list[str] | None = None) -> int:
    """Build the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=PAGE, help="the page (docs/board/index.html)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        module = compiled(Path(folder))
    text = page(module)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text, encoding="utf-8")
    print(f"{options.out}: {len(text.encode()):,} bytes, module {len(module.code):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
