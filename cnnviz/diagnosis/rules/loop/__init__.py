"""Rules on faults of a training loop, most of which only watched runs can have."""
