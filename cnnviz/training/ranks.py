"""Ranks: data-parallel training of one run by several processes.

Rank r of W takes the rows r, r + W, r + 2W, … of every global batch, so recipe, steps and learning rates are
unchanged. A loss is weighted by its rank's share of the batch, and gradients are summed: the sum is the
gradient of the mean over the whole batch. With one rank all functions are no-ops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn

EXCHANGE_LIMIT = timedelta(minutes=30)
"""Maximum wait for another rank in a step: rank 0 may be writing a checkpoint, or sending it to the store."""
PREPARATION_LIMIT = timedelta(hours=12)
"""Maximum wait for a rank that prepares data, which may be a long download."""
SEED_PURPOSE = 100
"""Purpose in `derive_seed` of the first rank above 0: each rank draws its own dropout masks."""


@dataclass(frozen=True)
class Ranks:
    """This process among the ranks of a run.

    Args:
        rank: Index from 0; rank 0 records and writes.
        world: Number of ranks.
        homes: Home of each rank on several nodes, `HOST:FOLDER`; empty on one machine.
    """

    rank: int = 0
    world: int = 1
    homes: tuple[str, ...] = ()

    @property
    def first(self) -> bool:
        """Return whether this is rank 0, which records, writes and decides."""
        return self.rank == 0

    @property
    def several(self) -> bool:
        """Return whether there is more than one rank."""
        return self.world > 1

    @property
    def prepares(self) -> bool:
        """Return whether this rank fetches data and checkpoints for all ranks that share its home."""
        return self.first if not self.homes else self.homes.index(self.homes[self.rank]) == self.rank

    @property
    def hosts(self) -> tuple[str, ...]:
        """Host names of the ranks' nodes, each once; empty on one machine."""
        return tuple(dict.fromkeys(home.partition(":")[0] for home in self.homes))

    @property
    def seed_purpose(self) -> int:
        """Purpose in `derive_seed` of dropout's seed, different for each rank."""
        return 1 if self.first else SEED_PURPOSE + self.rank

    def wait(self) -> None:
        """Wait for all ranks (barrier)."""
        if self.several:
            distributed.barrier()

    def preparation(self) -> Callable[[], None]:
        """Return a barrier for ranks that prepare data; all ranks call this before they begin.

        It is a group of its own on the CPU, since the limit of the ranks' exchanges is too short for it.
        """
        if not self.several:
            return lambda: None
        group: Any = distributed.new_group(backend="gloo", timeout=PREPARATION_LIMIT)

        def wait() -> None:
            distributed.barrier(group)

        return wait

    def require_same(self, step: int) -> None:
        """Wait for all ranks, and compare the step of the checkpoint that each has read.

        Raises:
            ValueError: They differ: one has read another checkpoint.
        """
        if not self.several:
            return
        own, first = torch.tensor([step]), torch.tensor([step])
        distributed.broadcast(first, 0)
        differing = (own != first).to(torch.int64)
        distributed.all_reduce(differing)
        if int(differing):
            raise ValueError("Its processes have read checkpoints of different steps, so it does not go on.")

    def decide(self, decision: bool) -> bool:
        """Broadcast rank 0's decision, between CPUs, so that no GPU is waited for."""
        if not self.several:
            return decision
        flag = torch.tensor([decision], dtype=torch.uint8)
        distributed.broadcast(flag, 0)
        return bool(flag)

    def sum_gradients(self, parameters: Sequence[nn.Parameter], held: Tensor) -> None:
        """All-reduce the gradients in one exchange; `held` becomes 1 if it is on any rank.

        Args:
            parameters: The trained parameters, in the same order on every rank.
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
        """Sum a tensor of the same shape over ranks, in double precision."""
        if not self.several:
            return values
        total = values.detach().to("cpu", torch.float64, copy=True)
        distributed.all_reduce(total)
        return total

    def rows(self, count: int) -> Tensor:
        """Return this rank's rows among `count`, int64; the first row if it has none."""
        indices = torch.arange(self.rank, count, self.world)
        return indices if len(indices) else torch.zeros(1, dtype=torch.int64)

    def gather_rows(self, own: Tensor, count: int) -> Tensor:
        """Gather all rows `(count, …)` in their order, given that rank r has the rows r, r + W, … .

        Args:
            own: This rank's rows; a surplus row is ignored.
            count: Total number of rows.
        """
        if not self.several:
            return own
        length = -(-count // self.world)
        padded = own.new_zeros((length, *own.shape[1:]))
        own_count = len(range(self.rank, count, self.world))
        padded[:own_count] = own[:own_count]
        parts = [torch.empty_like(padded) for _ in range(self.world)]
        distributed.all_gather(parts, padded)
        gathered = own.new_zeros((count, *own.shape[1:]))
        for rank, part in enumerate(parts):
            count_of_rank = len(range(rank, count, self.world))
            gathered[rank :: self.world] = part[:count_of_rank]
        return gathered

    def share_buffers(self, model: nn.Module) -> None:
        """Broadcast rank 0's buffers: running statistics, which differ between ranks until then.

        Training does not read them, so the time of the broadcast has no influence on a run.
        """
        if self.several:
            for buffer in _buffers(model):
                distributed.broadcast(buffer, 0)

    def prepare(self, model: nn.Module) -> nn.Module:
        """Synchronize batch normalization over ranks (`SyncBatchNorm`) on GPUs."""
        if self.several and next(model.parameters()).is_cuda:
            convert: Any = nn.SyncBatchNorm.convert_sync_batchnorm
            synchronized: nn.Module = convert(model)
            return synchronized
        return model

    def note(self, model: nn.Module) -> str:
        """Return a message on differences from a run of one rank; empty if there are none."""
        if not self.several:
            return ""
        normalized = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in model.modules())
        is_separate = normalized and not next(model.parameters()).is_cuda
        places = f" on {', '.join(self.hosts)}" if len(self.hosts) > 1 else ""
        return f"Trained by {self.world} ranks{places}, each with its part of every batch." + (
            " Batch normalization takes each rank's part by itself, and the running statistics of rank 0 are "
            "kept."
            if is_separate
            else ""
        )


SINGLE = Ranks()


def _buffers(model: nn.Module) -> Iterable[Tensor]:
    return (buffer for buffer in model.buffers() if buffer.numel())
