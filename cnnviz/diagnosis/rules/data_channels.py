"""A network that reads grey, and images whose class is in their colour."""

from __future__ import annotations

from typing import Any

from cnnviz.diagnosis.evidence import Evidence, Neighbours
from cnnviz.diagnosis.finding import Bars, Change, Fact, Finding
from cnnviz.diagnosis.networks import IN_COLOUR, reading, registered
from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.registry import Clear, Outcome, Untold, rule
from cnnviz.diagnosis.standing import Standing, accuracies, standing

TELLS = 0.15
"""By how much oftener, on the way from chance to always, neighbours share a label in colour than in grey. On
CIFAR-10, of which LeNet-5 learns most in grey too, it is 0.04."""
TURNED_GREY = "turned to grey"
"""In the note of `cnnviz.datasets.adapting.how`."""


@rule(
    "data-channels",
    title="Colour lost",
    summary="The network reads grey, but it is colour that tells the classes apart.",
)
def data_channels(evidence: Evidence) -> Outcome:
    """Found where colour was turned to grey, the images are not known, and colour would tell more."""
    note = next((note for note in evidence.data.notes if TURNED_GREY in note.lower()), None)
    if not evidence.data.shape:
        return Untold("The run did not record what its images are like.")
    if note is None:
        copied = any("three channels" in one for one in evidence.data.notes)
        return Clear(
            "Grey was copied into three channels, which loses nothing."
            if copied
            else f"The network reads all channels that the images have ({evidence.data.shape[0]})."
        )
    now = standing(evidence)
    if now is None:
        return Untold("No epoch has ended yet, so nobody knows whether grey is enough.")
    if now.well:
        return Clear(
            f"Colour is turned to grey, but {percent(now.held)} of the {now.part} images are known all the "
            "same."
        )
    colour, grey = evidence.census.neighbours_in_colour, evidence.census.neighbours
    if colour is None or grey is None:
        return Untold("Colour is turned to grey, and this run did not record what colour tells.")
    if colour.excess - grey.excess < TELLS:
        return Clear(
            f"Colour is turned to grey, but tells little: neighbours share a label {percent(colour.share)} "
            f"of the time in colour and {percent(grey.share)} in grey."
        )
    return _finding(evidence, now, colour, grey)


def _finding(evidence: Evidence, now: Standing, colour: Neighbours, grey: Neighbours) -> Finding:
    return Finding(
        cause="data-channels",
        confidence=0.96,
        effect=max(0.5, now.lost),
        verdict=(
            "The network reads grey images, but colour tells the classes apart: neighbours share their label "
            f"{percent(colour.share)} of the time in colour, {percent(grey.share)} in grey."
        ),
        explanation=(
            "The images have three channels, red, green and blue, and the network's first layer reads one. "
            "So they were turned to grey, 0.299 · red + 0.587 · green + 0.114 · blue: colours of the same "
            f"brightness become the same grey, (100, 0, 0) and (0, 51, 0) both 30.\n\nOf the {colour.each} "
            f"images most like an image {percent(colour.share, 1)} have its label as long as there is "
            f"colour, and {percent(grey.share, 1)} in grey, where chance alone gives "
            f"{percent(grey.chance, 1)}. What is lost before the first layer no layer can find again: the "
            f"network knows {percent(now.learnt)} of its training images and {percent(now.held)} of others."
        ),
        facts=(
            Fact("neighbours share a label in colour", colour.share, f"{percent(colour.share, 1)}"),
            Fact("and in grey", grey.share, f"{percent(grey.share, 1)}, by chance {percent(grey.chance, 1)}"),
            *now.facts,
        ),
        pictures=(
            Bars(
                title="How often neighbours share a label",
                names=("in colour", "in grey, as it is read"),
                values={"share a label": (colour.share, grey.share)},
                y_label="part of the neighbours",
                reference=("by chance", grey.chance),
                marked=("in grey, as it is read",),
                alt=f"{percent(colour.share)} in colour, {percent(grey.share)} in grey.",
                percent=True,
            ),
            accuracies(evidence, "Neither learnt nor held-out images are known"),
        ),
        ruled_out=(f"Shuffled labels: in colour neighbours share one {percent(colour.share)} of the time.",),
        changes=(_in_colour(evidence),),
        explains=(
            "labels-shuffled",
            "labels-noisy",
            "one-class",
            "under-fitting",
            "over-fitting-data",
            "over-fitting-augmentation",
            "over-fitting-model",
            "too-few-steps",
            "rate-too-low",
            "rate-too-high",
        ),
    )


def _in_colour(evidence: Evidence) -> Change:
    layers = evidence.recipe.layers
    values: dict[str, Any] = registered(IN_COLOUR) if layers is None else reading(layers, 3)
    why = (
        f"{IN_COLOUR} reads colour."
        if layers is None
        else "The same layers, the first reading three channels."
    )
    return Change(values, why)
