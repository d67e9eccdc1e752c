"""A model's twin: the same weights in the same memory, but modules of its own.

Hooks and switched-off gradients stay with the twin. The model may be cached and at work in another thread
meanwhile.
"""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn

M = TypeVar("M", bound=nn.Module)


def twin(model: M) -> M:
    """A copy of the modules over the same weights, in evaluation mode, whose weights ask for no gradient.

    Raises `ValueError` for a model in training mode: what it would show changes from call to call.
    """
    if model.training:
        raise ValueError("The model is in training mode; call its eval() first.")
    memo: dict[int, object] = {id(buffer): buffer for buffer in model.buffers()}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach(), requires_grad=False)
    return copy.deepcopy(model, memo)
