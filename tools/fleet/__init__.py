"""Many devices: speed, memory and recovery (``make fleet``)."""
