"""Report of a diagnosis: texts and figures."""
