"""PyTorch source of a network: constructors of its layers, and the forward pass traced by `torch.fx`.

Layers of `torch.nn` are preserved; what other modules compute is written out. All weight names are preserved,
so that the state dict fits. A network that cannot be traced is written as the operations of `torch.export`,
and one with data-dependent control flow with its own source, where that is a single file of the user's.
"""

from __future__ import annotations

import copy
import inspect
import json
import keyword
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import fx, nn

from cnnviz.inference import InferenceError
from cnnviz.inference.weights.loaded_model import Loaded
from cnnviz.models.user_code import registration, source

_PLAIN = (bool, int, float, str, type(None))


def source_of(loaded: Loaded, weights: str) -> tuple[str, tuple[str, ...]]:
    """Return a Python file that builds the network and loads its weights from the file `weights`, and notes.

    Raises:
        InferenceError: For a network that cannot be written in this form.
    """
    writers: tuple[tuple[Callable[[Loaded], str], str], ...] = (
        (_traced, ""),
        (_lowered, "Its forward cannot be followed layer by layer: it is written as torch's own operations."),
        (_own_source, "Its forward depends on its input, so the file holds its own source."),
    )
    reasons = []
    for write, note in writers:
        try:
            body = write(loaded)
        except Exception as error:  # The network's forward may raise anything while it is traced.
            reasons.append(_reason(error))
            continue
        return _header(loaded) + body + _footer(weights), (note,) if note else ()
    own = f", and {reasons[-1]}" if loaded.recipe is not None and loaded.recipe.code else ""
    raise InferenceError(f"{loaded.name} cannot be written as plain PyTorch: {reasons[0]}{own}.")


def _reason(error: Exception) -> str:
    if isinstance(error, fx.proxy.TraceError):
        return "its forward depends on its input's values"
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")


def _header(loaded: Loaded) -> str:
    how = json.dumps(json.loads(loaded.preprocessing.model_dump_json(exclude={"mean_image"})), indent=4)
    shapes = f"(N, {', '.join(map(str, loaded.input_shape))}) to (N, {len(loaded.classes)})"
    settings = "\n".join(f"#   {line}" for line in how.splitlines())
    return f'''"""{_text(loaded.name)}, trained with cnnviz. Needs PyTorch alone.

    from {{this file}} import load
    model = load()                      # in evaluation mode
    logits = model(images)              # {shapes}
"""

from pathlib import Path

import torch
from torch import nn

INPUT_SHAPE = {loaded.input_shape!r}
CLASSES = {loaded.classes!r}
# How an image becomes an input, as cnnviz prepared it:
{settings}


'''


def _text(name: str) -> str:
    """Return a name that is safe inside a docstring."""
    return "".join(c if c.isprintable() and c not in '"\\' else " " for c in name)


def _footer(weights: str) -> str:
    return f'''

def load(path=Path(__file__).with_name({weights!r})):
    """Make the network and load its weights; in evaluation mode."""
    model = make()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return model.eval()


if __name__ == "__main__":
    with torch.no_grad():
        print(load()(torch.zeros(1, *INPUT_SHAPE)).softmax(1))
'''


# Source by tracing.


def _traced(loaded: Loaded) -> str:
    model = copy.deepcopy(loaded.model).eval()
    with warnings.catch_warnings(action="ignore"):
        traced = fx.symbolic_trace(model)
    return _written(model, traced.graph)


def _lowered(loaded: Loaded) -> str:
    """Trace the network with `torch.export`: operations on weights, without layers."""
    model = copy.deepcopy(loaded.model).eval()
    batch = torch.export.Dim("batch", min=1, max=65_536)
    example = torch.zeros(2, *loaded.input_shape)
    with quiet_exporter():
        program = torch.export.export(model, (example,), dynamic_shapes=({0: batch},))
        lowered: Any = program.module(check_guards=False)
    graph = lowered.graph
    graph.set_codegen(fx.graph.CodeGen())  # of plain arguments: the exported one flattens and packs them
    output = next(node for node in graph.nodes if node.op == "output")
    packed = output.args[0]
    output.args = (packed[0] if isinstance(packed, tuple | list) else packed,)
    return _written(lowered, graph)


