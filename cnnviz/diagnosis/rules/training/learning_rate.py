"""Rules on the learning rate, too high or too low: update-to-weight ratio and loss curve."""

from __future__ import annotations

from dataclasses import dataclass

from cnnviz.diagnosis import exclusions, fixes
from cnnviz.diagnosis.comparisons import below_patch_classifier
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.evidence.layer_signals import (
    USUAL_UPDATE,
    dead_at_initialization,
    dead_layers,
    died_in_tiny_network,
    relu_names,
    typical_update_ratio,
)
from cnnviz.diagnosis.evidence.learning_curves import (
    BLOWN,
    EPOCHS,
    NEARLY_THERE,
    POOR,
    LossCurve,
    summarize_loss,
)
from cnnviz.diagnosis.evidence.step_size import (
    NEAR,
    early_update_ratio,
    has_batch_norm,
    suggest_learning_rate,
)
from cnnviz.diagnosis.figures import loss_curve, update_lines
from cnnviz.diagnosis.finding import Fact, Finding
from cnnviz.diagnosis.numbers import fixed, short
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule
from cnnviz.diagnosis.rules.training.unstable_training import accounts_for_long_steps
from cnnviz.training.recipe import ADAPTIVE

FAR = 0.03
"""Update-to-weight ratio thirty times the usual: thirty steps replace a layer."""
FAR_BLOWN = 0.01
"""The same where the loss diverged: ten times the usual, as the median layer may move less than the one that
diverged.
"""
FAR_ADAM = 0.3
"""The same for Adam, whose first steps are as long as its rate, whatever the gradient: runs that learned
well began with 0.01 to 0.1, and with more in wide layers, whose weights are small.
"""
WILD = 3.0
"""Multiple of too far: a tenth of a layer's weights in one step, or with Adam all of them. Such a run stays
at some loss far from the minimum.
"""
YOUNG = 100
"""Steps in which a run that learns well may still be at its start."""
SLIGHT = 0.05
"""Sum of the update-to-weight ratios of a whole run. Runs of a hundred steps that have begun to learn reach
0.1 to 0.3.
"""
HARDLY = 0.25
"""Progress from chance to perfect below which a run with long steps whose loss no longer falls is unstable.
One that is slow, because its images are hard, goes on falling.
"""
THROWN = 5.0
"""Multiple of the chance-level loss, on held-out images after an epoch."""
KILLING = 3.0
"""Divisor of the too-far ratio, where ReLUs died during training: the steps were long enough for that."""
FOLLOWS_HIGH = (
    "non-finite", "one-class", "dead-relu", "under-fitting", "too-few-steps", "unstable-training",
)  # fmt: skip
FOLLOWS_LOW = ("too-few-steps", "under-fitting", "one-class")


@rule(
    "rate-too-high",
    title="Learning rate too high",
    summary="Steps are so large that they overshoot: the loss jumps up, or stays at chance level.",
    live=True,
    moves={"lr": "down"},
)
def rate_too_high(evidence: Evidence) -> Outcome:
    """Detect early steps that move weights too far, where the loss diverged, overflowed, or is stuck."""
    curve, update_ratio = summarize_loss(evidence), early_update_ratio(evidence)
    if curve is None or update_ratio is None:
        return Inconclusive("How far the first steps moved the weights was not recorded.")
    far = FAR_ADAM if evidence.recipe.optimiser in ADAPTIVE else FAR_BLOWN if curve.diverged else FAR
    killed = _killed(evidence, update_ratio, far, curve)
    thrown = _thrown_outside(evidence, curve)
    # Half of the epochs thrown out are a sign of their own, for which shorter steps are enough.
    often = thrown is not None and thrown.often and update_ratio >= far / KILLING
    if update_ratio < far and not killed and not often:
        return Negative(
            f"An early step moves the median layer by {short(update_ratio)} of its weights, less than "
            f"{far:g}."
        )
    worst = max(curve.loss.values[1:], default=curve.start)
    if not killed and not thrown and not _harmed(evidence, curve, wild=update_ratio >= WILD * far):
        return Negative(
            f"Early steps are large ({short(update_ratio)} of the weights), but the loss fell to "
            f"{fixed(curve.end)}."
        )
    return Finding(
        cause="rate-too-high",
        confidence=max(_sureness(evidence, curve, worst, update_ratio), 0.85 if killed or thrown else 0.0),
        effect=min(1.0, max(0.3, 1.2 - curve.learned)),
        verdict=f"Early steps move a layer by {_of_its_size(update_ratio)}, "
            f"{short(update_ratio / USUAL_UPDATE)} times the "
        f"usual {USUAL_UPDATE:g}.",
        explanation="\n\n".join((
            "A step along the gradient helps as far as the loss is nearly straight. One that is too long "
            "lands on the other side, higher than before; the gradient there is larger, and so is the next "
            "step.",
            _moved(evidence, update_ratio, "an early step", _rising(evidence)),
            _outcome(evidence, curve, worst)
            + (
                f" A step so long pushed ReLUs of '{killed}' below 0 for every image, where no gradient "
                "brings them back."
                if killed
                else ""
            )
            + (
                f" On images not learned from the loss was as high as {short(thrown.worst)} after an epoch"
                f"{_how_often(thrown)}: the weights had moved on from what batch normalization's running "
                "statistics knew."
                if thrown
                else ""
            ),
        )),
        facts=_facts(evidence, update_ratio, curve),
        pictures=(loss_curve(curve, evidence.classes), update_lines(evidence)),
        steps=(1, evidence.step),
        ruled_out=exclusions.rule_out_initialization(evidence),
        changes=fixes.applicable_changes((suggest_learning_rate(evidence),), evidence.recipe),
        explains=(*_follows_high(evidence), *(exclusions.OVER_FITTING if thrown else ())),
    )  # fmt: skip


