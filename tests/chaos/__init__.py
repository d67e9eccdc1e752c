"""Random failures under many small runs."""
