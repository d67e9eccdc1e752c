"""The parts of the Build page: a layer list edited, checked, costed, compared and kept."""
