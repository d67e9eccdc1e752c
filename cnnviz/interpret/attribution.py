"""Which part of a picture speaks for a class, through captum.

Everything happens on a twin whose weights ask for no gradient: only the picture, or a layer's output, does.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnnviz.analysis.types import Analysis, Row
from cnnviz.datasets.spec import Progress, Step, silent
from cnnviz.interpret import InterpretError
from cnnviz.interpret.blank_maps import blank_reason
from cnnviz.interpret.hooks import twin
from cnnviz.interpret.layer_names import unknown
from cnnviz.interpret.mosaic import Floats

# Grad-CAM (Selvaraju et al., 2017): a layer's maps, each weighted by a class's mean gradient.

_BELONGS = ("norm", "activation", "other")
"""Kinds that end a convolution's block."""


def default_layer(analysis: Analysis | None) -> str:
    """The last convolutional block's output: its last convolution and what follows on the same cells.

    Raises `InterpretError` for a model without convolutions that leave a grid of cells.
    """
    rows = [] if analysis is None else [row for row in analysis.predicting if row.name]
    last = max(
        (i for i, row in enumerate(rows) if row.kind == "conv" and _grid(row) is not None), default=None
    )
    if last is None:
        raise InterpretError("No convolution of this model leaves a grid of cells; choose a layer.")
    end = last
    for number in range(last + 1, len(rows)):
        row = rows[number]
        same = _grid(row) == _grid(rows[last]) and not row.type.startswith("Dropout")
        if row.kind not in _BELONGS or not same:
            break
        end = number
    return rows[end].name


def layers_with_cells(analysis: Analysis) -> tuple[str, ...]:
    """The layers that Grad-CAM can look at, in order: modules whose output is maps of more than one cell."""
    return tuple(row.name for row in analysis.predicting if row.name and row.calls and _grid(row) is not None)


def _grid(row: Row) -> tuple[int, int] | None:
    shape = row.output_shape
    return (shape[1], shape[2]) if len(shape) == 3 and shape[1] * shape[2] > 1 else None


def grad_cam(model: nn.Module, image: Tensor, target: int, layer: str) -> Floats:
    """The class activation map at `layer` for one image `(1, C, H, W)`, float32 `(h, w)`, never below 0.

    Of a module that is called several times, the last call counts. Raises `UnknownLayerError` for a layer
    that is not a module, and `InterpretError` for one that gives no maps.
    """
    from captum.attr import LayerGradCam

    other = twin(model)
    modules = dict(other.named_modules())
    if layer not in modules:
        raise unknown(layer, modules)
    attribution = LayerGradCam(other, modules[layer]).attribute(image, target, relu_attributions=True)
    if not isinstance(attribution, Tensor) or attribution.dim() != 4:
        raise InterpretError(f"'{layer}' gives no maps, so Grad-CAM has nothing to weigh there.")
    array: Floats = attribution[0, 0].detach().cpu().float().numpy()
    return array


def grad_cams(model: nn.Module, image: Tensor, target: int, layers: Sequence[str]) -> dict[str, Floats]:
    """The class activation maps of many layers from one pass forward and one back; as `grad_cam` each."""
    other = twin(model)
    modules = dict(other.named_modules())
    outputs: dict[str, Tensor] = {}

    def hook(name: str) -> Any:
        def keep(module: nn.Module, args: Any, out: Any) -> Tensor:
            # The first layer's output is where gradients begin to be followed.
            outputs[name] = out if out.requires_grad else out.detach().requires_grad_()
            # What comes next may work in place; it must not on what is kept.
            return outputs[name].clone()

        return keep

    for name in layers:
        if name not in modules:
            raise unknown(name, modules)
        modules[name].register_forward_hook(hook(name))
    score = other(image)[0, target]
    gradients = torch.autograd.grad(score, [outputs[name] for name in layers])
    heat_maps = {}
    for name, gradient in zip(layers, gradients, strict=True):
        if gradient.dim() != 4:
            raise InterpretError(f"'{name}' gives no maps, so Grad-CAM has nothing to weigh there.")
        weighted = (gradient.mean(dim=(2, 3), keepdim=True) * outputs[name]).sum(dim=1)
        heat_maps[name] = functional.relu(weighted)[0].detach().cpu().float().numpy()
    return heat_maps


def enlarged(cells: Floats, size: tuple[int, int]) -> Floats:
    """A map `(h, w)` at another size `(H, W)`, bilinearly."""
    wide = torch.from_numpy(cells)[None, None]
    array: Floats = functional.interpolate(wide, size, mode="bilinear", align_corners=False)[0, 0].numpy()
    return array


