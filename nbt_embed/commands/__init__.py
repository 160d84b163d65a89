"""The commands of ``nbt-embed``, one a module: options (``add``) and what they do."""
