"""Loop monitor: hooks on forward, backward, loss and optimizer step, in whatever order a loop calls them.

Most steps only count; sampled steps (at the trainer's interval) also measure layers, gradients and the input
of the loss. A forward pass is training if a gradient flows back through its output; one under `no_grad`, or
in evaluation mode without a backward pass, is evaluation. A step is a call of an optimizer's `step`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from cnnviz.training.layer_stats import LayerStats, LayerStatsHook
from cnnviz.training.trainer import STATS_EARLY, STATS_EVERY
from cnnviz.watching.image_sample import ImageSample
from cnnviz.watching.loop_facts import LoopFacts, is_monte_carlo, mode_layers
from cnnviz.watching.loss_functions import LossCall
from cnnviz.watching.recording import EvaluationPass, as_logits
from cnnviz.watching.sampled_step import SampledStep
from cnnviz.watching.step_loss import (
    NO_CLASS,
    Forward,
    StepLoss,
    are_no_answers,
    binary_labels,
    class_indices,
    comes_from,
    has_one_output,
    has_other_labels,
    have_same_shape,
    is_binary,
    is_probability,
    outputs_probability,
    two_class_logits,
)

MAX_LOOKS = 200
STEPLESS = 50
"""Backward passes without an optimizer step after which backward passes count as steps, so that there are
curves.
"""
MAX_WAITING = 1_000
"""Most passes that wait for their gradient."""
MAX_KEPT_LOGITS = 65_536
"""Most logits of a batch that are kept until its predictions are fetched."""
CHECKSUM_EARLY, CHECKSUM_STEPS = 1_000, 40
"""First steps, and later ones of each `STATS_EVERY`, whose batches are compared by a checksum.

In a row, since a loop may use each batch several times.
"""
CHECKSUM_PIECES, CHECKSUM_VALUES = 8, 128
"""Pieces of a batch, and values of each, that its checksum is over."""


class Recorder(Protocol):
    """Receiver of the monitor's events."""

    def on_first_pass(self, images: Tensor, logits: Tensor) -> None:
        """Handle the first training pass: input `(N, …)` and output."""

    def on_step(self, step: int, losses: list[StepLoss]) -> None:
        """Handle a completed step, with a loss for each of its forward passes."""

    def on_layer_stats(self, step: int, layers: Sequence[LayerStats]) -> None:
        """Handle the layer statistics of a sampled step."""

    def on_evaluation(self, step: int, evaluation: EvaluationPass) -> None:
        """Handle a completed evaluation pass."""

    def on_batch(self, images: Tensor, labels: Tensor) -> None:
        """Handle a sampled batch `(N, …)` and its class indices `(N,)`, where it is the only input."""

    def on_error(self, error: Exception) -> None:
        """Handle an internal error: warn once and stop monitoring."""


