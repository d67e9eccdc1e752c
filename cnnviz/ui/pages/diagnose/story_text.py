"""Sentences of the story, each computed from recorded values: the text itself contains no figures."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cnnviz.diagnosis import Evidence
from cnnviz.diagnosis.evidence.mean_field import LayerPropagation, lrn_factor
from cnnviz.diagnosis.recorded import Card, RecordedCondition, Table
from cnnviz.diagnosis.recorded.fresh import Fresh, Layer
from cnnviz.experiments.verdict import points
from cnnviz.figures.numbers import duration, percent, significant
from cnnviz.models.layers import LocalResponseNorm

SMALL = 0.1
"""A difference below this fraction of the bias counts as drowned."""


def observed(run: Evidence) -> str:
    """Describe what the article observed, which the recorded run reproduces."""
    loss, test = run.curve("train/epoch_loss").last, run.curve("test/accuracy").last
    seen = run.predicted["test"][-1]
    name = run.data.classes[seen.counts.index(max(seen.counts))]
    return (
        f"After {run.step} steps the training loss is {loss:.3f}. Guessing evenly among {run.classes} "
        f"classes costs ln {run.classes} = {run.chance_loss:.3f}: so far, the network does no better than a "
        f"die. On test images {percent(test or 0, 1)} are right, because {percent(seen.largest_share)} of "
        f"all answers are “{name}”, whatever the image shows."
    )


def first_layer(layer: LayerPropagation, reads: str) -> str:
    """Explain the signal propagation of the first layer in numbers."""
    return (
        f"Each output of {layer.name} adds up {layer.inputs:.0f} pixels, each times a random weight of about "
        f"±{layer.std:.3g}. Random terms partly cancel, so a sum of n of them grows only with "
        f"√n: the layer multiplies a signal by {layer.std:.3g} · √{layer.inputs:.0f} = "
        f"{significant(layer.gain, 2)}. {reads} differ from image to image by "
        f"{significant(layer.entering.signal, 2)}, so what {layer.name} says differs by "
        f"{significant(layer.gain, 2)} · {significant(layer.entering.signal, 2)} = "
        f"{significant(layer.signal, 2)}."
    )


def last_layer(layers: Sequence[LayerPropagation]) -> str:
    """Describe the signal at the last layer, and its share of the output."""
    first, last = layers[0], layers[-1]
    left = last.signal / first.entering.signal
    return (
        "Layer after layer it goes on like that. ReLU lets about half of the values through, LRN takes its "
        f"share, and at {last.name}, where the answer is read off, images differ by {_power(last.signal)}: "
        f"{_fold(left)}. What all images have in common is about {significant(last.spread, 2)}, "
        f"{_times(last.spread / last.signal)} what tells them apart."
    )


def biases(layers: Sequence[LayerPropagation]) -> str:
    """Describe how constant biases drown the signal; empty if there are none."""
    drowned = [layer for layer in layers if layer.bias]
    if not drowned:
        return ""
    first = drowned[0]
    names = ", ".join(layer.name for layer in drowned)
    comes = (
        "With a signal this small, all that later layers see is the bias."
        if first.signal < SMALL * first.bias
        else "This signal is strong enough to be seen beside it."
    )
    return (
        f"Biases of {first.bias:g} stand in {names}. In {first.name} that is {first.bias:g} for every "
        f"image beside a difference of {significant(first.signal, 2)} between images: "
        f"{_times(first.bias / first.signal)} as much. A bias does not shrink the difference, and it keeps "
        f"the ReLU open. {comes}"
    )


def noise(run: Evidence) -> str:
    """Describe the effect of dropout on so small a signal in the first step."""
    statistics = run.looks[0]
    names = [layer.name for layer in statistics.layers]
    drop = next(names.index(layer.name) for layer in run.layers if layer.type == "Dropout")
    before, after = statistics.layers[drop - 1].signal or 0.0, statistics.layers[drop].signal or 0.0
    return (
        f"Training makes it worse. In the recorded run's first step images differ by {_power(before)} "
        f"before {names[drop]}, and by {significant(after, 2)} behind it, {_times(after / before)} as much: "
        "dropout zeroes other values for every image, and beside so faint a signal that noise is all that "
        "the last layers hear."
    )


def backwards(failed: Sequence[Layer], fixed: Sequence[Layer]) -> str:
    """Describe the first step's gradients."""
    weak = min(zip(failed, fixed, strict=True), key=lambda pair: pair[0].gradient / pair[1].gradient)
    return (
        "The way back has the same factors. A layer's gradient is what comes back from the loss times what "
        f"went in, and here both are small. In the first step {weak[0].name}'s gradient is "
        f"{_power(weak[0].gradient)}, {_times(weak[1].gradient / weak[0].gradient)} smaller than in the "
        "fixed network, so it is moved by that much less."
    )


