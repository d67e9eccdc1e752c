"""A learning rate too high or too low: how far steps move the weights, and what the loss makes of it."""

from __future__ import annotations

from statistics import median

from cnnviz.diagnosis import excluded, mending
from cnnviz.diagnosis.course import NEARLY_THERE, POOR, Course, course
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.finding import Change, Fact, Finding
from cnnviz.diagnosis.numbers import short
from cnnviz.diagnosis.pictures import loss_curve, update_lines
from cnnviz.diagnosis.registry import Clear, Outcome, Untold, rule
from cnnviz.diagnosis.stages import USUAL_UPDATE, fresh, stages, typical_update

EARLY = 20
"""Steps: what happens in them is the rate's doing, and not yet what became of the weights."""
FAR = 0.03
"""Of the weights, moved by one step: thirty times what is usual, so that thirty steps replace a layer."""
FAR_BLOWN = 0.01
"""The same where the loss blew up: ten times what is usual. The median layer may move less than the one that
ran away."""
FAR_ADAM = 0.3
"""The same for Adam, whose first steps are as long as its rate, whatever the gradient: runs that learned well
began with 0.01 to 0.1, and with more in wide layers, whose weights are small."""
NEAR = 1e-4
"""Of the weights, moved by one step: a tenth of what is usual; 10,000 steps to replace a layer."""
AIM, AIM_BOLD = 2e-3, 1e-2
"""Of the weights, what the first step should move: runs that learned well began with 0.001 to 0.03 (small
networks, by PyTorch's rule and He's). The upper one is for steps that were too small, and for Adam, whose
first steps are as long as its rate, whatever the gradient."""
WILD = 3.0
"""Times as far as is too far: a tenth of a layer's weights in one step, or with Adam all of them. Whoever
wanders so stays at some loss or other without having come near the least."""
YOUNG = 100
"""Steps in which a run that learns well may be where it began."""
SLIGHT = 0.05
"""Of their own size, what weights would have moved in a whole run if all its steps went the same way. Runs of
a hundred steps that have begun to learn come to 0.1 to 0.3."""
HARDLY = 0.25
"""Of the way from guessing to perfect: a run that came no farther and whose loss falls no more is thrown
about, if its steps were so long. One that is slow, because its images are hard, goes on falling."""
FOLLOWS_HIGH = ("non-finite", "one-class", "dead-relu", "under-fitting", "too-few-steps")
FOLLOWS_LOW = ("too-few-steps", "under-fitting", "one-class")


@rule(
    "rate-too-high",
    title="Learning rate too high",
    summary="Steps are so large that they overshoot: the loss jumps up, or stays where guessing is.",
    live=True,
)
def rate_too_high(evidence: Evidence) -> Outcome:
    """Found where early steps move weights far, and the loss blew up, overflowed, or is stuck."""
    went, moved = course(evidence), early_update(evidence)
    if went is None or moved is None:
        return Untold("How far the first steps moved the weights was not recorded.")
    far = FAR_ADAM if evidence.recipe.optimiser in ("adam", "adamw") else FAR_BLOWN if went.blown else FAR
    if moved < far:
        return Clear(
            f"An early step moves the median layer by {short(moved)} of its weights, less than {far:g}."
        )
    worst = max(went.loss.values[1:], default=went.start)
    if not _harmed(evidence, went, wild=moved >= WILD * far):
        return Clear(
            f"Early steps are large ({short(moved)} of the weights), but the loss fell to {went.end:.2f}."
        )
    return Finding(
        cause="rate-too-high",
        confidence=_sureness(evidence, went, worst, moved),
        effect=min(1.0, 1.2 - went.learned),
        verdict=f"Early steps move a layer by {short(moved)} {'times' if moved >= 1 else 'of'} its own "
        f"size, {short(moved / USUAL_UPDATE)} times what is usual.",
        explanation="\n\n".join((
            "A step along the gradient helps as far as the loss is nearly straight. One that is too long "
            "lands on the other side, higher than before; the gradient there is larger, and so is the next "
            "step.",
            _moved(evidence, moved, "an early step", _rising(evidence)),
            _outcome(evidence, went, worst),
        )),
        facts=_facts(evidence, moved, went),
        pictures=(loss_curve(went, evidence.classes), update_lines(evidence)),
        steps=(1, evidence.step),
        ruled_out=excluded.start(evidence),
        changes=mending.kept((sensible(evidence),), evidence.recipe),
        explains=FOLLOWS_HIGH,
    )  # fmt: skip


