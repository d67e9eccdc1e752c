"""One file a family; each registers its models when imported, and each file here is found by itself."""
