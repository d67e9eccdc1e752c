"""Rules on images: constant inputs, and images upsampled beyond their content."""

from __future__ import annotations

from typing import Literal

from cnnviz.diagnosis import exclusions, fixes
from cnnviz.diagnosis.alternative_networks import SMALL_SIDES, registered_model
from cnnviz.diagnosis.comparisons import EASY, patch_classifier_score
from cnnviz.diagnosis.evidence import Detail, Evidence, Input, Variation
from cnnviz.diagnosis.evidence.generalization import chance_corrected
from cnnviz.diagnosis.evidence.learning_curves import AccuracySummary, accuracy_figure, accuracy_summary
from cnnviz.diagnosis.finding import Bars, Change, CodeFix, Fact, Finding
from cnnviz.diagnosis.numbers import percent, short
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule, rules

# Constant or nearly constant model input, due to the data, the scale or augmentation.

FAINT_SHADES = 1.0
"""Standard deviation of a pixel between stored images, of 255 shades, below which they are nearly equal.
Photographs and drawings have 30 to 80.
"""
FAINT_INPUT = 0.01
"""The same for model input: standardized pixels have 0.5 to 1, pixels in [0, 1] 0.1 to 0.3."""
MIN_BLANKED = 0.9
"""Fraction of the images left blank by augmentation from which nothing can be learned from the others."""
INDEPENDENT = frozenset((
    "constant-input", "split-mismatch", "classes-missing", "classes-unbalanced", "output-activation",
    "evaluation-mode", "non-finite",
))  # fmt: skip
"""Causes that are detected without images, and reported beside this one."""
Origin = Literal["augmentation", "data", "scale"]


@rule(
    "constant-input",
    title="Constant input",
    summary="Images are all equal, or nearly, as the network reads them: there is nothing to learn from.",
    live=True,
)
def constant_input(evidence: Evidence) -> Outcome:
    """Detect images that hardly differ, as stored or as model input, or that augmentation blanks."""
    variation = evidence.quality.variation
    read = evidence.input
    if evidence.loop is not None and read is not None and read.low == read.high:
        return _one_value(read)
    if variation is None:
        return Inconclusive("How much images differ from each other was not recorded.")
    origin = constant(evidence)
    if origin is None:
        return Negative(_varied(variation))
    return _finding(evidence, variation, origin)


def _one_value(read: Input) -> Finding:
    """Report a watched loop whose network reads a single value everywhere."""
    return Finding(
        cause="constant-input",
        confidence=0.97,
        effect=1.0,
        verdict=f"Every value that the network reads is {short(read.low)}: all images are equal.",
        explanation=(
            "A network tells images apart by their differences. Here all pixels of the first batch have one "
            "value, so that the best that is left is to answer each class as often as it occurs. Usually a "
            "conversion has rounded them off (pixels divided as whole numbers, or a cast to integers after a "
            "division), or a buffer was never filled."
        ),
        facts=(Fact("value of every pixel", read.low, short(read.low)),),
        explains=tuple(sorted(set(rules()) - INDEPENDENT)),
        hides=tuple(sorted(set(rules()) - INDEPENDENT)),
        fix=CodeFix(
            "Look at what the network reads, and divide after the conversion to floating point.",
            "images = images.float() / 255\nprint(images.min(), images.max(), images.std())",
        ),
    )


def constant(evidence: Evidence) -> Origin | None:
    """Return what makes the input (nearly) constant; None where images differ or the run learned."""
    variation = evidence.quality.variation
    if variation is None or variation.stored.images < 2:
        return None
    if variation.stored.between == 0:
        return "data"
    now = accuracy_summary(evidence)
    if now is not None and now.well:
        return None
    if variation.stored.between < FAINT_SHADES:
        return "data"
    if variation.blanked is not None and variation.blanked >= MIN_BLANKED:
        return "augmentation"
    read = variation.augmented or variation.plain
    return "scale" if read is not None and read.between < FAINT_INPUT else None


def _varied(variation: Variation) -> str:
    text = f"From image to image a stored pixel varies by {short(variation.stored.between)} of 255 shades"
    if variation.augmented is None:
        return f"{text}."
    blank = (
        f"; augmentation leaves {percent(variation.blanked or 0.0)} of the images blank"
        if variation.blanked
        else ""
    )
    return f"{text}, and what the network reads by {short(variation.augmented.between)}{blank}."


