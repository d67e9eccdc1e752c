"""What `net.py` imports: kept with a run as `net.py` is."""

from torch import nn


def conv(inputs, outputs):
    """Make a convolution, batch normalization, ReLU and pooling."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)
    )
