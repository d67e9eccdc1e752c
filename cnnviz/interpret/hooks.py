"""Activations: forward hooks that record inputs and outputs of layers, and statistics of the outputs.

Hooks run on a copy that shares the model's weights, so that a cached model never keeps one.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Collection, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from cnnviz.analysis.module_settings import is_unit
from cnnviz.analysis.ops import RULES, Call
from cnnviz.analysis.trace import ASKS, name_of, tensors, without_scripts
from cnnviz.interpret.layer_names import numbered, slug, unknown
from cnnviz.interpret.mosaic import Floats, as_maps
from cnnviz.models.external.network import OutsideNetwork

# Hooks and `requires_grad=False` stay with the copy: the model may be cached, and running in another thread.

M = TypeVar("M", bound=nn.Module)


def shared_copy(model: M) -> M:
    """Copy the modules over the same weights, in evaluation mode and with `requires_grad=False`.

    Raises:
        ValueError: For a model in training mode, whose outputs change from call to call.
    """
    if model.training:
        raise ValueError("The model is in training mode; call its eval() first.")
    memo: dict[int, object] = {id(buffer): buffer for buffer in model.buffers()}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach(), requires_grad=False)
    copied: Any = without_scripts(copy.deepcopy(model, memo), _Script)
    return cast(M, copied)


class _Script(nn.Module):
    """Stand-in for a TorchScript module, which takes no hooks: one layer whose children are not recorded."""

    def __init__(self, script: nn.Module) -> None:
        super().__init__()
        self.hidden = [script]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the TorchScript module."""
        return self.hidden[0](*args, **kwargs)


@dataclass(frozen=True)
class LayerCall:
    """One call of a layer: its output, and copies of its inputs from before the call."""

    layer: str
    module: nn.Module | None
    """None for an operation between a container's children."""
    operation: str
    """Name of the function; empty for a module."""
    inputs: tuple[Tensor, ...]
    output: Tensor
    arguments: tuple[Any, ...] = ()
    """Positional arguments of an operation, tensors included."""
    keywords: dict[str, Any] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    """For each input of an operation: the outermost module that returned it; empty where none did."""


def record_layers(model: nn.Module, images: Tensor, layers: Collection[str]) -> dict[str, LayerCall]:
    """Record inputs and outputs of `layers` (see `cnnviz.interpret.layer_names`) for images `(N, C, H, W)`.

    Raises:
        UnknownLayerError: For a layer that does not exist or that the forward pass does not reach.
        ValueError: For a model in training mode.
    """
    recorder = ActivationRecorder(shared_copy(model), layers)
    return recorder.run(images)


def last_operations(model: nn.Module, images: Tensor, containers: Collection[str]) -> dict[str, LayerCall]:
    """Record the last operation that each container makes between its children, where it makes any."""
    return _LastOperation(shared_copy(model), containers).run(images)


class _AllRecordedError(Exception):
    """All layers are recorded: stop the forward pass."""


