"""Parts of the Build page: editing, checking, costing, comparing and saving a layer list."""
