"""What probes found, a sentence each, for page and command line alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cnnviz.diagnosis.probing import MISSING, probes

ARMS = {
    "own": "with this recipe",
    "no-decay": "without weight decay",
    "no-dropout": "without dropout",
    "reference": "with Adam at 0.001",
}

SMALL = 1e-3
"""A loss of which nothing is left to learn."""


def told(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Title and sentence of each probe in `Evidence.probes`; of one that could not be made, why not."""
    known = probes()
    return [
        (known[name].title, str(one[MISSING]) if MISSING in one else SENTENCES[name](one))
        for name, one in found.items()
        if name in known and one
    ]


def _duplicates(found: Mapping[str, Any]) -> str:
    exact, near = found["exact"], found["near"]
    said = []
    if exact is not None:
        said.append(
            f"{exact['test']:,} test and {exact['validation']:,} validation images lie among the training "
            "images, pixel by pixel."
        )
    if near is not None:
        said.append(
            f"{near['share']:.1%} of {near['images']:,} test images differ from one of {near['known']:,} "
            f"training images by less than {near['threshold']:g} of 255 shades."
        )
    return " ".join(said) or "Images that are decoded as they are needed are not compared."


def _evaluation_mode(found: Mapping[str, Any]) -> str:
    recorded = "" if found["recorded"] is None else f"; the run recorded {found['recorded']:.1%}"
    return (
        f"Test accuracy is {found['evaluation']:.1%} in evaluation mode and {found['training']:.1%} in "
        f"training mode{recorded}."
    )


def _gradient_flow(found: Mapping[str, Any]) -> str:
    layers = found["layers"]
    if not layers:
        return "No layer has weights."
    ends = layers[0], layers[-1]
    fresh, now = (
        [_number(one[when]["gradient"]) for one in ends if one[when] is not None]
        for when in ("fresh", "trained")
    )
    since = f"; now {' and '.join(now)}" if now else ""
    return (
        f"Before the first step the gradient is {fresh[0]} long at '{ends[0]['name']}' and {fresh[1]} at "
        f"'{ends[1]['name']}'{since}."
    )


def _initial_loss(found: Mapping[str, Any]) -> str:
    return f"It is {_number(found['loss'])}; guessing has {found['chance_loss']:.4g}, ln(classes)."


def _label_agreement(found: Mapping[str, Any]) -> str:
    near, patches = found["neighbours"], found["patches"]
    said = []
    if near is not None:
        said.append(
            f"An image's nearest neighbours have its label {near['share']:.0%} of the time, "
            f"{near['chance']:.0%} by chance."
        )
    if patches is not None:
        said.append(
            f"A linear classifier of small patches names {patches['share']:.0%} of unseen images, "
            f"{patches['chance']:.0%} would be had by one answer for all."
        )
    return " ".join(said) or "There are too few images to tell."


def _overfit_batch(found: Mapping[str, Any]) -> str:
    ends = [f"{_learnt(arm)} {ARMS[name]}" for name, arm in found["arms"].items()]
    return f"Of {found['images']} images in {found['steps']} steps, it learns {', '.join(ends)}."


def _learnt(arm: Mapping[str, Any]) -> str:
    if arm["accuracy"] is None:
        return "none, for its loss is no number any more,"
    loss = arm["loss"]
    return f"{arm['accuracy']:.0%} (loss {_number(loss) if loss is None or loss > SMALL else 'near 0'})"


def _shuffled_inputs(found: Mapping[str, Any]) -> str:
    return (
        f"Test accuracy is {found['accuracy']:.1%}, and {found['accuracy_pixels_shuffled']:.1%} with every "
        f"image's pixels in disorder; another image in its place moves {found['moved_by_exchange']:.0%} of "
        "an answer's probability."
    )


def _number(value: float | None) -> str:
    return "no number" if value is None else f"{value:.3g}"


SENTENCES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "duplicates": _duplicates,
    "evaluation-mode": _evaluation_mode,
    "gradient-flow": _gradient_flow,
    "initial-loss": _initial_loss,
    "label-agreement": _label_agreement,
    "overfit-batch": _overfit_batch,
    "shuffled-inputs": _shuffled_inputs,
}