def _finding(evidence: Evidence, variation: Variation, origin: Origin) -> Finding:
    stored = variation.stored
    exact = stored.between == 0 if origin == "data" else (variation.augmented or stored).between == 0
    return Finding(
        cause="constant-input",
        confidence=0.99 if exact else 0.9,
        effect=1.0,
        verdict=_verdict(variation, origin),
        explanation=(
            "A network tells images apart by their differences. Where the input is the same for all of "
            "them, so is the output, and the best that is left is to answer each class as often as it "
            "occurs: the loss ends near chance level, whatever the network, the rate and the number of "
            f"steps.\n\n{_measured(variation)}\n\n{_advice(evidence, variation, origin)}"
        ),
        facts=(
            Fact("different images looked at", stored.distinct, f"{stored.distinct:,} of {stored.images:,}"),
            Fact("a stored pixel varies by", stored.between, f"{short(stored.between)} of 255 shades"),
            *_read(variation),
        ),
        pictures=(_picture(variation, origin),),
        changes=fixes.applicable_changes(_changes(evidence, variation, origin), evidence.recipe),
        explains=tuple(sorted(set(rules()) - INDEPENDENT)),
        hides=tuple(sorted(set(rules()) - INDEPENDENT)),
    )


def _verdict(variation: Variation, origin: Origin) -> str:
    if origin == "augmentation":
        return (
            f"Augmentation leaves {percent(variation.blanked or 0.0)} of the training images blank, so "
            "there is nothing to learn from."
        )
    if origin == "scale":
        return "The network reads nearly the same values for every image: its scale flattens the pixels."
    if variation.stored.between == 0:
        same = "black or of one shade" if variation.stored.flat == 1 else "one and the same image"
        return f"All images are equal: {same}, so there is nothing to tell classes apart by."
    return (
        "The images are nearly equal: from one to another a pixel varies by "
        f"{short(variation.stored.between)} of "
        "255 shades, so there is hardly anything to tell classes apart by."
    )


def _measured(variation: Variation) -> str:
    stored, read = variation.stored, variation.augmented
    kinds = "are all the same" if stored.distinct == 1 else f"show {stored.distinct:,} different images"
    text = (
        f"The {stored.images:,} training images that were looked at {kinds}; {percent(stored.flat)} show "
        "nothing (shades within an image deviate by less than 1 of 255). From image to image a pixel "
        f"deviates by {short(stored.between)} shades (root mean square over the pixels)."
    )
    if read is None or variation.plain is None:
        return text
    return (
        f"{text} In the network's units that is {short(variation.plain.between)} without augmentation and "
        f"{short(read.between)} with it"
        + (
            ""
            if variation.blanked is None
            else f"; {percent(variation.blanked or 0.0)} of the images are left blank"
        )
        + "."
    )


def _advice(evidence: Evidence, variation: Variation, origin: Origin) -> str:
    if origin == "augmentation":
        return (
            f"The images themselves differ. {_hidden(evidence)} Smaller changes of the images leave "
            "something to learn from."
        )
    if origin == "scale":
        return "The images themselves differ; standardized pixels would have mean 0 and deviation 1."
    if variation.stored.between == 0:
        return (
            "No setting of the recipe fixes that. Look at the images on the Data page, and at how they "
            "were written: an empty array, a wrong channel or one file copied over all names make such "
            "sets."
        )
    return (
        "This is what remains when shades from 0 to 255 are divided by 255 and stored as whole numbers, or "
        "when values from 0 to 1 are stored as bytes. Write the images again from the originals, on a "
        "scale from 0 to 255: shades that were rounded away do not come back."
    )


def _hidden(evidence: Evidence) -> str:
    recipe, (height, width) = evidence.recipe, evidence.side
    sentences = []
    if recipe.cutout:
        hole, image = f"{recipe.cutout} × {recipe.cutout}", f"{height} × {width}"
        covers_all = recipe.cutout >= 2 * max(height, width) - 1
        covered = "all of" if covers_all else "most of"
        condition = ", wherever in it the center lies" if covers_all else ""
        sentences.append(f"A cutout of {hole} pixels covers {covered} an image of {image}{condition}.")
    if recipe.pad_crop:
        sentences.append(
            f"Crops are taken from an image with {recipe.pad_crop} pixels of zeros on every side, of which "
            "most show zeros only."
        )
    return " ".join(sentences)


def _read(variation: Variation) -> tuple[Fact, ...]:
    if variation.augmented is None:
        return ()
    value = variation.augmented.between
    blank = variation.blanked
    return (
        Fact("what the network reads varies by", value, short(value)),
        *(() if blank is None else (Fact("images left blank by augmentation", blank, f"{percent(blank)}"),)),
    )


