"""Offline work on a computer: reading files, comparing models, pages and tables.

It needs the extra ``[app]``; the learner itself does not. The command line is ``nbt_embed.cli``.
"""
