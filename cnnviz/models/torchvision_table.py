"""Write `families/torchvision_models.json`, what is shown of torchvision's models before torch is imported.

Run `python -m cnnviz.models.torchvision_table` after an upgrade of torchvision. Everything but the family
comes from torchvision: figures from the default weights' metadata, the smallest input by trying.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from cnnviz.models.families.torchvision import TABLE, build, multiple_of
from cnnviz.models.torchvision_families import family_of


class Weightless(TorchFunctionMode):
    """Inside, modules are built without memory for their weights; arithmetic on small constants stays real.

    (`torch.device("meta")` would make the constants weightless too, and RegNet computes its widths with
    them.)
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Send what makes weights to the meta device."""
        kwargs = kwargs or {}
        if func in (torch.empty, torch.zeros, torch.ones):
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


def rows() -> list[dict[str, Any]]:
    """A row for each of torchvision's classification models, by name."""
    from torchvision import models

    return [row(name) for name in models.list_models(module=models)]


def row(name: str) -> dict[str, Any]:
    """What is recorded of one model: `stated` and the smallest input that works."""
    facts = stated(name)
    return {**facts, "min_size": smallest(name, facts["size"])}


def stated(name: str) -> dict[str, Any]:
    """What torchvision states; accuracies are fractions, `gmacs` is for one image of `size`."""
    from torchvision.models import get_model_weights

    family, title = family_of(name)
    weights = get_model_weights(name).DEFAULT
    meta = weights.meta
    accuracy = meta["_metrics"]["ImageNet-1K"]
    return {
        "name": name,
        "title": title,
        "family": family.family,
        "year": family.year,
        "paper": family.paper,
        "summary": family.summary,
        "weights": weights.name,
        "size": _crop(weights),
        "params": meta["num_params"],
        "gmacs": meta["_ops"],
        "top1": round(accuracy["acc@1"] / 100, 5),
        "top5": round(accuracy["acc@5"] / 100, 5),
    }


def _crop(weights: Any) -> int:
    size = weights.transforms.keywords["crop_size"]
    return int(size if isinstance(size, int) else size[0])


def weightless(name: str, size: int) -> nn.Module:
    """A torchvision model on the meta device, in evaluation mode."""
    with Weightless():
        return build(name, 1000, size, size).to("meta").eval()


def works(model: nn.Module, size: int) -> bool:
    """Whether a square input of `size` goes through."""
    try:
        with torch.no_grad():
            model(torch.empty(2, 3, size, size, device="meta"))
    except RuntimeError:
        return False
    return True


def smallest(name: str, size: int) -> int:
    """The smallest square input that goes through, found by halving; `size` must."""
    if multiple_of(name) > 1:
        return multiple_of(name)
    model = weightless(name, size)
    low, high = 0, size
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if works(model, middle) else (middle, high)
    return high


def write(path: Path = TABLE) -> None:
    """Recompute the table and write it, one model a line."""
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in rows())
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    write()