@rule(
    "rate-too-low",
    title="Learning rate too low",
    summary="Steps are so small that the weights hardly move before the run ends.",
    live=True,
)
def rate_too_low(evidence: Evidence) -> Outcome:
    """Found where the median layer moves by less than a ten-thousandth in a step, and little was learned."""
    went, moved = course(evidence), typical_update(evidence, last=_before_the_schedule(evidence))
    if went is None or moved is None:
        return Untold("How far steps move the weights was not recorded.")
    slight = evidence.step > YOUNG and moved * evidence.step < SLIGHT
    if moved >= NEAR and not slight:
        return Clear(f"A step moves the median layer by {short(moved)} of its weights, more than {NEAR:g}.")
    if moved < 1e-9:
        return Clear("The median layer's gradient is 0: no rate would move it.")
    slow = went.falling and went.end > POOR * went.guess
    if went.learned >= POOR and not slow:
        return Clear(f"Steps are small ({short(moved)} of the weights), but the loss fell to {went.end:.2f}.")
    if (early_update(evidence) or 0.0) >= USUAL_UPDATE:
        return Clear(
            "Early steps moved the weights as far as is usual; that later ones do not is no matter of rate."
        )
    recipe = evidence.recipe
    total = moved * max(evidence.step, 1)
    return Finding(
        cause="rate-too-low",
        confidence=0.6 if evidence.step < YOUNG else 0.95 if moved < NEAR / 3 else 0.75,
        effect=0.9,
        verdict=f"A step moves a layer by {short(moved)} of its own size, 1/{short(USUAL_UPDATE / moved)} "
        "of what is usual.",
        explanation="\n\n".join((
            "Weights begin at random and have to move by about their own size before they see anything.",
            _moved(evidence, moved),
            f"{evidence.step:,} steps of {short(moved)} make at most {short(total)} of the weights' size, "
            f"even if all of them went the same way. The loss went from {went.start:.3f} to "
            f"{went.end:.3f}; guessing has {went.guess:.3f}.",
        )),
        facts=_facts(evidence, moved, went),
        pictures=(update_lines(evidence), loss_curve(went, evidence.classes)),
        steps=(1, evidence.step),
        ruled_out=excluded.start(evidence),
        changes=mending.kept((sensible(evidence),), recipe),
        explains=FOLLOWS_LOW,
    )  # fmt: skip


def _harmed(evidence: Evidence, went: Course, wild: bool) -> bool:
    """Whether long steps kept the run from learning; one that was thrown far may stay short of the rest."""
    if evidence.status == "failed" or went.blown:
        return went.learned < (POOR if went.falling else NEARLY_THERE)
    return went.stuck or (went.learned < (POOR if wild else HARDLY) and not went.falling)


def _outcome(evidence: Evidence, went: Course, worst: float) -> str:
    if evidence.status == "failed":
        end = (
            f"and was no number any more at step {evidence.nonfinite.step}"
            if evidence.nonfinite
            else "and failed"
        )
        return f"The loss began at {short(went.start)} {end}; guessing has {went.guess:.3f}."
    return (
        f"The loss began at {short(went.start)}, rose to {short(worst)} and ended at {short(went.end)}; "
        f"guessing has {went.guess:.3f}."
    )


