"""Torchvision's classification models, registered as `torchvision/NAME`; weights are never downloaded.

Their metadata comes from a table that `cnnviz.models.torchvision_metadata` generates, so that torch need not
be imported.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.models.registry import add
from cnnviz.models.spec import ModelSpec, Published, Shape

if TYPE_CHECKING:
    from torch import nn

TABLE = Path(__file__).with_name("torchvision_models.json")
NOTES = {
    "alexnet": (
        "Not the network of 2012: 64, 192, 384, 256 and 256 maps, no local response normalization, and "
        "224×224 inputs, which padding in the first convolution makes fit.",
    ),
    "googlenet": (
        "Built without its auxiliary classifiers, as its published parameters are counted.",
        "It has 3×3 where the paper has 5×5, and batch normalization; `googlenet` here is as in the "
        "paper's figure.",
    ),
    "inception_v3": (
        "Built with its auxiliary classifier, as its published parameters are counted; in training it "
        "gives both answers.",
    ),
    "vgg16": (
        "An article says that the fully connected layers are 85 % of the computation: they are 89 % of the "
        "parameters and 0.8 % of the multiply-adds.",
    ),
}
CLAIMS = {"vgg16": (Published("fc_macs_share", 0.85, source="an article on GoogLeNet"),)}
"""Claims of articles about a model, shown beside the measured figures."""
ARGUMENTS: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"init_weights": True},
}
"""Keyword arguments of a builder besides `weights` and `num_classes`."""


def build(name: str, classes: int, height: int, width: int) -> nn.Module:
    """Build a torchvision model without pretrained weights.

    The forward pass maps `(N, 3, height, width)` to logits `(N, classes)`; Inception v3 returns a pair in
    training mode.

    Raises:
        ValueError: For an input size that the model does not support.
    """
    from torchvision.models import get_model

    sized = _sized(name, height, width)
    model: nn.Module = get_model(name, weights=None, num_classes=classes, **ARGUMENTS.get(name, {}), **sized)
    return model


def _sized(name: str, height: int, width: int) -> dict[str, Any]:
    """Return the builder's input-size argument, for models that fix the size when they are built."""
    unit = multiple_of(name)
    if height % unit or width % unit or (unit > 1 and height != width):
        raise ValueError(
            f"torchvision/{name} takes squares whose side is a multiple of {unit}, not {height}×{width}."
        )
    if name.startswith("vit_"):
        return {"image_size": height}
    return {"input_size": (height, width)} if name.startswith("maxvit_") else {}


def multiple_of(name: str) -> int:
    """Return what the input's side must be a multiple of.

    The patch size for vision transformers, 224 for MaxViT (7×7 windows after five halvings), otherwise 1.
    """
    if name.startswith("vit_"):
        return int(name.rpartition("_")[2])
    return 224 if name.startswith("maxvit_") else 1


def _spec(row: dict[str, Any]) -> ModelSpec:
    name, size = row["name"], row["size"]
    source = f"torchvision, {row['weights']}"

    def builder(classes: int, input_shape: Shape, _: Any) -> nn.Module:
        _, height, width = input_shape
        if multiple_of(name) == 1 and min(height, width) < row["min_size"]:
            raise ValueError(
                f"The smallest input that torchvision/{name} takes is {row['min_size']}×{row['min_size']}, "
                f"not {height}×{width}."
            )
        return build(name, classes, height, width)

    return ModelSpec(
        name=f"torchvision/{name}",
        title=row["title"],
        family=row["family"],
        year=row["year"],
        summary=row["summary"],
        input_shape=(3, size, size),
        classes=1000,
        builder=builder,
        paper=row["paper"],
        published=(
            Published("params", row["params"], source=source),
            Published("macs", row["gmacs"] * 1e9, f"{size}×{size}", source),
            Published("accuracy", row["top1"], "ImageNet", source),
            Published("accuracy_top5", row["top5"], "ImageNet", source),
            *CLAIMS.get(name, ()),
        ),
        notes=NOTES.get(name, ()),
        source="torchvision",
    )


@functools.cache
def table() -> tuple[dict[str, Any], ...]:
    """Load the generated metadata table (cached)."""
    return tuple(json.loads(TABLE.read_text(encoding="utf-8")))


for _row in table():
    add(_spec(_row))
