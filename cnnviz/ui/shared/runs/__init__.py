"""What pages share about runs: their data, live reading, recipes and their plan."""