@rule(
    "rate-too-low",
    title="Learning rate too low",
    summary="Steps are so small that the weights hardly move before the run ends.",
    live=True,
    moves={"lr": "up"},
)
def rate_too_low(evidence: Evidence) -> Outcome:
    """Detect steps that move the median layer by less than a ten-thousandth, in a run that learned little."""
    curve, update_ratio = (
        summarize_loss(evidence),
        typical_update_ratio(evidence, last=_before_the_schedule(evidence)),
    )
    if curve is None or update_ratio is None:
        return Inconclusive("How far steps move the weights was not recorded.")
    slight = evidence.step > YOUNG and update_ratio * evidence.step < SLIGHT
    if update_ratio >= NEAR and not slight:
        return Negative(
            f"A step moves the median layer by {short(update_ratio)} of its weights, more than {NEAR:g}."
        )
    if update_ratio < 1e-9:
        return Negative("The median layer's gradient is 0: no rate would move it.")
    slow = curve.falling and curve.end > POOR * curve.chance
    if curve.learned >= POOR and not slow:
        return Negative(
            f"Steps are small ({short(update_ratio)} of the weights), but the loss fell to "
            f"{fixed(curve.end)}."
        )
    if (early_update_ratio(evidence) or 0.0) >= USUAL_UPDATE:
        return Negative(
            "Early steps moved the weights as far as is usual; that later ones do not is no matter of rate."
        )
    recipe, change = evidence.recipe, suggest_learning_rate(evidence)
    if change is not None and change.values["lr"] <= recipe.lr:
        return Negative(
            f"A rate of {short(recipe.lr)} is as large as networks bear; steps are small because their "
            "gradients are."
        )
    total = update_ratio * max(evidence.step, 1)
    return Finding(
        cause="rate-too-low",
        confidence=_slowness(evidence, update_ratio),
        effect=0.9,
        verdict=f"A step moves a layer by {short(update_ratio)} of its own size, "
            f"{short(update_ratio / USUAL_UPDATE)} "
        f"times the usual {USUAL_UPDATE:g}.",
        explanation="\n\n".join((
            "Weights begin at random and have to move by about their own size before they see anything.",
            _moved(evidence, update_ratio),
            f"{evidence.step:,} steps of {short(update_ratio)} make at most {short(total)} of the weights' "
            f"size, even if all of them went the same way. The loss went from {fixed(curve.start, 3)} to "
            f"{fixed(curve.end, 3)}; chance level is {fixed(curve.chance, 3)}.",
        )),
        facts=_facts(evidence, update_ratio, curve),
        pictures=(update_lines(evidence), loss_curve(curve, evidence.classes)),
        steps=(1, evidence.step),
        ruled_out=exclusions.rule_out_initialization(evidence),
        changes=fixes.applicable_changes((change,), recipe),
        explains=FOLLOWS_LOW,
    )  # fmt: skip


def _follows_high(evidence: Evidence) -> tuple[str, ...]:
    if not accounts_for_long_steps(evidence):
        return FOLLOWS_HIGH
    return tuple(cause for cause in FOLLOWS_HIGH if cause != "unstable-training")


def _slowness(evidence: Evidence, update_ratio: float) -> float:
    """Return the confidence that steps are too small; a short run has to have ended without progress."""
    if evidence.step < YOUNG:
        ended = evidence.status not in ("queued", "starting", "running")
        return 0.9 if ended and update_ratio * evidence.step < SLIGHT / 3 else 0.6
    return 0.95 if update_ratio < NEAR / 3 else 0.75


def _killed(evidence: Evidence, update_ratio: float, far: float, curve: LossCurve) -> str | None:
    """Return the ReLU layer that long steps killed; None where none was, or it did not matter."""
    names = relu_names(evidence)
    dead = dead_layers(evidence.looks[-1], names) if evidence.looks else []
    if not dead or curve.learned >= POOR or update_ratio < far / KILLING or evidence.step < YOUNG:
        return None
    change = suggest_learning_rate(evidence)
    if change is None or change.values["lr"] > evidence.recipe.lr / KILLING:
        return None
    return None if dead_at_initialization(evidence) or died_in_tiny_network(evidence) else dead[0].name


