"""Initial weights of a run (fine-tuning): stored by digest, loaded, and partly frozen.

`start_from` of a recipe is `torchvision` (pretrained weights), `run:12` or `run:12/best`, or a file named on
the command line. When a run is queued, all but the first are copied to `CNNVIZ_HOME/weights`, and the recipe
holds the SHA-256: `run:12@…`, `file:net.pth@…`. A layer of another shape, such as the head for other classes,
is initialized anew. Frozen layers and learning rates follow from the recipe alone, so a resumed run behaves
identically.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cnnviz import tracking
from cnnviz.models.library import home
from cnnviz.tracking.run_files import checkpoint_file

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cnnviz.tracking import Database
    from cnnviz.training.recipe import Recipe

TORCHVISION = "torchvision"
_PREFIX = "torchvision/"
_RUN = re.compile(r"run:(\d{1,18})(?:/(last|best))?")
COUNTER = "num_batches_tracked"


def resolve(recipe: Recipe, database: Database) -> Recipe:
    """Store a copy of the recipe's initial weights and return the recipe with their digest.

    Raises:
        ValueError: The weights do not exist, or may not be specified this way.
    """
    source = recipe.start_from
    if not source or source == TORCHVISION or "@" in source:
        _require(recipe)
        return recipe
    match = _RUN.fullmatch(source)
    if match is None:
        raise ValueError(
            "Weights to begin with are 'torchvision', 'run:12' or 'run:12/best' here; a file is named on the "
            "command line alone: cnnviz train --start-from net.pth."
        )
    from cnnviz.training import checkpoint

    run = tracking.get_run(database, int(match[1]))
    saved = tracking.checkpoints(database, run.id).get(match[2] or "last")
    path = None if saved is None else checkpoint_file(run, saved)
    if path is None or not path.exists():
        raise ValueError(
            f"Run {run.id} has no checkpoint '{match[2] or 'last'}' on this machine to begin with."
        )
    return recipe.model_copy(update={"start_from": f"{source}@{keep(checkpoint.read(path).weights)}"})


def _require(recipe: Recipe) -> None:
    """Raise `ValueError` if the recipe's initial weights are not available on this machine."""
    _, _, digest = recipe.start_from.partition("@")
    if digest and not path_of(digest).is_file():
        raise ValueError(
            f"The weights '{_name(recipe)}' that the recipe begins with are not on this machine."
        )
    if recipe.start_from == TORCHVISION and (recipe.layers or not recipe.model.startswith(_PREFIX)):
        model_name = recipe.layers.name if recipe.layers else recipe.model
        raise ValueError(f"torchvision has no weights for {model_name}; it has for models called {_PREFIX}…")


def _name(recipe: Recipe) -> str:
    return recipe.start_from.partition("@")[0]


def path_of(digest: str) -> Path:
    """Return the path of stored weights by SHA-256; the file need not exist."""
    return home() / "weights" / f"{digest}.safetensors"


def keep(weights: Mapping[str, Tensor]) -> str:
    """Store a copy of weights atomically and return its SHA-256."""
    from safetensors.torch import save

    content = save({name: value.detach().cpu().contiguous() for name, value in weights.items()})
    digest = hashlib.sha256(content).hexdigest()
    path = path_of(digest)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{digest}.{os.getpid()}.tmp")
        temporary.write_bytes(content)
        temporary.replace(path)
    return digest


def _weights(recipe: Recipe) -> dict[str, Tensor]:
    _require(recipe)
    if recipe.start_from == TORCHVISION:
        from torchvision.models import get_model_weights

        entry = get_model_weights(recipe.model.removeprefix(_PREFIX)).DEFAULT
        try:
            tensors: dict[str, Tensor] = entry.get_state_dict(
                progress=False, check_hash=True, weights_only=True
            )
            return tensors
        except (OSError, RuntimeError) as error:
            raise ValueError(
                f"torchvision's weights for {recipe.model} could not be downloaded: {error}."
            ) from None
    from safetensors.torch import load

    digest = recipe.start_from.partition("@")[2]
    content = path_of(digest).read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"The kept weights '{_name(recipe)}' were changed, so no run begins with them.")
    return load(content)


def load_start(recipe: Recipe, model: nn.Module) -> None:
    """Load matching initial weights into a new model, and freeze layers, as the recipe specifies.

    Raises:
        ValueError: Fewer than half of the tensors match, or there is no layer `freeze_until`.
    """
    if recipe.start_from:
        expected = model.state_dict()
        weights = {name: value for name, value in _weights(recipe).items() if name in expected}
        fitting = {name: value for name, value in weights.items() if value.shape == expected[name].shape}
        names = [name for name in expected if not name.endswith(COUNTER)]
        mismatched = [name for name in names if name not in fitting]
        if 2 * len(mismatched) > len(names):
            fit = f"{len(names) - len(mismatched)} of {len(names)} tensors"
            raise ValueError(
                f"The weights '{_name(recipe)}' fit {fit} of this network, so it would hardly begin with "
                f"them; the first that does not is {mismatched[0]}."
            )
        model.load_state_dict(fitting, strict=False)
    freeze(model, recipe.freeze_until)


def freeze(model: nn.Module, until: str) -> None:
    """Freeze all layers up to and including `until`, with their running statistics; none if it is empty.

    Layers are in the order of their definition.

    Raises:
        ValueError: There is no such layer, or nothing would be left to train.
    """
    if not until:
        return
    names = [name for name, _ in model.named_modules()]
    if until not in names or not until:
        leaves = [
            name for name, part in model.named_modules() if any(True for _ in part.parameters(recurse=False))
        ]
        listed = ", ".join(leaves[:8]) + (" and others" if len(leaves) > 8 else "")
        raise ValueError(
            f"There is no layer '{until[:80]}' to freeze up to; layers with weights are {listed}."
        )
    last = max(index for index, name in enumerate(names) if name == until or name.startswith(f"{until}."))
    for index, (name, part) in enumerate(model.named_modules()):
        inside = any(other.startswith(f"{name}.") for other in names[last + 1 :]) or not name
        if index > last or inside:
            continue
        for parameter in part.parameters():
            parameter.requires_grad_(False)
        _stay_in_evaluation(part)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(f"Frozen up to '{until}', nothing is left to train; freeze less.")


def _stay_in_evaluation(module: nn.Module) -> None:
    """Keep a normalization layer in evaluation mode: its running statistics must not change."""
    from torch import nn

    if isinstance(module, nn.modules.batchnorm._NormBase):
        module.eval()
        module.train = lambda mode=True: module  # type: ignore[method-assign]
