"""Keras 3 `.keras` files as models: layers from `config.json`, built as torch modules with fresh weights.

Keras is not imported and nothing in the file is executed: known layers are built, any other (`Lambda`,
registered classes) is refused. `model.weights.h5` is never opened: HDF5 follows links to any file.
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

from cnnviz.formats.headers import directory_bytes
from cnnviz.models.external.keras_layers import LAYERS, KerasError, LayerConfig, Sides
from cnnviz.models.layers.base import MAX_CLASSES, MAX_SIDE
from cnnviz.models.spec import ModelSpec, Options, Shape

if TYPE_CHECKING:
    from torch import nn

CONFIG = "config.json"
MAX_CONFIG = 8 << 20
MAX_DIRECTORY = 1 << 20
MAX_LAYERS = 2_000
MAX_PARAMETERS = 200_000_000
DEEPEST = 8
USUAL_SIDE = 224
FAMILY = "Yours"
NOTHING = (
    "InputLayer", "GaussianNoise", "GaussianDropout", "RandomFlip", "RandomRotation", "RandomZoom",
    "RandomTranslation", "RandomContrast", "RandomBrightness", "RandomCrop", "ActivityRegularization",
)  # fmt: skip
"""Layers that are the identity in evaluation mode."""


@dataclass
class _Step:
    """One call of a layer: its module, the steps that are its inputs, and its output shape."""

    layer: str
    sources: tuple[int, ...]
    shape: Sides


@dataclass
class _Plan:
    """Planned network: modules to build and calls in order; step 0 is the image."""

    modules: dict[str, Callable[[], nn.Module]] = field(default_factory=dict)
    steps: list[_Step] = field(default_factory=list)
    parameters: int = 0


def spec_of(data: bytes, file: str, name: str, title: str, size: Shape | None = None) -> ModelSpec:
    """Create the spec of a `.keras` file.

    Args:
        data: Content of the file.
        file: Its name, for messages.
        name: Name in the registry.
        title: Name on pages.
        size: Input shape `(C, H, W)`, for sides that the file leaves open.

    Raises:
        KerasError: Where it cannot be read; one sentence.
    """
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
    """Builder of a planned network, with the input size and classes of the file."""

    def __init__(self, plan: _Plan, image: Sides, title: str) -> None:
        self._plan, self._image, self._title = plan, image, title

    def __call__(self, classes: int, input_shape: Shape, options: Options) -> nn.Module:
        from cnnviz.models.external.keras_network import KerasNetwork

        own = self._plan.steps[-1].shape[0]
        if classes != own or tuple(input_shape) != tuple(self._image):
            raise ValueError(
                f"{self._title} is read from a .keras file: it has {own:,} classes and an input of "
                f"{'×'.join(map(str, self._image))}, which cannot be chosen."
            )
        modules = {name: make() for name, make in self._plan.modules.items()}
        return KerasNetwork(modules, [(step.layer, step.sources) for step in self._plan.steps[1:]])


def _config(data: bytes) -> Mapping[str, Any]:
    """Read and parse `config.json` of the archive, and nothing else of it."""
    if not data.startswith(b"PK"):
        raise KerasError("it is no zip archive, as Keras 3 writes .keras files")
    if directory_bytes(io.BytesIO(data)) > MAX_DIRECTORY:
        raise KerasError("its directory is too long")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if archive.getinfo(CONFIG).file_size > MAX_CONFIG:
                raise KerasError("its configuration is too long")
            with archive.open(CONFIG) as opened:
                text = opened.read(MAX_CONFIG + 1)
    except (zipfile.BadZipFile, KeyError, OSError, NotImplementedError, RuntimeError, EOFError):
        raise KerasError(f"it holds no {CONFIG}, as Keras 3 writes it") from None
    except Exception as error:  # zlib's and lzma's own errors over damaged bytes
        raise KerasError(f"it is damaged ({type(error).__name__})") from None
    if len(text) > MAX_CONFIG:
        raise KerasError("its configuration is too long")
    config = json.loads(text)
    if not isinstance(config, dict):
        raise KerasError(f"its {CONFIG} is no description of a model")
    return config


def _laid_out(config: Mapping[str, Any], size: Shape | None) -> tuple[_Plan, Sides]:
    plan = _Plan()
    image = _input(config, size)
    plan.steps.append(_Step("", (), image))
    outputs = _model(plan, config, [0], "", 0)
    if len(outputs) != 1:
        raise KerasError(f"it gives {len(outputs)} outputs, and networks of one are shown")
    final = plan.steps[outputs[0]]
    if outputs[0] == len(plan.steps) - 1 and _is_softmax(plan, final.layer):
        del plan.steps[-1], plan.modules[final.layer]
        outputs = list(final.sources)
    if outputs[0] != len(plan.steps) - 1:  # the last layer of the list need not be the output
        plan.steps.append(_Step("", (outputs[0],), plan.steps[outputs[0]].shape))
    return plan, image


def _is_softmax(plan: _Plan, layer: str) -> bool:
    """Return whether a layer is a softmax, which is omitted at the end: losses here expect logits."""
    from torch import nn

    return getattr(plan.modules.get(layer), "func", None) is nn.Softmax


def _input(config: Mapping[str, Any], size: Shape | None) -> Sides:
    """Return the input shape, channels first."""
    inside = config["config"]
    layers = inside["layers"]
    shape = next(
        (
            layer["config"].get("batch_shape") or layer["config"].get("batch_input_shape")
            for layer in layers
            if layer["class_name"] == "InputLayer"
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
        if any(
            side and side != requested
            for side, requested in zip((channels, height, width), size, strict=True)
        ):
            raise KerasError(f"its input is {'×'.join(map(str, own))}, not {'×'.join(map(str, size))}")
        own = size
    if not all(isinstance(side, int) and 1 <= side <= MAX_SIDE for side in own):
        raise KerasError(f"its input has sides that are not from 1 to {MAX_SIDE} pixels")
    return own


def _model(plan: _Plan, config: Mapping[str, Any], given: Sequence[int], prefix: str, deep: int) -> list[int]:
    """Plan a Sequential or Functional model and return the steps that are its outputs."""
    if deep > DEEPEST:
        raise KerasError("models lie in models too deeply")
    inside, kind = config["config"], config["class_name"]
    if kind == "Sequential":
        current = given[0]
        for layer in inside["layers"]:
            current = _call(plan, layer, [current], prefix, deep)[0]
        return [current]
    if kind not in ("Functional", "Model"):
        raise KerasError(f"it is a {str(kind)[:60]}; Sequential and Functional models are read")
    known: dict[tuple[str, int, int], int] = {}
    for index, (name, node, tensor) in enumerate(_references(inside["input_layers"])):
        known[name, node, tensor] = given[index]
    pending = [
        (layer, number, node)
        for layer in inside["layers"]
        if layer["class_name"] != "InputLayer"
        for number, node in enumerate(layer["inbound_nodes"])
    ]
    while pending:
        deferred = []
        for layer, number, node in pending:
            sources = _sources(node)
            if not sources:
                raise KerasError(f"the layer '{str(layer.get('name'))[:60]}' takes nothing")
            if any(reference not in known for reference in sources):
                deferred.append((layer, number, node))
                continue
            results = _call(plan, layer, [known[reference] for reference in sources], prefix, deep)
            for tensor, step in enumerate(results):
                known[layer["name"], number, tensor] = step
        if len(deferred) == len(pending):
            raise KerasError("its layers wait for one another")
        pending = deferred
    return [known[reference] for reference in _references(inside["output_layers"])]


def _references(entries: Any) -> list[tuple[str, int, int]]:
    """Parse `[name, node, tensor]`, or a list of such references."""
    if len(entries) == 3 and isinstance(entries[0], str):
        entries = [entries]
    return [(str(name), int(node), int(tensor)) for name, node, tensor in entries]


def _sources(node: Any) -> list[tuple[str, int, int]]:
    """Collect the tensors that a call reads, in order, however deeply nested in its arguments."""
    references: list[tuple[str, int, int]] = []
    stack = [node["args"]]
    while stack:
        argument = stack.pop()
        if isinstance(argument, list):
            stack.extend(reversed(argument))
        elif isinstance(argument, dict) and argument.get("class_name") == "__keras_tensor__":
            references += _references(argument["config"]["keras_history"])
    return references


def _call(plan: _Plan, layer: Mapping[str, Any], given: Sequence[int], prefix: str, deep: int) -> list[int]:
    """Plan one call of a layer, or of a nested model, and return the steps that are its outputs."""
    kind, config = layer["class_name"], layer["config"]
    name = re.sub(r"[^A-Za-z0-9_-]", "_", str(config.get("name") or layer.get("name") or kind.lower()))[:80]
    name = f"{prefix}{name}"
    if layer.get("registered_name") not in (None, kind) and layer.get("module") is None:
        raise KerasError(f"the layer '{name}' is a class of its own ({str(layer['registered_name'])[:60]})")
    if kind in ("Sequential", "Functional"):
        return _model(plan, layer, given, f"{name}.", deep + 1)
    if kind in NOTHING:
        return [given[0]]
    if kind not in LAYERS:
        raise KerasError(f"the layer '{name}' is a {str(kind)[:60]}, which is not known here, nor executed")
    shapes = [plan.steps[source].shape for source in given]
    parts = LAYERS[kind](LayerConfig(name, config, shapes))
    if len(plan.steps) > MAX_LAYERS:
        raise KerasError(f"it has more than {MAX_LAYERS:,} layers")
    inputs = list(given)
    for part, (suffix, make, shape, parameters) in enumerate(parts):
        if not shape or any(side < 1 for side in shape) or math.prod(shape) > 10**9:
            raise KerasError(f"the layer '{name}' gives {'×'.join(map(str, shape))} values")
        own = f"{name}{suffix}"
        if own not in plan.modules:
            plan.modules[own] = make
            plan.parameters += parameters
        plan.steps.append(_Step(own, tuple(inputs if part == 0 else inputs[:1]), shape))
        inputs = [len(plan.steps) - 1]
    if plan.parameters > MAX_PARAMETERS:
        raise KerasError(f"it has more than {MAX_PARAMETERS:,} parameters")
    return inputs
