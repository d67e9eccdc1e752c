"""What pages share about architectures: choice of a model, its facts, comparison."""
