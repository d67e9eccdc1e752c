"""Attribution shared by pages: URL state, result, images and panel."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import streamlit as st

from cnnviz.figures import numbers
from cnnviz.inference.images.decoder import Pixels
from cnnviz.interpret.colormaps import DIVERGING, SEQUENTIAL, gradient_stops
from cnnviz.interpret.mosaic import Floats
from cnnviz.sentences import percent
from cnnviz.ui.shared import notice, url_state
from cnnviz.ui.shared.inspection import model_input
from cnnviz.ui.shared.inspection.model_input import Network
from cnnviz.ui.shared.inspection.predictions import PreprocessedImage
from cnnviz.ui.shared.notice import Progress
from cnnviz.ui.shared.result_cache import RESULTS
from cnnviz.ui.shared.url_state import change_without_model, quoted

if TYPE_CHECKING:
    from cnnviz.interpret.attribution import Attribution, Method
    from cnnviz.interpret.deletion_check import DeletionCheck

# URL state: method, class, layer, opacity, the compared network.

PREFERRED = "small-googlenet-32"
"""The default model: the shipped one for photographs, whose predictions depend on a part of the image."""
DEFAULT_OPACITY = 55
"""Opacity of the map over the image, in percent."""


@dataclass(frozen=True)
class AttributionState:
    """URL state of an attribution."""

    method: Method
    target: int | None
    """Class index in the first network; None for each network's own prediction."""
    target_name: str | None
    layer: str | None
    """Layer of Grad-CAM in the first network; None for the output of the last convolutional block."""
    opacity: int
    other: Network | None
    """The compared network."""
    problems: tuple[str, ...]


def current(network: Network) -> AttributionState:
    """Read the state from the page's URL; invalid parameters become problems."""
    from cnnviz.interpret.attribution import METHODS

    problems: list[str] = []
    method, wrong = url_state.choice("method", METHODS, "gradcam")
    problems += [wrong] if wrong else []
    target = _whole("class", len(network.loaded.classes) - 1, problems)
    opacity = _whole("opacity", 100, problems)
    return AttributionState(
        cast("Method", method),
        target,
        None if target is None else network.loaded.classes[target],
        _layer(network, problems),
        DEFAULT_OPACITY if opacity is None else opacity,
        _compared(st.query_params.get("against"), problems),
        tuple(problems),
    )


def choose_layer(name: str) -> None:
    """Select a layer for Grad-CAM, for use in callbacks."""
    change_without_model(layer=name, method=None)


def _whole(name: str, most: int, problems: list[str]) -> int | None:
    text = st.query_params.get(name)
    if text is None:
        return None
    if re.fullmatch(r"[0-9]{1,7}", text) and int(text) <= most:
        return int(text)
    problems.append(f"“{name}” cannot be {quoted(text)}, only a whole number from 0 to {most:,}.")
    return None


def _layer(network: Network, problems: list[str]) -> str | None:
    from cnnviz.interpret.attribution import layers_with_cells

    name = st.query_params.get("layer")
    if name is None or name in layers_with_cells(network.analysis):
        return name
    problems.append(
        f"{quoted(name)} leaves no grid of cells in {network.loaded.name}, so Grad-CAM looks at the last "
        "convolutional block's output."
    )
    return None


def _compared(reference: str | None, problems: list[str]) -> Network | None:
    if not reference:
        return None
    network = model_input.model_to_compare(reference)
    if network is None:
        problems.append(f"There are no weights {quoted(reference)} to put beside.")
    return network


# Results: attribution and deletion check, computed once per network, image, method, class and layer.

PLACES = (
    ("at the upper left", "at the top", "at the upper right"),
    ("at the left", "in the middle", "at the right"),
    ("at the lower left", "at the bottom", "at the lower right"),
)
"""Names of the thirds of an image, by row and column."""


@dataclass(frozen=True, eq=False)
class AttributionResult:
    """One network's attribution of the image, with its deletion check."""

    network: Network
    ready: PreprocessedImage
    attribution: Attribution
    check: DeletionCheck

    @property
    def target(self) -> str:
        """Name of the attributed class."""
        return self.network.loaded.classes[self.attribution.target]


