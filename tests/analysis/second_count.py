"""Count multiply-adds a second time, with torch's own counter, of what every version of it sees."""

from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

SEEN = frozenset({"convolution", "addmm", "mm", "bmm", "baddbmm"})
"""What every version of the counter has formulas for; fused attention is not always among it."""
PRODUCTS = ("conv", "mm", "attention", "bilinear", "einsum", "linear", "matmul")
"""What the name of an operation holds that multiplies matrices."""


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collect the names of the operations that are run."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def torch_macs(model: nn.Module, images: torch.Tensor) -> int:
    """Count the multiply-adds of a forward pass.

    Raises:
        AssertionError: the model uses an operation that not every version of the counter sees; it needs a
            closed form.
    """
    with torch.no_grad():
        with _Operations() as run:
            model(images)
        unseen = {
            name
            for name in run.names - SEEN
            if any(part in name for part in PRODUCTS) and not name.startswith("upsample")
        }
        assert not unseen, f"torch's counter may leave out {', '.join(sorted(unseen))}"
        with FlopCounterMode(display=False) as counter:
            model(images)
    return int(counter.get_total_flops() // 2)