def _of_its_size(update_ratio: float) -> str:
    text = short(update_ratio)
    return "its own size" if text == "1" else f"{text} {'times' if update_ratio > 1 else 'of'} its own size"


def _harmed(evidence: Evidence, curve: LossCurve, wild: bool) -> bool:
    """Return whether long steps kept the run from learning."""
    if (wild or curve.diverged) and curve.learned < NEARLY_THERE and below_patch_classifier(evidence):
        return True
    if evidence.status == "failed" or curve.diverged:
        return curve.learned < (POOR if curve.falling else NEARLY_THERE)
    return curve.stuck or (curve.learned < (POOR if wild else HARDLY) and not curve.falling)


@dataclass(frozen=True)
class Thrown:
    """Held-out losses of epochs that ended far above what the training batches say."""

    worst: float
    """The largest."""
    epochs: int
    """How many are above chance level by `BLOWN`."""
    evaluated: int

    @property
    def often(self) -> bool:
        """Whether half of the epochs are, so that it is no accident of one."""
        return self.evaluated >= EPOCHS and 2 * self.epochs >= self.evaluated


def _thrown_outside(evidence: Evidence, curve: LossCurve) -> Thrown | None:
    """Return the held-out losses where weights outran running statistics: in one epoch by far, or in half.

    None where not. The training loss does not show it, as each batch is normalized by its own statistics.
    """
    if not has_batch_norm(evidence) or below_patch_classifier(evidence) is not True:
        return None
    losses, usual = evidence.held_out("loss").values, max(curve.chance, curve.start)
    blown = sum(loss > BLOWN * usual for loss in losses)
    thrown = Thrown(max(losses, default=0.0), blown, len(losses))
    return thrown if thrown.worst > THROWN * usual or (thrown.often and not curve.diverged) else None


def _how_often(thrown: Thrown) -> str:
    return f", and far above chance level after {thrown.epochs} of {thrown.evaluated}" if thrown.often else ""


def _outcome(evidence: Evidence, curve: LossCurve, worst: float) -> str:
    if evidence.status == "failed":
        end = (
            f"and was no number any more at step {evidence.nonfinite.step}"
            if evidence.nonfinite
            else "and failed"
        )
        return f"The loss began at {short(curve.start)} {end}; chance level is {fixed(curve.chance, 3)}."
    return (
        f"The loss began at {short(curve.start)}, rose to {short(worst)} and ended at {short(curve.end)}; "
        f"chance level is {fixed(curve.chance, 3)}."
    )


def _sureness(evidence: Evidence, curve: LossCurve, worst: float, update_ratio: float) -> float:
    """Return the confidence: early on a loss may jump and recover, and is at chance level in any case."""
    if evidence.status == "failed" or worst > 10 * max(curve.chance, curve.start):
        return 0.95
    if evidence.step < YOUNG:
        return 0.6 if curve.diverged else 0.4
    return 0.95 if curve.diverged else 0.85 if update_ratio >= 2 * FAR else 0.75


def _before_the_schedule(evidence: Evidence) -> int:
    """Return the last step with at least a tenth of the largest rate: later steps are small on purpose."""
    rates = evidence.curve("lr")
    if not rates.steps:
        return evidence.step
    top = max(rates.values)
    steps = (step for step, value in zip(rates.steps, rates.values, strict=True) if value >= top / 10)
    return max(steps, default=evidence.step)


def _rising(evidence: Evidence) -> str:
    """Describe how early steps of a warm-up were scaled."""
    rates = evidence.curve("lr").values
    if not rates or rates[0] == max(rates):
        return ""
    return " (worked out for that rate from the first steps, whose rate still rose)"


def _moved(evidence: Evidence, update_ratio: float, step: str = "a step", remark: str = "") -> str:
    return (
        f"How far is right is told by the weights' own size: about {USUAL_UPDATE:g} of it a step is usual. "
        f"Here the rate is {short(evidence.recipe.lr)}, and {step} moved the median layer by "
        f"{short(update_ratio)}{remark}: {short(update_ratio)} / {USUAL_UPDATE:g} = "
        f"{short(update_ratio / USUAL_UPDATE)} times that."
    )


def _facts(evidence: Evidence, update_ratio: float, curve: LossCurve) -> tuple[Fact, ...]:
    return (
        Fact("update-to-weight ratio, median layer", update_ratio, short(update_ratio)),
        Fact("learning rate", evidence.recipe.lr, short(evidence.recipe.lr)),
        Fact("first loss", curve.start, short(curve.start)),
        curve.fact,
    )