Method = Literal["gradcam", "saliency", "guided-backprop", "smoothgrad", "integrated-gradients", "occlusion"]
METHODS: tuple[Method, ...] = get_args(Method)
TITLES: dict[Method, str] = {
    "gradcam": "Grad-CAM",
    "saliency": "Saliency",
    "guided-backprop": "Guided backprop",
    "smoothgrad": "SmoothGrad",
    "integrated-gradients": "Integrated gradients",
    "occlusion": "Occlusion",
}
MEANINGS: dict[Method, str] = {
    "gradcam": "Where the maps of a layer speak for the class, each weighted by its mean gradient.",
    "saliency": "How much the score would change with each pixel; the largest of its channels.",
    "guided-backprop": (
        "Saliency that keeps positive gradients alone on its way back through each ReLU: sharper, but it "
        "shows edges of the picture more than the class (Adebayo et al., 2018)."
    ),
    "smoothgrad": "The mean saliency of many copies of the picture with noise added: speckle averages out.",
    "integrated-gradients": "What each pixel adds to the score on the way from a grey picture to this one.",
    "occlusion": "How much the score falls when a patch is covered in grey.",
}
STEPS = 32
"""Points on the way of integrated gradients."""
AT_ONCE = 8
"""Of these, in one pass: progress is told between passes."""
NOISY = 32
"""Noisy copies of the picture for SmoothGrad."""
NOISE = 0.15
"""Standard deviation of the noise, by the picture's range (Smilkov et al., 2017: 0.1 to 0.2)."""
UNSIGNED = ("saliency", "guided-backprop", "smoothgrad")
"""Methods whose values tell how much, and not for or against."""
PATCHES = 6
"""Patches of occlusion along a side; each moves by half of itself."""


@dataclass(frozen=True)
class Attribution:
    """How much each pixel speaks for a class."""

    method: Method
    target: int
    """The class."""
    values: Floats
    """`(H, W)`, the size of the model's input."""
    signed: bool
    """Whether values below 0 speak against the class."""
    score: float
    """The class's logit."""
    probability: float
    layer: str = ""
    """Grad-CAM's layer."""
    cells: Floats | None = None
    """Grad-CAM before it was enlarged, `(h, w)`."""
    blank: str = ""
    """Why the map shows nothing, in a sentence or two; empty where it shows something."""


def attribute(
    model: nn.Module,
    image: Tensor,
    method: Method = "gradcam",
    target: int | None = None,
    layer: str | None = None,
    analysis: Analysis | None = None,
    progress: Progress = silent,
) -> Attribution:
    """Attribute a class's score to the pixels of one image `(1, C, H, W)`.

    Args:
        model: In evaluation mode; it is left as it is.
        image: As the model takes it; 0 is the grey that covers and that paths begin at.
        method: One of `METHODS`.
        target: The class; the most probable one where None.
        layer: Grad-CAM's, by name; the last convolutional block's output where None.
        analysis: The model's, which finds that block; needed for Grad-CAM without a `layer` only.
        progress: Told before each batch of pictures, for occlusion and integrated gradients; it may raise.

    Raises:
        InterpretError: for a method, class or layer that is not there, or more than one image.
    """
    if method not in METHODS:
        raise InterpretError(f"Methods are {', '.join(METHODS)}, not {method!r}.")
    if image.dim() != 4 or len(image) != 1:
        raise InterpretError(f"An attribution is that of one image (1, C, H, W), not {tuple(image.shape)}.")
    check_gradients(model, method)
    chosen, score, probability = aimed(model, image, target)
    if method == "gradcam":
        if layer is None:
            layer = default_layer(analysis)
        cells = grad_cam(model, image, chosen, layer)
        values = enlarged(cells, (image.shape[2], image.shape[3]))
        blank = blank_reason(method, cells, model, image, chosen, layer)
        return Attribution(method, chosen, values, False, score, probability, layer, cells, blank)
    other = _out_of_place(twin(model))
    if method == "occlusion":
        _watch(other, Step("covering", 0, _places(image), "patches"), progress)
    if method == "integrated-gradients":
        _watch(other, Step("following the way", 0, STEPS, "points"), progress)
    if method == "smoothgrad":
        _watch(other, Step("adding noise", 0, NOISY, "copies"), progress)
    values = _METHODS[method](other, image, chosen)
    blank = blank_reason(method, values, model, image, chosen)
    return Attribution(method, chosen, values, method not in UNSIGNED, score, probability, blank=blank)


def _out_of_place(model: nn.Module) -> nn.Module:
    """Let no layer of a twin work in place: a first one would change the image, and stop its gradient."""
    for part in model.modules():
        if getattr(part, "inplace", False) is True:
            part.inplace = False  # type: ignore[assignment]
    return model


def check_gradients(model: nn.Module, method: Method) -> None:
    """Raise `InterpretError` where a method needs gradients and the model, computed elsewhere, has none."""
    why = getattr(model, "without_gradients", "")
    if why and method != "occlusion":
        raise InterpretError(f"{why}, which {TITLES[method]} needs; Occlusion works without.")


