"""Strange networks, for `test_strange.py`: what is odd about each stands beside it."""

from __future__ import annotations

import warnings
from collections import namedtuple
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations


class _Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, 10)

    def head(self, x: Any) -> Any:
        return self.fc(x.mean((2, 3)))


class LazyLayers(nn.Sequential):
    """Layers that get their shapes in the first pass."""

    def __init__(self) -> None:
        super().__init__(
            nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10)
        )


class Scripted(_Head):
    """A child that is TorchScript."""

    def __init__(self) -> None:
        super().__init__()
        with warnings.catch_warnings(action="ignore"):  # It is deprecated, and people bring it.
            self.inner: Any = torch.jit.script(nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU()))

    def forward(self, x: Any) -> Any:
        return self.head(self.inner(self.conv(x)))


class UsesNumpy(_Head):
    """Leaves torch in the middle."""

    def forward(self, x: Any) -> Any:
        return self.head(torch.from_numpy(self.conv(x).detach().numpy()))


class SpectralNorm(_Head):
    """A weight that is computed from another."""

    def __init__(self) -> None:
        super().__init__()
        self.conv: Any = parametrizations.spectral_norm(self.conv)

    def forward(self, x: Any) -> Any:
        return self.head(self.conv(x))


class WeightNorm(_Head):
    """A weight made of a direction and a length."""

    def __init__(self) -> None:
        super().__init__()
        self.conv: Any = parametrizations.weight_norm(self.conv)

    def forward(self, x: Any) -> Any:
        return self.head(self.conv(x))


Pair = namedtuple("Pair", ["logits", "features"])


class NamedTuple(_Head):
    """Gives a named tuple."""

    def forward(self, x: Any) -> Any:
        x = self.conv(x)
        return Pair(self.head(x), x)


class GivesNone(_Head):
    """Forgets its return."""

    def forward(self, x: Any) -> Any:
        self.head(self.conv(x))


class GivesNested(_Head):
    """Gives a dictionary of dictionaries."""

    def forward(self, x: Any) -> Any:
        return {"out": {"logits": self.head(self.conv(x))}}


class Fourier(_Head):
    """Works in the frequency domain: complex numbers."""

    def forward(self, x: Any) -> Any:
        return self.head(self.conv(torch.fft.ifft2(torch.fft.fft2(x)).real))


class Einsum(_Head):
    """Attends by einsum."""

    def forward(self, x: Any) -> Any:
        x = self.conv(x).flatten(2)
        weights = torch.einsum("bcn,bcm->bnm", x, x).softmax(-1)
        return self.fc(torch.einsum("bnm,bcm->bcn", weights, x).mean(2))


class AttentionBias(nn.Module):
    """Attention with a learned table of positions, as Swin's and LeViT's."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.qkv, self.proj = nn.Conv2d(3, 16, 8, 8), nn.Linear(16, 48), nn.Linear(16, 16)
        self.attention_bias = nn.Parameter(torch.zeros(2, 16, 16))
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Any) -> Any:
        x = self.embed(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(x).unflatten(2, (3, 2, 8)).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q @ k.transpose(-2, -1) + self.attention_bias).softmax(-1)
        return self.fc(self.proj((weights @ v).transpose(1, 2).flatten(2)).mean(1))


class Doubles(_Head):
    """Has weights of 64 bits."""

    def __init__(self) -> None:
        super().__init__()
        self.double()

    def forward(self, x: Any) -> Any:
        return self.head(self.conv(x))


class CastsToHalf(_Head):
    """Changes its numbers' kind on the way."""

    def forward(self, x: Any) -> Any:
        return self.head(self.conv(x).half().float())


class Recursive(_Head):
    """Calls itself."""

    def forward(self, x: Any, depth: int = 2) -> Any:
        return self.head(self.conv(x)) if depth == 0 else self.forward(x, depth - 1)


class Endless(_Head):
    """Calls itself without end."""

    def forward(self, x: Any) -> Any:
        return self.forward(x)


class Asserts(_Head):
    """Insists on a size."""

    def forward(self, x: Any) -> Any:
        assert x.shape[-1] == 40, "images must be 40 wide"
        return self.head(self.conv(x))


class Sequences(nn.Module):
    """Reads sequences."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(3, 4, 3)

    def forward(self, x: Any) -> Any:
        return self.conv(x)


class Volumes(nn.Sequential):
    """Reads volumes."""

    def __init__(self) -> None:
        super().__init__(nn.Conv3d(1, 4, 3))


class NoParameters(nn.Module):
    """Learns nothing."""

    def forward(self, x: Any) -> Any:
        return functional.avg_pool2d(x, 4).flatten(1)


class Empty(nn.Sequential):
    """Has no layers."""


class ExitsProgram(_Head):
    """Ends the program."""

    def forward(self, x: Any) -> Any:
        raise SystemExit("gone")


class Unhashable(_Head):
    """Keeps other modules in a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = [nn.Conv2d(8, 8, 3)]

    def forward(self, x: Any) -> Any:
        return self.head(self.hidden[0](self.conv(x)))


class Embedding(nn.Module):
    """Treats pixels as words."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.fc = nn.Embedding(256, 4), nn.Linear(4, 10)

    def forward(self, x: Any) -> Any:
        return self.fc(self.words((x * 255).long()).flatten(1, 3).mean(1))


class Transformer(nn.Module):
    """Torch's own encoder over patches, in the layer that has a fast path."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 16, 8, 8)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder, self.fc = nn.TransformerEncoder(layer, 2), nn.Linear(16, 10)

    def forward(self, x: Any) -> Any:
        return self.fc(self.encoder(self.embed(x).flatten(2).transpose(1, 2)).mean(1))


class Frozen(_Head):
    """Has a part that is not trained."""

    def __init__(self) -> None:
        super().__init__()
        self.conv.requires_grad_(False)

    def forward(self, x: Any) -> Any:
        return self.head(self.conv(x))
