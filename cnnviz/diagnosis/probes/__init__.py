"""Probes, which register themselves: short computations on a run's checkpoint or on fresh weights."""
