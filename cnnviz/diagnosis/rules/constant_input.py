"""Images that are all equal, or nearly, as the network reads them: by the data or by augmentation."""

from __future__ import annotations

from typing import Literal

from cnnviz.diagnosis import mending
from cnnviz.diagnosis.evidence import Evidence, Variation
from cnnviz.diagnosis.finding import Bars, Change, Fact, Finding
from cnnviz.diagnosis.numbers import percent, short
from cnnviz.diagnosis.registry import Clear, Outcome, Untold, rule, rules
from cnnviz.diagnosis.standing import standing

FAINT_SHADES = 1.0
"""Of 255: stored images in which a pixel varies less, from image to image, are nearly equal. Photographs and
drawings vary by 30 to 80."""
FAINT_INPUT = 0.01
"""The same of a network's input: standardised pixels vary by 0.5 to 1, pixels in [0, 1] by 0.1 to 0.3."""
MOST = 0.9
"""Of the images, how many augmentation leaves blank where nothing can be learned. Of fewer the rest
teaches."""
INDEPENDENT = frozenset((
    "constant-input", "split-mismatch", "classes-missing", "classes-unbalanced", "output-activation",
    "evaluation-mode", "non-finite",
))  # fmt: skip
"""Causes that are seen without images, and told beside this one."""
Place = Literal["augmentation", "data", "scale"]


@rule(
    "constant-input",
    title="Constant input",
    summary="Images are all equal, or nearly, as the network reads them: there is nothing to learn from.",
    live=True,
)
def constant_input(evidence: Evidence) -> Outcome:
    """Found where images hardly differ as stored or as read, or augmentation blanks nearly all of them."""
    seen = evidence.census.variation
    if seen is None:
        return Untold("How much images differ from each other was not recorded.")
    place = constant(evidence)
    if place is None:
        return Clear(_varied(seen))
    return _finding(evidence, seen, place)


def constant(evidence: Evidence) -> Place | None:
    """What makes the input constant, or nearly; None where images differ or were learned all the same."""
    seen = evidence.census.variation
    if seen is None or seen.stored.images < 2:
        return None
    if seen.stored.between == 0:
        return "data"
    now = standing(evidence)
    if now is not None and now.well:
        return None
    if seen.stored.between < FAINT_SHADES:
        return "data"
    if seen.blanked is not None and seen.blanked >= MOST:
        return "augmentation"
    read = seen.augmented or seen.plain
    return "scale" if read is not None and read.between < FAINT_INPUT else None


def _varied(seen: Variation) -> str:
    what = f"From image to image a stored pixel varies by {short(seen.stored.between)} of 255 shades"
    if seen.augmented is None:
        return f"{what}."
    blank = (
        f"; augmentation leaves {percent(seen.blanked or 0.0)} of the images blank" if seen.blanked else ""
    )
    return f"{what}, and what the network reads by {short(seen.augmented.between)}{blank}."


def _finding(evidence: Evidence, seen: Variation, place: Place) -> Finding:
    stored = seen.stored
    exact = stored.between == 0 if place == "data" else (seen.augmented or stored).between == 0
    return Finding(
        cause="constant-input",
        confidence=0.99 if exact else 0.9,
        effect=1.0,
        verdict=_verdict(seen, place),
        explanation=(
            "A network tells images apart by their differences. Where the input is the same for all of "
            "them, so is the output, and the best that is left is to answer each class as often as it "
            "occurs: the loss ends near that of guessing, whatever the network, the rate and the number of "
            f"steps.\n\n{_measured(seen)}\n\n{_advice(evidence, seen, place)}"
        ),
        facts=(
            Fact("different images looked at", stored.distinct, f"{stored.distinct:,} of {stored.images:,}"),
            Fact("a stored pixel varies by", stored.between, f"{short(stored.between)} of 255 shades"),
            *_read(seen),
        ),
        pictures=(_picture(seen, place),),
        changes=mending.kept(_changes(evidence, seen, place), evidence.recipe),
        explains=tuple(sorted(set(rules()) - INDEPENDENT)),
        hides=tuple(sorted(set(rules()) - INDEPENDENT)),
    )


