"""Attribution of a class's logit to image regions: Grad-CAM, captum's methods, and why a map is blank.

Everything runs on a copy with shared weights that have `requires_grad=False`; gradients are computed for the
image, or for a layer's output, only.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cnnviz.analysis.types import Analysis, Row
from cnnviz.datasets.spec import Progress, Step, silent
from cnnviz.interpret import InterpretError
from cnnviz.interpret.hooks import shared_copy
from cnnviz.interpret.layer_names import unknown
from cnnviz.interpret.mosaic import Floats

# Grad-CAM (Selvaraju et al., 2017): ReLU(Σ_k α_k·A_k), α_k the mean gradient of the class's logit by map A_k.

_BELONGS = ("norm", "activation", "other")
"""Row kinds that may follow a convolution within its block."""


def default_layer(analysis: Analysis | None) -> str:
    """Return Grad-CAM's default layer: the output of the last convolutional block.

    That is the last convolution with a grid of cells, or what follows it (normalization, activation) with the
    same grid.

    Raises:
        InterpretError: For a model in which no convolution leaves a grid of more than one cell.
    """
    rows = [] if analysis is None else [row for row in analysis.predicting if row.name]
    last = max(
        (i for i, row in enumerate(rows) if row.kind == "conv" and _grid(row) is not None), default=None
    )
    if last is None:
        raise InterpretError("No convolution of this model leaves a grid of cells; choose a layer.")
    end = last
    for index in range(last + 1, len(rows)):
        row = rows[index]
        same_grid = _grid(row) == _grid(rows[last]) and not row.type.startswith("Dropout")
        if row.kind not in _BELONGS or not same_grid:
            break
        end = index
    return rows[end].name


def layers_with_cells(analysis: Analysis) -> tuple[str, ...]:
    """Return the layers that Grad-CAM applies to, in order: modules whose maps have more than one cell."""
    return tuple(row.name for row in analysis.predicting if row.name and row.calls and _grid(row) is not None)


def _grid(row: Row) -> tuple[int, int] | None:
    shape = row.output_shape
    return (shape[1], shape[2]) if len(shape) == 3 and shape[1] * shape[2] > 1 else None


def grad_cam(model: nn.Module, image: Tensor, target: int, layer: str) -> Floats:
    """Compute the Grad-CAM map at `layer` for one image `(1, C, H, W)`, float32 `(h, w)`, never below 0.

    Of a module that is called several times, the last call counts.

    Raises:
        UnknownLayerError: For a layer that is not a module.
        InterpretError: For a layer whose output is not maps.
    """
    from captum.attr import LayerGradCam

    copied = shared_copy(model)
    modules = dict(copied.named_modules())
    if layer not in modules:
        raise unknown(layer, modules)
    attribution = LayerGradCam(copied, modules[layer]).attribute(image, target, relu_attributions=True)
    if not isinstance(attribution, Tensor) or attribution.dim() != 4:
        raise InterpretError(f"'{layer}' gives no maps, so Grad-CAM has nothing to weigh there.")
    array: Floats = attribution[0, 0].detach().cpu().float().numpy()
    return array


def grad_cams(model: nn.Module, image: Tensor, target: int, layers: Sequence[str]) -> dict[str, Floats]:
    """Compute the Grad-CAM maps of many layers in one forward and backward pass; otherwise as `grad_cam`."""
    copied = shared_copy(model)
    modules = dict(copied.named_modules())
    outputs: dict[str, Tensor] = {}

    def hook(name: str) -> Any:
        def record(module: nn.Module, args: Any, out: Any) -> Tensor:
            # Nothing before the first of these layers requires a gradient, so tracking begins at its output.
            outputs[name] = out if out.requires_grad else out.detach().requires_grad_()
            # The next layer may work in place: give it a copy.
            return outputs[name].clone()

        return record

    for name in layers:
        if name not in modules:
            raise unknown(name, modules)
        modules[name].register_forward_hook(hook(name))
    score = copied(image)[0, target]
    gradients = torch.autograd.grad(score, [outputs[name] for name in layers])
    heat_maps = {}
    for name, gradient in zip(layers, gradients, strict=True):
        if gradient.dim() != 4:
            raise InterpretError(f"'{name}' gives no maps, so Grad-CAM has nothing to weigh there.")
        weighted = (gradient.mean(dim=(2, 3), keepdim=True) * outputs[name]).sum(dim=1)
        heat_maps[name] = functional.relu(weighted)[0].detach().cpu().float().numpy()
    return heat_maps


def upsample(cells: Floats, size: tuple[int, int]) -> Floats:
    """Upsample a map `(h, w)` bilinearly to `(H, W)`."""
    batch = torch.from_numpy(cells)[None, None]
    array: Floats = functional.interpolate(batch, size, mode="bilinear", align_corners=False)[0, 0].numpy()
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
        "shows edges of the image more than the class (Adebayo et al., 2018)."
    ),
    "smoothgrad": "The mean saliency of many copies of the image with noise added: speckle averages out.",
    "integrated-gradients": "What each pixel adds to the score on the way from a gray image to this one.",
    "occlusion": "How much the score falls when a patch is covered in gray.",
}
STEPS = 32
"""Integration steps of integrated gradients."""
BATCH = 8
"""Batch size of integrated gradients and SmoothGrad: progress is reported between batches."""
NOISE_COPIES = 32
"""Noisy copies of the image for SmoothGrad."""
NOISE = 0.15
"""Standard deviation of SmoothGrad's noise, as a fraction of the image's range (Smilkov et al., 2017: 0.1 to
0.2).
"""
UNSIGNED = ("saliency", "guided-backprop", "smoothgrad")
"""Methods whose values are magnitudes: they do not tell for from against the class."""
PATCHES = 6
"""Occlusion patches along a side; the stride is half a patch."""


@dataclass(frozen=True)
class Attribution:
    """Attribution map: how much each pixel contributes to a class's logit."""

    method: Method
    target: int
    """Class index."""
    values: Floats
    """`(H, W)`, at the model's input size."""
    signed: bool
    """Whether values below 0 speak against the class."""
    score: float
    """Logit of the class."""
    probability: float
    layer: str = ""
    """Layer of Grad-CAM; empty for other methods."""
    cells: Floats | None = None
    """Grad-CAM's map before upsampling, `(h, w)`."""
    blank: str = ""
    """Reason why the map shows nothing, in a sentence or two; empty where it shows something."""


