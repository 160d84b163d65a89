"""Many devices: speed, memory and what is left after losses (``make fleet``)."""
