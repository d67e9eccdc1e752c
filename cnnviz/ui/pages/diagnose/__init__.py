"""The Diagnose page: why a run does not learn, with evidence, and a recipe that fixes it."""
