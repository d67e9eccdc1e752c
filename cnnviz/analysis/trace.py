"""Tracer of one forward pass on the meta device: module calls, function calls, and their results."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from cnnviz.analysis import ops as _views  # noqa: F401  (registers its rules)
from cnnviz.analysis.module_settings import is_unit
from cnnviz.analysis.ops import RULES, Call, Effect, Track
from cnnviz.analysis.types import WHOLE, ReceptiveField, Shape
from cnnviz.models.user_code import source

# Shape inference of common functions without calling them.
#
# On the meta device only the shape matters, and torch takes 50–500 µs to infer a known one. Whatever could
# fail is left to torch, so that a misfit is still reported.

_SAME_SHAPE = frozenset(
    ("relu", "relu6", "silu", "gelu", "hardswish", "hardsigmoid", "sigmoid", "tanh", "dropout", "softmax")
)
_IN_PLACE = frozenset(("add_", "mul_", "__iadd__", "__imul__"))
_JOINS = frozenset(("add", "mul")) | _IN_PLACE
RECURRENT = frozenset(("lstm", "gru", "rnn_tanh", "rnn_relu"))


def shortcut(name: str, args: Any, kwargs: Any) -> Any:
    """Return the result of the function `name`, or None where torch has to be called."""
    first = args[0] if args else None
    if name == "cat" and isinstance(first, (list, tuple)) and first and first[0].is_meta:
        return _concatenated(args, kwargs)
    if not isinstance(first, torch.Tensor) or not first.is_meta:
        return None
    shape = first.shape
    if name in _SAME_SHAPE or _normalises(name, shape, args, kwargs):
        return first if kwargs.get("inplace") else _empty(shape, first)
    if name in _JOINS:
        return _joined(name, first, args)
    if name == "adaptive_avg_pool2d" and args[1] in (1, (1, 1)) and first.dim() == 4:
        return _empty((*shape[:2], 1, 1), first)
    if name == "conv2d":
        return _convolved(first, args)
    if name == "linear" and len(args) > 1 and args[1].shape[-1] == shape[-1]:
        return _empty((*shape[:-1], args[1].shape[0]), first)
    if name == "multi_head_attention_forward" and not kwargs.get("need_weights", True):
        return _empty(shape, first), None
    if name in RECURRENT:
        return _recurrent(name, first, args)
    return None


def _empty(shape: Any, like: torch.Tensor) -> torch.Tensor:
    return torch.empty(shape, dtype=like.dtype, device="meta")


def _joined(name: str, first: torch.Tensor, args: Any) -> torch.Tensor | None:
    second = args[1] if len(args) == 2 else None
    if not isinstance(second, torch.Tensor) or not second.is_meta or second.dtype != first.dtype:
        return None
    left, right = first.shape, second.shape
    if left == right:
        return first if name in _IN_PLACE else _empty(left, first)
    if name in _IN_PLACE or len(left) != len(right):
        return None
    if any(a != b and a != 1 and b != 1 for a, b in zip(left, right, strict=True)):
        return None
    return _empty([max(a, b) for a, b in zip(left, right, strict=True)], first)


def _concatenated(args: Any, kwargs: Any) -> torch.Tensor | None:
    """Infer the result of `cat(tensors, 1)` for maps of one size."""
    tensors = args[0]
    axis = args[1] if len(args) > 1 else kwargs.get("dim", 0)
    if axis != 1 or len({(t.dim(), t.shape[0], *t.shape[2:], t.dtype, t.is_meta) for t in tensors}) > 1:
        return None
    count, _, *sides = tensors[0].shape
    return _empty((count, sum(t.shape[1] for t in tensors), *sides), tensors[0])


def _convolved(first: torch.Tensor, args: Any) -> torch.Tensor | None:
    """Infer the result of `conv2d(input, weight, bias, stride, padding, dilation, groups)`, if usual."""
    if len(args) < 7 or first.dim() != 4 or any(isinstance(value, int | str) for value in args[3:6]):
        return None
    count, channels, *sides = first.shape
    out, inputs, *kernel = args[1].shape
    cells = [_cells(n, k, *window) for n, k, *window in zip(sides, kernel, *args[3:6], strict=True)]
    is_supported = inputs * args[6] == channels and first.dtype == args[1].dtype and min(cells) > 0
    return _empty((count, out, *cells), first) if is_supported else None


def _recurrent(name: str, first: torch.Tensor, args: Any) -> tuple[torch.Tensor, ...] | None:
    """Infer the output and the last states of a recurrent layer over `(N, L, F)` or `(L, N, F)`.

    On the meta device torch unrolls every time step in Python: a minute for a network of many steps. `args`
    are `(input, states, weights, bias, num_layers, dropout, train, bidirectional, batch_first)`; an LSTM has
    two states, of which the first is as wide as its output (`proj_size`).
    """
    if len(args) != 9 or first.dim() != 3:
        return None
    states = args[1] if name == "lstm" else (args[1],)
    sequences = first.shape[0 if args[8] else 1]
    directions = 2 if args[7] else 1
    is_supported = args[2][0].shape[-1] == first.shape[-1] and all(
        state.is_meta and state.dim() == 3 and state.shape[:2] == (directions * args[4], sequences)
        for state in states
    )
    if not is_supported:
        return None
    output = _empty((*first.shape[:2], directions * states[0].shape[-1]), first)
    return output, *(_empty(state.shape, state) for state in states)


def _cells(n: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    return int((n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1)


def _normalises(name: str, shape: Any, args: Any, kwargs: Any) -> bool:
    if name == "batch_norm":
        mean = args[1] if len(args) > 1 else kwargs.get("running_mean")
        learnable = not kwargs.get("training") or shape.numel() > shape[1]
        return learnable and mean is not None and mean.shape[0] == shape[1]
    if name == "layer_norm":
        normalised = tuple(args[1])
        return tuple(shape[-len(normalised) :]) == normalised
    return False


_NAMES: dict[Any, str] = {
    functional.max_pool2d: "max_pool2d",
    functional.adaptive_max_pool2d: "adaptive_max_pool2d",
    torch.Tensor.__getitem__: "__getitem__",
}
ASKS = frozenset(
    (
        *(
            "__get__",
            "__set__",
            "__len__",
            "__bool__",
            "__setitem__",
            "_assert",
            "size",
            "dim",
            "numel",
            "stride",
        ),
        *("shape", "is_contiguous", "is_floating_point", "is_complex", "has_names", "tolist", "item"),
        *("requires_grad_", "new_zeros", "new_ones", "new_empty", "new_full", "zeros_like", "ones_like"),
        *("empty_like", "full_like", "empty", "zeros", "ones", "arange", "tensor"),
    )
)
"""Functions that query a tensor, or create one that does not depend on its values."""
DECIDES = frozenset(("__bool__", "item", "__float__", "__int__", "__index__"))
"""Functions that read a value, on which a forward pass may branch."""
MAX_TIMES = 16
"""Maximum times that a condition is true at one line, so that data-dependent loops end."""


def name_of(function: Any) -> str:
    """Return the name of a function in the rules of `cnnviz.analysis.ops`."""
    return _NAMES.get(function) or str(getattr(function, "__name__", ""))


@dataclass(slots=True)
class Visit:
    """One call of a module."""

    clock: int
    """Position in the order of all visits and operations."""
    module: str
    number: int
    """Number of earlier calls of this module."""
    leaf: bool
    input_shape: Shape = ()
    output_shape: Shape = ()
    outputs: int = 0
    field: ReceptiveField = WHOLE


@dataclass(slots=True)
class Operation:
    """One call of a function within a visit. `owner` is the module of its weights, or else of the call."""

    id: int
    clock: int
    visit: Visit
    owner: str
    effect: Effect
    inputs: tuple[int, ...]
    input_shape: Shape
    output_shape: Shape
    outputs: int


@dataclass(slots=True)
class Trace:
    """Trace of a forward pass, in order."""

    visits: list[Visit] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    result: tuple[int, ...] = ()
    output: Any = None
    """Unmodified output of the model."""
    decided: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Reads of values that do not exist: the function, and the source line."""
    unknown: Counter[str] = field(default_factory=Counter)


