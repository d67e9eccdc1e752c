"""The parts of the page Feature maps."""