def attribution_result(
    network: Network, ready: PreprocessedImage, attribution_state: AttributionState, first: bool = True
) -> AttributionResult:
    """Compute an attribution.

    In the compared network, class and layer are those of the same name; where it has none, its own prediction
    and its own last block.

    Args:
        network: The network.
        ready: The image, preprocessed for it.
        attribution_state: The URL state.
        first: Whether class and layer of the state are those of this network.

    Raises:
        ValueError: The network or layer cannot be attributed; the message is one sentence.
    """
    target = attribution_state.target if first else class_index(network, attribution_state.target_name)
    layer = attribution_state.layer if first or attribution_state.layer in cells(network) else None
    if attribution_state.method != "gradcam":
        layer = None
    attribution, checked = _worked_out(
        network.stamp, ready.digest, attribution_state.method, target, layer, network, ready
    )
    return AttributionResult(network, ready, attribution, checked)


def class_index(network: Network, name: str | None) -> int | None:
    """Return the index of the network's class with that name, ignoring case; None if it has none."""
    folded = [name.casefold() for name in network.loaded.classes]
    return folded.index(name.casefold()) if name is not None and name.casefold() in folded else None


def cells(network: Network) -> tuple[str, ...]:
    """Return the layers that Grad-CAM supports."""
    from cnnviz.interpret.attribution import layers_with_cells

    return layers_with_cells(network.analysis)


@RESULTS.cached()
def strip_cells(
    stamp: str,
    digest: str,
    target: int,
    layers: tuple[str, ...],
    _network: Network,
    _ready: PreprocessedImage,
) -> dict[str, Floats]:
    """Compute Grad-CAM at many layers, each `(h, w)`."""
    from cnnviz.interpret.attribution import grad_cams

    return grad_cams(_network.loaded.model, _ready.tensor, target, layers)