def _written(model: nn.Module, graph: fx.Graph) -> str:
    """Generate the class from the modules and the code of a graph."""
    graph.eliminate_dead_code()
    used = {str(node.target) for node in graph.nodes if node.op in ("call_module", "get_attr")}
    for node in graph.nodes:
        if node.op == "call_function" and not _from_torch(node.target):
            raise InferenceError(
                f"it calls {getattr(node.target, '__name__', node.target)}, which is not torch's"
            )
    code = graph.python_code("self")
    lines = ["class Net(nn.Module):", "    def __init__(self):", "        super().__init__()"]
    lines += [f"        {line}" for line in _layer_lines(model, used)]
    forward = code.src.strip().splitlines()
    lines += [
        "",
        *(f"    {line}" if line else "" for line in forward),
        "",
        "",
        "def make():",
        "    return Net()",
    ]
    return "\n".join([*_imports(code.globals), *lines]) + "\n"


def _from_torch(function: Any) -> bool:
    module = getattr(function, "__module__", "") or ""
    return module.partition(".")[0] in ("torch", "_operator", "math", "builtins", "")


def _imports(names: dict[str, Any]) -> Iterator[str]:
    """Yield the imports and constants of the forward pass besides torch itself."""
    for name, value in sorted(names.items()):
        if name in ("torch", "nn") or value is None:
            continue
        if inspect.ismodule(value):
            yield f"import {value.__name__} as {name}"
        elif value is type(None):
            yield f"{name} = type(None)"
        elif isinstance(value, torch.device):
            yield f"{name} = torch.device"
        elif inspect.isclass(value) or callable(value):
            module, qualified = getattr(value, "__module__", ""), getattr(value, "__qualname__", "")
            if module == "builtins" or name == qualified == "device":
                continue
            if not _from_torch(value) or not qualified.isidentifier():
                raise InferenceError(f"its forward needs {name}, which is not torch's")
            yield f"from {module} import {qualified} as {name}"
        else:
            yield f"{name} = {_literal(value, name)}"
    yield from ("", "")


def _layer_lines(model: nn.Module, used: set[str]) -> Iterator[str]:
    """Yield a line for every layer, parameter and buffer of the state dict or the forward pass."""
    built = set[str]()
    state = model.state_dict()
    for name, module in model.named_modules():
        if any(name == built_name or name.startswith(f"{built_name}.") for built_name in built):
            continue
        is_torch_layer = type(module) is not nn.Module and type(module).__module__.startswith("torch.nn")
        is_leaf = is_torch_layer and (not module._modules or name in used)
        if is_leaf and name and (name in used or any(key.startswith(f"{name}.") for key in state)):
            yield (
                f"{_attribute_of_self(name)} = {_constructor(module, name)}"
                if name.isidentifier()
                else _added(name, _constructor(module, name))
            )
            built.add(name)
            continue
        if name and (module._modules or module._parameters or module._buffers):
            yield _added(name, "nn.Module()")
        for kind, store in (("Parameter", module._parameters), ("buffer", module._buffers)):
            for attribute, value in store.items():
                if value is not None:
                    yield _tensor(name, attribute, kind, value, f"{name}.{attribute}".lstrip(".") in state)


def _attribute_of_self(name: str) -> str:
    return f"self.{name}" if not keyword.iskeyword(name) else f"setattr(self, {name!r})"


def _added(name: str, expression: str) -> str:
    parent, _, attribute = name.rpartition(".")
    return f"{_submodule(parent)}.add_module({attribute!r}, {expression})"


def _submodule(name: str) -> str:
    return f"self.get_submodule({name!r})" if name else "self"


def _tensor(parent: str, attribute: str, kind: str, value: torch.Tensor, stored: bool) -> str:
    shape, dtype = tuple(value.shape), str(value.dtype)
    if not stored:  # A constant, which is not in the state dict.
        expression = f"torch.tensor({value.tolist()!r}, dtype={dtype})"
        return f"{_submodule(parent)}.register_buffer({attribute!r}, {expression}, persistent=False)"
    if kind == "Parameter":
        expression = (
            f"nn.Parameter(torch.zeros({shape!r}, dtype={dtype}), requires_grad={value.requires_grad})"
        )
        return f"{_submodule(parent)}.register_parameter({attribute!r}, {expression})"
    return f"{_submodule(parent)}.register_buffer({attribute!r}, torch.zeros({shape!r}, dtype={dtype}))"


