"""The parts of the Side by side page."""
