"""Weights: locating, validating, matching to a model, loading, exporting and describing."""
