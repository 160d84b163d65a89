"""``python -m nbt_embed``: the same as ``nbt-embed``."""

import sys

from nbt_embed.cli import main

if __name__ == "__main__":
    sys.exit(main())
