"""A training step recorded once as a CUDA graph and replayed: one launch in place of hundreds."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

WARM_UP = 5
"""Steps before the recording: libraries choose algorithms, and the optimiser makes its state."""
SMALL = 2e12
"""Operations a step up to which launching is worth saving. A graph keeps activations of its own for good."""

Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Images `(N, C, H, W)` and labels `(N,)` to mean losses `(1 + A,)` and answers `(N,)`, nobody waiting.

The first loss is the one that is trained, the others are those of A auxiliary classifiers.
"""
Capture = Callable[[Step, Tensor, Tensor], Callable[[], tuple[Tensor, Tensor]]]
"""Records a step on these very tensors, without doing it; what it gives does the step on what they hold."""


class GraphedStep:
    """Makes steps as `eager` does; from the sixth full batch on by replaying a recording of it.

    A batch of another size goes through `eager`. Where recording fails, everything does.

    Args:
        eager: The step as it is written.
        batch: Images of a full batch.
        note: Is told, in a sentence, whether it was recorded.
        parameters: Of the model. A recording writes gradients to memory of its own: after a replay they are
            the parameters' `.grad` again, whatever an eager step in between left there.
        capture: How to record; on CUDA but in tests.
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
        """Make the step; see `TrainStep`."""
        if self._failed or len(labels) != self._batch:
            return self._eager(images, labels)
        if self._waiting:
            self._waiting -= 1
            return self._aside(images, labels)
        if self._replay is None:
            self._record(images, labels)
        if self._replay is None:
            return self._eager(images, labels)
        self._images.copy_(images)
        self._labels.copy_(labels)
        losses, answers = self._replay()
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient
        # The next replay writes to the same memory.
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

    def _aside(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """A step on a stream of its own: what is recorded next must not lean on the default stream."""
        if images.device.type != "cuda":
            return self._eager(images, labels)
        self._side = self._side or torch.cuda.Stream(images.device)  # type: ignore[no-untyped-call]
        current = torch.cuda.current_stream(images.device)
        self._side.wait_stream(current)
        with torch.cuda.stream(self._side):
            losses, answers = self._eager(images, labels)
        current.wait_stream(self._side)
        for read_there in (images, labels):
            read_there.record_stream(self._side)
        for read_here in (losses, answers):
            read_here.record_stream(current)
        return losses, answers


class FullBatchStep:
    """Makes steps of full batches as `fast` does and others as `eager` does.

    `torch.compile` compiles anew for every other size, and an epoch's last batch is usually smaller.
    """

    def __init__(self, fast: Step, eager: Step, batch: int) -> None:
        self._fast, self._eager, self._batch = fast, eager, batch

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Make the step; see `TrainStep`."""
        return (self._fast if len(labels) == self._batch else self._eager)(images, labels)


def should_capture(device: torch.device, macs: int, batch: int) -> bool:
    """Whether steps are so small that launching them is a good part of their time."""
    return device.type == "cuda" and 0 < 6 * macs * batch <= SMALL


def capture_cuda_graph(step: Step, images: Tensor, labels: Tensor) -> Callable[[], tuple[Tensor, Tensor]]:
    """Record `step` on the images' device; raises `RuntimeError` for what a graph cannot hold."""
    graph = torch.cuda.CUDAGraph()
    # Another thread may use the GPU meanwhile (a logger that asks for its memory): only this one is recorded.
    recording = torch.cuda.graph(graph, capture_error_mode="thread_local")
    with torch.cuda.device(images.device), recording:
        losses, answers = step(images, labels)

    def replay() -> tuple[Tensor, Tensor]:
        graph.replay()
        return losses, answers

    return replay