class ActivationRecorder:
    """Recorder of one forward pass of a hooked copy; subclasses record reductions to bound memory."""

    def __init__(self, model: nn.Module, layers: Collection[str]) -> None:
        self.model = model
        self.modules = dict(model.named_modules())
        self._wanted = set(layers)
        self._recorded: dict[str, Any] = {}
        self._calls: Counter[str] = Counter()
        self._inputs: dict[str, tuple[Tensor, ...]] = {}
        for name in {layer.partition("@")[0] for layer in layers}:
            base = name.partition(":")[0]
            if base not in self.modules:
                raise unknown(name, self.modules)

    def reduce(self, call: LayerCall) -> Any:
        """Return what to record of a call; its inputs may be overwritten later in the pass."""
        return call

    def copies_inputs(self) -> bool:
        """Return whether inputs are copied."""
        return True

    def run(self, images: Tensor) -> dict[str, Any]:
        """Run the forward pass, and return what was recorded of each layer, in the order of the pass."""
        if isinstance(self.model, OutsideNetwork) and "" not in self._wanted:
            self._record(self.model, images)
            return self._result()
        with torch.no_grad():
            handles = self._hooks()
            try:
                if any(":" in layer for layer in self._wanted):
                    self._run_with_operations(images)
                else:
                    with suppress(_AllRecordedError):
                        self.model(images)
            finally:
                for handle in handles:
                    handle.remove()
            if self._wanted - self._recorded.keys():
                self._run_with_operations(images)
        return self._result()

    def _record(self, model: OutsideNetwork, images: Tensor) -> None:
        """Record the layers of a network that runs outside torch."""
        with suppress(_AllRecordedError):
            for name, (inputs, output) in model.record(images, self._wanted).items():
                module = self.modules.get(name.partition(":")[0].partition("@")[0])
                self._store(LayerCall(name, module, "", (inputs,), output))

    def _result(self) -> dict[str, Any]:
        for layer in self._wanted - self._recorded.keys():
            raise unknown(layer, self._recorded or self.modules)
        return self._recorded

    def _hooks(self) -> list[Any]:
        handles = []
        for name in {layer.partition("@")[0] for layer in self._wanted if ":" not in layer}:
            module = self.modules[name]
            if self.copies_inputs():
                handles.append(module.register_forward_pre_hook(self._pre_hook(name)))
            handles.append(module.register_forward_hook(self._post_hook(name)))
        return handles

    def _pre_hook(self, name: str) -> Any:
        def enter(module: nn.Module, args: Any) -> None:
            self._inputs[name] = tuple(t.clone() for t in tensors(args))

        return enter

    def _post_hook(self, name: str) -> Any:
        def leave(module: nn.Module, args: Any, out: Any) -> None:
            self._calls[name] += 1
            layer = numbered(name, self._calls[name])
            results = tensors(out)
            if layer in self._wanted and results:
                inputs = self._inputs.pop(name, ())
                self._store(LayerCall(layer, module, "", inputs, results[0]))

        return leave

    def _run_with_operations(self, images: Tensor) -> None:
        with suppress(_AllRecordedError), _Operations(self) as mode:
            mode.track(images)
            self.model(images)

    def on_operation(self, call: LayerCall) -> None:
        """Record an operation that has just run, if it is wanted; its output is not copied yet."""
        if call.layer in self._wanted and call.layer not in self._recorded:
            self._store(call)

    def _store(self, call: LayerCall) -> None:
        self._recorded[call.layer] = self.reduce(replace(call, output=call.output.clone()))
        if not self._wanted - self._recorded.keys():
            raise _AllRecordedError

    def wants_module(self, module: str) -> bool:
        """Return whether an operation of this module, or of a module whose weights it uses, is wanted."""
        return any(layer.partition(":")[0].partition("@")[0] == module for layer in self._wanted)


class _Operations(TorchFunctionMode):
    """Torch-function mode that records calls between modules, named as in `cnnviz.analysis.trace`."""

    def __init__(self, recorder: ActivationRecorder) -> None:
        super().__init__()
        self._recorder = recorder
        self._owners = {id(p): name for name, m in recorder.modules.items() for p in m._parameters.values()}
        self._tracked: MutableMapping[Tensor, bool] = WeakIdKeyDictionary()
        self._producers: MutableMapping[Tensor, str] = WeakIdKeyDictionary()
        self._stack: list[tuple[str, bool]] = []
        self._counts: Counter[str] = Counter()
        self._handles: list[Any] = []

    def __enter__(self) -> _Operations:
        for name, module in self._recorder.modules.items():
            leaf = is_unit(module)
            self._handles.append(module.register_forward_pre_hook(self._pre_hook(name, leaf)))
            self._handles.append(module.register_forward_hook(self._post_hook(name)))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *exc: Any) -> None:
        super().__exit__(*exc)  # type: ignore[no-untyped-call]
        for handle in self._handles:
            handle.remove()

    def track(self, tensor: Tensor) -> None:
        self._tracked[tensor] = True

    def _pre_hook(self, name: str, leaf: bool) -> Any:
        def enter(module: nn.Module, args: Any) -> None:
            self._stack.append((name, leaf))

        return enter

    def _post_hook(self, name: str) -> Any:
        def leave(module: nn.Module, args: Any, out: Any) -> None:
            self._stack.pop()
            if isinstance(out, Tensor):
                self._producers[out] = name

        return leave

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = name_of(func)
        if name in ASKS or not self._stack:
            return func(*args, **kwargs)
        inputs = tensors(args) + tensors(kwargs)
        tracked = any(t in self._tracked for t in inputs)
        module, leaf = self._stack[-1]
        owner = next((self._owners[id(t)] for t in inputs if id(t) in self._owners), module)
        if leaf or not owner.startswith(module):
            owner = module
        recorded = not leaf and self._recorder.wants_module(owner)
        copies = tuple(t.clone() for t in inputs) if recorded else ()
        sources = tuple(self._producers.get(t, "") for t in inputs) if recorded else ()
        out = func(*args, **kwargs)
        results = tensors(out) if tracked else []
        for tensor in results:
            self._tracked[tensor] = True
        if results and not leaf:
            self._on_operation(
                owner, module, LayerCall("", None, name, copies, results[0], args, kwargs, sources)
            )
        return out

    def _on_operation(self, owner: str, module: str, call: LayerCall) -> None:
        name = call.operation
        rule = RULES.get(name) or RULES.get(name.rstrip("_"))
        label = name.strip("_")
        if rule is not None:
            effect = rule(Call(name, call.arguments, call.keywords, call.output, ()))
            if effect.view:
                return
            label = effect.label
        base = owner if owner != module else f"{owner}:{slug(label)}"
        self._counts[base] += 1
        self._recorder.on_operation(replace(call, layer=numbered(base, self._counts[base])))


