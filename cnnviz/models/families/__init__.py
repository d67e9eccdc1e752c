"""Model families, one module per family, found automatically; importing a module registers its models."""
