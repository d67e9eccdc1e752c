"""A learning rate too high or too low: how far steps move the weights, and what the loss makes of it."""

from __future__ import annotations

from cnnviz.diagnosis import excluded, mending
from cnnviz.diagnosis.comparisons import behind_patches
from cnnviz.diagnosis.course import NEARLY_THERE, POOR, Course, course
from cnnviz.diagnosis.dying import born_dead, dead, died_of_size, relus
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.finding import Fact, Finding
from cnnviz.diagnosis.numbers import fixed, short
from cnnviz.diagnosis.pictures import loss_curve, update_lines
from cnnviz.diagnosis.registry import Clear, Outcome, Untold, rule
from cnnviz.diagnosis.rules.unstable_training import accounts_for_long_steps
from cnnviz.diagnosis.stages import USUAL_UPDATE, typical_update
from cnnviz.diagnosis.step_size import NEAR, early_update, normalized, sensible

FAR = 0.03
"""Of the weights, moved by one step: thirty times what is usual, so that thirty steps replace a layer."""
FAR_BLOWN = 0.01
"""The same where the loss blew up: ten times what is usual. The median layer may move less than the one that
ran away."""
FAR_ADAM = 0.3
"""The same for Adam, whose first steps are as long as its rate, whatever the gradient: runs that learned well
began with 0.01 to 0.1, and with more in wide layers, whose weights are small."""
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
THROWN = 5.0
"""Times the loss of guessing, on held-out images after an epoch."""
KILLING = 3.0
"""Times less than is too far, where ReLUs died that had been alive: the steps were long enough for that."""
FOLLOWS_HIGH = (
    "non-finite", "one-class", "dead-relu", "under-fitting", "too-few-steps", "unstable-training",
)  # fmt: skip
FOLLOWS_LOW = ("too-few-steps", "under-fitting", "one-class")


@rule(
    "rate-too-high",
    title="Learning rate too high",
    summary="Steps are so large that they overshoot: the loss jumps up, or stays where guessing is.",
    live=True,
    moves={"lr": "down"},
)
def rate_too_high(evidence: Evidence) -> Outcome:
    """Found where early steps move weights far, and the loss blew up, overflowed, or is stuck."""
    went, moved = course(evidence), early_update(evidence)
    if went is None or moved is None:
        return Untold("How far the first steps moved the weights was not recorded.")
    far = FAR_ADAM if evidence.recipe.optimiser in ("adam", "adamw") else FAR_BLOWN if went.blown else FAR
    killed = _killed(evidence, moved, far, went)
    if moved < far and not killed:
        return Clear(
            f"An early step moves the median layer by {short(moved)} of its weights, less than {far:g}."
        )
    worst = max(went.loss.values[1:], default=went.start)
    thrown = _thrown_outside(evidence, went)
    if not killed and not thrown and not _harmed(evidence, went, wild=moved >= WILD * far):
        return Clear(
            f"Early steps are large ({short(moved)} of the weights), but the loss fell to {fixed(went.end)}."
        )
    return Finding(
        cause="rate-too-high",
        confidence=max(_sureness(evidence, went, worst, moved), 0.85 if killed or thrown else 0.0),
        effect=min(1.0, max(0.3, 1.2 - went.learned)),
        verdict=f"Early steps move a layer by {_of_its_size(moved)}, {short(moved / USUAL_UPDATE)} times the "
        f"usual {USUAL_UPDATE:g}.",
        explanation="\n\n".join((
            "A step along the gradient helps as far as the loss is nearly straight. One that is too long "
            "lands on the other side, higher than before; the gradient there is larger, and so is the next "
            "step.",
            _moved(evidence, moved, "an early step", _rising(evidence)),
            _outcome(evidence, went, worst)
            + (
                f" A step so long pushed ReLUs of '{killed}' below 0 for every image, where no gradient "
                "brings them back."
                if killed
                else ""
            )
            + (
                f" On images not learned from the loss was as high as {short(thrown)} after an epoch: the "
                "weights had moved on from what batch normalization's running statistics knew."
                if thrown
                else ""
            ),
        )),
        facts=_facts(evidence, moved, went),
        pictures=(loss_curve(went, evidence.classes), update_lines(evidence)),
        steps=(1, evidence.step),
        ruled_out=excluded.start(evidence),
        changes=mending.kept((sensible(evidence),), evidence.recipe),
        explains=(*_follows_high(evidence), *(excluded.OVER_FITTING if thrown else ())),
    )  # fmt: skip


