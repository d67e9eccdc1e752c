"""Networks of 3 to 50 layers built from blocks, as plans from which a plant changes one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchmarks.diagnosis_runs.networks import GLOROT, HE, Plan, Shrinking
from cnnviz.models import Shape
from cnnviz.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    GlobalPool,
    Inception,
    Layer,
    LayerList,
    Linear,
    LocalResponseNorm,
    Pool,
    Residual,
    Resize,
)

Block = Literal["conv", "residual", "separable", "inception", "lrn", "grouped"]
Discarding = Literal[
    "", "all-but-mean", "all-but-corners", "all-but-few-pixels", "all-but-two-rows", "all-but-quarters",
    "all-but-two-columns",
]  # fmt: skip


@dataclass(frozen=True)
class BlockPlan(Plan):
    """A plan whose convolutions after the first are blocks, and whose output can be spoiled."""

    block: Block = "conv"
    """What stands for each convolution after the first, which is always a plain one."""
    momentum: float = 0.1
    """Of every batch normalization: the weight of the newest batch."""
    output: Literal["", "relu", "sigmoid", "tanh"] = ""
    """An activation after the last layer."""
    output_dropout: float = 0.0
    """Dropout after the last layer."""
    discards: Discarding = ""
    """What the first layers throw away of every image, for good."""

    def layers(self, shape: Shape, classes: int = 10) -> LayerList:
        """The plan for images of `shape`."""
        made = [*_discarding(self.discards, shape)]
        channels = shape[0]
        for number, (maps, kernel, pooled) in enumerate(self.convs, 1):
            made += self._block(number, channels, maps, kernel, pooled)
            channels = maps
        made.append(Flatten(name="flatten"))
        for number, width in enumerate((*self.dense, 0), 1):
            if self.dropout:
                made.append(Dropout(name=f"dropout{number}", p=self.dropout))
            name = f"fc{number}"
            made.append(Linear(name=name, out=width or "classes", init=self._start(name)))
            made += self._active(len(self.convs) + number) if width else []
        if self.output:
            made.append(Activation(name="output", function=self.output))
        if self.output_dropout:
            made.append(Dropout(name="output_dropout", p=self.output_dropout))
        return LayerList(name=self.name, input=shape, classes=classes, layers=tuple(made))

    def _block(self, number: int, channels: int, maps: int, kernel: int, pooled: Shrinking) -> list[Layer]:
        name, stride = f"conv{number}", 2 if pooled == "stride" else 1
        pooling = _pooling(f"pool{number}", pooled)
        if number > 1 and self.block == "residual":
            return [Residual(name=name, out=maps, stride=stride, init=self._start(name)), *pooling]
        if number > 1 and self.block == "inception":
            quarter = maps // 4
            widths = {"one": quarter, "three": quarter, "five": quarter, "pool": maps - 3 * quarter}
            reduced = {"three_reduce": quarter, "five_reduce": max(quarter // 2, 1)}
            return [Inception(name=name, **widths, **reduced, init=self._start(name)), *pooling]
        made: list[Layer] = []
        if number > 1 and self.block == "separable":
            depthwise = Conv(
                name=f"depth{number}", out=channels, kernel=kernel, padding=kernel // 2, groups=channels,
                stride=stride, init=self._start(name),
            )  # fmt: skip
            made += [depthwise, *self._active(number, "depth_")]
            kernel, stride = 1, 1
        init = self._start(name)
        groups = 2 if number > 1 and self.block == "grouped" else 1
        made.append(
            Conv(
                name=name, out=maps, kernel=kernel, padding=kernel // 2, stride=stride, groups=groups,
                init=init,
            )
        )  # fmt: skip
        made += self._active(number)
        if self.block == "lrn":
            made.append(LocalResponseNorm(name=f"lrn{number}"))
        return [*made, *pooling]

    def _active(self, number: int, before: str = "") -> list[Layer]:
        name = f"{before}{self.function}{number}"
        active = Activation.model_validate({"name": name, "function": self.function})
        norm = BatchNorm(name=f"{before}norm{number}", momentum=self.momentum)
        return [norm, active] if self.norm else [active]


def _pooling(name: str, how: Shrinking) -> list[Layer]:
    if how in (False, "stride"):
        return []
    if how == "global":
        return [GlobalPool(name=name)]
    return [Pool(name=name, mode="average" if how == "average" else "max")]


def _discarding(what: Discarding, shape: Shape) -> list[Layer]:
    """Layers before the first convolution that keep an image's size and little else of it."""
    _, height, width = shape
    enlarge = Resize(name="enlarge", size=(height, width))
    if what == "all-but-mean":
        return [GlobalPool(name="mean"), enlarge]
    if what == "all-but-corners":
        return [Pool(name="corners", kernel=1, stride=(height - 1, width - 1)), enlarge]
    if what == "all-but-few-pixels":
        return [Pool(name="sparse", kernel=1, stride=(height // 2, width // 2)), enlarge]
    if what == "all-but-two-rows":
        return [Pool(name="rows", kernel=1, stride=(height - 1, 1)), enlarge]
    if what == "all-but-two-columns":
        third = width // 3
        return [Pool(name="columns", kernel=1, stride=(1, width - third)), enlarge]
    if what == "all-but-quarters":
        half = (height // 2, width // 2)
        return [Pool(name="quarters", mode="average", kernel=half, stride=half), enlarge]
    return []


def _even(count: int, maps: int, pools: dict[int, Shrinking]) -> tuple[tuple[int, int, Shrinking], ...]:
    """So many convolutions of 3×3; `pools` says after which maps become smaller."""
    return tuple((maps, 3, pools.get(number, False)) for number in range(1, count + 1))


TRIO = BlockPlan("trio", ((12, 5, True),), (48,), init=HE)
"""Three layers with weights."""
TOWER = BlockPlan("tower", _even(12, 12, {1: True, 6: True, 12: "global"}), norm=True, init=HE)
"""Thirteen layers, normalized, the mean of each map at the end."""
DEPTHWISE = BlockPlan(
    "depthwise", ((16, 3, False), (24, 3, True), (32, 3, False), (48, 3, True)), (40,), init=HE,
    block="separable",
)  # fmt: skip
"""A convolution for each map, then 1×1 (Howard et al., 2017)."""
FIFTY = BlockPlan(
    "fifty", ((8, 3, True), *_even(24, 8, {8: True, 24: "global"})), block="residual", init=HE, norm=True
)
"""Fifty layers with weights: residual blocks of two."""
HYPERBOLIC = BlockPlan(
    "hyperbolic", ((10, 3, False), (16, 3, "stride"), (20, 3, "stride")), (60, 30), function="tanh",
    init=GLOROT,
)  # fmt: skip
"""With tanh, and steps of 2 for pooling."""

BRANCHES = BlockPlan("branches", ((8, 3, True), (16, 3, True), (28, 3, "global")), init=HE, block="inception")
"""A convolution and two inception blocks."""
NEIGHBORS = BlockPlan(
    "neighbors", ((10, 5, True), (16, 3, True), (24, 3, False)), (48,), init=HE, block="lrn"
)
"""With local response normalization, as AlexNet."""
TWENTY = BlockPlan("twenty", _even(19, 10, {1: True, 9: True, 19: "global"}), norm=True, init=HE)
"""Twenty layers, normalized."""
POINTWISE = BlockPlan(
    "pointwise",
    ((12, 5, True), (12, 1, False), (24, 3, False), (12, 1, "average"), (28, 3, "global")),
    function="leaky_relu", init=HE,
)  # fmt: skip
"""Layers of 1×1 between others (Lin et al., 2013), and no hidden fully connected layer."""
WIDE_SHORT = BlockPlan("wide-short", ((32, 5, "average"), (32, 3, True)), (32,), function="silu", init=HE)
"""Wide and short."""

LADDER = BlockPlan(
    "ladder", ((10, 3, "average"), (20, 3, False), (20, 3, "average")), (40,), function="gelu", init=HE
)
"""GELU, and means for pooling."""
GROUPED = BlockPlan(
    "grouped", ((16, 5, "stride"), (24, 3, False), (32, 3, True)), (32,), function="leaky_relu", init=HE,
    block="grouped",
)  # fmt: skip
"""Convolutions in two groups that do not see each other's maps."""
NINE = BlockPlan(
    "nine", _even(8, 14, {2: True, 5: "average", 8: "global"}), function="silu", norm=True, init=HE
)
"""Nine layers, normalized, with SiLU."""

BRIEF = BlockPlan("brief", ((12, 5, "stride"),), (40,), init=HE)
"""Three layers with weights, a step of 2 for pooling."""
TELESCOPE = BlockPlan(
    "telescope", ((8, 5, "average"), (12, 3, False), (16, 3, True), (24, 1, "global")), (24,),
    function="leaky_relu", init=HE,
)  # fmt: skip
"""Smaller kernels the deeper they are, and six layers."""
LATTICE = BlockPlan(
    "lattice", ((8, 3, True), (16, 3, False), (20, 3, "average"), (24, 3, "global")), function="silu",
    init=HE, block="separable", norm=True,
)  # fmt: skip
"""Eight layers: a convolution for each map, then 1×1, each normalized."""
ELEVEN = BlockPlan(
    "eleven", _even(10, 12, {1: "stride", 5: "average", 10: "global"}), function="gelu", init=HE, norm=True
)
"""Eleven layers, normalized, with GELU."""
CHAIN = BlockPlan(
    "chain", ((8, 3, "stride"), *_even(12, 8, {6: "average"}), *_even(12, 10, {12: "global"})), init=HE,
    block="residual", norm=True,
)  # fmt: skip
"""Fifty layers in residual blocks of two widths."""

SLAB = BlockPlan("slab", ((14, 3, "average"),), (56,), function="leaky_relu", init=HE)
"""Three layers with weights, means for pooling, leaky ReLU."""
HOURGLASS = BlockPlan(
    "hourglass", ((16, 3, True), (8, 1, False), (24, 5, "average")), (48, 20), init=HE
)  # fmt: skip
"""Six layers, of which the second has half as many maps, and the fifth fewer units."""
SEVEN = BlockPlan(
    "seven", ((10, 5, "stride"), *_even(5, 14, {3: "average", 5: "global"})), function="leaky_relu",
    norm=True, init=HE,
)  # fmt: skip
"""Seven layers, normalized, a step of 2 first."""
RIDGE = BlockPlan(
    "ridge", ((10, 3, False), *_even(3, 12, {1: "average"}), *_even(3, 18, {1: True, 3: "global"})), init=HE,
    block="residual", norm=True,
)  # fmt: skip
"""Fourteen layers in residual blocks of two widths."""
COLUMN = BlockPlan(
    "column", ((12, 5, "stride"), *_even(9, 9, {9: "average"}), *_even(15, 7, {15: "global"})), init=HE,
    block="residual", norm=True,
)  # fmt: skip
"""Fifty layers in residual blocks, fewer maps the deeper they are."""

SPARSE = BlockPlan("single-pixels", ((24, 1, False), (32, 1, False), (32, 1, "global")), init=HE)
"""Sees no pixel beside another: what has a shape is lost on it."""
