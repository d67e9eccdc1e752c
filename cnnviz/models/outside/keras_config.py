"""Keras 3 `.keras` files as models: the layers out of `config.json`, built of torch's, with fresh weights.

Nothing of Keras is imported and nothing in the file is executed: layers that are known here are made, any
other (`Lambda`, registered classes) is refused. `model.weights.h5` is never opened: HDF5 follows links to
any file.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cnnviz.formats.zip_directory import directory_bytes
from cnnviz.models.limits import MAX_CLASSES, MAX_SIDE
from cnnviz.models.spec import ModelSpec, Options, Shape

if TYPE_CHECKING:
    from torch import nn

CONFIG = "config.json"
MOST_CONFIG = 8 << 20
MOST_DIRECTORY = 1 << 20
MOST_LAYERS = 2_000
MOST_PARAMETERS = 200_000_000
DEEPEST = 8
USUAL_SIDE = 224
FAMILY = "Yours"
Sides = tuple[int, ...]
"""Shape of a value without its batch, channels first."""
ACTIVATIONS = {
    "relu": "ReLU", "relu6": "ReLU6", "elu": "ELU", "selu": "SELU", "gelu": "GELU", "silu": "SiLU",
    "swish": "SiLU", "sigmoid": "Sigmoid", "tanh": "Tanh", "softplus": "Softplus", "softsign": "Softsign",
    "hard_sigmoid": "Hardsigmoid", "hard_silu": "Hardswish", "hard_swish": "Hardswish", "mish": "Mish",
    "leaky_relu": "LeakyReLU",
}  # fmt: skip
"""Keras's names of activations, and the module that computes each."""
NOTHING = (
    "InputLayer", "GaussianNoise", "GaussianDropout", "RandomFlip", "RandomRotation", "RandomZoom",
    "RandomTranslation", "RandomContrast", "RandomBrightness", "RandomCrop", "ActivityRegularization",
)  # fmt: skip
"""Layers that hand on what they take when a network answers."""


class KerasError(ValueError):
    """A `.keras` file that is not read, in one sentence."""


@dataclass
class _Step:
    """One call of a layer: its name, its sources by the number of their step, and what it gives."""

    layer: str
    sources: tuple[int, ...]
    shape: Sides


@dataclass
class _Plan:
    """A network laid out: which modules are made, and the calls in order; step 0 is the image."""

    modules: dict[str, Callable[[], nn.Module]] = field(default_factory=dict)
    steps: list[_Step] = field(default_factory=list)
    parameters: int = 0


def spec_of(data: bytes, file: str, name: str, title: str, size: Shape | None = None) -> ModelSpec:
    """The spec of a `.keras` file; raises `KerasError` in one sentence."""
    try:
        config = _config(data)
        plan, image = _laid_out(config, size)
    except KerasError as error:
        raise KerasError(f"'{file}' is not read: {error}.") from None
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError, OverflowError):
        raise KerasError(f"'{file}' is not read: its configuration is not as Keras 3 writes it.") from None
    given = plan.steps[-1].shape
    if len(given) != 1 or not 1 <= given[0] <= MAX_CLASSES:
        sides = "×".join(map(str, given))
        raise KerasError(f"'{file}' gives {sides}, not logits of up to {MAX_CLASSES:,} classes.")
    return ModelSpec(
        name=name,
        title=title,
        family=FAMILY,
        year=0,
        summary=f"A Keras model, {file}: its layers, with fresh weights.",
        input_shape=(image[0], image[1], image[2]),
        classes=given[0],
        builder=_Builder(plan, image, title),
        notes=(
            "Its layers alone are read: weights of a .keras file are HDF5, which is never opened.",
            "A softmax at its end is left out: networks here give logits.",
        ),
        source="yours",
        edition=hashlib.sha256(data + repr(size).encode()).hexdigest(),
    )


