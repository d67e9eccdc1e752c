"""Pixels that are neither centred nor of unit scale when they reach the first layer."""

from __future__ import annotations

from cnnviz.diagnosis import arithmetic, excluded, mending
from cnnviz.diagnosis.arithmetic import WIDE
from cnnviz.diagnosis.course import Course, course
from cnnviz.diagnosis.evidence import Evidence, Input
from cnnviz.diagnosis.finding import Bars, Fact, Finding
from cnnviz.diagnosis.numbers import fixed, short
from cnnviz.diagnosis.pictures import loss_curve
from cnnviz.diagnosis.registry import Clear, Outcome, Untold, rule
from cnnviz.diagnosis.rules.initialisation import SURPRISED
from cnnviz.diagnosis.rules.rates import FAR
from cnnviz.diagnosis.rules.steps import FEW
from cnnviz.diagnosis.stages import Stage, fresh, stages
from cnnviz.diagnosis.standing import WELL, standing
from cnnviz.diagnosis.step_size import early_update

NARROW = 0.5
"""Pixels in [0, 1] have a spread of 0.2 to 0.35 and a mean off 0. A network that begins well learns from
them; one that lets signal shrink gets a quarter of it to begin with."""


@rule(
    "input-scale",
    title="Input that is not normalised",
    summary="The pixels that the model reads are far from mean 0 and spread 1.",
    live=True,
)
def input_scale(evidence: Evidence) -> Outcome:
    """Found where pixels are far too large, or too small for a signal that shrinks anyway."""
    read, went = evidence.input, course(evidence)
    if read is None or went is None:
        return Untold("What the model reads was not recorded.")
    figures = f"mean {short(read.mean)}, spread {short(read.spread)}"
    if evidence.recipe.scale == "standardised" or NARROW <= read.spread <= WIDE:
        return Clear(f"The model reads values of {figures}.")
    if read.spread > WIDE:
        if _works(evidence, went) or not _harmed(evidence, went):
            return Clear(f"The model reads values of {figures}, and no step was too large for it.")
        confidence = 0.95 if went.learned < 0.5 else 0.7
        return _finding(evidence, read, went, _wide(evidence, read), confidence, 0.95)
    seen = arithmetic.passage(evidence)
    if not went.stuck or seen is None or not seen.little:
        return Clear(f"The model reads values of {figures}, and its first layers hand their signal on.")
    return _finding(evidence, read, went, _narrow(seen, read), 0.6, 0.4)


def _finding(
    evidence: Evidence, read: Input, went: Course, reason: str, confidence: float, effect: float
) -> Finding:
    return Finding(
        cause="input-scale",
        confidence=confidence,
        effect=effect,
        verdict=f"The model reads pixels of mean {short(read.mean)} and spread {short(read.spread)}, not "
        "of mean 0 and spread 1.",
        explanation="\n\n".join((
            "Rules for initial weights are made for inputs of mean 0 and spread 1 (LeCun et al., 1998). A "
            "first layer that reads values k times as large gives outputs k times as large, and so does "
            "each layer after it; its weights' gradients grow by k once more, as they are products with "
            "the input.",
            reason,
        )),
        facts=(
            Fact("mean of the input", read.mean, short(read.mean)),
            Fact("spread of the input", read.spread, short(read.spread)),
            Fact("smallest and largest", read.high - read.low, f"{short(read.low)} to {short(read.high)}"),
            went.fact,
        ),
        pictures=(_picture(read, stages(evidence, fresh(evidence))), loss_curve(went, evidence.classes)),
        layers=tuple(stage.name for stage in stages(evidence, fresh(evidence))[:1]),
        steps=(1, evidence.step),
        ruled_out=excluded.start(evidence),
        changes=mending.kept((mending.scaled(), mending.normalised(evidence.recipe)), evidence.recipe),
        explains=(
            "one-class", "exploding-gradients", "non-finite", "rate-too-high", "dead-relu", "under-fitting",
        ) if read.spread > WIDE else (),
    )  # fmt: skip


def _wide(evidence: Evidence, read: Input) -> str:
    seen, went = stages(evidence, fresh(evidence)), course(evidence)
    first = f"'{seen[0].name}' gives values of spread {short(seen[0].at.spread or 0)}. " if seen else ""
    start = (
        f"the first loss is {short(went.start)} where guessing has {fixed(went.guess, 3)}. " if went else ""
    )
    return (
        f"Here k is {short(read.spread)}: pixels go from {short(read.low)} to {short(read.high)}. "
        f"{first}So {start}Gradients of the first layer are up to {short(read.spread)}² = "
        f"{short(read.spread**2)} times what they would be, while its weights are of the usual size: a "
        "rate that suits standardised pixels overshoots."
    )


def _narrow(seen: arithmetic.Passage, read: Input) -> str:
    return (
        f"Here k is {short(read.spread)}, and the mean of {short(read.mean)} is larger than the spread, so "
        "most of what the first layer sums is the same for all images. It is not the main reason: "
        f"'{seen.last.name}' would get {short(1 / max(read.spread, 1e-9))} times the signal from "
        f"standardised pixels, {short((seen.last.at.signal or 0) / max(read.spread, 1e-9))} in place of "
        f"{short(seen.last.at.signal or 0)}."
    )


def _harmed(evidence: Evidence, went: Course) -> bool:
    """Whether large values did harm: weights may be as small as pixels are large, as in AlexNet's paper."""
    if _normalised_at_once(evidence):
        return evidence.step >= FEW and went.stuck
    sgd = evidence.recipe.optimiser in ("sgd", "nesterov")
    thrown = sgd and (early_update(evidence) or 0.0) >= FAR / 3
    return thrown or went.blown or went.start > SURPRISED * went.guess or evidence.status == "failed"


def _works(evidence: Evidence, went: Course) -> bool:
    """Whether the run got over it: known by heart is not enough where others are not known as well."""
    now = standing(evidence)
    return went.learned > WELL and (now is None or now.well)


def _normalised_at_once(evidence: Evidence) -> bool:
    """Whether normalisation comes before the second layer with weights."""
    kinds = [fact for fact in evidence.layers if fact.kind in ("conv", "fc", "norm")]
    return any("BatchNorm" in fact.type for fact in kinds[:2])


def _picture(read: Input, seen: tuple[Stage, ...]) -> Bars:
    return Bars(
        title="Spread of the input and of each layer's outputs, before anything is learned",
        names=("input", *(stage.name for stage in seen)),
        values={"spread": (read.spread or None, *(stage.at.spread or None for stage in seen))},
        y_label="standard deviation",
        logarithmic=True,
        reference=("1: what rules for initial weights expect", 1.0),
        marked=("input",),
        alt=f"The input has a spread of {short(read.spread)}; 1 is expected.",
    )