def aimed(model: nn.Module, image: Tensor, target: int | None) -> tuple[int, float, float]:
    """The class that is meant, its logit and its probability.

    Raises `InterpretError` for a class that there is not.
    """
    with torch.no_grad():
        logits = _out_of_place(twin(model))(image)[0]
    chosen = int(logits.argmax()) if target is None else target
    if not 0 <= chosen < len(logits):
        raise InterpretError(f"The model has classes 0 to {len(logits) - 1}, not {chosen}.")
    return chosen, float(logits[chosen]), float(torch.softmax(logits, 0)[chosen])


def _saliency(model: nn.Module, image: Tensor, target: int) -> Floats:
    """The largest |∂score/∂pixel| of a pixel's channels (Simonyan et al., 2013)."""
    from captum.attr import Saliency

    attribution = Saliency(model).attribute(image.clone().requires_grad_(), target)
    return _array(attribution[0].amax(0))


def _guided_backprop(model: nn.Module, image: Tensor, target: int) -> Floats:
    """Saliency with negative gradients set to 0 at each ReLU on the way back (Springenberg et al., 2014).

    Raises `InterpretError` for a model without ReLU as a layer, where it would be plain saliency.
    """
    from captum.attr import GuidedBackprop

    layers = [part for part in model.modules() if isinstance(part, nn.ReLU)]
    if not layers:
        raise InterpretError(
            "Guided backprop changes the way back through ReLU, and this model has no nn.ReLU layer (a "
            "function such as torch.relu is not seen); Saliency works without."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum says that it sets hooks, on a twin of ours
        found = GuidedBackprop(model).attribute(image.clone().requires_grad_(), target)
    assert isinstance(found, Tensor)
    return _array(found[0].abs().amax(0))


def _smoothgrad(model: nn.Module, image: Tensor, target: int) -> Floats:
    """The mean of |∂score/∂pixel| over noisy copies (Smilkov et al., 2017); always the same noise."""
    from captum.attr import NoiseTunnel, Saliency

    spread = max(NOISE * float(image.max() - image.min()), 1e-8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = NoiseTunnel(Saliency(model)).attribute(
            image.clone().requires_grad_(), nt_type="smoothgrad", nt_samples=NOISY,
            nt_samples_batch_size=AT_ONCE, stdevs=spread, target=target,
        )  # fmt: skip
    assert isinstance(found, Tensor)
    return _array(found[0].amax(0))


def _integrated(model: nn.Module, image: Tensor, target: int) -> Floats:
    """The path integral of gradients from 0, summed over channels (Sundararajan et al., 2017)."""
    from captum.attr import IntegratedGradients

    attribution = IntegratedGradients(model).attribute(
        image.clone().requires_grad_(),
        torch.zeros_like(image),
        target,
        n_steps=STEPS,
        internal_batch_size=AT_ONCE,
    )
    assert isinstance(attribution, Tensor)
    return _array(attribution[0].sum(0))


def _occlusion(model: nn.Module, image: Tensor, target: int) -> Floats:
    """The fall of the score when a patch is 0, averaged where patches overlap (Zeiler and Fergus, 2013)."""
    from captum.attr import Occlusion

    channels = image.shape[1]
    patch, steps = _patches(image)
    with torch.no_grad():
        attribution = Occlusion(model).attribute(
            image, (channels, *patch), (channels, *steps), 0, target, perturbations_per_eval=16
        )
    return _array(attribution[0, 0])


def _patches(image: Tensor) -> tuple[list[int], list[int]]:
    """Height and width of a patch, and how far it moves down and along."""
    patch = [max(1, -(-side // PATCHES)) for side in image.shape[2:]]
    return patch, [max(1, side // 2) for side in patch]


def _places(image: Tensor) -> int:
    """Where patches lie: each step until the far edge is covered."""
    patch, steps = _patches(image)
    down, along = (
        1 - (side - size) // step for side, size, step in zip(image.shape[2:], patch, steps, strict=True)
    )
    return down * along


def _watch(model: nn.Module, step: Step, progress: Progress) -> None:
    """Tell how many pictures have gone into `model`, a twin that nobody else uses."""
    done = 0

    def count(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        nonlocal done
        progress(step._replace(done=min(done, step.total or 0)))
        done += len(args[0])

    model.register_forward_pre_hook(count)


def _array(values: Tensor) -> Floats:
    array: Floats = values.detach().cpu().float().numpy()
    return array


_METHODS: dict[Method, Callable[[nn.Module, Tensor, int], Floats]] = {
    "saliency": _saliency,
    "guided-backprop": _guided_backprop,
    "smoothgrad": _smoothgrad,
    "integrated-gradients": _integrated,
    "occlusion": _occlusion,
}
