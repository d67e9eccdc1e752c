"""Unstable last epochs: the run had been better, and ended in a jump to the worse."""

from __future__ import annotations

from cnnviz.diagnosis import mending
from cnnviz.diagnosis.comparisons import behind_patches
from cnnviz.diagnosis.course import NEARLY_THERE, course
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.excluded import OVER_FITTING
from cnnviz.diagnosis.finding import Change, Fact, Finding, Lines, Series
from cnnviz.diagnosis.last_epochs import BACK, EPOCHS, Fall, fall, pooled
from cnnviz.diagnosis.numbers import fixed, percent, short
from cnnviz.diagnosis.pictures import loss_curve, update_lines
from cnnviz.diagnosis.registry import Clear, Outcome, Untold, rule
from cnnviz.diagnosis.stages import USUAL_UPDATE
from cnnviz.diagnosis.standing import losses
from cnnviz.diagnosis.step_size import early_update, sensible

FOLLOWS = (*OVER_FITTING, "one-class", "labels-noisy", "evaluation-mode")
ENDED = ("finished", "stopped", "failed")
SLOWER = 3.0
"""Times smaller, where the rate falls already."""
LEARNED = 0.2
"""Of the way from chance to all right, that had been reached: a run that came so far did learn, and what
threw it back is no rate that keeps a run from learning at all."""
LONG_MEMORY, SHORT_MEMORY = 0.97, 0.9
"""Momentum from which on a step adds up 33 earlier ones and more, and Adam's beta2 up to which its step is
divided by the size of the last ten gradients or fewer: 0.9 to 0.95 and 0.99 to 0.999 are usual."""
USUAL_MOMENTUM, USUAL_BETA2 = 0.9, 0.999
LONG_STEP, LONG_STEP_ADAM = 0.02, 0.08
"""Of the weights, moved by an early step: 20 times what is usual, and for Adam 80 times."""


@rule(
    "unstable-training",
    title="Unstable last epochs",
    summary="The network had been better, and the last epoch threw it back.",
    moves={"lr": "down"},
)
def unstable_training(evidence: Evidence) -> Outcome:
    """Found where the last epoch's held-out accuracy lies far below that of the epochs before it.

    And where steps that are long add up over dozens of batches, or are divided by what a few say of the
    gradient's size, and the run ends badly.
    """
    restless = _restless(evidence)
    if restless is not None:
        return restless
    seen, images = pooled(evidence)
    if len(seen) < EPOCHS or not images:
        return Untold(f"Fewer than {EPOCHS} epochs were evaluated, so nobody knows what is usual.")
    fallen = fall(evidence)
    if fallen is None:
        return Clear(
            f"The last epoch ({percent(seen.values[-1], 1)} of held-out images) is no worse than those "
            "before it, within what sampling explains."
        )
    if evidence.status not in ENDED:
        return Untold("The newest epoch is worse than those before it, but the run goes on.")
    return Finding(
        cause="unstable-training",
        confidence=0.9 if fallen.lost > 6 * fallen.error and fallen.lost > 0.1 else 0.75,
        effect=min(1.0, max(0.2, fallen.lost)),
        verdict=(
            f"The run ended in a bad epoch: it knew {percent(fallen.reached, 1)} of the held-out images at "
            f"step {fallen.step:,} and {percent(fallen.last, 1)} at its end."
        ),
        explanation="\n\n".join((
            "Each step follows a few images. While the rate is large, weights do not come to rest but move "
            "about the place that they were led to, and now and then a step throws them out of it. Which "
            "epoch is the last is then an accident: a better one had been there before, and another might "
            "have come next.",
            _numbers(fallen),
            "A rate that falls towards the end lets the weights settle. A mean of the weights over the last "
            "steps (an exponential moving average) does so too, and a checkpoint of the best epoch by "
            "validation images saves what had been reached.",
        )),
        facts=(
            Fact("had been reached", fallen.reached, f"{percent(fallen.reached, 1)} at step {fallen.step:,}"),
            Fact("at the end", fallen.last, f"{percent(fallen.last, 1)} of {fallen.images:,}"),
            Fact("standard error of the difference", fallen.error, f"{100 * fallen.error:.1f} points"),
        ),
        pictures=(_picture(evidence), losses(evidence, "Loss by epoch")),
        steps=(fallen.step, evidence.step),
        ruled_out=(
            "Over-fitting: it comes on over several epochs, and this was the last one alone.",
        ) if _sudden(evidence, fallen) else (),
        changes=mending.kept(_calmer(evidence), evidence.recipe),
        explains=(*FOLLOWS, *(("rate-too-high", "dead-relu") if _had_learned(evidence, fallen) else ())),
    )  # fmt: skip


def accounts_for_long_steps(evidence: Evidence) -> bool:
    """Whether a run ended badly by instability and not by a rate with which nothing is learned at all."""
    if _restless(evidence) is not None:
        return True
    fallen = fall(evidence)
    return fallen is not None and evidence.status in ENDED and _had_learned(evidence, fallen)


