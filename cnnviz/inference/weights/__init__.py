"""Weights: found, checked, matched to a model, loaded, exported and described."""