def trace(
    modules: Mapping[str, nn.Module],
    input_shape: Shape,
    batch: int = 1,
    further_shapes: tuple[Shape, ...] = (),
) -> Trace:
    """Trace a model over an input of shape `(batch, *input_shape)` without values.

    Exceptions of the model for an input that does not fit are not caught.

    Args:
        modules: Modules of the model by name.
        input_shape: Shape of the input without the batch dimension.
        batch: Batch size.
        further_shapes: Shapes of further inputs.
    """
    model = modules[""]
    with _Tracer(modules) as tracer, torch.no_grad():
        precisions = (p.dtype for p in model.parameters() if p.is_floating_point())
        dtype = next(precisions, torch.float32)
        images = [
            torch.empty((batch, *shape), device="meta", dtype=dtype)
            for shape in (input_shape, *further_shapes)
        ]
        for image in images:
            grid = (2, 3) if image.dim() == 4 else None
            tracer.follow(image, Track((0,), ReceptiveField() if grid else WHOLE, grid))
        with tracer.watching():
            out = model(*images)
        tracer.trace.output = out
        tracer.trace.result = tuple(n for t in tensors(out) for n in tracer.nodes_of(t))
        return tracer.trace


class Opaque(nn.Module):
    """Placeholder of a TorchScript module, which hooks do not reach: one row, run on zeros for its shapes."""

    def __init__(self, script: nn.Module) -> None:
        super().__init__()
        self.hidden = [script]
        for name, parameter in script.named_parameters():
            meta_parameter = nn.Parameter(
                parameter.detach().to("meta"), requires_grad=parameter.requires_grad
            )
            self.register_parameter(name.replace(".", "_"), meta_parameter)

    def forward(self, *args: Any) -> Any:
        """Run the script on zeros of the same shapes and return its output on the meta device."""
        script = self.hidden[0]
        device = next((p.device for p in (*script.parameters(), *script.buffers())), torch.device("cpu"))
        with torch._C.DisableTorchFunction():
            out = script(*(torch.zeros_like(a, device=device) if torch.is_tensor(a) else a for a in args))
            return tree_map(lambda value: value.to("meta") if torch.is_tensor(value) else value, out)