def _sureness(evidence: Evidence, went: Course, worst: float, moved: float) -> float:
    """Early on a loss may jump and come down again, and is where guessing is in any case."""
    if evidence.status == "failed" or worst > 10 * max(went.guess, went.start):
        return 0.95
    if evidence.step < YOUNG:
        return 0.6 if went.blown else 0.4
    return 0.95 if went.blown else 0.85 if moved >= 2 * FAR else 0.75


def early_update(evidence: Evidence) -> float | None:
    """Of the looks at the first steps the largest median, over layers, of the part that weights moved.

    Where the rate still rises, as in a warm-up, it is what the largest rate would have moved: a step is as
    long as its rate.
    """
    rates, found = evidence.curve("lr"), []
    known, top = dict(zip(rates.steps, rates.values, strict=True)), max(rates.values, default=0.0)
    for look in evidence.looks:
        moved = [stage.at.update for stage in stages(evidence, look) if stage.at.update is not None]
        if look.step <= EARLY and moved:
            rate = known.get(look.step, top)
            found.append(median(moved) * (top / rate if rate > 0 else 1.0))
    return max(found, default=None)


def sensible(evidence: Evidence) -> Change | None:
    """The rate with which the first step would move the median layer as far as in runs that learn well."""
    seen = [stage.at.update for stage in stages(evidence, fresh(evidence)) if stage.at.update is not None]
    recipe, rate = evidence.recipe, evidence.curve("lr").first or evidence.recipe.lr
    # A warm-up begins with less than the recipe's rate.
    first = median(seen) * recipe.lr / rate if seen else 0.0
    if first <= 0:
        return None
    aim = AIM_BOLD if first < NEAR or recipe.optimiser in ("adam", "adamw") else AIM
    change = mending.rate(recipe, min(recipe.lr * aim / first, _largest(evidence)), "")
    then = first * change.values["lr"] / recipe.lr
    why = (
        f"The first step at {short(recipe.lr)} moves the median layer by {short(first)} of its weights; at "
        f"this rate by {short(then)}, as in runs that learn well."
    )
    return Change(change.values, why)


def _before_the_schedule(evidence: Evidence) -> int:
    """The last step at a tenth of the largest rate or more: what comes later is small on purpose."""
    rates = evidence.curve("lr")
    if not rates.steps:
        return evidence.step
    top = max(rates.values)
    found = (step for step, value in zip(rates.steps, rates.values, strict=True) if value >= top / 10)
    return max(found, default=evidence.step)


def _largest(evidence: Evidence) -> float:
    """What networks without normalisation bear.

    2·10⁻³ of Adam (its paper has 10⁻³); 0.2 of SGD, divided by how many steps momentum adds up.
    """
    recipe = evidence.recipe
    return 2e-3 if recipe.optimiser in ("adam", "adamw") else 0.2 * (1 - recipe.momentum)


def _rising(evidence: Evidence) -> str:
    """Words on how early steps of a warm-up were judged."""
    rates = evidence.curve("lr").values
    if not rates or rates[0] == max(rates):
        return ""
    return " (worked out for that rate from the first steps, whose rate still rose)"


def _moved(evidence: Evidence, moved: float, step: str = "a step", how: str = "") -> str:
    return (
        f"How far is right is told by the weights' own size: about {USUAL_UPDATE:g} of it a step is usual. "
        f"Here the rate is {short(evidence.recipe.lr)}, and {step} moved the median layer by "
        f"{short(moved)}{how}: {short(moved)} / {USUAL_UPDATE:g} = {short(moved / USUAL_UPDATE)} times that."
    )


def _facts(evidence: Evidence, moved: float, went: Course) -> tuple[Fact, ...]:
    return (
        Fact("step by weights, median layer", moved, short(moved)),
        Fact("learning rate", evidence.recipe.lr, short(evidence.recipe.lr)),
        Fact("first loss", went.start, short(went.start)),
        went.fact,
    )
