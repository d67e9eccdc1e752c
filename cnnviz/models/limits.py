"""Limits for all models, registered or built from a layer list."""

MAX_SIDE = 1_024
"""Maximum input height and width in pixels."""
MAX_CLASSES = 100_000