@rule(
    "rate-too-low",
    title="Learning rate too low",
    summary="Steps are so small that the weights hardly move before the run ends.",
    live=True,
    moves={"lr": "up"},
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
        return Clear(
            f"Steps are small ({short(moved)} of the weights), but the loss fell to {fixed(went.end)}."
        )
    if (early_update(evidence) or 0.0) >= USUAL_UPDATE:
        return Clear(
            "Early steps moved the weights as far as is usual; that later ones do not is no matter of rate."
        )
    recipe, change = evidence.recipe, sensible(evidence)
    if change is not None and change.values["lr"] <= recipe.lr:
        return Clear(
            f"A rate of {short(recipe.lr)} is as large as networks bear; steps are small because their "
            "gradients are."
        )
    total = moved * max(evidence.step, 1)
    return Finding(
        cause="rate-too-low",
        confidence=_slowness(evidence, moved),
        effect=0.9,
        verdict=f"A step moves a layer by {short(moved)} of its own size, {short(moved / USUAL_UPDATE)} "
        f"times the usual {USUAL_UPDATE:g}.",
        explanation="\n\n".join((
            "Weights begin at random and have to move by about their own size before they see anything.",
            _moved(evidence, moved),
            f"{evidence.step:,} steps of {short(moved)} make at most {short(total)} of the weights' size, "
            f"even if all of them went the same way. The loss went from {fixed(went.start, 3)} to "
            f"{fixed(went.end, 3)}; guessing has {fixed(went.guess, 3)}.",
        )),
        facts=_facts(evidence, moved, went),
        pictures=(update_lines(evidence), loss_curve(went, evidence.classes)),
        steps=(1, evidence.step),
        ruled_out=excluded.start(evidence),
        changes=mending.kept((change,), recipe),
        explains=FOLLOWS_LOW,
    )  # fmt: skip


def _follows_high(evidence: Evidence) -> tuple[str, ...]:
    if not accounts_for_long_steps(evidence):
        return FOLLOWS_HIGH
    return tuple(cause for cause in FOLLOWS_HIGH if cause != "unstable-training")


def _slowness(evidence: Evidence, moved: float) -> float:
    """How sure it is that steps are too small; a short run has to have ended, and come nowhere."""
    if evidence.step < YOUNG:
        ended = evidence.status not in ("queued", "starting", "running")
        return 0.9 if ended and moved * evidence.step < SLIGHT / 3 else 0.6
    return 0.95 if moved < NEAR / 3 else 0.75


def _killed(evidence: Evidence, moved: float, far: float, went: Course) -> str | None:
    """The ReLU layer that long steps put out; None where none was, or nothing came of it."""
    names = relus(evidence)
    gone = dead(evidence.looks[-1], names) if evidence.looks else []
    if not gone or went.learned >= POOR or moved < far / KILLING or evidence.step < YOUNG:
        return None
    change = sensible(evidence)
    if change is None or change.values["lr"] > evidence.recipe.lr / KILLING:
        return None
    return None if born_dead(evidence) or died_of_size(evidence) else gone[0].name


def _of_its_size(moved: float) -> str:
    text = short(moved)
    return "its own size" if text == "1" else f"{text} {'times' if moved > 1 else 'of'} its own size"


def _harmed(evidence: Evidence, went: Course, wild: bool) -> bool:
    """Whether long steps kept the run from learning; one that was thrown far may stay short of the rest."""
    if (wild or went.blown) and went.learned < NEARLY_THERE and behind_patches(evidence):
        return True
    if evidence.status == "failed" or went.blown:
        return went.learned < (POOR if went.falling else NEARLY_THERE)
    return went.stuck or (went.learned < (POOR if wild else HARDLY) and not went.falling)


def _thrown_outside(evidence: Evidence, went: Course) -> float | None:
    """The largest held-out loss of an epoch, where long steps outran running statistics; None where not.

    The training loss does not show it, as each batch is normalized by its own statistics there.
    """
    if not normalized(evidence) or behind_patches(evidence) is not True:
        return None
    worst = max(evidence.held_out("loss").values, default=0.0)
    return worst if worst > THROWN * max(went.guess, went.start) else None


def _outcome(evidence: Evidence, went: Course, worst: float) -> str:
    if evidence.status == "failed":
        end = (
            f"and was no number any more at step {evidence.nonfinite.step}"
            if evidence.nonfinite
            else "and failed"
        )
        return f"The loss began at {short(went.start)} {end}; guessing has {fixed(went.guess, 3)}."
    return (
        f"The loss began at {short(went.start)}, rose to {short(worst)} and ended at {short(went.end)}; "
        f"guessing has {fixed(went.guess, 3)}."
    )


def _sureness(evidence: Evidence, went: Course, worst: float, moved: float) -> float:
    """Early on a loss may jump and come down again, and is where guessing is in any case."""
    if evidence.status == "failed" or worst > 10 * max(went.guess, went.start):
        return 0.95
    if evidence.step < YOUNG:
        return 0.6 if went.blown else 0.4
    return 0.95 if went.blown else 0.85 if moved >= 2 * FAR else 0.75


def _before_the_schedule(evidence: Evidence) -> int:
    """The last step at a tenth of the largest rate or more: what comes later is small on purpose."""
    rates = evidence.curve("lr")
    if not rates.steps:
        return evidence.step
    top = max(rates.values)
    found = (step for step, value in zip(rates.steps, rates.values, strict=True) if value >= top / 10)
    return max(found, default=evidence.step)


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
