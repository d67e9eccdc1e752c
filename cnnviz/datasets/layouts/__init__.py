"""Layouts of the user's own data, one module per layout; each yields a `Source`."""
