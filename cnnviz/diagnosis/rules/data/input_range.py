"""Rules on the input: its scale, and color that the network does not read."""

from __future__ import annotations

from typing import Any

from cnnviz.diagnosis import exclusions, fixes
from cnnviz.diagnosis.alternative_networks import SMALLEST_IN_COLOR, registered_model, with_input_channels
from cnnviz.diagnosis.evidence import Evidence, Input, Neighbours
from cnnviz.diagnosis.evidence.layer_signals import (
    WIDE,
    LayerSignal,
    SignalPropagation,
    first_look,
    layer_signals,
    signal_propagation,
)
from cnnviz.diagnosis.evidence.learning_curves import (
    WELL,
    AccuracySummary,
    LossCurve,
    accuracy_figure,
    accuracy_summary,
    summarize_loss,
)
from cnnviz.diagnosis.evidence.step_size import early_update_ratio
from cnnviz.diagnosis.figures import loss_curve
from cnnviz.diagnosis.finding import Bars, Change, CodeFix, Fact, Finding
from cnnviz.diagnosis.numbers import fixed, percent, short
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule
from cnnviz.diagnosis.rules.training.initialization import SURPRISED
from cnnviz.diagnosis.rules.training.learning_rate import FAR
from cnnviz.diagnosis.rules.training.steps import FEW

# Model input that is not normalized.

NARROW = 0.5
"""Standard deviation of the input: pixels in [0, 1] have 0.2 to 0.35 and a nonzero mean. A well-initialized
network learns from them; one whose signal shrinks begins with a quarter of it.
"""


@rule(
    "input-scale",
    title="Input that is not normalized",
    summary="The pixels that the model reads are far from mean 0 and standard deviation 1.",
    live=True,
)
def input_scale(evidence: Evidence) -> Outcome:
    """Detect pixels that are far too large, or too small for a network whose signal shrinks."""
    read, curve = evidence.input, summarize_loss(evidence)
    if read is None or curve is None:
        return Inconclusive("What the model reads was not recorded.")
    figures = f"mean {short(read.mean)}, standard deviation {short(read.spread)}"
    if evidence.recipe.scale == "standardised" or NARROW <= read.spread <= WIDE:
        return Negative(f"The model reads values of {figures}.")
    if read.spread > WIDE:
        if _works(evidence, curve) or not _harmed(evidence, curve):
            return Negative(f"The model reads values of {figures}, and no step was too large for it.")
        confidence = 0.95 if curve.learned < 0.5 else 0.7
        return _scale_finding(evidence, read, curve, _wide(evidence, read), confidence, 0.95)
    propagation = signal_propagation(evidence)
    if not curve.stuck or propagation is None or not propagation.is_weak:
        return Negative(f"The model reads values of {figures}, and its first layers hand their signal on.")
    return _scale_finding(evidence, read, curve, _narrow(propagation, read), 0.6, 0.4)


def _scale_finding(
    evidence: Evidence, read: Input, curve: LossCurve, reason: str, confidence: float, effect: float
) -> Finding:
    signals = layer_signals(evidence, first_look(evidence))
    return Finding(
        cause="input-scale",
        confidence=confidence,
        effect=effect,
        verdict=f"The model reads pixels of mean {short(read.mean)} and standard deviation "
        f"{short(read.spread)}, not of mean 0 and standard deviation 1.",
        explanation="\n\n".join((
            "Rules for initial weights are made for inputs of mean 0 and standard deviation 1 (LeCun et "
            "al., 1998). A first layer that reads values k times as large gives outputs k times as large, "
            "and so does each layer after it; its weights' gradients grow by k once more, as they are "
            "products with the input.",
            reason,
        )),
        facts=(
            Fact("mean of the input", read.mean, short(read.mean)),
            Fact("standard deviation of the input", read.spread, short(read.spread)),
            Fact("smallest and largest", read.high - read.low, f"{short(read.low)} to {short(read.high)}"),
            curve.fact,
        ),
        pictures=(_picture(read, signals), loss_curve(curve, evidence.classes)),
        layers=tuple(stage.name for stage in signals[:1]),
        steps=(1, evidence.step),
        ruled_out=exclusions.rule_out_initialization(evidence),
        changes=fixes.applicable_changes(
            (fixes.standardize_pixels(), fixes.add_batch_norm(evidence.recipe)), evidence.recipe
        ),
        explains=(
            "one-class", "exploding-gradients", "non-finite", "rate-too-high", "dead-relu", "under-fitting",
            "too-few-steps", "unstable-training",
            *(("rate-too-low", "labels-shuffled") if _normalised_at_once(evidence) else ()),
        ) if read.spread > WIDE else (),
    )  # fmt: skip


