"""CUDA-graph capture of the training step: one graph launch replaces hundreds of kernel launches."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

WARM_UP = 5
"""Eager steps before the capture, in which libraries pick algorithms and the optimizer creates its state."""
MAX_FLOPS = 2e12
"""Maximum FLOPs per step for which capture pays off; a graph permanently holds its own activations."""

Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Training step: images `(N, C, H, W)` and labels `(N,)` to mean losses `(1 + A,)` and predictions `(N,)`.

It does not synchronize with the device. The first loss is the training loss, the others are those of A
auxiliary classifiers.
"""
Capture = Callable[[Step, Tensor, Tensor], Callable[[], tuple[Tensor, Tensor]]]
"""Captures a step on static input tensors without running it; the result replays it on their contents."""


class GraphedStep:
    """Training step that is captured as a CUDA graph on the sixth full batch and replayed from then on.

    Batches of other sizes run eagerly; if the capture fails, all do.

    Args:
        eager: The eager step.
        batch: Full batch size.
        note: Called with a message on whether the step was captured.
        parameters: The model's parameters. A graph writes gradients to its own memory: after a replay these
            tensors are set as the parameters' `.grad` again, which an eager step in between may have
            replaced.
        capture: Captures a step; `capture_cuda_graph` by default.
    """

    def __init__(
        self,
        eager: Step,
        batch: int,
        note: Callable[[str], None],
        parameters: Iterable[nn.Parameter] = (),
        capture: Capture | None = None,
    ) -> None:
        self._eager, self._batch, self._note = eager, batch, note
        self._capture = capture or capture_cuda_graph
        self._parameters = tuple(parameters)
        self._gradients: tuple[Tensor | None, ...] = ()
        self._waiting, self._failed = WARM_UP, False
        self._side: torch.cuda.Stream | None = None
        self._images = self._labels = torch.empty(0)
        self._replay: Callable[[], tuple[Tensor, Tensor]] | None = None

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Run one step; see `TrainStep`."""
        if self._failed or len(labels) != self._batch:
            return self._eager(images, labels)
        if self._waiting:
            self._waiting -= 1
            return self._warm_up_step(images, labels)
        if self._replay is None:
            self._record(images, labels)
        if self._replay is None:
            return self._eager(images, labels)
        self._images.copy_(images)
        self._labels.copy_(labels)
        losses, answers = self._replay()
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient
        # Cloned, since the next replay overwrites the graph's memory.
        return losses.clone(), answers.clone()

    def _record(self, images: Tensor, labels: Tensor) -> None:
        self._images, self._labels = images.clone(), labels.clone()
        try:
            self._replay = self._capture(self._eager, self._images, self._labels)
            self._gradients = tuple(parameter.grad for parameter in self._parameters)
            self._note("Steps are replayed from a CUDA graph.")
        except RuntimeError as error:
            self._failed = True
            reason = str(error).strip().partition("\n")[0]
            self._note(f"Steps are launched one kernel at a time: a CUDA graph cannot be made ({reason}).")

    def _warm_up_step(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Run a warm-up step on a side stream, as capture requires."""
        if images.device.type != "cuda":
            return self._eager(images, labels)
        self._side = self._side or torch.cuda.Stream(images.device)  # type: ignore[no-untyped-call]
        current = torch.cuda.current_stream(images.device)
        self._side.wait_stream(current)
        with torch.cuda.stream(self._side):
            losses, answers = self._eager(images, labels)
        current.wait_stream(self._side)
        for source in (images, labels):
            source.record_stream(self._side)
        for result in (losses, answers):
            result.record_stream(current)
        return losses, answers


class FullBatchStep:
    """Training step that runs `fast` for full batches and `eager` for others.

    `torch.compile` recompiles for every batch size, and the last batch of an epoch is usually smaller.
    """

    def __init__(self, fast: Step, eager: Step, batch: int) -> None:
        self._fast, self._eager, self._batch = fast, eager, batch

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Run one step; see `TrainStep`."""
        return (self._fast if len(labels) == self._batch else self._eager)(images, labels)


def should_capture(macs: int, batch: int) -> bool:
    """Return whether steps are so small that launch overhead is a considerable part of their time."""
    return 0 < 6 * macs * batch <= MAX_FLOPS


def capture_cuda_graph(step: Step, images: Tensor, labels: Tensor) -> Callable[[], tuple[Tensor, Tensor]]:
    """Capture `step` on the images' device; raise `RuntimeError` if it cannot be captured."""
    graph = torch.cuda.CUDAGraph()
    # Other threads may use the GPU meanwhile (a logger that queries its memory): capture only this thread.
    recording = torch.cuda.graph(graph, capture_error_mode="thread_local")
    with torch.cuda.device(images.device), recording:
        losses, answers = step(images, labels)

    def replay() -> tuple[Tensor, Tensor]:
        graph.replay()
        return losses, answers

    return replay
