"""The commands of ``nbt-embed``, one module each: ``add`` defines the options, ``main`` runs it."""
