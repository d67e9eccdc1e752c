"""Rule on unstable last epochs: the run had been better, and ended with a sudden fall."""

from __future__ import annotations

from cnnviz.diagnosis import fixes
from cnnviz.diagnosis.comparisons import (
    FAR_BELOW,
    below_patch_classifier,
    expected_fraction,
    is_informative,
    patch_classifier_score,
)
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.evidence.generalization import chance_corrected
from cnnviz.diagnosis.evidence.layer_signals import (
    USUAL_UPDATE,
)
from cnnviz.diagnosis.evidence.learning_curves import (
    BACK,
    EPOCHS,
    NEARLY_THERE,
    AccuracyFall,
    last_epoch_fall,
    loss_figure,
    pooled_accuracy,
    summarize_loss,
)
from cnnviz.diagnosis.evidence.step_size import (
    early_update_ratio,
    suggest_learning_rate,
)
from cnnviz.diagnosis.exclusions import OVER_FITTING
from cnnviz.diagnosis.figures import loss_curve, update_lines
from cnnviz.diagnosis.finding import Change, Fact, Finding, Lines, Series
from cnnviz.diagnosis.numbers import fixed, percent, short
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule

FOLLOWS = (*OVER_FITTING, "one-class", "labels-noisy", "evaluation-mode")
ENDED = ("finished", "stopped", "failed")
SLOWER = 3.0
"""Divisor of the learning rate, where it has a schedule already."""
LEARNED = 0.2
"""Chance-corrected accuracy from which a run did learn, so that its fall is not due to a rate that prevents
learning.
"""
LONG_MEMORY, SHORT_MEMORY = 0.97, 0.9
"""Momentum from which a step sums 33 gradients or more, and Adam's beta2 up to which its step is normalized
by the last ten gradients or fewer: 0.9 to 0.95 and 0.99 to 0.999 are usual.
"""
USUAL_MOMENTUM, USUAL_BETA2 = 0.9, 0.999
LONG_STEP, LONG_STEP_ADAM = 0.02, 0.08
"""Update-to-weight ratio of an early step: 20 times the usual, and for Adam 80 times."""


@rule(
    "unstable-training",
    title="Unstable last epochs",
    summary="The network had been better, and the last epoch threw it back.",
    moves={"lr": "down"},
)
def unstable_training(evidence: Evidence) -> Outcome:
    """Detect a sudden fall of held-out accuracy in the last epoch.

    Also long steps with an unusual momentum or beta2 in a run that ends badly: they add up over dozens of
    batches, or are normalized by a few.
    """
    restless = _unusual_memory(evidence)
    if restless is not None:
        return restless
    accuracy, images = pooled_accuracy(evidence)
    if len(accuracy) < EPOCHS or not images:
        return Inconclusive(f"Fewer than {EPOCHS} epochs were evaluated, so nobody knows what is usual.")
    fallen = last_epoch_fall(evidence)
    if fallen is None:
        return Negative(
            f"The last epoch ({percent(accuracy.values[-1], 1)} of held-out images) is no worse than those "
            "before it, within what sampling explains."
        )
    if evidence.status not in ENDED:
        return Inconclusive("The newest epoch is worse than those before it, but the run goes on.")
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
        pictures=(_picture(evidence), loss_figure(evidence, "Loss by epoch")),
        steps=(fallen.step, evidence.step),
        ruled_out=(
            "Over-fitting: it comes on over several epochs, and this was the last one alone.",
        ) if _sudden(evidence, fallen) else (),
        changes=fixes.applicable_changes(_calmer_schedule(evidence), evidence.recipe),
        explains=(*FOLLOWS, *(("rate-too-high", "dead-relu") if _had_learned(evidence, fallen) else ())),
    )  # fmt: skip


def accounts_for_long_steps(evidence: Evidence) -> bool:
    """Return whether instability, and not a rate that prevents learning, explains a run's bad end."""
    if _unusual_memory(evidence) is not None:
        return True
    fallen = last_epoch_fall(evidence)
    return fallen is not None and evidence.status in ENDED and _had_learned(evidence, fallen)


def _had_learned(evidence: Evidence, fallen: AccuracyFall) -> bool:
    """Return whether the run had learned something before the fall, and lost half of it.

    What had been reached is nothing to return to where it was itself far below what is expected beside the
    untrained patch classifier: then the run never went well.
    """
    reached = chance_corrected(fallen.reached, evidence.chance)
    baseline, least = patch_classifier_score(evidence), LEARNED
    if baseline is not None and is_informative(evidence):
        reference = chance_corrected(baseline.accuracy, baseline.constant)
        least = max(LEARNED, FAR_BELOW * expected_fraction(reference) * reference)
    return reached >= least and fallen.lost >= (fallen.reached - evidence.chance) / 2


