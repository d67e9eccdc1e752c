"""What torchvision states of its own weights: classes, transforms, and how to tell a file of theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from cnnviz.inference.errors import InferenceError
from cnnviz.inference.preprocessing import Preprocessing

PREFIX = "torchvision/"
CLASSES = 1_000


def stated(model: str, file: str = "") -> Any:
    """The entry of a model's weights: the one whose file is called `file`, else the default."""
    from torchvision.models import get_model_weights

    entries = get_model_weights(model.removeprefix(PREFIX))
    return next((entry for entry in entries if entry.url.endswith(f"/{file}")), entries.DEFAULT)


def classes(entry: Any) -> tuple[str, ...]:
    """ImageNet's classes in the order of the logits."""
    return tuple(entry.meta["categories"])


def accuracy(entry: Any, file: str) -> float | None:
    """What torchvision states, on ImageNet's validation images, in [0, 1], if that is its file."""
    known = entry.url.endswith(f"/{file}")
    return float(entry.meta["_metrics"]["ImageNet-1K"]["acc@1"]) / 100 if known else None


def preprocessing(entry: Any) -> Preprocessing:
    """The transforms that belong to the weights."""
    return Preprocessing.of_torchvision(entry.transforms())


def without_heads(model: str, weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The weights without GoogLeNet's auxiliary classifiers, which it is built without here."""
    heads = ("aux1.", "aux2.") if model == f"{PREFIX}googlenet" else ()
    kept = {name: value for name, value in weights.items() if not name.startswith(heads)}
    left_out = len(kept) < len(weights)
    return kept, ("Its auxiliary classifiers, used in training only, were left out.",) if left_out else ()


def as_trained(model: nn.Module) -> None:
    """Set what torchvision sets with its weights: GoogLeNet and Inception v3 scale their input once more."""
    if hasattr(model, "transform_input"):
        setattr(model, "transform_input", True)  # noqa: B010 (a module's attributes are tensors to mypy)


def download(model: str) -> tuple[Any, dict[str, Tensor]]:
    """The default weights, fetched and compared with their checksum; raises `InferenceError`."""
    entry = stated(model)
    try:
        return entry, entry.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise InferenceError(
            f"torchvision's weights for {model} could not be downloaded ({error}); give a file of them."
        ) from None
