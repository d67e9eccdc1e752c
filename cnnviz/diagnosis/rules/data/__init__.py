"""Rules on the data: images, labels, classes and splits."""