def _unusual_memory(evidence: Evidence) -> Finding | None:
    """Detect long steps with an unusual momentum or beta2 in a run that ended badly; None where not."""
    recipe, curve, update_ratio = evidence.recipe, summarize_loss(evidence), early_update_ratio(evidence)
    adaptive = recipe.optimiser in ("adam", "adamw")
    odd = recipe.beta2 <= SHORT_MEMORY if adaptive else recipe.momentum >= LONG_MEMORY
    if not odd or curve is None or update_ratio is None or evidence.status not in ENDED:
        return None
    if (
        update_ratio < (LONG_STEP_ADAM if adaptive else LONG_STEP)
        or not evidence.curve("test/accuracy").steps
    ):
        return None
    if curve.learned >= NEARLY_THERE or below_patch_classifier(evidence) is False:
        return None
    memory = recipe.beta2 if adaptive else recipe.momentum
    name, value = ("beta2", USUAL_BETA2) if adaptive else ("momentum", USUAL_MOMENTUM)
    batches = 1 / (1 - memory)
    explanation = (
        f"With a beta2 of {memory:g} Adam divides each step by what the last {short(batches)} batches say of "
        "the gradient's size: where they say little, the next one is thrown far."
        if adaptive
        else f"With a momentum of {memory:g} each gradient goes on in the steps of some {short(batches)} "
        "batches after it: what was right when it was measured overshoots later."
    )
    return Finding(
        cause="unstable-training",
        confidence=0.85,
        effect=min(1.0, max(0.3, 1.2 - curve.learned)),
        verdict=(
            f"Steps do not come to rest: {'beta2' if adaptive else 'momentum'} is {memory:g}, and an early "
            f"step moves the median layer by {short(update_ratio)} of its weights."
        ),
        explanation="\n\n".join((
            explanation,
            f"An early step moved the median layer by {short(update_ratio)} of its weights, where "
            f"{USUAL_UPDATE:g} is usual. The training loss ended at {fixed(curve.end)}; chance level is "
            f"{fixed(curve.chance)}.",
            f"{value:g} is usual. Where steps stay long all the same, the rate has to fall too, at once or "
            "by a schedule.",
        )),
        facts=(
            Fact("beta2" if adaptive else "momentum", memory, f"{memory:g} ({value:g} is usual)"),
            Fact("update-to-weight ratio, median layer", update_ratio, short(update_ratio)),
            curve.fact,
        ),
        pictures=(loss_curve(curve, evidence.classes), update_lines(evidence)),
        steps=(1, evidence.step),
        changes=fixes.applicable_changes(_usual_memory(evidence, name, value), recipe),
        explains=(*FOLLOWS, "rate-too-high", "dead-relu", "non-finite", "under-fitting", "too-few-steps"),
    )  # fmt: skip


def _usual_memory(evidence: Evidence, name: str, value: float) -> list[Change]:
    """Propose the usual value, with a lower rate where the sensible one is half of the run's or less."""
    rate = suggest_learning_rate(evidence)
    lower = {"lr": rate.values["lr"]} if rate and rate.values["lr"] <= evidence.recipe.lr / 2 else {}
    also = (
        f", and a rate of {short(lower['lr'])}, with which first steps are of a usual length" if lower else ""
    )
    reason = f"The usual {name}, {value:g}{also}."
    return [Change({name: value, **lower}, reason), *_calmer_schedule(evidence)]


def _numbers(fallen: AccuracyFall) -> str:
    return (
        f"Of the {BACK} epochs before the last the second best knew {percent(fallen.reached, 1)}, the last "
        f"one knows {percent(fallen.last, 1)}: {100 * fallen.lost:.1f} points less. Both are counted on "
        f"{fallen.images:,} held-out images, so chance alone makes a difference of about "
        f"{100 * fallen.error:.1f} points; this is {fallen.lost / max(fallen.error, 1e-9):.0f} times that."
    )


def _sudden(evidence: Evidence, fallen: AccuracyFall) -> bool:
    """Return whether at least half of the fall came with the last epoch."""
    values = pooled_accuracy(evidence)[0].values
    return values[-2] - values[-1] > fallen.lost / 2


def _calmer_schedule(evidence: Evidence) -> list[Change]:
    recipe = evidence.recipe
    falling = Change(
        {"schedule": "cosine"}, "Half a cosine: the rate falls to nothing at the end, and weights settle."
    )
    slower = fixes.change_learning_rate(
        recipe, recipe.lr / SLOWER, "Steps a third as long are thrown out less easily."
    )
    return [slower] if recipe.schedule in ("cosine", "one-cycle") else [falling, slower]


def _picture(evidence: Evidence) -> Lines:
    accuracy, _ = pooled_accuracy(evidence)
    learnt = evidence.curve("train/epoch_accuracy")
    return Lines(
        title="Held-out accuracy by epoch",
        series=(
            Series("held-out images", tuple(map(float, accuracy.steps)), accuracy.values),
            Series("in training", tuple(map(float, learnt.steps)), learnt.values, dashed=True),
        ),
        y_label="accuracy",
        reference=("a constant answer", evidence.chance),
        alt=f"It ends at {percent(accuracy.values[-1])}; before that it was {percent(max(accuracy.values))} "
        "at best.",
        percent=True,
    )
