"""The parts of the page Inception."""
