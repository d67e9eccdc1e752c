"""Images with more pixels than content, before the run or in it."""

from __future__ import annotations

from cnnviz.diagnosis import excluded
from cnnviz.diagnosis.evidence import Detail, Evidence
from cnnviz.diagnosis.finding import Bars, Change, Fact, Finding
from cnnviz.diagnosis.networks import SMALL_SIDES, registered
from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.registry import Clear, Outcome, Untold, rule
from cnnviz.diagnosis.standing import Standing, accuracies, standing

NOTHING_LOST = 0.02
"""Of the variance, when images are halved in size: MNIST loses 0.15, CIFAR-10 0.08, and digits that were
enlarged threefold 0.03; enlarged four times and more they lose 0.01 at most."""
FALLING = 0.25
"""Lost by halving, by what is lost by quartering. The spectrum of natural images falls as 1/f² (Field,
"Relations between the statistics of natural images", 1987), so each octave has as much to lose, whatever
their size: MNIST, CIFAR-10 and drawn shapes have 0.33 to 0.41 here, enlarged images 0.2 at most."""
STEEP = 0.2
"""The same, below which it is a sign of its own, whatever halving loses: white noise, which has as much fine
detail as there can be, loses 0.03 to 0.09 by halving when it was enlarged threefold, but 0.18 at most of
what it loses by quartering; enlarged by 2.3 it has 0.26, and as it is 0.86."""
MISSED = 0.5
"""Of the way from guessing to all right, missing where so weak a sign is told: digits of 8×8 that are
enlarged to 28×28 show it and are known all the same."""
_FOLLOWS = (
    "over-fitting-data",
    "over-fitting-augmentation",
    "over-fitting-model",
    "under-fitting",
    "too-few-steps",
)
TIMES = 3.0
"""By which a recipe may enlarge: a kernel of three pixels then lies within one pixel of the image."""


@rule(
    "data-enlarged",
    title="Enlarged beyond its content",
    summary="Images have more pixels than they have detail: size without anything in it.",
)
def data_enlarged(evidence: Evidence) -> Outcome:
    """Found where halving loses nothing, or the recipe enlarges threefold, and images are not known."""
    now, detail, shape = standing(evidence), evidence.census.detail, evidence.data.shape
    times = min(evidence.side) / min(shape[1:]) if len(shape) == 3 and min(shape) else 0.0
    if now is None or not times:
        return Untold("No epoch has ended yet, so nobody knows whether there is content enough.")
    if now.well:
        return Clear(f"{percent(now.held)} of the {now.part} images are known: there is content enough.")
    blurred = detail is not None and is_blurred(detail)
    if detail is not None and (blurred or (now.lost > MISSED and _steep(detail))):
        return _without_detail(evidence, now, detail, plain=blurred)
    if times >= TIMES:
        return _by_recipe(evidence, now, times)
    if detail is None:
        return Untold("The run did not record how much detail its images have.")
    return Clear(
        f"Images halved in size would lose {percent(detail.halved, 1)} of their variance: they are as sharp "
        "as they are large."
    )


def is_blurred(detail: Detail) -> bool:
    """Whether halving such images loses next to nothing."""
    return detail.halved < NOTHING_LOST and detail.halved < FALLING * detail.quartered


def _steep(detail: Detail) -> bool:
    return detail.halved < STEEP * detail.quartered


def _without_detail(evidence: Evidence, now: Standing, detail: Detail, *, plain: bool) -> Finding:
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
            f"{height // 4}×{width // 4} by {percent(detail.quartered, 1)}. Pictures that are as sharp as "
            "they are large lose about 8 to 15 % in the first step (CIFAR-10, MNIST), and a third or more of "
            "what the second loses: there is detail at every size. Here the first loses "
            f"{percent(detail.halved / max(detail.quartered, 1e-9))} of the second.\n\nEnlarging computes "
            "the pixels in between from their neighbours, so it adds numbers but no knowledge. What tells "
            "classes apart and was lost when the images were made small is not in them any more, so "
            f"{percent(now.held)} may be near what can be reached; and convolutions are spent on smooth "
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
            accuracies(evidence, "Accuracy"),
        ),
        ruled_out=excluded.shuffled(evidence.census.neighbours),
        explains=_FOLLOWS if plain else (),
    )


def _by_recipe(evidence: Evidence, now: Standing, times: float) -> Finding:
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
            f"Each pixel becomes {times:.1f} × {times:.1f} = {times**2:.0f}, computed from its neighbours. "
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
        ruled_out=excluded.shuffled(evidence.census.neighbours),
        changes=_smaller(evidence),
    )


def _smaller(evidence: Evidence) -> tuple[Change, ...]:
    name = None if evidence.recipe.layers else SMALL_SIDES.get(evidence.recipe.model)
    return (Change(registered(name), f"{name} is made for small images."),) if name else ()