def attribute(
    model: nn.Module,
    image: Tensor,
    method: Method = "gradcam",
    target: int | None = None,
    layer: str | None = None,
    analysis: Analysis | None = None,
    progress: Progress = silent,
) -> Attribution:
    """Attribute a class's logit to the pixels of one image `(1, C, H, W)`.

    Args:
        model: In evaluation mode; it is not changed.
        image: Model input, preprocessed; 0 is the gray of occlusion patches and of the baseline.
        method: One of `METHODS`.
        target: Class index; the predicted class where None.
        layer: Grad-CAM's layer; the last convolutional block's output where None.
        analysis: The model's, to find that block; needed only for Grad-CAM without a `layer`.
        progress: Called before each batch of occlusion, SmoothGrad and integrated gradients; it may raise.

    Raises:
        InterpretError: For an unknown method, class or layer, or more than one image.
    """
    if method not in METHODS:
        raise InterpretError(f"Methods are {', '.join(METHODS)}, not {method!r}.")
    if image.dim() != 4 or len(image) != 1:
        raise InterpretError(f"An attribution is that of one image (1, C, H, W), not {tuple(image.shape)}.")
    check_gradients(model, method)
    chosen, score, probability = resolve_target(model, image, target)
    if method == "gradcam":
        if layer is None:
            layer = default_layer(analysis)
        cells = grad_cam(model, image, chosen, layer)
        values = upsample(cells, (image.shape[2], image.shape[3]))
        blank = blank_reason(method, cells, model, image, chosen, layer)
        return Attribution(method, chosen, values, False, score, probability, layer, cells, blank)
    copied = _out_of_place(shared_copy(model))
    if method == "occlusion":
        _report_progress(copied, Step("covering", 0, _position_count(image), "patches"), progress)
    if method == "integrated-gradients":
        _report_progress(copied, Step("following the way", 0, STEPS, "points"), progress)
    if method == "smoothgrad":
        _report_progress(copied, Step("adding noise", 0, NOISE_COPIES, "copies"), progress)
    values = _METHODS[method](copied, image, chosen)
    blank = blank_reason(method, values, model, image, chosen)
    return Attribution(method, chosen, values, method not in UNSIGNED, score, probability, blank=blank)


