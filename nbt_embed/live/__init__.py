"""Streams that are still coming: sources, the clock they are laid on, and what watches them.

Modules of ``nbt_embed.app`` and of the core are used here, never the other way.
"""