class _LastOperation(ActivationRecorder):
    """Records, under the name of a container, the last operation of its own forward."""

    def run(self, images: Tensor) -> dict[str, Any]:
        with torch.no_grad():
            self._run_with_operations(images)
        return self._recorded

    def on_operation(self, call: LayerCall) -> None:
        if call.layer.partition(":")[0] in self._wanted and ":" in call.layer:
            self._recorded[call.layer.partition(":")[0]] = replace(call, output=call.output.clone())


T = TypeVar("T")


def activations(model: nn.Module, images: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
    """Record the outputs of `layers`, as copies that nothing later changes.

    Args:
        model: In evaluation mode; it is not changed.
        images: Model input, `(N, C, H, W)`.
        layers: Names as in `cnnviz.interpret.layer_names`: rows of the layer table, and the operations within
            them.

    Returns:
        Layer outputs by name, batch first, in the layers' own shapes.

    Raises:
        UnknownLayerError: For a layer that does not exist or that the forward pass does not reach.
        ValueError: For a model in training mode.
    """
    return reduce_activations(model, images, layers, lambda name, values: values)


def reduce_activations(
    model: nn.Module, images: Tensor, layers: Collection[str], reduce: Callable[[str, Tensor], T]
) -> dict[str, T]:
    """Record `keep(layer, output)` of each layer in place of the output itself, which bounds memory.

    Otherwise as `activations`.
    """
    return _ReducingRecorder(shared_copy(model), layers, reduce).run(images)


def feature_maps(model: nn.Module, image: Tensor, layer: str) -> Floats:
    """Return the feature maps `(C′, H′, W′)` of `layer`, for one image `(C, H, W)` or `(1, C, H, W)`."""
    batch = image[None] if image.dim() == 3 else image
    return as_maps(activations(model, batch, [layer])[layer][0], (batch.shape[-2], batch.shape[-1]))


@dataclass(frozen=True, slots=True)
class ActivationSummary:
    """Statistics of a layer's output for one image, one value per channel, float32 `(C,)`."""

    layer: str
    shape: tuple[int, int, int]
    mean: Floats
    spread: Floats
    """Standard deviation over the cells of a map."""
    low: Floats
    high: Floats
    zeros: Floats
    """Sparsity: fraction of a map's cells that are exactly 0, from 0 to 1."""

    @property
    def dead(self) -> tuple[int, ...]:
        """Indices of the channels that are exactly 0 in every cell."""
        return tuple(np.flatnonzero((self.low == 0) & (self.high == 0)).tolist())


def summarize_activations(
    model: nn.Module, image: Tensor, layers: Collection[str]
) -> dict[str, ActivationSummary]:
    """Compute the `ActivationSummary` of each layer for one image `(1, C, H, W)`, in one pass.

    No layer's output is kept.
    """
    side = (image.shape[-2], image.shape[-1])
    return reduce_activations(
        model, image, layers, lambda layer, values: summarize_maps(layer, as_maps(values[0], side))
    )


def summarize_maps(layer: str, maps: Floats) -> ActivationSummary:
    """Compute the statistics of feature maps `(C, H, W)`."""
    flat = maps.reshape(len(maps), -1)
    shape = (maps.shape[0], maps.shape[1], maps.shape[2])
    figures = flat.mean(1), flat.std(1), flat.min(1), flat.max(1), (flat == 0).mean(1).astype(np.float32)
    return ActivationSummary(layer, shape, *figures)


class _ReducingRecorder(ActivationRecorder):
    def __init__(
        self, model: nn.Module, layers: Collection[str], reduce: Callable[[str, Tensor], Any]
    ) -> None:
        super().__init__(model, layers)
        self._reduce = reduce

    def reduce(self, call: LayerCall) -> Any:
        return self._reduce(call.layer, call.output)

    def copies_inputs(self) -> bool:
        return False


def network_range(summaries: Collection[ActivationSummary]) -> tuple[float, float]:
    """Return the smallest and largest value of all layers, for the color range `network`."""
    lows = [float(summary.low.min()) for summary in summaries]
    highs = [float(summary.high.max()) for summary in summaries]
    return min(lows), max(highs)