def without_scripts(module: nn.Module, stand_in: Callable[[nn.Module], nn.Module] = Opaque) -> nn.Module:
    """Replace the TorchScript modules by `stand_in`; they are not modified otherwise."""
    if isinstance(module, torch.jit.ScriptModule):
        return stand_in(module)
    for name, child in module._modules.items():
        if child is not None:
            module._modules[name] = without_scripts(child, stand_in)
    return module


class _Tracer(TorchFunctionMode):
    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.trace = Trace()
        self._modules = modules
        self._owners = {id(p): name for name, module in modules.items() for p in module._parameters.values()}
        self._tracks: dict[int, Track] = {}
        self._alive: list[torch.Tensor] = []
        self._stack: list[Visit] = []
        self._calls: Counter[str] = Counter()
        self._clock = itertools.count()

    def __enter__(self) -> _Tracer:
        return self

    def __exit__(self, *_: object) -> None:
        self._alive.clear()

    @contextmanager
    def watching(self) -> Iterator[None]:
        handles: list[Any] = []
        for name, module in self._modules.items():
            leaf = is_unit(module)
            handles.append(module.register_forward_pre_hook(self._entering(name, leaf)))
            handles.append(module.register_forward_hook(self._leaving))
        super().__enter__()  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            super().__exit__(None, None, None)  # type: ignore[no-untyped-call]
            for handle in handles:
                handle.remove()

    def follow(self, tensor: torch.Tensor, track: Track) -> None:
        self._tracks[id(tensor)] = track
        self._alive.append(tensor)

    def nodes_of(self, tensor: torch.Tensor) -> tuple[int, ...]:
        track = self._tracks.get(id(tensor))
        return track.nodes if track else ()

    def _entering(self, name: str, leaf: bool) -> Any:
        def enter(module: nn.Module, args: Any) -> None:
            visit = Visit(next(self._clock), name, self._calls[name], leaf)
            self._calls[name] += 1
            inputs = tensors(args)
            visit.input_shape = tuple(inputs[0].shape)[1:] if inputs else ()
            self.trace.visits.append(visit)
            self._stack.append(visit)

        return enter

    def _leaving(self, module: nn.Module, args: Any, out: Any) -> None:
        if isinstance(module, Opaque):
            self._record("TorchScript", args, {}, out, 0)
        visit = self._stack.pop()
        results = tensors(out)
        if results:
            first = results[0]
            visit.output_shape, visit.outputs = tuple(first.shape)[1:], first.numel()
            track = self._tracks.get(id(first))
            visit.field = track.field if track else WHOLE

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = name_of(func)
        if name in DECIDES and self._stack and isinstance(args[0], torch.Tensor) and args[0].is_meta:
            return self._decide(name, args[0])
        if name in ASKS or not self._stack:
            return func(*args, **kwargs)
        out = shortcut(name, args, kwargs)
        counted = 0
        if out is None and name.rstrip("_") not in RULES and name not in RULES:
            # Late import: it loads triton (80 MB), which functions that rules know do not need.
            from torch.utils.flop_counter import FlopCounterMode

            with FlopCounterMode(display=False) as counter:
                out = func(*args, **kwargs)
            counted = counter.get_total_flops() // 2
        elif out is None:
            out = func(*args, **kwargs)
        self._record(name, args, kwargs, out, counted)
        return out

    def _decide(self, name: str, tensor: torch.Tensor) -> Any:
        """Return a substitute for a missing value: 1, or True for at most `MAX_TIMES` at one line."""
        key = (name, source.of_frame(sys._getframe(2)))
        self.trace.decided[key] += 1
        if name == "__bool__":
            return self.trace.decided[key] <= MAX_TIMES
        return 1.0 if name == "__float__" or (name == "item" and tensor.is_floating_point()) else 1

    def _record(self, name: str, args: Any, kwargs: Any, out: Any, counted: int) -> None:
        results = tensors(out)
        if not results:
            return
        input_tensors = tensors(args) + tensors(kwargs)
        tracked = tuple((t, self._tracks[id(t)]) for t in input_tensors if id(t) in self._tracks)
        call = Call(name, args, kwargs, results[0], tracked)
        rule = RULES.get(name) or RULES.get(name.rstrip("_"))
        if not tracked and (rule is None or rule(call).macs == 0) and not counted:
            return
        effect = rule(call) if rule else self._guess(call, counted)
        nodes = tuple(dict.fromkeys(n for _, track in tracked for n in track.nodes))
        if not effect.view or self._stack[-1].leaf:
            nodes = (self._operation(effect, input_tensors, nodes, results[0]),)
        if tracked:
            for tensor in results:
                self.follow(tensor, Track(nodes, effect.field, effect.axes))

    def _operation(
        self, effect: Effect, input_tensors: list[Any], inputs: tuple[int, ...], out: torch.Tensor
    ) -> int:
        visit = self._stack[-1]
        owner = next((self._owners[id(t)] for t in input_tensors if id(t) in self._owners), visit.module)
        if visit.leaf or not owner.startswith(visit.module):
            owner = visit.module
        number = len(self.trace.operations) + 1
        shapes = tuple(input_tensors[0].shape)[1:] if input_tensors else (), tuple(out.shape)[1:]
        clock = next(self._clock)
        operation = Operation(number, clock, visit, owner, effect, inputs, *shapes, out.numel())
        self.trace.operations.append(operation)
        return number

    def _guess(self, call: Call, macs: int) -> Effect:
        self.trace.unknown[call.name] += 1
        return Effect(
            call.name.strip("_"), "attention" if macs else "other", macs, 0 if macs else call.values
        )


def tensors(value: Any) -> list[torch.Tensor]:
    """Collect the tensors of an argument or result, nested in lists, tuples and dictionaries."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return []
    result = []
    for item in value:
        if isinstance(item, torch.Tensor):
            result.append(item)
        elif isinstance(item, (list, tuple, dict)):
            result += tensors(item)
    return result
