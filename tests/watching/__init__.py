"""Watched loops."""
