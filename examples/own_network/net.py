"""A small network as somebody brings it: a class, constructor arguments, a module beside it."""

from blocks import conv
from torch import nn


class Net(nn.Module):
    """Two convolutions and a classifier for images of one channel."""

    def __init__(self, width: int = 8, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = conv(1, width)
        self.conv2 = conv(width, 2 * width)
        self.pool = nn.AdaptiveMaxPool2d(4)
        self.fc = nn.Linear(2 * width * 16, num_classes)

    def forward(self, x):
        """Map images `(N, 1, H, W)` to logits `(N, num_classes)`."""
        return self.fc(self.pool(self.conv2(self.conv1(x))).flatten(1))