class _Builder:
    """Builds the network of a plan, at its own size and with its own classes."""

    def __init__(self, plan: _Plan, image: Sides, title: str) -> None:
        self._plan, self._image, self._title = plan, image, title

    def __call__(self, classes: int, input_shape: Shape, options: Options) -> nn.Module:
        from cnnviz.models.outside.keras_network import KerasNetwork

        own = self._plan.steps[-1].shape[0]
        if classes != own or tuple(input_shape) != tuple(self._image):
            raise ValueError(
                f"{self._title} is read from a .keras file: it has {own:,} classes and an input of "
                f"{'×'.join(map(str, self._image))}, which cannot be chosen."
            )
        modules = {name: make() for name, make in self._plan.modules.items()}
        return KerasNetwork(modules, [(step.layer, step.sources) for step in self._plan.steps[1:]])


def _config(data: bytes) -> Mapping[str, Any]:
    """`config.json` of the archive, and nothing else of it."""
    if not data.startswith(b"PK"):
        raise KerasError("it is no zip archive, as Keras 3 writes .keras files")
    if directory_bytes(io.BytesIO(data)) > MOST_DIRECTORY:
        raise KerasError("its directory is too long")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if archive.getinfo(CONFIG).file_size > MOST_CONFIG:
                raise KerasError("its configuration is too long")
            with archive.open(CONFIG) as opened:
                text = opened.read(MOST_CONFIG + 1)
    except (zipfile.BadZipFile, KeyError, OSError, NotImplementedError, RuntimeError, EOFError):
        raise KerasError(f"it holds no {CONFIG}, as Keras 3 writes it") from None
    except Exception as error:  # zlib's and lzma's own errors over damaged bytes
        raise KerasError(f"it is damaged ({type(error).__name__})") from None
    if len(text) > MOST_CONFIG:
        raise KerasError("its configuration is too long")
    found = json.loads(text)
    if not isinstance(found, dict):
        raise KerasError(f"its {CONFIG} is no description of a model")
    return found


def _laid_out(config: Mapping[str, Any], size: Shape | None) -> tuple[_Plan, Sides]:
    plan = _Plan()
    image = _input(config, size)
    plan.steps.append(_Step("", (), image))
    last = _model(plan, config, [0], "", 0)
    if len(last) != 1:
        raise KerasError(f"it gives {len(last)} outputs, and networks of one are shown")
    final = plan.steps[last[0]]
    if last[0] == len(plan.steps) - 1 and _is_softmax(plan, final.layer):
        del plan.steps[-1], plan.modules[final.layer]
        last = list(final.sources)
    if last[0] != len(plan.steps) - 1:  # what comes last in the list need not be the output
        plan.steps.append(_Step("", (last[0],), plan.steps[last[0]].shape))
    return plan, image


def _is_softmax(plan: _Plan, layer: str) -> bool:
    """Whether a layer is a softmax, which is left out at the end: losses here take logits."""
    from torch import nn

    return getattr(plan.modules.get(layer), "func", None) is nn.Softmax


def _input(config: Mapping[str, Any], size: Shape | None) -> Sides:
    """The shape of the image, channels first."""
    inside = config["config"]
    layers = inside["layers"]
    shape = next(
        (
            one["config"].get("batch_shape") or one["config"].get("batch_input_shape")
            for one in layers
            if one["class_name"] == "InputLayer"
        ),
        inside.get("build_input_shape"),
    )
    if shape is None and layers and layers[0]["class_name"] in ("Sequential", "Functional"):
        return _input(layers[0], size)
    if not isinstance(shape, list) or len(shape) != 4:
        raise KerasError("it does not say that it reads images (N, H, W, C)")
    height, width, channels = shape[1:]
    own = (channels or 3, height or width or USUAL_SIDE, width or height or USUAL_SIDE)
    if size is not None:
        if any(side and side != other for side, other in zip((channels, height, width), size, strict=True)):
            raise KerasError(f"its input is {'×'.join(map(str, own))}, not {'×'.join(map(str, size))}")
        own = size
    if not all(isinstance(side, int) and 1 <= side <= MAX_SIDE for side in own):
        raise KerasError(f"its input has sides that are not from 1 to {MAX_SIDE} pixels")
    return own