def _verdict(seen: Variation, place: Place) -> str:
    if place == "augmentation":
        return (
            f"Augmentation leaves {percent(seen.blanked or 0.0)} of the training images blank, so there is "
            "nothing to learn from."
        )
    if place == "scale":
        return "The network reads nearly the same values for every image: its scale flattens the pixels."
    if seen.stored.between == 0:
        same = "black or of one shade" if seen.stored.flat == 1 else "one and the same picture"
        return f"All images are equal: {same}, so there is nothing to tell classes apart by."
    return (
        f"The images are nearly equal: from one to another a pixel varies by {short(seen.stored.between)} of "
        "255 shades, so there is hardly anything to tell classes apart by."
    )


def _measured(seen: Variation) -> str:
    stored, read = seen.stored, seen.augmented
    kinds = "are all the same" if stored.distinct == 1 else f"show {stored.distinct:,} different pictures"
    said = (
        f"The {stored.images:,} training images that were looked at {kinds}; {percent(stored.flat)} show "
        "nothing (shades within an image deviate by less than 1 of 255). From image to image a pixel "
        f"deviates by {short(stored.between)} shades (root mean square over the pixels)."
    )
    if read is None or seen.plain is None:
        return said
    return (
        f"{said} In the network's units that is {short(seen.plain.between)} without augmentation and "
        f"{short(read.between)} with it"
        + ("" if seen.blanked is None else f"; {percent(seen.blanked or 0.0)} of the images are left blank")
        + "."
    )


def _advice(evidence: Evidence, seen: Variation, place: Place) -> str:
    if place == "augmentation":
        return (
            f"The images themselves differ. {_hidden(evidence)} Smaller changes of the images leave "
            "something to learn from."
        )
    if place == "scale":
        return "The images themselves differ; standardised pixels would have mean 0 and deviation 1."
    if seen.stored.between == 0:
        return (
            "No setting of the recipe mends that. Look at the pictures on the Data page, and at how they "
            "were written: an empty array, a wrong channel or one file copied over all names make such "
            "sets."
        )
    return (
        "This is what remains when shades from 0 to 255 are divided by 255 and stored as whole numbers, or "
        "when values from 0 to 1 are stored as bytes. Write the pictures again from the originals, on a "
        "scale from 0 to 255: shades that were rounded away do not come back."
    )


def _hidden(evidence: Evidence) -> str:
    recipe, (height, width) = evidence.recipe, evidence.side
    said = []
    if recipe.cutout:
        hole, image = f"{recipe.cutout} × {recipe.cutout}", f"{height} × {width}"
        whole = recipe.cutout >= 2 * max(height, width) - 1
        covered = "all of" if whole else "most of"
        where = ", wherever in it the center lies" if whole else ""
        said.append(f"A cutout of {hole} pixels covers {covered} an image of {image}{where}.")
    if recipe.pad_crop:
        said.append(
            f"Crops are taken from an image with {recipe.pad_crop} pixels of zeros on every side, of which "
            "most show zeros only."
        )
    return " ".join(said)


def _read(seen: Variation) -> tuple[Fact, ...]:
    if seen.augmented is None:
        return ()
    value = seen.augmented.between
    blank = seen.blanked
    return (
        Fact("what the network reads varies by", value, short(value)),
        *(() if blank is None else (Fact("images left blank by augmentation", blank, f"{percent(blank)}"),)),
    )


def _changes(evidence: Evidence, seen: Variation, place: Place) -> tuple[Change, ...]:
    recipe, side = evidence.recipe, min(evidence.side) or 28
    if place == "augmentation":
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
    return (mending.scaled(),) if seen.stored.between and seen.stored.distinct > 1 else ()


def _picture(seen: Variation, place: Place) -> Bars:
    values = [("as stored", seen.stored.flat)]
    if seen.plain:
        values.append(("as read, without augmentation", seen.plain.flat))
    if seen.augmented:
        values.append(("as read in training", seen.augmented.flat))
    return Bars(
        title="Images that show nothing",
        names=tuple(name for name, _ in values),
        values={"share of the images": tuple(value for _, value in values)},
        y_label="share of the images",
        marked=(values[-1][0] if place == "augmentation" else values[0][0],),
        alt="; ".join(f"{name} {percent(value)}" for name, value in values) + ".",
        percent=True,
    )