def _changes(evidence: Evidence, variation: Variation, origin: Origin) -> tuple[Change, ...]:
    recipe, side = evidence.recipe, min(evidence.side) or 28
    if origin == "augmentation":
        milder = {
            **({"cutout": side // 4} if recipe.cutout else {}),
            **({"pad_crop": max(1, side // 8)} if recipe.pad_crop else {}),
        }
        off = dict.fromkeys(milder, 0)
        named = " and ".join(milder)
        return (
            Change(off, f"Without {named} the network reads the images as they are."),
            Change(milder, f"{' and '.join(f'{k} {v}' for k, v in milder.items())}: most of an image stays."),
        )
    return (fixes.standardize_pixels(),) if variation.stored.between and variation.stored.distinct > 1 else ()


def _picture(variation: Variation, origin: Origin) -> Bars:
    values = [("as stored", variation.stored.flat)]
    if variation.plain:
        values.append(("as read, without augmentation", variation.plain.flat))
    if variation.augmented:
        values.append(("as read in training", variation.augmented.flat))
    return Bars(
        title="Images that show nothing",
        names=tuple(name for name, _ in values),
        values={"share of the images": tuple(value for _, value in values)},
        y_label="share of the images",
        marked=(values[-1][0] if origin == "augmentation" else values[0][0],),
        alt="; ".join(f"{name} {percent(value)}" for name, value in values) + ".",
        percent=True,
    )


# Upsampled images, before the run or by its recipe.

NOTHING_LOST = 0.02
"""Fraction of the variance lost by halving the images: MNIST loses 0.15, CIFAR-10 0.08, and digits that were
upsampled threefold 0.03; upsampled fourfold and more they lose 0.01 at most.
"""
FALLING = 0.25
"""Ratio of the loss by halving to that by quartering. The spectrum of natural images falls as 1/f² (Field,
"Relations between the statistics of natural images", 1987), so that each octave has as much to lose,
whatever their size: MNIST, CIFAR-10 and drawn shapes have 0.33 to 0.41, upsampled images 0.2 at most.
"""
STEEP = 0.2
"""The same, below which it is a sign by itself: white noise, with as much fine detail as possible, loses
0.03 to 0.09 by halving after upsampling threefold, but 0.18 at most of its loss by quartering; upsampled
by 2.3 it has 0.26, and unchanged 0.86.
"""
MISSED = 0.5
"""Missing chance-corrected accuracy from which so weak a sign is reported: digits of 8×8 upsampled to 28×28
show it and are recognized all the same. Less is enough where the images are not easy for the untrained patch
classifier either: it reads the same images, so that detail that is not there is missing for both.
"""
_FOLLOWS = (
    "over-fitting-data",
    "over-fitting-augmentation",
    "over-fitting-model",
    "under-fitting",
    "too-few-steps",
)
TIMES = 3.0
"""Upsampling factor of the recipe: a kernel of three pixels then covers one pixel of the image."""


@rule(
    "data-enlarged",
    title="Upsampled input",
    summary="Images have more pixels than they have detail: size without anything in it.",
)
def data_enlarged(evidence: Evidence) -> Outcome:
    """Detect upsampled images: halving loses nothing, or the recipe upsamples threefold, in a poor run."""
    now, detail, shape = accuracy_summary(evidence), evidence.quality.detail, evidence.data.shape
    times = min(evidence.side) / min(shape[1:]) if len(shape) == 3 and min(shape) else 0.0
    if now is None or not times:
        return Inconclusive("No epoch has ended yet, so nobody knows whether there is content enough.")
    if now.well:
        return Negative(
            f"{percent(now.held_out_accuracy)} of the {now.part} images are known: there is content enough."
        )
    blurred = detail is not None and is_blurred(detail)
    if detail is not None and (blurred or (_steep(detail) and (now.lost > MISSED or _hard(evidence)))):
        return _without_detail(evidence, now, detail, plain=blurred)
    if times >= TIMES:
        return _by_recipe(evidence, now, times)
    if detail is None:
        return Inconclusive("The run did not record how much detail its images have.")
    return Negative(
        f"Images halved in size would lose {percent(detail.halved, 1)} of their variance: they are as sharp "
        "as they are large."
    )


def is_blurred(detail: Detail) -> bool:
    """Return whether halving such images loses next to nothing."""
    return detail.halved < NOTHING_LOST and detail.halved < FALLING * detail.quartered


def _steep(detail: Detail) -> bool:
    return detail.halved < STEEP * detail.quartered


def _hard(evidence: Evidence) -> bool:
    """Return whether the images are known not to be easy for a classifier without training."""
    baseline = patch_classifier_score(evidence)
    return baseline is not None and chance_corrected(baseline.accuracy, baseline.constant) < EASY


def _without_detail(evidence: Evidence, now: AccuracySummary, detail: Detail, *, plain: bool) -> Finding:
    _, height, width = evidence.data.shape
    return Finding(
        cause="data-enlarged",
        confidence=0.85 if plain else 0.6,
        effect=max(0.2, (0.7 if plain else 0.4) * now.lost),
        verdict=(
            f"The images of {height}×{width} pixels were enlarged from smaller ones: half as many pixels a "
            f"side would show {percent(1 - detail.halved, 1)} of what they show."
        ),
        explanation=(
            f"Reduced to {height // 2}×{width // 2} pixels and enlarged again, the images differ from what "
            f"they were by {percent(detail.halved, 2)} of their variance; by way of "
            f"{height // 4}×{width // 4} by {percent(detail.quartered, 1)}. Images that are as sharp as "
            "they are large lose about 8 to 15 % in the first step (CIFAR-10, MNIST), and a third or more of "
            "what the second loses: there is detail at every size. Here the first loses "
            f"{percent(detail.halved / max(detail.quartered, 1e-9))} of the second.\n\nEnlarging computes "
            "the pixels in between from their neighbors, so it adds numbers but no knowledge. What tells "
            "classes apart and was lost when the images were made small is not in them any more, so "
            f"{percent(now.held_out_accuracy)} may be near what can be reached; and convolutions are spent "
            "on smooth "
            "ground: four times the multiply-adds for each doubling. Take the images at their first size, "
            "from before they were reduced."
        ),
        facts=(
            Fact("lost by halving", detail.halved, f"{percent(detail.halved, 2)} of the variance"),
            Fact("lost by quartering", detail.quartered, f"{percent(detail.quartered, 1)} of the variance"),
            *now.facts,
        ),
        pictures=(
            Bars(
                title="Lost when images are reduced and enlarged again",
                names=("to a half", "to a quarter"),
                values={
                    "these images": (detail.halved, detail.quartered),
                    "CIFAR-10, for comparison": (0.079, 0.217),
                },
                y_label="part of the variance",
                marked=("to a half",),
                alt=f"{percent(detail.halved, 1)} by halving, {percent(detail.quartered, 1)} by quartering.",
                percent=True,
            ),
            accuracy_figure(evidence, "Accuracy"),
        ),
        ruled_out=exclusions.rule_out_shuffled_labels(evidence.quality.neighbours),
        explains=_FOLLOWS if plain else (),
    )


def _by_recipe(evidence: Evidence, now: AccuracySummary, times: float) -> Finding:
    (_, height, width), (to_height, to_width) = evidence.data.shape, evidence.side
    return Finding(
        cause="data-enlarged",
        confidence=0.6,
        effect=max(0.2, 0.4 * now.lost),
        verdict=(
            f"Images of {height}×{width} pixels are enlarged to {to_height}×{to_width}: {times**2:.0f} "
            "times the work for nothing more to see."
        ),
        explanation=(
            f"Each pixel becomes {times:.1f} × {times:.1f} = {times**2:.0f}, computed from its neighbors. "
            f"A kernel of 3×3 then sees {3 / times:.1f} × {3 / times:.1f} of the pixels that there were: "
            "smooth ground. Edges and corners, which first layers are there for, are as wide as the kernel "
            f"or wider.\n\nEach convolution does {times**2:.0f} times the multiply-adds, so in the same "
            "time the run makes fewer steps. A network for small images, or the same at the images' own "
            "size, sees as much."
        ),
        facts=(Fact("enlarged", times, f"{times:.1f} times a side"), *now.facts),
        pictures=(
            Bars(
                title="Pixels that there are, and that are computed",
                names=("in the images", "read by the network"),
                values={"pixels": (float(height * width), float(to_height * to_width))},
                y_label="pixels",
                logarithmic=True,
                alt=f"{height * width:,} pixels become {to_height * to_width:,}.",
            ),
        ),
        ruled_out=exclusions.rule_out_shuffled_labels(evidence.quality.neighbours),
        changes=_smaller(evidence),
    )


def _smaller(evidence: Evidence) -> tuple[Change, ...]:
    name = None if evidence.recipe.layers else SMALL_SIDES.get(evidence.recipe.model)
    return (Change(registered_model(name), f"{name} is made for small images."),) if name else ()
