"""Named recipes: each file here defines `RECIPES`, and each file is found by itself."""
