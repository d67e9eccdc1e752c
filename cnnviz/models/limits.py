"""Bounds of every model, registered or built from a layer list."""

MAX_SIDE = 1_024
"""Pixels; the largest input that any model here is built for."""
MAX_CLASSES = 100_000
