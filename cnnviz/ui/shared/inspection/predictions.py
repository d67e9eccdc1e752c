"""Prediction of an image: preprocessing with thumbnails of every step, top classes as bars, and hints.

Both are cached. Hints say what about the image does not suit the network.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import streamlit as st

from cnnviz.figures import numbers
from cnnviz.inference import ClassProbability
from cnnviz.inference.images.decoder import Pixels
from cnnviz.inference.images.preprocessing import Preprocessing
from cnnviz.inference.images.read_image import Picture
from cnnviz.interpret.mosaic import Floats
from cnnviz.ui.shared import notice, url_state
from cnnviz.ui.shared.inspection.model_input import Network
from cnnviz.ui.shared.result_cache import RESULTS
from cnnviz.ui.shared.url_state import change_without_model

if TYPE_CHECKING:
    from torch import Tensor

    from cnnviz.inference.images.preprocessing_trace import Hint
    from cnnviz.inference.weights.loaded_model import Loaded

THUMB = 168
"""Longer side of a step's thumbnail as shown, in pixels."""


@dataclass(frozen=True, eq=False)
class Shot:
    """One preprocessing step with its thumbnail."""

    name: str
    text: str
    png: bytes
    size: tuple[int, int]
    """Height and width of the step's image itself."""


@dataclass(frozen=True, eq=False)
class PreprocessedImage:
    """An image, preprocessed for a network."""

    name: str
    truth: str | None
    digest: str
    """Changes whenever the tensor may."""
    shots: tuple[Shot, ...]
    stored: Pixels
    """uint8 `(C, H, W)`, as images of the training data are stored."""
    tensor: Tensor
    """float32 `(1, C, H, W)`, the network's input."""
    seen: Pixels
    """uint8 `(H, W, C)`, the input before it is scaled and normalized."""
    how: Preprocessing


def prepared(picture: Picture, how: Preprocessing) -> PreprocessedImage:
    """Preprocess the image as `how` says."""
    return _prepared(_digest(picture), how.model_dump_json(), picture, how)


def _digest(picture: Picture) -> str:
    facts = repr((picture.name, picture.pixels.shape, picture.mode, picture.orientation, picture.format))
    sums = hashlib.blake2b(facts.encode(), digest_size=12)
    sums.update(np.ascontiguousarray(picture.pixels).data)
    return sums.hexdigest()


@RESULTS.cached()
def _prepared(digest: str, settings: str, _picture: Picture, _how: Preprocessing) -> PreprocessedImage:
    from cnnviz.inference.images.preprocessing_trace import steps, stored_pixels

    result = steps(_picture, _how)
    shots = tuple(Shot(step.name, step.text, _png(step.picture), step.size) for step in result)
    tensor = result[-1].tensor
    assert tensor is not None
    key = hashlib.blake2b(f"{digest} {settings}".encode(), digest_size=12).hexdigest()
    return PreprocessedImage(
        _picture.name,
        _picture.truth,
        key,
        shots,
        stored_pixels(_picture, _how),
        tensor,
        result[-2].picture,
        _how,
    )


def _png(pixels: Pixels) -> bytes:
    """Encode as PNG, downscaled if large; the browser enlarges small images."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))
    if max(image.size) > 2 * THUMB:
        image.thumbnail((2 * THUMB, 2 * THUMB))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


# Changes of a network's own preprocessing in the URL: `invert:true,fit:pad`.

CHOICES = ("fit", "resample", "background", "scale")
SWITCHES = ("oriented", "invert", "centre")
CHANGEABLE = (*SWITCHES, *CHOICES)


def read_overrides(text: str | None, own: Preprocessing) -> tuple[Preprocessing, str | None]:
    """Apply the URL's changes to the network's own preprocessing.

    Return it with an error sentence or None.
    """
    if not text:
        return own, None
    changes: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.partition(":")
        if name not in CHANGEABLE:
            return own, f"“prep” cannot change {url_state.quoted(name)}, only {', '.join(CHANGEABLE)}."
        changes[name] = value == "true" if name in SWITCHES else value
    try:
        return own.changed(**changes), None
    except ValueError as error:
        return own, f"{error} The network's own is used."


def write_overrides(changes: Mapping[str, Any]) -> str | None:
    """Return changes as written in the URL; None if there are none."""
    texts = (f"{name}:{str(value).lower()}" for name, value in changes.items())
    return ",".join(texts) or None


def changed(how: Preprocessing, own: Preprocessing) -> dict[str, Any]:
    """Return the fields in which `how` differs from the network's own."""
    return {name: getattr(how, name) for name in CHANGEABLE if getattr(how, name) != getattr(own, name)}


def change(name: str, value: object, how: Preprocessing, own: Preprocessing) -> None:
    """Change one field of `how` in the URL; fields that equal the network's `own` are omitted."""
    changes = changed(how, own) | {name: value}
    change_without_model(
        prep=write_overrides(
            {field: new_value for field, new_value in changes.items() if new_value != getattr(own, field)}
        )
    )