def _model(plan: _Plan, config: Mapping[str, Any], given: Sequence[int], prefix: str, deep: int) -> list[int]:
    """Lay out a Sequential or Functional model; the steps that are its outputs."""
    if deep > DEEPEST:
        raise KerasError("models lie in models too deeply")
    inside, kind = config["config"], config["class_name"]
    if kind == "Sequential":
        at = given[0]
        for layer in inside["layers"]:
            at = _call(plan, layer, [at], prefix, deep)[0]
        return [at]
    if kind not in ("Functional", "Model"):
        raise KerasError(f"it is a {str(kind)[:60]}; Sequential and Functional models are read")
    known: dict[tuple[str, int, int], int] = {}
    for place, (name, node, tensor) in enumerate(_references(inside["input_layers"])):
        known[name, node, tensor] = given[place]
    waiting = [
        (layer, number, node)
        for layer in inside["layers"]
        if layer["class_name"] != "InputLayer"
        for number, node in enumerate(layer["inbound_nodes"])
    ]
    while waiting:
        later = []
        for layer, number, node in waiting:
            sources = _sources(node)
            if not sources:
                raise KerasError(f"the layer '{str(layer.get('name'))[:60]}' takes nothing")
            if any(one not in known for one in sources):
                later.append((layer, number, node))
                continue
            results = _call(plan, layer, [known[one] for one in sources], prefix, deep)
            for tensor, step in enumerate(results):
                known[layer["name"], number, tensor] = step
        if len(later) == len(waiting):
            raise KerasError("its layers wait for one another")
        waiting = later
    return [known[one] for one in _references(inside["output_layers"])]


def _references(entries: Any) -> list[tuple[str, int, int]]:
    """`[name, node, tensor]`, or a list of such."""
    if len(entries) == 3 and isinstance(entries[0], str):
        entries = [entries]
    return [(str(name), int(node), int(tensor)) for name, node, tensor in entries]


def _sources(node: Any) -> list[tuple[str, int, int]]:
    """The tensors that a call takes, in order, however deep in its arguments."""
    found: list[tuple[str, int, int]] = []
    waiting = [node["args"]]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting.extend(reversed(one))
        elif isinstance(one, dict) and one.get("class_name") == "__keras_tensor__":
            found += _references(one["config"]["keras_history"])
    return found


def _call(plan: _Plan, layer: Mapping[str, Any], given: Sequence[int], prefix: str, deep: int) -> list[int]:
    """Lay out one call of a layer, or of a model inside; the steps that it gives."""
    kind, config = layer["class_name"], layer["config"]
    name = re.sub(r"[^A-Za-z0-9_-]", "_", str(config.get("name") or layer.get("name") or kind.lower()))[:80]
    name = f"{prefix}{name}"
    if layer.get("registered_name") not in (None, kind) and layer.get("module") is None:
        raise KerasError(f"the layer '{name}' is a class of its own ({str(layer['registered_name'])[:60]})")
    if kind in ("Sequential", "Functional"):
        return _model(plan, layer, given, f"{name}.", deep + 1)
    if kind in NOTHING:
        return [given[0]]
    if kind not in _LAYERS:
        raise KerasError(f"the layer '{name}' is a {str(kind)[:60]}, which is not known here, nor executed")
    shapes = [plan.steps[one].shape for one in given]
    made = _LAYERS[kind](_Facts(name, config, shapes))
    if len(plan.steps) > MOST_LAYERS:
        raise KerasError(f"it has more than {MOST_LAYERS:,} layers")
    at = list(given)
    for part, (suffix, make, shape, parameters) in enumerate(made):
        if not shape or any(side < 1 for side in shape) or math.prod(shape) > 10**9:
            raise KerasError(f"the layer '{name}' gives {'×'.join(map(str, shape))} values")
        own = f"{name}{suffix}"
        if own not in plan.modules:
            plan.modules[own] = make
            plan.parameters += parameters
        plan.steps.append(_Step(own, tuple(at if part == 0 else at[:1]), shape))
        at = [len(plan.steps) - 1]
    if plan.parameters > MOST_PARAMETERS:
        raise KerasError(f"it has more than {MOST_PARAMETERS:,} parameters")
    return at


