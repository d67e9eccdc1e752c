"""Loops of `benchmarks.watched_loops`."""
