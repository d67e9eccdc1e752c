"""See inside convolutional networks: anatomy, training, feature maps, comparison, diagnosis."""

__version__ = "0.1.0"
