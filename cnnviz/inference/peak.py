"""How much memory a forward takes, counted tensor by tensor while it runs; no hooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Inside, `peak` is the most bytes of new tensors that lived at once; weights are not counted."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        known = (*model.parameters(), *model.buffers())
        self._known = {tensor.untyped_storage()._cdata for tensor in known}
        self._living: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operation and count what it leaves."""
        found = func(*args, **(kwargs or {}))
        for value in tree_leaves(found):
            if isinstance(value, Tensor):
                storage = value.untyped_storage()
                if storage._cdata not in self._known:
                    self._living[storage._cdata] = (_weak(storage), storage.nbytes())
        self._living = {key: entry for key, entry in self._living.items() if not _gone(entry[0])}
        self.peak = max(self.peak, sum(size for _, size in self._living.values()))
        return found


def peak_bytes(model: nn.Module, images: Tensor) -> int:
    """The most bytes that a forward of `images` holds at once beside the weights, the images included."""
    with torch.no_grad(), Live(model) as live:
        model(images)
        most: int = live.peak
    return most + images.nbytes


def _weak(storage: torch.UntypedStorage) -> StorageWeakRef:
    return StorageWeakRef(storage)  # type: ignore[no-untyped-call]


def _gone(reference: StorageWeakRef) -> bool:
    return bool(reference.expired())  # type: ignore[no-untyped-call]