def _wide(evidence: Evidence, read: Input) -> str:
    signals, curve = layer_signals(evidence, first_look(evidence)), summarize_loss(evidence)
    first = (
        f"'{signals[0].name}' gives values with standard deviation {short(signals[0].at.spread or 0)}. "
        if signals
        else ""
    )
    start = (
        f"the first loss is {short(curve.start)} where chance level is {fixed(curve.chance, 3)}. "
        if curve
        else ""
    )
    return (
        f"Here k is {short(read.spread)}: pixels go from {short(read.low)} to {short(read.high)}. "
        f"{first}So {start}Gradients of the first layer are up to {short(read.spread)}² = "
        f"{short(read.spread**2)} times what they would be, while its weights are of the usual size: a "
        "rate that suits standardized pixels overshoots."
    )


def _narrow(propagation: SignalPropagation, read: Input) -> str:
    return (
        f"Here k is {short(read.spread)}, and the mean of {short(read.mean)} is larger than the standard "
        "deviation, so most of what the first layer sums is the same for all images. It is not the main "
        f"reason: '{propagation.last.name}' would get {short(1 / max(read.spread, 1e-9))} times the signal "
        f"from standardized pixels, {short((propagation.last.at.signal or 0) / max(read.spread, 1e-9))} in "
        f"place of {short(propagation.last.at.signal or 0)}."
    )


def _harmed(evidence: Evidence, curve: LossCurve) -> bool:
    """Return whether large values did harm: small weights may compensate, as in the AlexNet paper."""
    if _normalised_at_once(evidence):
        return evidence.step >= FEW and curve.stuck
    sgd = evidence.recipe.optimiser in ("sgd", "nesterov")
    thrown = sgd and (early_update_ratio(evidence) or 0.0) >= FAR / 3
    return thrown or curve.diverged or curve.start > SURPRISED * curve.chance or evidence.status == "failed"


def _works(evidence: Evidence, curve: LossCurve) -> bool:
    """Return whether the run recovered: fitting the training images is not enough without generalization."""
    now = accuracy_summary(evidence)
    return curve.learned > WELL and (now is None or now.well)


def _normalised_at_once(evidence: Evidence) -> bool:
    """Return whether normalization comes before the second layer with weights."""
    kinds = [fact for fact in evidence.layers if fact.kind in ("conv", "fc", "norm")]
    return any(fact.kind == "norm" for fact in kinds[:2])


def _picture(read: Input, signals: tuple[LayerSignal, ...]) -> Bars:
    return Bars(
        title="Standard deviation of the input and of each layer's outputs, before anything is learned",
        names=("input", *(stage.name for stage in signals)),
        values={"standard deviation": (read.spread or None, *(stage.at.spread or None for stage in signals))},
        y_label="standard deviation",
        logarithmic=True,
        reference=("1: what rules for initial weights expect", 1.0),
        marked=("input",),
        alt=f"The input has a standard deviation of {short(read.spread)}; 1 is expected.",
    )


# Grayscale input where color tells the classes apart.

TELLS = 0.15
"""Excess of label agreement among neighbors in color over grayscale, chance-corrected. On CIFAR-10, most of
which LeNet-5 learns in grayscale too, it is 0.04.
"""
ALL_GRAY = 0.99
"""Fraction of a watched loop's images with three equal channels."""
BY_HEART = 0.05
"""Gap from which a falling loss is that of memorizing."""
HARDLY_ANYTHING = 0.15
"""Chance-corrected accuracy below which nothing of use is learned."""
TURNED_GRAY = ("turned to gray", "turned to grey")
"""How a data set's notes say it; runs stored before were British."""
"""Part of a note written by `cnnviz.datasets.dataset`."""


@rule(
    "data-channels",
    title="Color lost",
    summary="The network reads gray, but it is color that tells the classes apart.",
)
def data_channels(evidence: Evidence) -> Outcome:
    """Detect a loss of color: images converted to grayscale in a poor run, where color is informative."""
    note = next(
        (note for note in evidence.data.notes if any(words in note.lower() for words in TURNED_GRAY)), None
    )
    if not evidence.data.shape:
        return Inconclusive("The run did not record what its images are like.")
    if evidence.loop is not None and (evidence.loop.images.gray or 0.0) > ALL_GRAY:
        return _three_times_gray(evidence)
    if note is None:
        copied = any("three channels" in entry for entry in evidence.data.notes)
        return Negative(
            "Gray was copied into three channels, which loses nothing."
            if copied
            else f"The network reads all channels that the images have ({evidence.data.shape[0]})."
        )
    now = accuracy_summary(evidence)
    if now is None:
        return Inconclusive("No epoch has ended yet, so nobody knows whether gray is enough.")
    if now.well:
        return Negative(
            f"Color is turned to gray, but {percent(now.held_out_accuracy)} of the {now.part} images are "
            "known all the same."
        )
    colour, grey = evidence.quality.neighbours_in_colour, evidence.quality.neighbours
    if colour is None or grey is None:
        return Inconclusive("Color is turned to gray, and this run did not record what color tells.")
    if colour.excess - grey.excess < TELLS:
        return Negative(
            f"Color is turned to gray, but tells little: neighbors share a label {percent(colour.share)} "
            f"of the time in color and {percent(grey.share)} in gray."
        )
    return _channels_finding(evidence, now, colour, grey)


