"""Data-set sources, one module per family; each registers its specs when imported, and is discovered."""
