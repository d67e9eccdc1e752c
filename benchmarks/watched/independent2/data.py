"""Synthetic data of `independent-2`, and how its loops are registered.

`independent-2` is a second part by an author who had not read the rules: eight scripts, each right but for
one fault (`independent2.rings`, `_spectra`, `_segments`, `_blobs`, `_textures`, `_mosaics`, `_rows`,
`_curves`), and loops without a fault that look suspicious (`independent2.correct`,
`_schedules`, `_steps`). The author knew the page "Your own work", what `cnnviz diagnose --causes` prints, and
how the loops of `independent` are registered. Causes and what else is true of a loop (`allowed`) were stated
before any of them was diagnosed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for

from benchmarks.watched.independent.nets import Data, Script, add

PART = "independent-2"
MEMORIZED = "over-fitting-data over-fitting-augmentation over-fitting-model"
"""True where few images are learned by heart."""


def planted(
    author: Callable[..., float],
    faults: tuple[tuple[str, str, str], ...],
    twins: Mapping[str, str] | None = None,
    not_sound: frozenset[str] = frozenset(),
) -> None:
    """Register a script once for each `(fault, cause, further true causes)`, and once without a fault.

    A fault's twin is the script without a fault, or with what `twins` names for it, which is registered as
    correct too unless it is among `not_sound`.
    """
    title = author.__name__
    made: dict[str, Script] = {"": author}
    for fault, cause, allowed in faults:
        without = (twins or {}).get(fault, "")
        twin = made.setdefault(without, partial(author, fault=without))
        name = f"{title}-{fault.replace(' ', '-')}"
        add(name, cause, partial(author, fault=fault), twin=twin, allowed=allowed, part=PART)
    for fault, script in made.items():
        if fault in not_sound:
            continue
        name = f"{title}-{fault.replace(' ', '-')}" if fault else f"{title}-without-a-fault"
        add(name, None, script, part=PART)


def sound(script: Script) -> Script:
    """Register a script without a fault, under its function's name."""
    add(script.__name__.replace("_", "-"), None, script, part=PART)
    return script


def _cut(x: Tensor, y: Tensor, classes: int) -> Data:
    at = int(0.7 * len(x))
    return Data(x[:at], y[:at], x[at:], y[at:], classes)