def strongest_position(values: Floats) -> str:
    """Describe where a map is strongest: `at the upper left`, `in the middle`."""
    if not np.any(values > 0):
        return "nowhere"
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    return PLACES[3 * int(row) // values.shape[0]][3 * int(column) // values.shape[1]]


# The network and the image are not part of the key or the result: they are cached once elsewhere.
@RESULTS.cached()
def _worked_out(
    stamp: str,
    digest: str,
    method: Method,
    target: int | None,
    layer: str | None,
    _network: Network,
    _ready: PreprocessedImage,
) -> tuple[Attribution, DeletionCheck]:
    from cnnviz.interpret.attribution import attribute
    from cnnviz.interpret.deletion_check import check_deletion

    model, progress = _network.loaded.model, Progress()
    attribution = attribute(model, _ready.tensor, method, target, layer, _network.analysis, progress)
    progress.clear()
    return attribution, check_deletion(model, _ready.tensor, attribution)


# Images: the map over the image, the map alone, and the image with a region covered.

CSS = Path(__file__).with_name("attribution.css")
WIDE = 320
"""Approximate width of an image in pixels, reached by an integer zoom factor."""
COVER, FRAME = 128, (217, 72, 15)


def enlarged(seen: Pixels) -> Pixels:
    """Enlarge an image `(H, W, 1 or 3)` by an integer factor, as RGB uint8 `(H', W', 3)`."""
    zoom = max(1, WIDE // seen.shape[1])
    colour = np.broadcast_to(seen, (*seen.shape[:2], 3))
    return np.ascontiguousarray(colour.repeat(zoom, axis=0).repeat(zoom, axis=1))


def painted(result: AttributionResult, opacity: int) -> Pixels:
    """Overlay the map on the image, with `opacity` in percent."""
    from cnnviz.interpret.deletion_check import overlay

    attribution = result.attribution
    return overlay(enlarged(result.ready.seen), attribution.values, opacity / 100, attribution.signed)


def covered(seen: Pixels, box: tuple[int, int, int, int]) -> Pixels:
    """Cover a box of the image with framed gray; `box` is `(top, left, bottom, right)` in its pixels."""
    large = enlarged(seen)
    zoom = large.shape[0] // seen.shape[0]
    top, left, bottom, right = (zoom * edge for edge in box)
    large[top:bottom, left:right] = FRAME
    rim = max(1, min(3, (bottom - top) // 4))
    large[top + rim : bottom - rim, left + rim : right - rim] = COVER
    return large


def png(pixels: Pixels) -> bytes:
    """Encode an image as PNG."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG")
    return file.getvalue()


def figure(pixels: Pixels, alt: str, caption: str) -> str:
    """Return an image with its caption (which is HTML) as HTML."""
    source = f"data:image/png;base64,{base64.b64encode(png(pixels)).decode()}"
    return f'<figure><img src="{source}" alt="{escape(alt)}"><figcaption>{caption}</figcaption></figure>'


def legend(signed: bool) -> str:
    """Return the color scale as HTML."""
    colours = ", ".join(gradient_stops(DIVERGING["light"] if signed else SEQUENTIAL))
    low, high = ("against", "for") if signed else ("none", "most")
    return (
        f'<span class="scale">{low}<i style="background:linear-gradient(90deg, {colours})"></i>{high}</span>'
    )


# Panel of one network: its attribution map and the deletion check.

TELLING = 0.1
"""Differences of logits below this are not meaningful."""


def panel(result: AttributionResult, attribution_state: AttributionState, named: bool) -> None:
    """Draw the panel; `named` if it stands beside another network's."""
    attribution = result.attribution
    at = f" at {notice.escape(attribution.layer)}" if attribution.layer else ""
    whose = f"**{notice.escape(result.network.loaded.name)}** · " if named else ""
    share = numbers.percent(attribution.probability, 1)
    st.markdown(f"{whose}**{notice.escape(result.target)}**, {share}{at}")
    if (
        named
        and attribution_state.target_name is not None
        and result.target.casefold() != attribution_state.target_name.casefold()
    ):
        st.caption(
            f"It has no class {notice.escape(attribution_state.target_name)}; this is for its own answer."
        )
    parts = (
        images_html(result, attribution_state.method, attribution_state.opacity),
        _deletion_figures(result),
    )
    st.html(f'<div class="why">{"".join(f"<div>{part}</div>" for part in parts)}</div>')
    if attribution.blank:
        st.caption(f":material/info: {notice.escape(attribution.blank)}")
    elif not (attribution.values > 0).any():
        st.caption("Nothing at this layer speaks for the class, so the map is empty. Try another layer.")
    st.caption(_verdict(result))


def images_html(result: AttributionResult, method: Method, opacity: int) -> str:
    """Return the network's input, the map over it and the map alone, as HTML."""
    from cnnviz.interpret.attribution import TITLES

    title = TITLES[method]
    strongest = strongest_position(result.attribution.values)
    over = f"{title} for {result.target} over the image, strongest {strongest}"
    alone = f"{title} for {result.target} alone, strongest {strongest}"
    return (
        figure(enlarged(result.ready.seen), "The image as the network sees it", "what it sees")
        + figure(painted(result, opacity), over, f"{title}, strongest {strongest}")
        + figure(painted(result, 100), alone, legend(result.attribution.signed))
    )


def _deletion_figures(result: AttributionResult) -> str:
    sides = (("most", result.check.most), ("least", result.check.least))
    return "".join(
        figure(
            covered(result.ready.seen, removed.box),
            f"The image with what helps {result.target} {word} covered",
            _answered(result, word, removed.probabilities),
        )
        for word, removed in sides
    )


def _answered(result: AttributionResult, word: str, now: Floats) -> str:
    target, before = result.check.target, result.check.before
    predicted = int(now.argmax())
    other = (
        "" if predicted == target else f"; it says <b>{escape(result.network.loaded.classes[predicted])}</b>"
    )
    shares = f"{percent(before[target], 1)} → {percent(now[target], 1)}".replace(" %", "\N{NO-BREAK SPACE}%")
    return f"without what helps {word}: <b>{escape(result.target)}</b> {shares}{other}"


def _verdict(result: AttributionResult) -> str:
    check, name = result.check, notice.escape(result.target)
    lost = [check.lead - covered.lead for covered in (check.most, check.least)]
    most, least = (_moved(change) for change in lost)
    if check.lead < 0:  # the map is of a class that is not the answer
        lead = f"The logit of {name} is {-check.lead:.1f} below the answer's"
    else:
        lead = f"The logit of {name} leads the next class by {check.lead:.1f}"
    return (
        f"{lead}. Covering the region that the map calls most helpful, it {most}; covering the least "
        f"helpful, it {least}. {_held(*lost)}"
    )


def _held(most: float, least: float) -> str:
    if abs(most - least) < TELLING:
        return "That is no difference, so it says nothing about the map."
    return "The map holds." if most > least else "The map does not hold: do not trust it here."


def _moved(lost: float) -> str:
    points = f"{abs(lost):.1f}"
    if points == "0.0":
        return "stays as it is"
    return f"{'loses' if lost > 0 else 'gains'} {points}"
