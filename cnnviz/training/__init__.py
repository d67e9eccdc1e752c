"""Recipes and the training loop. Importing this package does not import torch."""

from cnnviz.training.recipe import Recipe
from cnnviz.training.recipes import all_recipes, get

__all__ = ["Recipe", "all_recipes", "get"]
