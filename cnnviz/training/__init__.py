"""Recipes and the loop that follows them. Importing this imports no torch."""

from cnnviz.training.named import all_recipes, get
from cnnviz.training.recipe import Recipe

__all__ = ["Recipe", "all_recipes", "get"]
