"""Live streams: sources, a clock that places rows on a time grid, and the watch of a learner.

This package uses ``nbt_embed.app`` and the core; they do not use it.
"""
