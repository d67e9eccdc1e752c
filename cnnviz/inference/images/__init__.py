"""Images in: read, decoded in a bounded process, and preprocessed for a model."""
