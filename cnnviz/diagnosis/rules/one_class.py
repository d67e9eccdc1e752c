"""One class predicted for (almost) every image: what article D saw, and a symptom more than a cause."""

from __future__ import annotations

from cnnviz.diagnosis.evidence import Evidence, Histogram
from cnnviz.diagnosis.finding import Bars, Fact, Finding
from cnnviz.diagnosis.numbers import percent, short
from cnnviz.diagnosis.registry import Clear, Outcome, Untold, rule

ALMOST_ALL = 0.9
"""Of the answers to one class: with two classes or more, none of them nearly so common, no working model
comes near; a collapsed one gives exactly 1, or a little less where dropout or noise stirs its answers."""
NOT_THE_DATA = 1.5
"""The commonest answer must be this many times as common as the commonest class: one class may be most."""

SLOW_START = 200
"""Steps: LeNet-5 by PyTorch's rule gives one answer for some 60 of them, before it tells images apart."""

EVEN = 1.5
"""Times as many images of the commonest class as of the rarest: up to there classes are about as common."""


@rule(
    "one-class",
    title="One class for everything",
    summary="Nearly every image gets the same answer, whatever it shows.",
    live=True,
)
def one_class(evidence: Evidence) -> Outcome:
    """Found where one answer takes nine tenths, and one and a half times the commonest class's share."""
    seen = _newest(evidence)
    if seen is None or evidence.classes < 2:
        return Untold("No epoch has ended yet, so no answers were counted.")
    share, floor = seen.largest_share, max(ALMOST_ALL, min(0.99, NOT_THE_DATA * evidence.chance))
    if share < floor:
        return Clear(
            f"The commonest answer takes {percent(share)} of the images, less than {percent(floor)}."
        )
    young = evidence.status == "running" and evidence.step < SLOW_START
    number, spread = seen.counts.index(max(seen.counts)), evidence.curve("test/logit_spread").last
    name = evidence.data.classes[number]
    return Finding(
        cause="one-class",
        confidence=min(0.7 if young else 0.99, 0.5 + share / 2),
        effect=1.0,
        verdict=f"{percent(share)} of the images are called '{name}', whatever they show.",
        explanation=(
            "A model that gives every image the classes' shares as probabilities has a loss of "
            f"ln {evidence.classes} = {evidence.chance_loss:.3f} where all classes are equally common. "
            "A network whose last layer gives nearly the same numbers for every image cannot do better: "
            "whichever class's number is a hair larger wins for all of them. The reason lies further back, "
            "where the images' differences got lost." + _logits(evidence)
        ),
        facts=(
            Fact("commonest answer", share, f"{percent(share, 1)} '{name}'"),
            Fact("commonest class in training", evidence.chance, f"{percent(evidence.chance, 1)}"),
            *((Fact("spread of a logit over images", spread, short(spread)),) if spread is not None else ()),
        ),
        ruled_out=_balanced(evidence),
        pictures=(_picture(evidence, seen, name),),
        steps=(seen.step, seen.step),
    )


def _balanced(evidence: Evidence) -> tuple[str, ...]:
    """That no class is common enough to be a good answer to everything; nothing where one is."""
    counts = [count for count in evidence.data.counts if count]
    if len(counts) < 2 or max(counts) > EVEN * min(counts):
        return ()
    return (f"Unbalanced classes: the commonest has {percent(evidence.chance)} of the training images.",)


def _logits(evidence: Evidence) -> str:
    spread = evidence.curve("test/logit_spread").last
    if spread is None:
        return ""
    if not spread:
        return "\n\nMeasured on test images: every logit is the same for all of them."
    return (
        f"\n\nMeasured on test images: a logit differs by {short(spread)} from image to image. Its "
        "class's probability p changes by p·(1 - p) of it, which is at most 1/4, so probabilities differ by "
        f"no more than about {short(spread)}/4 = {short(spread / 4)}."
    )


def _newest(evidence: Evidence) -> Histogram | None:
    for part in ("test", "train"):
        if evidence.predicted.get(part):
            return evidence.predicted[part][-1]
    return None


def _picture(evidence: Evidence, seen: Histogram, name: str) -> Bars:
    total, known = sum(seen.counts), max(sum(evidence.data.counts), 1)
    return Bars(
        title="Answers, and what there is",
        names=evidence.data.classes,
        values={
            "answers": tuple(count / total for count in seen.counts),
            "training images": tuple(count / known for count in evidence.data.counts),
        },
        y_label="share of the images",
        percent=True,
        marked=(name,),
        alt=f"{percent(max(seen.counts) / total)} of the answers are {name}.",
    )