def _constructor(module: nn.Module, name: str) -> str:
    """Generate the constructor call of a `torch.nn` layer from its attributes."""
    kind = type(module)
    # A subclass that only changes the initialization or the name is written as its torch base class.
    base: Any = next((b for b in kind.__mro__ if getattr(nn, b.__name__, None) is b), None)
    if base is None:
        raise InferenceError(f"'{name}' is a {kind.__name__}, which torch.nn does not offer")
    names = _RECURRENT if isinstance(module, nn.RNNBase) else tuple(inspect.signature(base).parameters)
    arguments = []
    for argument in names:
        value = _argument(module, argument)
        if value is not inspect.Parameter.empty:
            arguments.append(f"{argument}={_literal(value, name)}")
    return f"nn.{base.__name__}({', '.join(arguments)})"


_RECURRENT = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")


def _argument(module: nn.Module, argument: str) -> Any:
    if argument in ("device", "dtype", "args", "kwargs", "_weight", "_freeze"):
        return inspect.Parameter.empty
    if argument == "bias" and not isinstance(getattr(module, "bias", None), bool):
        if isinstance(module, nn.MultiheadAttention):
            return module.in_proj_bias is not None
        return getattr(module, "bias", None) is not None
    if isinstance(module, nn.MultiheadAttention) and argument == "add_bias_kv":
        return module.bias_k is not None
    return getattr(module, argument, inspect.Parameter.empty)


def _literal(value: Any, name: str) -> str:
    """Format a setting as a Python literal."""
    if isinstance(value, tuple | list) and all(isinstance(item, _PLAIN) for item in value):
        return repr(type(value)(value) if type(value) in (tuple, list) else tuple(value))
    if isinstance(value, float) and value != value:
        return "float('nan')"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return f"float('{value}')"
    if isinstance(value, _PLAIN):
        return repr(value)
    raise InferenceError(f"'{name}' has a setting that is a {type(value).__name__}")


# The user's own source.


def _own_source(loaded: Loaded) -> str:
    """Return the user's own file with a call of its class; raise `InferenceError` for more than one file."""
    recipe = loaded.recipe
    if recipe is None or not recipe.code:
        raise InferenceError("its source is no file of yours")
    files = source.load_copy(recipe.code, recipe.model)
    if len(files.files) != 1:
        names = ", ".join(path for path, _ in files.files)
        raise InferenceError(f"its source is more than one file ({names}); put it into one")
    arguments = ", ".join(f"{name}={value!r}" for name, value in recipe.options.items())
    spec = registration.from_copy(recipe.model, recipe.code, recipe.options)
    classes_parameter = getattr(spec.builder, "classes_parameter", "")
    classes = f"{classes_parameter}={len(loaded.classes)}" if classes_parameter else ""
    call = ", ".join(filter(None, (arguments, classes)))
    text = files.files[0][1].decode("utf-8", "replace")
    # `from __future__` imports would have to come first, and torch needs none of them.
    text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("from __future__"))
    made = f"{text}\n\ndef make():\n    model = {files.attribute}({call})\n"
    output = getattr(spec.builder, "output", None)
    if output is not None:  # Of several outputs, the one that was trained.
        made += f"    model.register_forward_hook(lambda module, inputs, out: out[{output!r}])\n"
    return f"{made}    return model\n"


# Silence of torch's exporter: what it prints and logs while it fails is said in a sentence by the caller.

LOGGERS = ("torch.fx.experimental.symbolic_shapes", "torch.export", "torch.onnx")


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Drop warnings, and what this thread writes to stderr or logs as torch's exporter.

    A graph that could not be exported is printed to stderr by torch itself. Other threads' lines pass.
    """
    thread, stream = threading.get_ident(), sys.stderr

    def of_others(record: logging.LogRecord) -> bool:
        return record.thread != thread

    loggers = [logging.getLogger(name) for name in LOGGERS]
    for logger in loggers:
        logger.addFilter(of_others)
    silenced: Any = _OthersLines(stream, thread)
    sys.stderr = silenced
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        if sys.stderr is silenced:
            sys.stderr = stream
        for logger in loggers:
            logger.removeFilter(of_others)


class _OthersLines:
    """Stream that drops what one thread writes."""

    def __init__(self, stream: Any, thread: int) -> None:
        self._stream, self._thread = stream, thread

    def write(self, text: str) -> int:
        if threading.get_ident() == self._thread:
            return len(text)
        written: int = self._stream.write(text)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
