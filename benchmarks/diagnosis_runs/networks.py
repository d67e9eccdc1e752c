"""Small networks as plans, from which a plant changes one thing: plain, or with batch normalization."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from cnnviz.models import Shape
from cnnviz.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    GlobalPool,
    Init,
    Layer,
    LayerList,
    Linear,
    Pool,
)

Shrinking = bool | Literal["average", "stride", "global"]
"""What makes maps smaller: pooling of 2×2 (its largest, or its mean) or the mean of a whole map after a
convolution, or a convolution that moves by 2 itself."""

PYTORCH = Init()
HE = Init(weights="he", bias=0.0)
GLOROT = Init(weights="glorot", bias=0.0)


@dataclass(frozen=True)
class Plan:
    """Convolutions, each perhaps pooled by 2, then fully connected layers."""

    name: str
    convs: tuple[tuple[int, int, Shrinking], ...]
    """Maps, kernel (odd, padded to keep the size), and what makes them smaller."""
    dense: tuple[int, ...] = ()
    norm: bool = False
    function: str = "relu"
    dropout: float = 0.0
    """Before each fully connected layer."""
    init: Init = PYTORCH
    special: Mapping[str, Init] = field(default_factory=dict)
    """How a layer starts that starts differently, by its name."""

    def layers(self, shape: Shape, classes: int = 10) -> LayerList:
        """The plan for images of `shape`."""
        made: list[Layer] = []
        for number, (maps, kernel, pooled) in enumerate(self.convs, 1):
            name = f"conv{number}"
            conv = Conv(name=name, out=maps, kernel=kernel, padding=kernel // 2, init=self._start(name))
            made.append(conv.model_copy(update={"stride": 2}) if pooled == "stride" else conv)
            made += [*self._active(number), *_pooling(f"pool{number}", pooled)]
        made.append(Flatten(name="flatten"))
        for number, width in enumerate((*self.dense, 0), 1):
            if self.dropout:
                made.append(Dropout(name=f"dropout{number}", p=self.dropout))
            name = f"fc{number}"
            made.append(Linear(name=name, out=width or "classes", init=self._start(name)))
            made += self._active(len(self.convs) + number) if width else []
        return LayerList(name=self.name, input=shape, classes=classes, layers=tuple(made))

    def deeper(self, times: int) -> Plan:
        """With so many more convolutions of the last one's form, without pooling, after it.

        What takes the mean of whole maps stays the last.
        """
        maps, kernel, pooled = self.convs[-1]
        more = ((maps, kernel, False),) * times
        cut = len(self.convs) - (pooled == "global")
        return replace(self, convs=(*self.convs[:cut], *more, *self.convs[cut:]))

    def _start(self, name: str) -> Init:
        return self.special.get(name, self.init)

    def _active(self, number: int) -> list[Layer]:
        active = Activation.model_validate({"name": f"{self.function}{number}", "function": self.function})
        return [BatchNorm(name=f"norm{number}"), active] if self.norm else [active]


def _pooling(name: str, how: Shrinking) -> list[Layer]:
    if how in (False, "stride"):
        return []
    if how == "global":
        return [GlobalPool(name=name)]
    return [Pool(name=name, mode="average" if how == "average" else "max")]


FIVES = Plan("fives", ((16, 5, True), (32, 5, True)), (64,))
LENET = Plan("lenet", ((6, 5, True), (16, 5, True)), (120, 84))
"""LeNet-5's widths."""
THREES = Plan("threes", ((24, 3, True), (32, 3, False), (32, 3, True), (48, 3, True)))
"""Deeper, without hidden fully connected layers."""
TALL = Plan("tall", ((16, 7, True), (32, 3, True), (48, 3, False)), (96, 48))
MEAN = Plan("mean", ((10, 5, "average"), (24, 5, "average")), (80,), function="tanh", init=GLOROT)
"""With what was usual in 1998: means and tanh."""
VGG = Plan("vgg", ((10, 3, False), (12, 3, True), (20, 3, False), (24, 3, True)), norm=True)
"""Pairs of small convolutions, normalized."""
BROAD = Plan("broad", ((8, 5, True), (20, 5, True)), (256, 128), init=HE)
"""Most weights are fully connected."""
LEAKY = Plan("leaky", ((16, 3, True), (24, 3, True), (24, 3, False)), (48,), function="leaky_relu", init=HE)
SMOOTH = Plan("smooth", ((12, 5, True), (20, 3, True)), (64,), function="gelu")
LONG = Plan("long", ((10, 3, False), (14, 3, "average"), (20, 3, "average"), (20, 3, False)), (40,), init=HE)

CONES = Plan("cones", ((8, 3, False), (16, 3, True), (32, 3, True)), (64, 32))
SQUEEZED = Plan("squeezed", ((20, 5, True), (10, 1, False), (28, 3, True)), (24,), function="silu", init=HE)
"""With a layer of 1×1 between two others."""
STRIDES = Plan("strides", ((16, 3, False), (24, 3, "stride"), (32, 3, False), (40, 3, "global")), init=HE)
"""All convolutional (Springenberg et al., 2014): strides for pooling, the mean of each map at the end."""
FUNNEL = Plan("funnel", ((32, 5, "stride"), (24, 3, False), (16, 3, "average")), (48,), init=HE, dropout=0.1)
"""Fewer maps the deeper they are, and already some dropout."""


def normed(plan: Plan) -> Plan:
    """With batch normalization before each activation."""
    return replace(plan, name=f"{plan.name}-bn", norm=True)
