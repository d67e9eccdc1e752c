"""Auxiliary classifiers: what each says of a picture, though a prediction leaves them out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnnviz.interpret.activations import activations
from cnnviz.interpret.maps import Floats
from cnnviz.interpret.twin import twin


@dataclass(frozen=True)
class Answer:
    """What one classifier of the network says of each image."""

    name: str
    """The classifier's module; empty for the network's own answer."""
    after: str
    """The block whose maps it reads; empty for the network's own answer."""
    probabilities: Floats
    """`(N, classes)`."""


def auxiliary_heads(model: nn.Module) -> dict[str, str]:
    """The auxiliary classifiers by name, with the block that each follows; none where there are none."""
    given = getattr(model, "head_names", None)
    if isinstance(given, dict):
        return {head: block for block, head in given.items()}
    theirs = {"aux1": "inception4a", "aux2": "inception4d"}
    modules = dict(model.named_modules())
    return {head: block for head, block in theirs.items() if head in modules and block in modules}


def answers(model: nn.Module, images: Tensor) -> tuple[Answer, ...]:
    """What the auxiliary classifiers say, in order of depth, and the network's own answer last.

    A prediction does not run them; here they are given what the blocks before them gave.
    """
    heads = auxiliary_heads(model)
    found = activations(model, images, ["", *heads.values()])
    other = twin(model)
    told = []
    with torch.no_grad():
        for head, block in heads.items():
            logits = other.get_submodule(head)(found[block])
            told.append(Answer(head, block, torch.softmax(logits, dim=1).cpu().numpy()))
    return (*told, Answer("", "", torch.softmax(found[""], dim=1).cpu().numpy()))
