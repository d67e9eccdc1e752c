"""The parts of the page on which data is looked at."""