def values(name: str, own: Preprocessing) -> list[str]:
    """Return the possible values of a field for this network."""
    possible: list[str] = []
    for value in get_args(type(own).model_fields[name].annotation):
        for candidate in get_args(value) or (value,):
            try:
                own.changed(**{name: candidate})
            except ValueError:
                continue
            possible.append(str(candidate))
    return possible


CSS = Path(__file__).with_name("predictions.css")
TOP = 5
CHANGES = {"invert": "Invert it", "centre": "Center it"}
"""Preprocessing fields that a hint may propose to change, with the button's label."""


def class_probabilities(network: Network, ready: PreprocessedImage) -> Floats:
    """Return the probabilities of all classes, float32 `(classes,)`."""
    return _shares(network.stamp, ready.digest, network, ready)


def top(network: Network, probabilities: Floats) -> list[ClassProbability]:
    """Return the `TOP` most probable classes, in descending order."""
    order = np.argsort(-probabilities, kind="stable")[:TOP]
    return [ClassProbability(network.loaded.classes[index], float(probabilities[index])) for index in order]


def draw_predictions(network: Network, ready: PreprocessedImage) -> None:
    """Draw the top classes as bars, and a note on the network's accuracy."""
    st.html(CSS)
    best = top(network, class_probabilities(network, ready))
    rows = "".join(_row(answer, ready.truth) for answer in best)
    truth = f"<p>True class: <b>{escape(ready.truth)}</b></p>" if ready.truth is not None else ""
    words = ", ".join(f"{answer.name} {numbers.percent(answer.probability, 1)}" for answer in best)
    st.html(
        f'<div class="answers" role="img" aria-label="The network says: {escape(words)}">{rows}</div>{truth}'
    )
    if not network.loaded.trained:
        of = notice.escape(f"Fresh weights{_form(network.loaded)}")
        st.caption(f":material/warning: {of}: nothing was learned, so its answers mean nothing.")
    elif network.loaded.accuracy is not None:
        right = numbers.percent(network.loaded.accuracy, 1)
        st.caption(f"{notice.escape(network.loaded.name)}: {right} of its test images right.")


def _form(loaded: Loaded) -> str:
    """Describe how the network's form differs from its model's default."""
    spec, options = loaded.spec, {} if loaded.options is None else loaded.options.changed()
    differs = [f"{len(loaded.classes):,} classes"] if len(loaded.classes) != spec.classes else []
    differs += [f"input {numbers.shape(loaded.side)}"] if loaded.side != spec.input_shape[1:] else []
    differs += [f"{name.replace('_', ' ')} {url_state.option_text(value)}" for name, value in options.items()]
    return f" ({', '.join(differs)})" if differs else ""


def draw_hints(network: Network, picture: Picture, ready: PreprocessedImage, own: Preprocessing) -> None:
    """Draw hints on what is unsuitable about the image for this network, with buttons that change it.

    Args:
        network: The network.
        picture: The image.
        ready: The preprocessed image.
        own: The network's own preprocessing; a button restores it.
    """
    hints = (
        _hints(network.stamp, ready.digest, picture, ready, network.loaded.centered)
        if network.loaded.trained
        else ()
    )
    for hint in hints:
        st.caption(f":material/help: {notice.escape(hint.text)}")
    changes = [name for name in CHANGES if any(hint.change == name for hint in hints)]
    if not changes and ready.how == own:
        return
    with st.container(horizontal=True, gap="small", key="doubts"):
        for name in changes:
            st.button(
                CHANGES[name], key=f"doubts-{name}", icon=":material/auto_fix:",
                on_click=partial(change, name, True, ready.how, own),
            )  # fmt: skip
        if ready.how != own:
            st.button(
                "As trained", key="doubts-reset", type="tertiary", icon=":material/undo:",
                help="Take back what was changed about how the image goes in.",
                on_click=partial(change_without_model, prep=None),
            )  # fmt: skip


@st.cache_data(max_entries=256, show_spinner=False)
def _hints(
    stamp: str, digest: str, _picture: Picture, _ready: PreprocessedImage, centered: bool
) -> tuple[Hint, ...]:
    from cnnviz.inference.images.preprocessing_trace import hints

    return hints(_picture, _ready.how, centered)


def _row(answer: ClassProbability, truth: str | None) -> str:
    true = ' class="true"' if answer.name == truth else ""
    name = escape(answer.name)
    return (
        f'<div{true}><span title="{name}">{name}</span>'
        f'<i><b style="width:{100 * answer.probability:.1f}%"></b></i>'
        f"<em>{numbers.percent(answer.probability, 1)}</em></div>"
    )


@st.cache_data(max_entries=256, show_spinner=False)
def _shares(stamp: str, digest: str, _network: Network, _ready: PreprocessedImage) -> Floats:
    import torch

    from cnnviz.inference.predict import probabilities

    pixels = torch.from_numpy(_ready.stored)[None]
    values: Floats = probabilities(_network.loaded.model, _ready.how, pixels)[0].numpy()
    return values
