"""Forward hooks that record the inputs and outputs of layers, on a copy that shares the model's weights."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Collection, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from cnnviz.analysis.module_settings import is_unit
from cnnviz.analysis.ops import RULES, Call
from cnnviz.analysis.trace import ASKS, name_of, tensors, without_scripts
from cnnviz.interpret.layer_names import numbered, slug, unknown
from cnnviz.models.outside.network import OutsideNetwork

# Hooks and `requires_grad=False` stay with the copy: the model may be cached, and running in another thread.

M = TypeVar("M", bound=nn.Module)


def twin(model: M) -> M:
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
class Seen:
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


def record_layers(model: nn.Module, images: Tensor, layers: Collection[str]) -> dict[str, Seen]:
    """Record inputs and outputs of `layers` (see `cnnviz.interpret.layer_names`) for images `(N, C, H, W)`.

    Raises:
        UnknownLayerError: For a layer that does not exist or that the forward pass does not reach.
        ValueError: For a model in training mode.
    """
    watch = Watch(twin(model), layers)
    return watch.run(images)


def last_operations(model: nn.Module, images: Tensor, containers: Collection[str]) -> dict[str, Seen]:
    """Record the last operation that each container makes between its children, where it makes any."""
    return _LastOperation(twin(model), containers).run(images)


class _AllSeenError(Exception):
    """All layers are recorded: stop the forward pass."""


class Watch:
    """Recorder of one forward pass of a hooked copy; subclasses record reductions to bound memory."""

    def __init__(self, model: nn.Module, layers: Collection[str]) -> None:
        self.model = model
        self.modules = dict(model.named_modules())
        self._wanted = set(layers)
        self._found: dict[str, Any] = {}
        self._calls: Counter[str] = Counter()
        self._inputs: dict[str, tuple[Tensor, ...]] = {}
        for name in {layer.partition("@")[0] for layer in layers}:
            base = name.partition(":")[0]
            if base not in self.modules:
                raise unknown(name, self.modules)

    def keep(self, seen: Seen) -> Any:
        """Return what to record of a call; its inputs may be overwritten later in the pass."""
        return seen

    def takes_inputs(self) -> bool:
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
                    with suppress(_AllSeenError):
                        self.model(images)
            finally:
                for handle in handles:
                    handle.remove()
            if self._wanted - self._found.keys():
                self._run_with_operations(images)
        return self._result()

    def _record(self, model: OutsideNetwork, images: Tensor) -> None:
        """Record the layers of a network that runs outside torch."""
        with suppress(_AllSeenError):
            for name, (given, output) in model.record(images, self._wanted).items():
                module = self.modules.get(name.partition(":")[0].partition("@")[0])
                self._keep(Seen(name, module, "", (given,), output))

    def _result(self) -> dict[str, Any]:
        for layer in self._wanted - self._found.keys():
            raise unknown(layer, self._found or self.modules)
        return self._found

    def _hooks(self) -> list[Any]:
        handles = []
        for name in {layer.partition("@")[0] for layer in self._wanted if ":" not in layer}:
            module = self.modules[name]
            if self.takes_inputs():
                handles.append(module.register_forward_pre_hook(self._entering(name)))
            handles.append(module.register_forward_hook(self._leaving(name)))
        return handles

    def _entering(self, name: str) -> Any:
        def enter(module: nn.Module, args: Any) -> None:
            self._inputs[name] = tuple(t.clone() for t in tensors(args))

        return enter

    def _leaving(self, name: str) -> Any:
        def leave(module: nn.Module, args: Any, out: Any) -> None:
            self._calls[name] += 1
            layer = numbered(name, self._calls[name])
            results = tensors(out)
            if layer in self._wanted and results:
                given = self._inputs.pop(name, ())
                self._keep(Seen(layer, module, "", given, results[0]))

        return leave

    def _run_with_operations(self, images: Tensor) -> None:
        with suppress(_AllSeenError), _Operations(self) as mode:
            mode.follow(images)
            self.model(images)

    def meet(self, seen: Seen) -> None:
        """Record an operation that has just run, if it is wanted; its output is not copied yet."""
        if seen.layer in self._wanted and seen.layer not in self._found:
            self._keep(seen)

    def _keep(self, seen: Seen) -> None:
        self._found[seen.layer] = self.keep(replace(seen, output=seen.output.clone()))
        if not self._wanted - self._found.keys():
            raise _AllSeenError

    def interested(self, module: str) -> bool:
        """Return whether an operation of this module, or of a module whose weights it uses, is wanted."""
        return any(layer.partition(":")[0].partition("@")[0] == module for layer in self._wanted)


class _Operations(TorchFunctionMode):
    """Torch-function mode that records calls between modules, named as in `cnnviz.analysis.trace`."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch
        self._owners = {id(p): name for name, m in watch.modules.items() for p in m._parameters.values()}
        self._tracked: MutableMapping[Tensor, bool] = WeakIdKeyDictionary()
        self._givers: MutableMapping[Tensor, str] = WeakIdKeyDictionary()
        self._stack: list[tuple[str, bool]] = []
        self._counts: Counter[str] = Counter()
        self._handles: list[Any] = []

    def __enter__(self) -> _Operations:
        for name, module in self._watch.modules.items():
            leaf = is_unit(module)
            self._handles.append(module.register_forward_pre_hook(self._entering(name, leaf)))
            self._handles.append(module.register_forward_hook(self._leaving(name)))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *exc: Any) -> None:
        super().__exit__(*exc)  # type: ignore[no-untyped-call]
        for handle in self._handles:
            handle.remove()

    def follow(self, tensor: Tensor) -> None:
        self._tracked[tensor] = True

    def _entering(self, name: str, leaf: bool) -> Any:
        def enter(module: nn.Module, args: Any) -> None:
            self._stack.append((name, leaf))

        return enter

    def _leaving(self, name: str) -> Any:
        def leave(module: nn.Module, args: Any, out: Any) -> None:
            self._stack.pop()
            if isinstance(out, Tensor):
                self._givers[out] = name

        return leave

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = name_of(func)
        if name in ASKS or not self._stack:
            return func(*args, **kwargs)
        given = tensors(args) + tensors(kwargs)
        depends = any(t in self._tracked for t in given)
        module, leaf = self._stack[-1]
        owner = next((self._owners[id(t)] for t in given if id(t) in self._owners), module)
        if leaf or not owner.startswith(module):
            owner = module
        kept = not leaf and self._watch.interested(owner)
        inputs = tuple(t.clone() for t in given) if kept else ()
        sources = tuple(self._givers.get(t, "") for t in given) if kept else ()
        out = func(*args, **kwargs)
        results = tensors(out) if depends else []
        for tensor in results:
            self._tracked[tensor] = True
        if results and not leaf:
            self._met(owner, module, Seen("", None, name, inputs, results[0], args, kwargs, sources))
        return out

    def _met(self, owner: str, module: str, seen: Seen) -> None:
        name = seen.operation
        rule = RULES.get(name) or RULES.get(name.rstrip("_"))
        label = name.strip("_")
        if rule is not None:
            effect = rule(Call(name, seen.arguments, seen.keywords, seen.output, ()))
            if effect.view:
                return
            label = effect.label
        base = owner if owner != module else f"{owner}:{slug(label)}"
        self._counts[base] += 1
        self._watch.meet(replace(seen, layer=numbered(base, self._counts[base])))


class _LastOperation(Watch):
    """Records, under the name of a container, the last operation of its own forward."""

    def run(self, images: Tensor) -> dict[str, Any]:
        with torch.no_grad():
            self._run_with_operations(images)
        return self._found

    def meet(self, seen: Seen) -> None:
        if seen.layer.partition(":")[0] in self._wanted and ":" in seen.layer:
            self._found[seen.layer.partition(":")[0]] = replace(seen, output=seen.output.clone())