# Layers: what each is made of, as (suffix of the name, module, shape that it gives, parameters).


@dataclass
class _Facts:
    """A layer's name and settings, and the shapes that it takes."""

    name: str
    config: Mapping[str, Any]
    shapes: list[Sides]

    @property
    def shape(self) -> Sides:
        return self.shapes[0]

    def number(self, key: str, default: Any = None) -> int:
        value = self.config.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 10**6:
            raise KerasError(f"the layer '{self.name}' has {key} {str(value)[:40]}")
        return value

    def pair(self, key: str, default: Any = 1) -> tuple[int, int]:
        value = self.config.get(key, default)
        value = [value, value] if isinstance(value, int) else value
        if len(value) != 2 or not all(isinstance(side, int) and 1 <= side <= MAX_SIDE for side in value):
            raise KerasError(f"the layer '{self.name}' has {key} {str(value)[:40]}")
        return value[0], value[1]

    def maps(self) -> tuple[int, int, int]:
        if len(self.shape) != 3:
            raise KerasError(f"the layer '{self.name}' takes maps, not {len(self.shape)} axes")
        return self.shape[0], self.shape[1], self.shape[2]


_Part = tuple[str, Callable[[], "nn.Module"], Sides, int]


def _window(
    facts: _Facts, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[list[int], tuple[int, int]]:
    """Padding before and after (left, right, top, bottom), and height and width that result."""
    _, *sides = facts.maps()
    same = facts.config.get("padding", "valid") == "same"
    pads: list[int] = []
    out = []
    for side, k, s, d in zip(sides, kernel, stride, dilation, strict=True):
        wide = d * (k - 1) + 1
        out.append(-(-side // s) if same else (side - wide) // s + 1)
        total = max(0, (out[-1] - 1) * s + wide - side) if same else 0
        pads = [total // 2, total - total // 2, *pads]
    return pads, (out[0], out[1])


def _convolution(facts: _Facts, *, depthwise: bool = False) -> list[_Part]:
    from functools import partial

    from cnnviz.models.outside import keras_network

    channels, _, _ = facts.maps()
    kernel, stride = facts.pair("kernel_size"), facts.pair("strides", 1)
    dilation = facts.pair("dilation_rate", 1)
    groups = channels if depthwise else facts.number("groups", 1)
    filters = channels * facts.number("depth_multiplier", 1) if depthwise else facts.number("filters")
    if channels % groups or filters % groups:
        raise KerasError(f"the layer '{facts.name}' has {groups} groups of {channels} maps")
    pads, sides = _window(facts, kernel, stride, dilation)
    bias = bool(facts.config.get("use_bias", True))
    make = partial(keras_network.convolution, channels, filters, kernel, stride, pads, dilation, groups, bias)
    count = filters * (channels // groups * kernel[0] * kernel[1] + bias)
    shape = (filters, *sides)
    return [("", make, shape, count), *_activation(facts, shape)]


def _separable(facts: _Facts) -> list[_Part]:
    plain = {**facts.config, "use_bias": False, "activation": "linear"}
    first = _convolution(_Facts(facts.name, plain, facts.shapes), depthwise=True)
    shape = first[-1][2]
    rest = {**facts.config, "kernel_size": 1, "strides": 1, "dilation_rate": 1, "groups": 1}
    second = _convolution(_Facts(facts.name, rest, [shape]))
    named = [(suffix or "_pointwise", *part) for suffix, *part in second]
    return [("_depthwise", *first[0][1:]), *named]  # type: ignore[list-item]


def _dense(facts: _Facts) -> list[_Part]:
    from functools import partial

    from torch import nn

    if len(facts.shape) != 1:
        raise KerasError(f"the layer '{facts.name}' is Dense over maps; put Flatten or pooling before it")
    units, bias = facts.number("units"), bool(facts.config.get("use_bias", True))
    make = partial(nn.Linear, facts.shape[0], units, bias=bias)
    return [("", make, (units,), units * (facts.shape[0] + bias)), *_activation(facts, (units,))]


def _activation(facts: _Facts, shape: Sides) -> list[_Part]:
    """The activation that a layer holds."""
    name = facts.config.get("activation")
    if name in (None, "linear"):
        return []
    return [("_activation", _activation_module(facts, name, shape), shape, 0)]


def _activation_module(facts: _Facts, name: Any, shape: Sides) -> Callable[[], nn.Module]:
    from functools import partial

    from torch import nn

    if name == "softmax":
        return partial(nn.Softmax, dim=1)
    if name not in ACTIVATIONS:
        raise KerasError(f"the layer '{facts.name}' has the unknown activation {str(name)[:60]}")
    return getattr(nn, ACTIVATIONS[name])  # type: ignore[no-any-return]


def _activations(facts: _Facts) -> list[_Part]:
    name = facts.config.get("activation", "linear")
    make = _activation_module(facts, name, facts.shape) if name != "linear" else _identity()
    return [("", make, facts.shape, 0)]


def _identity() -> Callable[[], nn.Module]:
    from torch import nn

    return nn.Identity


def _named(kind: str, **settings: str) -> Callable[[_Facts], list[_Part]]:
    """An activation that is a layer; `settings` are torch's names of arguments and Keras's."""

    def make(facts: _Facts) -> list[_Part]:
        from functools import partial

        from torch import nn

        known = {ours: facts.config.get(theirs) for ours, theirs in settings.items()}
        values = {ours: float(value) for ours, value in known.items() if value is not None}
        return [("", partial(getattr(nn, kind), **values), facts.shape, 0)]

    return make


def _pooling(facts: _Facts, kind: str) -> list[_Part]:
    from functools import partial

    from cnnviz.models.outside import keras_network

    channels, _, _ = facts.maps()
    kernel = facts.pair("pool_size", 2)
    stride = facts.pair("strides") if facts.config.get("strides") else kernel
    pads, sides = _window(facts, kernel, stride, (1, 1))
    make = partial(keras_network.pooling, kind, kernel, stride, pads)
    return [("", make, (channels, *sides), 0)]


def _global(facts: _Facts, kind: str) -> list[_Part]:
    from functools import partial

    from cnnviz.models.outside import keras_network

    channels, _, _ = facts.maps()
    keep = bool(facts.config.get("keepdims", False))
    make = partial(keras_network.GlobalPool, kind, keep)
    return [("", make, (channels, 1, 1) if keep else (channels,), 0)]


def _norm(facts: _Facts) -> list[_Part]:
    from functools import partial

    from torch import nn

    axis = facts.config.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) else axis
    if axis not in (-1, len(facts.shape)):
        raise KerasError(f"the layer '{facts.name}' normalizes over axis {axis}, not over channels")
    kind = nn.BatchNorm2d if len(facts.shape) == 3 else nn.BatchNorm1d
    affine = bool(facts.config.get("scale", True) or facts.config.get("center", True))
    make = partial(
        kind, facts.shape[0], eps=float(facts.config.get("epsilon", 1e-3)),
        momentum=1 - float(facts.config.get("momentum", 0.99)), affine=affine,
    )  # fmt: skip
    return [("", make, facts.shape, 2 * facts.shape[0] * affine)]


def _dropout(facts: _Facts) -> list[_Part]:
    from functools import partial

    from torch import nn

    return [("", partial(nn.Dropout, float(facts.config.get("rate", 0.5))), facts.shape, 0)]


def _flatten(facts: _Facts) -> list[_Part]:
    from torch import nn

    return [("", nn.Flatten, (math.prod(facts.shape),), 0)]


def _padding(facts: _Facts) -> list[_Part]:
    from functools import partial

    from torch import nn

    given = facts.config.get("padding", 1)
    given = [given, given] if isinstance(given, int) else given
    (top, bottom), (left, right) = ([one, one] if isinstance(one, int) else one for one in given)
    if not all(isinstance(one, int) and 0 <= one <= MAX_SIDE for one in (top, bottom, left, right)):
        raise KerasError(f"the layer '{facts.name}' has padding {str(given)[:40]}")
    channels, height, width = facts.maps()
    shape = (channels, height + top + bottom, width + left + right)
    return [("", partial(nn.ZeroPad2d, (left, right, top, bottom)), shape, 0)]


def _upsampling(facts: _Facts) -> list[_Part]:
    from functools import partial

    from torch import nn

    channels, height, width = facts.maps()
    down, along = facts.pair("size", 2)
    mode = "bilinear" if facts.config.get("interpolation") == "bilinear" else "nearest"
    make = partial(nn.Upsample, scale_factor=(float(down), float(along)), mode=mode)
    return [("", make, (channels, height * down, width * along), 0)]


def _rescaling(facts: _Facts) -> list[_Part]:
    from functools import partial

    from cnnviz.models.outside import keras_network

    scale, offset = (float(facts.config.get(key, default)) for key, default in (("scale", 1), ("offset", 0)))
    return [("", partial(keras_network.Rescaling, scale, offset), facts.shape, 0)]


def _join(facts: _Facts, how: str) -> list[_Part]:
    from functools import partial

    from cnnviz.models.outside import keras_network

    first = facts.shapes[0]
    if how == "concatenate":
        if facts.config.get("axis", -1) not in (-1, len(first)):
            raise KerasError(f"the layer '{facts.name}' joins along another axis than channels")
        if any(shape[1:] != first[1:] for shape in facts.shapes):
            raise KerasError(f"the layer '{facts.name}' joins maps of unequal sizes")
        shape: Sides = (sum(shape[0] for shape in facts.shapes), *first[1:])
    else:
        if any(len(shape) != len(first) for shape in facts.shapes):
            raise KerasError(f"the layer '{facts.name}' joins unequal shapes")
        shape = tuple(max(sides) for sides in zip(*facts.shapes, strict=True))
        if any(a not in (1, b) for one in facts.shapes for a, b in zip(one, shape, strict=True)):
            raise KerasError(f"the layer '{facts.name}' joins unequal shapes")
    return [("", partial(keras_network.Join, how), shape, 0)]


def _depthwise(facts: _Facts) -> list[_Part]:
    return _convolution(facts, depthwise=True)


def _pool_of(kind: str) -> Callable[[_Facts], list[_Part]]:
    return lambda facts: _pooling(facts, kind)


def _global_of(kind: str) -> Callable[[_Facts], list[_Part]]:
    return lambda facts: _global(facts, kind)


def _join_of(how: str) -> Callable[[_Facts], list[_Part]]:
    return lambda facts: _join(facts, how)


_LAYERS: dict[str, Callable[[_Facts], list[_Part]]] = {
    "Conv2D": _convolution,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "MaxPooling2D": _pool_of("max"),
    "AveragePooling2D": _pool_of("average"),
    "GlobalAveragePooling2D": _global_of("average"),
    "GlobalMaxPooling2D": _global_of("max"),
    "BatchNormalization": _norm,
    "Dropout": _dropout,
    "SpatialDropout2D": _dropout,
    "Flatten": _flatten,
    "Activation": _activations,
    "ReLU": _named("ReLU"),
    "LeakyReLU": _named("LeakyReLU", negative_slope="negative_slope"),
    "ELU": _named("ELU", alpha="alpha"),
    "Softmax": lambda facts: [("", _activation_module(facts, "softmax", facts.shape), facts.shape, 0)],
    "ZeroPadding2D": _padding,
    "UpSampling2D": _upsampling,
    "Rescaling": _rescaling,
    "Add": _join_of("add"),
    "Subtract": _join_of("subtract"),
    "Multiply": _join_of("multiply"),
    "Average": _join_of("average"),
    "Maximum": _join_of("maximum"),
    "Concatenate": _join_of("concatenate"),
}