def _out_of_place(model: nn.Module) -> nn.Module:
    """Set `inplace=False` in all layers: in place, the first would change the image and stop its gradient."""
    for part in model.modules():
        if getattr(part, "inplace", False) is True:
            part.inplace = False  # type: ignore[assignment]
    return model


def check_gradients(model: nn.Module, method: Method) -> None:
    """Raise `InterpretError` where a method needs gradients and the model, run outside torch, has none."""
    reason = getattr(model, "without_gradients", "")
    if reason and method != "occlusion":
        raise InterpretError(f"{reason}, which {TITLES[method]} needs; Occlusion works without.")


def resolve_target(model: nn.Module, image: Tensor, target: int | None) -> tuple[int, float, float]:
    """Return the target class (the predicted one where None), its logit and its probability.

    Raises:
        InterpretError: For a class index out of range.
    """
    with torch.no_grad():
        logits = _out_of_place(shared_copy(model))(image)[0]
    chosen = int(logits.argmax()) if target is None else target
    if not 0 <= chosen < len(logits):
        raise InterpretError(f"The model has classes 0 to {len(logits) - 1}, not {chosen}.")
    return chosen, float(logits[chosen]), float(torch.softmax(logits, 0)[chosen])


def _saliency(model: nn.Module, image: Tensor, target: int) -> Floats:
    """Compute the largest |∂logit/∂pixel| over a pixel's channels (Simonyan et al., 2013)."""
    from captum.attr import Saliency

    attribution = Saliency(model).attribute(image.clone().requires_grad_(), target)
    return _array(attribution[0].amax(0))


