"""Small networks as plans, from which a plant changes one thing: plain, or with batch normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cnnviz.models import Shape
from cnnviz.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    Init,
    Layer,
    LayerList,
    Linear,
    Pool,
)

PYTORCH = Init()


@dataclass(frozen=True)
class Plan:
    """Convolutions, each perhaps pooled by 2, then fully connected layers."""

    name: str
    convs: tuple[tuple[int, int, bool], ...]
    """Maps, kernel (odd, padded to keep the size), and whether pooling follows."""
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
            made.append(Conv(name=name, out=maps, kernel=kernel, padding=kernel // 2, init=self._start(name)))
            made += self._active(number)
            if pooled:
                made.append(Pool(name=f"pool{number}"))
        made.append(Flatten(name="flatten"))
        for number, width in enumerate((*self.dense, 0), 1):
            if self.dropout:
                made.append(Dropout(name=f"dropout{number}", p=self.dropout))
            name = f"fc{number}"
            made.append(Linear(name=name, out=width or "classes", init=self._start(name)))
            made += self._active(len(self.convs) + number) if width else []
        return LayerList(name=self.name, input=shape, classes=classes, layers=tuple(made))

    def deeper(self, times: int) -> Plan:
        """With so many more convolutions of the last one's form, without pooling, after it."""
        maps, kernel, _ = self.convs[-1]
        return replace(self, convs=(*self.convs, *((maps, kernel, False),) * times))

    def _start(self, name: str) -> Init:
        return self.special.get(name, self.init)

    def _active(self, number: int) -> list[Layer]:
        active = Activation.model_validate({"name": f"{self.function}{number}", "function": self.function})
        return [BatchNorm(name=f"norm{number}"), active] if self.norm else [active]


FIVES = Plan("fives", ((16, 5, True), (32, 5, True)), (64,))
"""Of the tuning half."""
THREES = Plan("threes", ((24, 3, True), (32, 3, False), (32, 3, True), (48, 3, True)))
"""Of the test half: deeper, without hidden fully connected layers."""
LENET = Plan("lenet", ((6, 5, True), (16, 5, True)), (120, 84))
"""LeNet-5's widths as a plan, of the tuning half."""
TALL = Plan("tall", ((16, 7, True), (32, 3, True), (48, 3, False)), (96, 48))
"""Of the test half."""


def normed(plan: Plan) -> Plan:
    """With batch normalisation before each activation."""
    return replace(plan, name=f"{plan.name}-bn", norm=True)
