"""Ranks: the processes that train one run together, and what they exchange (data parallel).

Rank r of W takes the rows r, r + W, r + 2W, … of every global batch, so that recipe, steps and rates stay
what they are. A loss counts with its rank's share of the batch, and gradients are summed: their sum is the
gradient of the whole batch's mean. With one rank nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn

SEED_PURPOSE = 100
"""Of the first rank above 0 in `derive_seed`: dropout is drawn by each rank for itself."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that train the run.

    Args:
        rank: Its number, from 0; rank 0 records and writes.
        world: How many there are.
    """

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the rank that records, writes and decides."""
        return self.rank == 0

    @property
    def several(self) -> bool:
        """Whether there is anybody to exchange with."""
        return self.world > 1

    @property
    def seed_purpose(self) -> int:
        """What dropout's seed of a step is derived for: each rank draws for itself."""
        return 1 if self.first else SEED_PURPOSE + self.rank

    def wait(self) -> None:
        """Return once every rank has come here."""
        if self.several:
            distributed.barrier()

    def decide(self, wish: bool) -> bool:
        """What rank 0 wishes, on every rank. It goes from CPU to CPU, so that no GPU is waited for."""
        if not self.several:
            return wish
        flag = torch.tensor([wish], dtype=torch.uint8)
        distributed.broadcast(flag, 0)
        return bool(flag)

    def sum_gradients(self, parameters: Sequence[nn.Parameter], held: Tensor) -> None:
        """Sum the gradients over ranks, in one exchange; `held` is 1 where it is so on any rank.

        Args:
            parameters: The trained ones, in the same order on every rank.
            held: Whether a loss was not finite: a float scalar, changed in place.
        """
        if not self.several:
            return
        gradients = []
        for parameter in parameters:
            if parameter.grad is None:  # A layer that this step did not use.
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        flat = torch.cat([*(gradient.reshape(-1).float() for gradient in gradients), held.reshape(1).float()])
        distributed.all_reduce(flat)
        offset = 0
        for gradient in gradients:
            part = flat[offset : offset + gradient.numel()]
            gradient.copy_(part.view(gradient.shape))
            offset += gradient.numel()
        held.copy_((flat[-1] > 0).to(held.dtype))

    def sum(self, values: Tensor) -> Tensor:
        """The sum over ranks of a tensor that has the same shape on all, in double precision."""
        if not self.several:
            return values
        total = values.detach().to("cpu", torch.float64, copy=True)
        distributed.all_reduce(total)
        return total

    def rows(self, count: int) -> Tensor:
        """This rank's rows of `count`, int64; the first one where none is its own."""
        own = torch.arange(self.rank, count, self.world)
        return own if len(own) else torch.zeros(1, dtype=torch.int64)

    def gather_rows(self, own: Tensor, count: int) -> Tensor:
        """All rows `(count, …)` in their order, where rank r has the rows r, r + W, … .

        Args:
            own: This rank's rows; one more than its share does not matter.
            count: How many there are in all.
        """
        if not self.several:
            return own
        length = -(-count // self.world)
        padded = own.new_zeros((length, *own.shape[1:]))
        held = len(range(self.rank, count, self.world))
        padded[:held] = own[:held]
        parts = [torch.empty_like(padded) for _ in range(self.world)]
        distributed.all_gather(parts, padded)
        whole = own.new_zeros((count, *own.shape[1:]))
        for rank, part in enumerate(parts):
            places = len(range(rank, count, self.world))
            whole[rank :: self.world] = part[:places]
        return whole

    def share_buffers(self, model: nn.Module) -> None:
        """Give every rank the buffers of rank 0: running statistics, which are each rank's own until then.

        Training does not read them, so when this happens does not change a run.
        """
        if self.several:
            for buffer in _buffers(model):
                distributed.broadcast(buffer, 0)

    def prepare(self, model: nn.Module) -> nn.Module:
        """Let batch normalization take its statistics over all ranks, where the devices are GPUs."""
        if self.several and next(model.parameters()).is_cuda:
            convert: Any = nn.SyncBatchNorm.convert_sync_batchnorm
            synchronized: nn.Module = convert(model)
            return synchronized
        return model

    def note(self, model: nn.Module) -> str:
        """What differs from a run of one rank, in a sentence; empty where nothing does."""
        if not self.several:
            return ""
        normalized = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in model.modules())
        own = normalized and not next(model.parameters()).is_cuda
        return f"Trained by {self.world} ranks, each with its part of every batch." + (
            " Batch normalization takes each rank's part by itself, and the running statistics of rank 0 are "
            "kept."
            if own
            else ""
        )


SINGLE = Ranks()


def _buffers(model: nn.Module) -> Iterable[Tensor]:
    return (buffer for buffer in model.buffers() if buffer.numel())
