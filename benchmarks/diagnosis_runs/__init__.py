"""The bench of diagnoses in parts: data and networks, what is planted in them, training, scoring."""