def _had_learned(evidence: Evidence, fallen: Fall) -> bool:
    """Whether the run had come some way before it was thrown back, and lost half of that."""
    reached = (fallen.reached - evidence.chance) / max(1 - evidence.chance, 1e-9)
    return reached >= LEARNED and fallen.lost >= (fallen.reached - evidence.chance) / 2


def _restless(evidence: Evidence) -> Finding | None:
    """Long steps with an unusual memory of earlier batches, in a run that ended badly; None where not."""
    recipe, went, moved = evidence.recipe, course(evidence), early_update(evidence)
    adaptive = recipe.optimiser in ("adam", "adamw")
    odd = recipe.beta2 <= SHORT_MEMORY if adaptive else recipe.momentum >= LONG_MEMORY
    if not odd or went is None or moved is None or evidence.status not in ENDED:
        return None
    if moved < (LONG_STEP_ADAM if adaptive else LONG_STEP) or not evidence.curve("test/accuracy").steps:
        return None
    if went.learned >= NEARLY_THERE or behind_patches(evidence) is False:
        return None
    memory = recipe.beta2 if adaptive else recipe.momentum
    name, value = ("beta2", USUAL_BETA2) if adaptive else ("momentum", USUAL_MOMENTUM)
    batches = 1 / (1 - memory)
    what = (
        f"With a beta2 of {memory:g} Adam divides each step by what the last {short(batches)} batches say of "
        "the gradient's size: where they say little, the next one is thrown far."
        if adaptive
        else f"With a momentum of {memory:g} each gradient goes on in the steps of some {short(batches)} "
        "batches after it: what was right when it was measured overshoots later."
    )
    return Finding(
        cause="unstable-training",
        confidence=0.85,
        effect=min(1.0, max(0.3, 1.2 - went.learned)),
        verdict=(
            f"Steps do not come to rest: {'beta2' if adaptive else 'momentum'} is {memory:g}, and an early "
            f"step moves the median layer by {short(moved)} of its weights."
        ),
        explanation="\n\n".join((
            what,
            f"An early step moved the median layer by {short(moved)} of its weights, where {USUAL_UPDATE:g} "
            f"is usual. The training loss ended at {fixed(went.end)}; guessing has {fixed(went.guess)}.",
            f"{value:g} is usual. Where steps stay long all the same, the rate has to fall too, at once or "
            "by a schedule.",
        )),
        facts=(
            Fact("beta2" if adaptive else "momentum", memory, f"{memory:g} ({value:g} is usual)"),
            Fact("step by weights, median layer", moved, short(moved)),
            went.fact,
        ),
        pictures=(loss_curve(went, evidence.classes), update_lines(evidence)),
        steps=(1, evidence.step),
        changes=mending.kept(_usual_memory(evidence, name, value), recipe),
        explains=(*FOLLOWS, "rate-too-high", "dead-relu", "non-finite", "under-fitting", "too-few-steps"),
    )  # fmt: skip


def _usual_memory(evidence: Evidence, name: str, value: float) -> list[Change]:
    """The usual memory, with a lower rate where a sensible one is half of the run's or less."""
    rate = sensible(evidence)
    lower = {"lr": rate.values["lr"]} if rate and rate.values["lr"] <= evidence.recipe.lr / 2 else {}
    also = (
        f", and a rate of {short(lower['lr'])}, with which first steps are of a usual length" if lower else ""
    )
    why = f"The usual {name}, {value:g}{also}."
    return [Change({name: value, **lower}, why), *_calmer(evidence)]


def _numbers(fallen: Fall) -> str:
    return (
        f"Of the {BACK} epochs before the last the second best knew {percent(fallen.reached, 1)}, the last "
        f"one knows {percent(fallen.last, 1)}: {100 * fallen.lost:.1f} points less. Both are counted on "
        f"{fallen.images:,} held-out images, so chance alone makes a difference of about "
        f"{100 * fallen.error:.1f} points; this is {fallen.lost / max(fallen.error, 1e-9):.0f} times that."
    )


def _sudden(evidence: Evidence, fallen: Fall) -> bool:
    """Whether the epoch before the last was still good: half of the fall or more came with the last."""
    values = pooled(evidence)[0].values
    return values[-2] - values[-1] > fallen.lost / 2


def _calmer(evidence: Evidence) -> list[Change]:
    recipe = evidence.recipe
    falling = Change(
        {"schedule": "cosine"}, "Half a cosine: the rate falls to nothing at the end, and weights settle."
    )
    slower = mending.rate(recipe, recipe.lr / SLOWER, "Steps a third as long are thrown out less easily.")
    return [slower] if recipe.schedule in ("cosine", "one-cycle") else [falling, slower]


def _picture(evidence: Evidence) -> Lines:
    seen, _ = pooled(evidence)
    learnt = evidence.curve("train/epoch_accuracy")
    return Lines(
        title="Held-out accuracy by epoch",
        series=(
            Series("held-out images", tuple(map(float, seen.steps)), seen.values),
            Series("in training", tuple(map(float, learnt.steps)), learnt.values, dashed=True),
        ),
        y_label="accuracy",
        reference=("a constant answer", evidence.chance),
        alt=f"It ends at {percent(seen.values[-1])}; before that it was {percent(max(seen.values))} at best.",
        percent=True,
    )
