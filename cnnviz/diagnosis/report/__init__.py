"""The report of a diagnosis: its text, and the figures beside its findings."""