def _three_times_gray(evidence: Evidence) -> Outcome:
    """Judge a watched loop whose images have three equal channels: whether there was color is not known."""
    now = accuracy_summary(evidence)
    if now is None:
        return Inconclusive("No epoch has ended yet, so nobody knows whether gray is enough.")
    curve, neighbors = summarize_loss(evidence), evidence.quality.neighbours
    memorizes = now.train_accuracy - now.held_out_accuracy > BY_HEART
    if evidence.step <= FEW or curve is None or (curve.falling and not memorizes):
        return Inconclusive("The three channels are equal, and it has hardly begun to learn from them.")
    if neighbors is not None:
        return Negative("The three channels are equal, and what they show tells the classes apart.")
    gap = now.train_accuracy - now.held_out_accuracy
    if not now.at_chance and (now.above(now.held_out_accuracy) > HARDLY_ANYTHING or gap > 0.2):
        return Negative(
            f"The three channels are equal, but {percent(now.held_out_accuracy)} of the {now.part} images "
            "are known all the same."
        )
    return Finding(
        cause="data-channels",
        confidence=0.65,
        effect=0.9,
        verdict="The three channels of every image are equal, and next to nothing is learned: color seems "
        "to have been turned to gray, and may be what tells the classes apart.",
        explanation=(
            "The network takes three channels, and gets gray three times. That is usual for images that "
            "are gray by nature. Where they had colors, a conversion took them away (Grayscale, "
            "convert('L'), a mean over channels), and classes that differ by color alone are the same "
            f"then. {percent(now.train_accuracy)} of the training images are known, and "
            f"{percent(now.held_out_accuracy)} of others; a constant answer gives {percent(now.chance)}. "
            "Look at the images as they are stored."
        ),
        facts=now.facts,
        fix=CodeFix(
            "Leave the colors in.", "image = Image.open(path).convert('RGB')  # no Grayscale in the transform"
        ),
        explains=(
            "labels-shuffled",
            "labels-noisy",
            "one-class",
            "under-fitting",
            "rate-too-low",
            "rate-too-high",
        ),
    )


def _channels_finding(
    evidence: Evidence, now: AccuracySummary, colour: Neighbours, grey: Neighbours
) -> Finding:
    return Finding(
        cause="data-channels",
        confidence=0.96,
        effect=max(0.5, now.lost),
        verdict=(
            "The network reads gray images, but color tells the classes apart: neighbors share their label "
            f"{percent(colour.share)} of the time in color, {percent(grey.share)} in gray."
        ),
        explanation=(
            "The images have three channels, red, green and blue, and the network's first layer reads one. "
            "So they were turned to gray, 0.299 · red + 0.587 · green + 0.114 · blue: colors of the same "
            f"brightness become the same gray, (100, 0, 0) and (0, 51, 0) both 30.\n\nOf the {colour.each} "
            f"images most like an image {percent(colour.share, 1)} have its label as long as there is "
            f"color, and {percent(grey.share, 1)} in gray, where chance alone gives "
            f"{percent(grey.chance, 1)}. What is lost before the first layer no layer can find again: the "
            f"network knows {percent(now.train_accuracy)} of its training images and "
            f"{percent(now.held_out_accuracy)} of others."
        ),
        facts=(
            Fact("neighbors share a label in color", colour.share, f"{percent(colour.share, 1)}"),
            Fact("and in gray", grey.share, f"{percent(grey.share, 1)}, by chance {percent(grey.chance, 1)}"),
            *now.facts,
        ),
        pictures=(
            Bars(
                title="How often neighbors share a label",
                names=("in color", "in gray, as it is read"),
                values={"share a label": (colour.share, grey.share)},
                y_label="part of the neighbors",
                reference=("by chance", grey.chance),
                marked=("in gray, as it is read",),
                alt=f"{percent(colour.share)} in color, {percent(grey.share)} in gray.",
                percent=True,
            ),
            accuracy_figure(evidence, "Neither learned nor held-out images are known"),
        ),
        ruled_out=(f"Shuffled labels: in color neighbors share one {percent(colour.share)} of the time.",),
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
    values: dict[str, Any] = (
        registered_model(SMALLEST_IN_COLOR) if layers is None else with_input_channels(layers, 3)
    )
    reason = (
        f"{SMALLEST_IN_COLOR} reads color."
        if layers is None
        else "The same layers, the first reading three channels."
    )
    return Change(values, reason)