def _guided_backprop(model: nn.Module, image: Tensor, target: int) -> Floats:
    """Compute saliency with negative gradients set to 0 at each ReLU (Springenberg et al., 2014).

    Raises `InterpretError` for a model without an `nn.ReLU` module, where it would be plain saliency.
    """
    from captum.attr import GuidedBackprop

    layers = [part for part in model.modules() if isinstance(part, nn.ReLU)]
    if not layers:
        raise InterpretError(
            "Guided backprop changes the way back through ReLU, and this model has no nn.ReLU layer (a "
            "function such as torch.relu is not seen); Saliency works without."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum warns that it sets hooks; they are on our copy
        attribution = GuidedBackprop(model).attribute(image.clone().requires_grad_(), target)
    assert isinstance(attribution, Tensor)
    return _array(attribution[0].abs().amax(0))


def _smoothgrad(model: nn.Module, image: Tensor, target: int) -> Floats:
    """Average |∂logit/∂pixel| over noisy copies (Smilkov et al., 2017); the noise has a fixed seed."""
    from captum.attr import NoiseTunnel, Saliency

    std = max(NOISE * float(image.max() - image.min()), 1e-8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        attribution = NoiseTunnel(Saliency(model)).attribute(
            image.clone().requires_grad_(), nt_type="smoothgrad", nt_samples=NOISE_COPIES,
            nt_samples_batch_size=BATCH, stdevs=std, target=target,
        )  # fmt: skip
    assert isinstance(attribution, Tensor)
    return _array(attribution[0].amax(0))


def _integrated(model: nn.Module, image: Tensor, target: int) -> Floats:
    """Integrate the gradient along the path from 0, summed over channels (Sundararajan et al., 2017)."""
    from captum.attr import IntegratedGradients

    attribution = IntegratedGradients(model).attribute(
        image.clone().requires_grad_(),
        torch.zeros_like(image),
        target,
        n_steps=STEPS,
        internal_batch_size=BATCH,
    )
    assert isinstance(attribution, Tensor)
    return _array(attribution[0].sum(0))


def _occlusion(model: nn.Module, image: Tensor, target: int) -> Floats:
    """Compute the logit's fall with a patch at 0, averaged over overlaps (Zeiler and Fergus, 2013)."""
    from captum.attr import Occlusion

    channels = image.shape[1]
    patch, steps = _patches(image)
    with torch.no_grad():
        attribution = Occlusion(model).attribute(
            image, (channels, *patch), (channels, *steps), 0, target, perturbations_per_eval=16
        )
    return _array(attribution[0, 0])


def _patches(image: Tensor) -> tuple[list[int], list[int]]:
    """Return height and width of an occlusion patch, and its vertical and horizontal stride."""
    patch = [max(1, -(-side // PATCHES)) for side in image.shape[2:]]
    return patch, [max(1, side // 2) for side in patch]


def _position_count(image: Tensor) -> int:
    """Count the occlusion positions: strides until the far edge is covered."""
    patch, steps = _patches(image)
    down, along = (
        1 - (side - size) // step for side, size, step in zip(image.shape[2:], patch, steps, strict=True)
    )
    return down * along


def _report_progress(model: nn.Module, step: Step, progress: Progress) -> None:
    """Report to `progress` how many images have gone through `model`, a copy that nothing else uses."""
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


# Reasons for blank maps: why an attribution shows nothing.

NOT_FINITE = (
    "The map holds values that are not finite numbers: the weights or what the layers give are too large, or "
    "not numbers. A map of them shows nothing."
)
BLANK_PICTURE = "The image has the same value everywhere, so no part of it can say more than another."
DEAD_LAYER = "The layer '{layer}' gives 0 everywhere for this image, so nothing in it can be weighed."
NO_GRADIENT = (
    "The class's score does not change with {what}: its gradient is 0 everywhere, as behind units that are "
    "dead or saturated."
)
SPEAKS_AGAINST = (
    "Nothing at the layer '{layer}' speaks for the class: what it shows speaks against it or is indifferent. "
    "Try another layer or class."
)
IS_BASELINE = (
    "The image is the gray that the method starts from (0 for the network), so the way there has no length."
)
COVERED_ALIKE = "The score stays the same whichever patch is covered, so no place matters to it."
ROUNDING = 1e-6
"""Relative tolerance, by a map's largest value, for sums in another order."""
CONSTANT = "The map has the same value everywhere, so it says nothing of where."


def blank_reason(
    method: Method, values: Floats, model: nn.Module, image: Tensor, target: int, layer: str = ""
) -> str:
    """Explain why an attribution map shows nothing, in a sentence or two; empty where it shows something.

    Args:
        method: One of `METHODS`.
        values: The map; Grad-CAM's before upsampling.
        model: The model in evaluation mode; it is not changed.
        image: Model input, `(1, C, H, W)`.
        target: Class index.
        layer: Grad-CAM's layer.
    """
    if not np.isfinite(values).all():
        return NOT_FINITE
    if values.size > 1 and values.any() and np.ptp(values) <= ROUNDING * np.abs(values).max():
        return _with_picture(CONSTANT, image)
    if values.any():
        return ""
    if method == "gradcam":
        return _with_picture(_gradcam(model, image, target, layer), image)
    if method in UNSIGNED:
        return _with_picture(NO_GRADIENT.format(what="the image"), image)
    if not image.any():
        return _with_picture(IS_BASELINE, image)
    if method == "occlusion":
        return _with_picture(COVERED_ALIKE, image)
    return _with_picture(NO_GRADIENT.format(what="the image, anywhere on the way to it"), image)


def _gradcam(model: nn.Module, image: Tensor, target: int, layer: str) -> str:
    copied, outputs = shared_copy(model), []

    def record(module: nn.Module, args: object, out: Tensor) -> Tensor:
        outputs.append(out if out.requires_grad else out.detach().requires_grad_())
        return outputs[-1].clone()

    dict(copied.named_modules())[layer].register_forward_hook(record)
    score = copied(image)[0, target]
    gradients: tuple[Tensor | None, ...] = torch.autograd.grad(score, outputs[-1], allow_unused=True)
    gradient = gradients[0]
    if not outputs[-1].any():
        return DEAD_LAYER.format(layer=layer)
    if gradient is None or not gradient.any():
        return NO_GRADIENT.format(what=f"what the layer '{layer}' gives")
    return SPEAKS_AGAINST.format(layer=layer)


def _with_picture(reason: str, image: Tensor) -> str:
    """Put the most common cause, an image of one value, before the reason where it applies."""
    flat = image.flatten(2)
    blank = bool((flat == flat[..., :1]).all())
    return f"{BLANK_PICTURE} {reason}" if blank else reason
