"""Made-up fleets with known faults, each odd in a way of its own; see `catalog`."""
