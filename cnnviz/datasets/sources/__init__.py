"""One file a family of data sets; each registers its specs when imported, and is found by itself."""
