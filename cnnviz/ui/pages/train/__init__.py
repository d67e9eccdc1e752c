"""The Train page: a plan (model, data, recipe) before the start, a run as it goes on after it."""
