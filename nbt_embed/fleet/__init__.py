"""A fleet: many devices, each with its own learner, simulated on all cores or on many machines."""
