"""Figures of an architecture, from its analysis: layer bars, receptive field, sides compared, timeline."""