def response(weak: LocalResponseNorm, strong: LocalResponseNorm, square: float) -> str:
    """Explain whether LRN's α can be the cause."""
    return (
        f"LRN divides by (k + α·x²) to the power β. torch's α = {weak.alpha:g}, as the article has it, is a "
        f"fifth of the paper's. After conv1 of the article's network x² is {significant(square, 2)}, so LRN "
        f"multiplies by {lrn_factor(weak, square):.5f} with the one and by {lrn_factor(strong, square):.5f} "
        "with "
        f"the other. It is k = {weak.k:g} that does it, {weak.k:g} to the power −{weak.beta:g}, and k is the "
        "same in both."
    )


ANSWER = (
    "The paper's first weights were made for the paper's pixels. With pixels up to ±255 the article's "
    "network learns as it stands, and with pixels between 0 and 1 it learns as soon as its weights fit "
    "them, as He's rule makes them. A learning rate ten times as large, three times the steps, standardized "
    "pixels, no biases or a stronger LRN, each by itself, leave it where it was."
)


def proof(conditions: Sequence[RecordedCondition]) -> list[str]:
    """Describe the paired runs, in paragraphs: which conditions end the collapse to one class."""
    base, others = conditions[0], conditions[1:]
    freed = [condition for condition in others if condition.collapsed == 0]
    stuck = [condition for condition in others if condition.collapsed == condition.n]
    mixed = [condition for condition in others if 0 < condition.collapsed < condition.n]
    certain = [condition.name for condition in freed if condition.gain is not None and condition.gain.apart]
    sentences = [
        f"The failing recipe gives one answer to nearly every image in {base.collapsed} of {base.n} runs "
        f"and reaches {percent(base.accuracy, 1)}."
    ]
    if freed:
        sentences.append(
            f"No run does so any more with: {'; '.join(_gain(condition) for condition in freed)}."
        )
    sentences += [
        f"{condition.collapsed} of {condition.n} runs still do with {condition.name}." for condition in mixed
    ]
    if stuck:
        sentences.append(
            f"Every run still does with: {'; '.join(_named(condition, base.n) for condition in stuck)}."
        )
    text = ", ".join(certain) if certain else "none yet"
    sentences.append(
        f"Gains are over the failing recipe with the same seed. Their intervals hold for all {len(others)} "
        "conditions together with 95 % chance, which makes them wide where seeds are few; zero lies outside "
        f"them for: {text}."
    )
    return sentences


def compared(failed: Evidence, fixed: Evidence) -> str:
    """Describe the final figures of both recorded runs."""
    return (
        f"In the same {fixed.step} steps on the same images the loss falls to "
        f"{fixed.curve('train/epoch_loss').last:.2f} and "
        f"{percent(fixed.curve('test/accuracy').last or 0, 1)} of the test images are right, against "
        f"{percent(failed.curve('test/accuracy').last or 0, 1)}. Its commonest answer gets "
        f"{percent(fixed.predicted['test'][-1].largest_share)} of the images."
    )


def made(card: Card) -> str:
    """Describe how a recorded run was made."""
    return (
        f"{card.steps:,} steps in {duration(card.seconds)} on {card.hardware}, torch "
        f"{card.versions['torch']}; learned from {card.data}."
    )


def paired(runs: Table) -> str:
    """Describe how the paired runs were made."""
    rows = runs.rows
    return (
        f"The paired runs: {len(rows)} on the article's AlexNet, a quarter as wide and for images of 67×67, "
        f"each learning from 5,000 images of CIFAR-10 and judged by {runs.test_images:,} others; "
        f"{runs.machine}. Runs of the same seed begin with the same weights where their networks begin "
        "alike, and see the same images in the same order."
    )


def measured(fresh: Fresh) -> str:
    """Describe how the fresh networks were measured."""
    return (
        f"The fresh networks: AlexNet of full size, {fresh.seeds} seeds of each start, {fresh.data}, on "
        f"{fresh.hardware}, torch {fresh.versions['torch']}; dropout off."
    )


def _named(condition: RecordedCondition, most: int) -> str:
    """Return the condition's name, with its number of runs if it has fewer than others."""
    return (
        condition.name
        if condition.n == most
        else f"{condition.name} ({condition.n} run{'s' if condition.n > 1 else ''} only)"
    )


def _gain(condition: RecordedCondition) -> str:
    return f"{condition.name}, {gain_text(condition)} points"


def gain_text(condition: RecordedCondition) -> str:
    """Format the gain: `+11.2 ± 1.9`; without an interval if there is none, empty for the baseline."""
    if condition.gain is None:
        return ""
    half = "" if condition.gain.half is None else f" ± {100 * condition.gain.half:.1f}"
    return f"{points(condition.gain.mean)}{half}"


def _fold(left: float) -> str:
    part = significant(left, 2) if left > 0.1 else f"1 part in {significant(1 / left, 2)}"
    return f"{part} of what went in"


def _times(ratio: float) -> str:
    return f"{significant(ratio, 2)} times"


def _power(value: float) -> str:
    """Format a small value: `0.0045`, `9.5·10⁻⁵`."""
    if value >= 1e-3 or value <= 0:
        return significant(value, 2)
    exponent = math.floor(math.log10(value))
    return (
        f"{value / 10**exponent:.1f}·10{str(exponent).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"
    )