class LoopMonitor:
    """Hooks on a network and its optimizers, from `attach` to `detach`."""

    def __init__(
        self, model: nn.Module, optimizers: list[torch.optim.Optimizer], recorder: Recorder, layers: bool
    ) -> None:
        self.model, self.optimizers, self._recorder = model, optimizers, recorder
        self.facts = LoopFacts(model, optimizers)
        self.images = ImageSample()
        self.step = 0
        self.smoothing = 0.0
        self.functions: dict[str, None] = {}
        self._layer_hook = LayerStatsHook(model) if layers else None
        self._modes = mode_layers(model)
        self._forward: Forward | None = None
        self._without_backward: list[Forward] = []
        """Passes in training mode since the last step, of other images than its own, that had no gradient."""
        self._learned_source = 0
        self._losses: list[StepLoss] = []
        self.copies_losses = True
        """Whether losses and predictions are copied in each step, rather than computed when fetched."""
        self._evaluation: EvaluationPass | None = None
        self._evaluated: Tensor | None = None
        self._evaluated_images: Tensor | None = None
        self._explicit = False
        self.probability: bool | None = None
        """Whether the network's one output is a probability and no logit; None where it has no one output."""
        self._backwards = 0
        self._passes = 0
        self._stepless = False
        self._stepped_optimizers: set[int] = set()
        self._in_step = 0
        self._busy = False
        self._sampled: SampledStep | None = None
        self._checksums: list[Tensor] = []
        self._handles: list[Any] = []
        self._started = False
        self._reference = weakref.ref(self)
        self._in_forward = False
        self._deferred_calls: list[LossCall] = []
        self.part = "test"
        """Part of the data that evaluation passes count as by default."""

    # Life cycle.

    def attach(self) -> None:
        """Register the hooks."""
        self._handles = [
            self.model.register_forward_pre_hook(self._guard(self._pre_forward), with_kwargs=True),
            self.model.register_forward_hook(self._guard(self._post_forward), with_kwargs=True),
        ]
        for optimizer in self.optimizers:
            self._handles += [
                optimizer.register_step_pre_hook(self._guard(self._pre_step)),
                optimizer.register_step_post_hook(self._guard(self._post_step)),
            ]
        self.facts.sample_weights()

    def detach(self) -> None:
        """Remove the hooks and drop pending measurements."""
        self.images = ImageSample()  # a run that has ended is held for long, by a notebook or in a cycle
        for handle in self._handles:
            handle.remove()
        self._handles = []
        if self._sampled is not None:
            self._sampled.cancel()
        self._sampled = None
        self._checksums = []
        self._forward = None
        self._without_backward = []

    def finish(self) -> None:
        """Complete pending measurements and evaluation passes."""
        self._end_sample()
        self._end_evaluation(mark=True)
        self._count_without_backward()
        self.drain()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Ignore everything that happens inside: it does not belong to the loop."""
        was_busy, self._busy = self._busy, True
        try:
            yield
        finally:
            self._busy = was_busy

    def drain(self) -> None:
        """Transfer pending checksums from the device."""
        if self._checksums:
            waiting, self._checksums = self._checksums, []
            self.facts.add_checksums(torch.stack(waiting).tolist())

    def _guard(self, hook: Callable[..., None]) -> Callable[..., None]:
        """Wrap a hook to keep its errors out of the loop; weakly, so that it does not keep the run alive."""
        reference, function = self._reference, hook.__func__  # type: ignore[attr-defined]

        def guarded(*args: Any) -> None:
            monitor = reference()
            if monitor is None or monitor._busy:
                return
            try:
                function(monitor, *args)
            except Exception as error:
                monitor._recorder.on_error(error)

        return guarded

    # A forward pass.

    def _pre_forward(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._classify_pass()
        if self._in_step and self._passes and self._layer_hook is not None:
            # A closure is called again with other weights; what is told of a step are those it began with.
            self._layer_hook.is_measuring = False
        self._in_forward, self._deferred_calls = True, []
        if not torch.is_grad_enabled():
            return
        if not self._in_step:
            self.facts.before_forward()
        if self._backwards == 0 and self._sampled is None and self._is_sampled():
            self._begin_sample()

    def _post_forward(self, module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        self._in_forward = False
        self._handle_output(args, kwargs, out)
        # Losses computed inside the network's forward pass.
        calls, self._deferred_calls = self._deferred_calls, []
        for call in calls:
            self._handle_loss(call)

    def _handle_output(self, args: Any, kwargs: Any, out: Any) -> None:
        logits = as_logits(out)
        images = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
        if logits is None or images is None:
            return
        if not torch.is_grad_enabled():
            if self._evaluation is None:
                self.facts.add_input("judged", images)
            self._evaluate(logits, images)
            return
        if not logits.requires_grad:
            if any(p.requires_grad for _, p in self.facts.parameters):
                self.facts.counts["forwards_without_graph"] += 1
            self._evaluate(logits, images) if not self.model.training else None
            return
        evaluating = [not part.training for part in self._modes.values()]
        forward = self._forward = Forward(logits, bool(evaluating) and all(evaluating), any(evaluating))
        forward.source = id(images)
        if self._sampled is not None and len(args) + len(kwargs) == 1:
            forward.inputs = images
        logits.register_hook(self._guard_gradient(forward))  # type: ignore[no-untyped-call]
        if self.images.wants_marks:
            forward.marks = self.images.marks(images)
        if self.images.wants_pixels("train") or not self.model.training:
            forward.images = images
        if self.step < CHECKSUM_EARLY or self.step % STATS_EVERY < CHECKSUM_STEPS:
            self._checksum(images)
        if self._in_step:
            self.facts.closure = True
        if torch.is_autocast_enabled(logits.device.type):
            self.facts.amp = True
        if not self._started:
            self._started = True
            self.facts.add_input("train", images)
            with self.paused():
                self._recorder.on_first_pass(images, logits)

    def _guard_gradient(self, forward: Forward) -> Callable[[Tensor], None]:
        reference = self._reference

        def came_back(gradient: Tensor) -> None:
            monitor = reference()
            if monitor is not None and not monitor._busy:
                monitor._backward(forward)

        return came_back

    def _backward(self, forward: Forward) -> None:
        """Count a forward pass as training: a gradient has flowed back through its output."""
        self._backwards += 1
        counts = self.facts.counts
        counts["backwards"] += 1
        if forward.backward:
            counts["repeated_backwards"] += 1
            return
        forward.backward = True
        self._learned_source = forward.source
        self._passes += 1
        self._end_evaluation(mark=True)
        counts["passes"] += 1
        counts["passes_in_evaluation"] += forward.in_evaluation
        counts["passes_partly"] += forward.partly
        if not self.model.training:
            counts["passes_of_evaluating_model"] += 1
        if forward.in_evaluation and counts["evaluations"]:
            counts["passes_in_evaluation_after"] += 1

    def _classify_pass(self) -> None:
        """Classify the previous forward pass: evaluation if in evaluation mode and without backward pass."""
        forward, self._forward = self._forward, None
        if forward is None or forward.backward:
            if self._stepless or (self._backwards >= STEPLESS and not self.facts.counts["steps"]):
                self._count_backward()
            return
        if not self.model.training or forward.in_evaluation:
            self._evaluate(forward.logits.detach(), forward.images)
            if forward.labels is not None and self._evaluation is not None and not self._explicit:
                self._add_judged_labels(self._evaluation, self._class_logits(forward.logits), forward.labels)
        else:
            if self._sampled is not None:
                self._sampled.facts["together"] = True
            if forward.source != self._learned_source and len(self._without_backward) < MAX_WAITING:
                forward.logits = forward.logits.detach()  # without its graph
                self._without_backward.append(forward)
        self.facts.counts["forwards_without_backward"] += 1

    def _count_without_backward(self) -> None:
        """Count passes in training mode, after a step, whose gradient has not come until the next one."""
        waiting, self._without_backward = self._without_backward, []
        count = sum(not forward.backward for forward in waiting)
        if count and self.facts.counts["steps"]:
            self.facts.counts["passes_without_backward"] += count
            self.facts.counts["steps_after_such_passes"] += 1

    def _count_backward(self) -> None:
        """Count a backward pass as a step, for a loop without optimizer steps."""
        self._stepless = True
        self._finish_step()

    # Evaluation.

    def _evaluate(self, logits: Tensor, images: Tensor | None) -> None:
        if self._evaluation is None:
            self._end_sample()
            self._evaluation, self._explicit = EvaluationPass(self.part), False
            self.images.begin_pass()
            self.facts.before_evaluation()
        recalibrating = any(
            isinstance(part, nn.modules.batchnorm._BatchNorm) and part.training and part.momentum is None
            for part in self._modes.values()
        )
        if recalibrating:  # a pass that re-estimates batch-norm statistics, not an evaluation
            return
        acting = [] if is_monte_carlo(self.model) else [n for n, part in self._modes.items() if part.training]
        self._evaluated, self._evaluated_images = logits.detach(), images
        self._evaluation.add_logits(self._class_logits(logits), acting)

    def _class_logits(self, output: Tensor) -> Tensor:
        """Return logits `(N, C)` of an output, which may be one value an image for two classes."""
        if self.probability is None or not has_one_output(output):
            return output
        return two_class_logits(output.detach(), self.probability)

    def _add_judged_labels(self, evaluation: EvaluationPass, logits: Tensor, labels: Tensor) -> None:
        evaluation.add_labels(logits, labels)
        images, self._evaluated_images = self._evaluated_images, None
        if images is None:
            return
        # Only images that are compared with labels are judged: guessed labels come from such passes too.
        self.images.add_judged(images)
        if self.images.wants_pixels("judged"):
            self.images.keep("judged", images, labels)

    def evaluate(self, logits: Tensor, labels: Tensor, part: str) -> None:
        """Add a batch that the loop evaluated explicitly."""
        self._classify_pass()
        if has_one_output(logits):
            if self.probability is None:
                self.probability = bool(((logits >= 0) & (logits <= 1)).all())
            logits, labels = self._class_logits(logits), binary_labels(labels)
        if self._evaluation is None or not self._explicit:
            mode = [] if self._evaluation is None else list(self._evaluation.in_training_mode)
            self._evaluation, self._explicit = EvaluationPass(part), True
            self._evaluation.in_training_mode |= dict.fromkeys(mode)
        elif self._evaluation.part != part:
            self._end_evaluation(mark=False)
            self._evaluation, self._explicit = EvaluationPass(part), True
        # The forward hook has counted the pass already, unless another network made it.
        if self._evaluation.images <= self._evaluation.labelled:
            self._evaluation.add_logits(logits, ())
        self._add_judged_labels(self._evaluation, logits, labels)

    def _end_evaluation(self, mark: bool) -> None:
        evaluation, self._evaluation, self._evaluated = self._evaluation, None, None
        self._evaluated_images = None
        if evaluation is None or not (evaluation.images or evaluation.labelled):
            return
        self.facts.counts["evaluations"] += 1
        if mark:
            self.facts.mark_epoch()
        self._recorder.on_evaluation(self.step, evaluation)

    # The loss.

    def loss_called(self, call: LossCall) -> None:
        """Handle a call of a loss function, if its input is this network's output."""
        try:
            if self._in_forward:
                self._deferred_calls.append(call)
            elif not self._busy:
                self._handle_loss(call)
        except Exception as error:
            self._recorder.on_error(error)

    def _handle_loss(self, call: LossCall) -> None:
        forward = self._forward
        if forward is None or not torch.is_grad_enabled():
            evaluated = self._evaluated
            if (
                evaluated is not None
                and torch.is_grad_enabled()
                and self.model.training
                and have_same_shape(call.input, evaluated)
            ):
                self.facts.counts.update(("losses", "losses_detached"))
                return
            if evaluated is None or call.error is not None or not have_same_shape(call.input, evaluated):
                return
            if self._evaluation is None or self._explicit:
                return
            if is_binary(call, evaluated):
                if self.probability is None:
                    self.probability = outputs_probability(call, evaluated)
                judged = self._class_logits(evaluated)
                self._add_judged_labels(self._evaluation, judged, binary_labels(call.target))
            elif call.function in ("cross_entropy", "nll_loss") and call.target.dim() == 1:
                self._add_judged_labels(self._evaluation, evaluated, call.target)
            return
        if not comes_from(call.input, forward.logits):
            return
        if forward.has_loss:
            if self._sampled is not None and has_other_labels(call, forward):
                self.facts.counts["losses_mixed"] += 1
            return
        forward.has_loss = True
        self.functions[call.function] = None
        self.smoothing = call.label_smoothing
        if call.error is not None:
            self._out_of_range(call)
            return
        counts = self.facts.counts
        counts["losses"] += 1
        counts["losses_summed"] += call.reduction == "sum"
        counts["losses_weighted"] += call.is_weighted
        detached = call.input is not forward.logits and call.input.grad_fn is None
        if detached or (call.result is not None and not call.result.requires_grad):
            counts["losses_detached"] += 1
        logits, ignored = call.input, call.ignore_index if call.target.dim() == 1 else NO_CLASS
        if is_binary(call, forward.logits):
            self.probability = outputs_probability(call, forward.logits)
            logits, ignored = forward.logits, NO_CLASS
            labels: Tensor | None = binary_labels(call.target)
            forward.labels = labels
        else:
            labels = class_indices(call.target, call.input)
            if call.function in ("cross_entropy", "nll_loss") and call.target.dim() == 1:
                forward.labels = labels
        inputs, numbers = forward.inputs, forward.labels  # inputs in sampled steps only
        if inputs is not None and numbers is not None and not bool((numbers == ignored).any()):
            self._recorder.on_batch(inputs, numbers)
        if call.result is not None:
            self._add_step_loss(call.result, call.reduction, logits, labels, ignored)
        if self._sampled is not None:
            self._sampled.loss_called(call)

    def add_loss(self, loss: Tensor, logits: Tensor | None, labels: Tensor | None) -> None:
        """Add a loss passed explicitly, for losses that torch's functions do not compute."""
        forward = self._forward
        if forward is not None:
            forward.has_loss = True
        if logits is not None and labels is not None:
            self._losses = self._losses[:-1] if forward and forward.labels is not None else []
            if has_one_output(logits) and has_one_output(labels):
                self.probability = is_probability(logits)
                numbers: Tensor | None = binary_labels(labels)
            else:
                numbers = class_indices(labels, logits)
            self._add_step_loss(loss, "mean", logits, numbers, NO_CLASS)
            if forward is not None and forward.inputs is not None and numbers is not None:
                self._recorder.on_batch(forward.inputs, numbers)
        self.functions["given"] = None
        self.facts.counts["losses"] += 1

    def _add_step_loss(
        self, loss: Tensor, reduction: str, logits: Tensor, labels: Tensor | None, ignored: int | None
    ) -> None:
        """Keep a pass's loss and predictions on the device.

        Labels are always copied: a loop may fill the same array again, which no version counter shows.
        """
        binary = self.probability is not None and has_one_output(logits)
        has_columns = binary or (logits.dim() == 2 and logits.shape[1] > 1)
        if not has_columns or labels is None or not len(labels) == len(logits) > 0:
            return
        forward = self._forward
        if forward is not None and forward.logits.dim() == 2 and are_no_answers(logits, forward.logits):
            return
        self.facts.classes = 2 if binary else logits.shape[1]
        loss, output, labels = loss.detach(), logits.detach(), labels.clone()
        if binary:
            output = (output.reshape(-1) > (0.5 if self.probability else 0.0)).long()
        large = output.numel() > MAX_KEPT_LOGITS
        tensors = (loss,) if large or binary else (loss, output)
        versions = tuple((tensor, tensor._version) for tensor in tensors)
        if self.copies_losses or large:
            loss, output = loss.clone(), output if binary else output.argmax(1)
        marks = forward.marks if forward is not None else None
        if forward is not None and forward.images is not None and self.images.wants_pixels("train"):
            self.images.keep("train", forward.images, labels)
        if marks is not None:
            self.images.expect(len(marks))
        self._losses.append(StepLoss(loss, reduction, output, labels, ignored, versions, marks, binary))

    def _out_of_range(self, call: LossCall) -> None:
        """Record labels outside of the classes after a loss function raised."""
        target, classes = call.target, call.input.shape[1] if call.input.dim() > 1 else 0
        if target.is_floating_point() or not target.numel():
            return
        low, high = int(target.min()), int(target.max())
        if low < 0 or high >= classes > 0:
            self.facts.label_low, self.facts.label_high, self.facts.classes = low, high, classes
            self.facts.label_error = str(call.error).splitlines()[0]

    # The optimizer.

    def _pre_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self._in_step += 1
        # `args[0]` is the optimizer. With a closure, gradients are computed inside the step.
        if len(args) < 2 and kwargs.get("closure") is None:
            self._note_gradients()

    def _note_gradients(self) -> None:
        # Stops at the first one: each access of `.grad` makes a Python object of it.
        has_gradients = any(p.grad is not None for _, p in self.facts.parameters)
        counts = self.facts.counts
        counts["steps_without_gradient"] += not has_gradients
        counts["steps_without_backward"] += self._backwards == 0
        if self._sampled is not None:
            self._sampled.before_step([p for _, p in self.facts.parameters], self._backwards)
        if self._sampled is not None and self._layer_hook is not None:
            self.facts.layers_without_gradient(self._layer_hook.measured)

    def _post_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self._in_step = max(0, self._in_step - 1)
        if len(args) > 1 or kwargs.get("closure") is not None:
            self._note_gradients()
        counts = self.facts.counts
        counts["optimizer_steps"] += 1
        self.facts.steps_of[id(optimizer)] += 1
        is_new_step = (
            self._backwards > 0 or not self._stepped_optimizers or id(optimizer) in self._stepped_optimizers
        )
        if is_new_step:
            self._stepped_optimizers = set()
            self._finish_step()
        self._stepped_optimizers.add(id(optimizer))
        self.facts.after_step()
        if len(self._stepped_optimizers) >= len(self.optimizers):
            self._end_sample()

    def _finish_step(self) -> None:
        """Count a step and report its metrics."""
        if self._without_backward:
            self._count_without_backward()
        self.step += 1
        self.facts.counts["steps" if not self._stepless else "stepless"] += 1
        if self._passes:
            self.facts.forwards_per_step[self._passes] += 1
        if self._sampled is not None:
            self._sampled.facts |= {"passes": self._passes, "backwards": self._backwards}
        self._backwards = self._passes = 0
        rates = [g["lr"] for o in self.optimizers for g in o.param_groups]
        self.facts.add_rate(float(max(rates, default=0.0)))
        losses, self._losses = self._losses, []
        self._recorder.on_step(self.step, losses)

    # Sampled steps.

    def _is_sampled(self) -> bool:
        step = self.step + 1
        return step in STATS_EARLY or step % STATS_EVERY == 0

    def _begin_sample(self) -> None:
        # An optimizer that has not stepped since may be gathering gradients on purpose.
        stepped = [o for o in self.optimizers if id(o) in self._stepped_optimizers] or self.optimizers
        optimized = {id(p) for o in stepped for group in o.param_groups for p in group["params"]}
        trained = [p for _, p in self.facts.parameters if p.requires_grad and id(p) in optimized]
        self._sampled = SampledStep(self.step + 1, self._layer_hook, trained)

    def _end_sample(self) -> None:
        if self._sampled is None:
            return
        sampled, self._sampled = self._sampled, None
        facts, layers = sampled.end()
        if len(self.facts.looks) < MAX_LOOKS:
            self.facts.looks.append(facts)
        self.drain()
        if layers:
            self._recorder.on_layer_stats(facts["step"], layers)
        self.facts.sample_weights()

    def _checksum(self, images: Tensor) -> None:
        flat = images.detach().reshape(-1)
        if flat.numel() >= CHECKSUM_PIECES * CHECKSUM_VALUES:
            # From the middle of images, whose border may be black; neighbors share a line of the cache.
            apart = flat.numel() // CHECKSUM_PIECES
            start = min(apart - CHECKSUM_VALUES, flat.numel() // len(images) // 2)
            flat = flat[start:].as_strided((CHECKSUM_PIECES, CHECKSUM_VALUES), (apart, 1))
        self._checksums.append(flat.sum(dtype=torch.float64))