def _rings(count: int = 1300) -> Data:
    """Waves around a point: three wavelengths, bright or dark in the middle, `(N, 1, 20, 20)`."""
    draw = torch.Generator().manual_seed(201)
    y = torch.randint(0, 6, (count,), generator=draw)
    middle = 7 + 6 * torch.rand(count, 2, 1, 1, generator=draw)
    i, j = torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing="ij")
    far = ((i - middle[:, 0]) ** 2 + (j - middle[:, 1]) ** 2).sqrt()
    length = torch.tensor([4.5, 7.0, 11.0])[y % 3][:, None, None]
    sign = (1.0 - 2 * (y // 3))[:, None, None]
    waves = sign * torch.cos(2 * math.pi * far / length) * torch.exp(-far / 12)
    x = waves[:, None] + 0.45 * torch.randn(count, 1, 20, 20, generator=draw)
    return _cut(x / x.std(), y, 6)


def _spectra(count: int = 1500) -> Data:
    """Spectra of eight substances with three lines each, on a drifting ground, `(N, 1, 128)`."""
    draw = torch.Generator().manual_seed(202)
    lines = torch.tensor(
        [[1, 2, 7], [0, 3, 7], [2, 5, 9], [1, 4, 5], [0, 6, 8], [3, 4, 9], [2, 6, 7], [1, 8, 9]]
    )
    lines = lines * 12.0 + 9
    y = torch.randint(0, 8, (count,), generator=draw)
    at = lines[y] + 1.2 * torch.randn(count, 3, generator=draw)
    height = 0.5 + 1.0 * torch.rand(count, 3, 1, generator=draw)
    axis = torch.arange(128.0)
    peaks = (height * torch.exp(-((axis - at[:, :, None]) ** 2) / 8)).sum(1)
    ground = F.interpolate(torch.rand(count, 1, 5, generator=draw), size=128, mode="linear")
    x = peaks[:, None] + 0.6 * ground + 0.42 * torch.randn(count, 1, 128, generator=draw)
    return _cut((x - x.mean()) / x.std(), y, 8)


SEGMENTS_LIT = [
    "1110111",
    "0010010",
    "1011101",
    "1011011",
    "0111010",
    "1101011",
    "1101111",
    "1010010",
    "1111111",
    "1111011",
]


def _segments(count: int = 1500) -> Data:
    """Ten digits of a seven-segment display, moved about, with weak segments, `(N, 1, 18, 18)` in [0, 1]."""
    draw = torch.Generator().manual_seed(203)
    places = (
        (0, 1, 1, 7),
        (1, 0, 6, 1),
        (1, 8, 6, 1),
        (6, 1, 1, 7),
        (7, 0, 6, 1),
        (7, 8, 6, 1),
        (12, 1, 1, 7),
    )
    y = torch.randint(0, 10, (count,), generator=draw)
    x = 0.35 * torch.rand(count, 1, 18, 18, generator=draw)
    bright = 0.3 + 0.3 * torch.rand(count, 7, generator=draw)
    shift = torch.randint(0, 6, (count, 2), generator=draw).tolist()
    for row, (digit, (top, left)) in enumerate(zip(y.tolist(), shift, strict=True)):
        for number, (a, b, height, width) in enumerate(places):
            if SEGMENTS_LIT[digit][number] == "1":
                top_left = x[row, 0, top + a : top + a + height, left + b : left + b + width]
                top_left += bright[row, number]
    return _cut(x.clamp(0, 1), y, 10)


def _blobs(count: int = 1400) -> Data:
    """One large soft blob of seven hues among small ones of any hue, bytes `(N, 3, 16, 16)`."""
    draw = torch.Generator().manual_seed(204)
    y = torch.randint(0, 7, (count,), generator=draw)
    turn = 2 * math.pi * torch.arange(7) / 7
    hues = torch.stack([turn.cos(), (turn - 2.09).cos(), (turn + 2.09).cos()], 1)
    i, j = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    x = 0.35 + 0.1 * torch.rand(count, 3, 1, 1, generator=draw)
    x = x + 0.06 * torch.randn(count, 3, 16, 16, generator=draw)
    for number, size in enumerate((3.4, 1.3, 1.3, 1.3)):
        middle = 3 + 10 * torch.rand(count, 2, 1, 1, generator=draw)
        soft = torch.exp(-((i - middle[:, 0]) ** 2 + (j - middle[:, 1]) ** 2) / (2 * size**2))
        kind = y if number == 0 else torch.randint(0, 7, (count,), generator=draw)
        x = x + 0.3 * soft[:, None] * hues[kind][:, :, None, None]
    return _cut((255 * x.clamp(0, 1)).byte(), y, 7)


def _textures(count: int = 1200) -> Data:
    """White noise through one of eight random filters, `(N, 1, 16, 16)`, each of spread 1."""
    draw = torch.Generator().manual_seed(1)
    filters = torch.randn(8, 1, 3, 3, generator=draw)
    y = torch.randint(0, 8, (count,), generator=draw)
    noise = torch.randn(count, 1, 18, 18, generator=draw)
    every = F.conv2d(noise, filters / filters.flatten(1).norm(dim=1)[:, None, None, None])
    x = every[torch.arange(count), y][:, None] + 0.15 * torch.randn(count, 1, 16, 16, generator=draw)
    return _cut(x / x.std(), y, 8)


def _mosaics(count: int = 1500) -> Data:
    """Sixteen tiles of nine kinds; one kind lies in four places or more, `(N, 3, 16, 16)`, about -2 to 2."""
    draw = torch.Generator().manual_seed(206)
    tiles = 0.8 * torch.randn(9, 3, 4, 4, generator=draw)
    y = torch.randint(0, 9, (count,), generator=draw)
    kinds = torch.randint(0, 9, (count, 16), generator=draw)
    order = torch.rand(count, 16, generator=draw).argsort(1)
    kinds.scatter_(1, order[:, :4], y[:, None].expand(-1, 4))
    x = tiles[kinds].view(count, 4, 4, 3, 4, 4).permute(0, 3, 1, 4, 2, 5).reshape(count, 3, 16, 16)
    return _cut(x + 0.9 * torch.randn(count, 3, 16, 16, generator=draw), y, 9)


def _rows(count: int = 1800) -> Data:
    """Nine classes of three clusters each in 16 dimensions, `(N, 16)`."""
    draw = torch.Generator().manual_seed(207)
    centers = 1.5 * torch.randn(9, 3, 16, generator=draw)
    y = torch.randint(0, 9, (count,), generator=draw)
    which = torch.randint(0, 3, (count,), generator=draw)
    x = centers[y, which] + 0.9 * torch.randn(count, 16, generator=draw)
    return _cut((x - x.mean(0)) / x.std(0), y, 9)


def _curves(count: int = 1500) -> Data:
    """Pen strokes along twelve Lissajous figures, turned and shaken, `(N, 36, 2)`: time, then x and y."""
    draw = torch.Generator().manual_seed(208)
    pairs = torch.tensor([(a, b) for a in (1.0, 2.0, 3.0) for b in (1.0, 2.0, 3.0, 4.0)])
    y = torch.randint(0, 12, (count,), generator=draw)
    time = torch.linspace(0, 5, 36)
    phase = 1.2 * torch.rand(count, 2, 1, generator=draw)
    x = torch.sin(pairs[y][:, :, None] * time + phase)
    x = x * (0.8 + 0.4 * torch.rand(count, 2, 1, generator=draw))
    x = x + 0.15 * torch.randn(count, 2, 36, generator=draw)
    return _cut(x.transpose(1, 2).contiguous(), y, 12)


RINGS, SPECTRA, SEGMENTS, BLOBS = _rings(), _spectra(), _segments(), _blobs()
TEXTURES, MOSAICS, ROWS, CURVES = _textures(), _mosaics(), _rows(), _curves()


def pixels(images: Tensor) -> Tensor:
    """Bytes of BLOBS as numbers of mean 0 and spread 1 or so."""
    return (images.float() / 255 - 0.4) / 0.16
