"""What a person at a desk uses: reading files, comparing models, pages and tables.

Needs the extra ``[app]``; the learner itself needs none of it. The command line is
``nbt_embed.cli``.
"""
