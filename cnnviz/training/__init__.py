"""Recipes and the loop that follows them. Importing this imports no torch."""

from cnnviz.training.recipe import Recipe
from cnnviz.training.recipes import all_recipes, get

__all__ = ["Recipe", "all_recipes", "get"]
