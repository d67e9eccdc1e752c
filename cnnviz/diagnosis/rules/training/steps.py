"""Rules on the number of steps: a short run, a large batch, a schedule that ended learning early."""

from __future__ import annotations

from cnnviz.diagnosis import exclusions, fixes
from cnnviz.diagnosis.comparisons import below_patch_classifier
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.evidence.layer_signals import typical_update_ratio
from cnnviz.diagnosis.evidence.learning_curves import NEARLY_THERE, POOR, WELL, LossCurve, summarize_loss
from cnnviz.diagnosis.evidence.step_size import NEAR
from cnnviz.diagnosis.figures import loss_curve
from cnnviz.diagnosis.finding import Change, Fact, Finding, Lines, Series
from cnnviz.diagnosis.fixes import affordable_epochs, available_images, suggest_batch_size
from cnnviz.diagnosis.numbers import counted, fixed, percent, short
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule

FEW = 100
"""Steps: LeNet-5 reaches 90 % on the digits in some 100 of 32 images; larger networks need more."""
SOME = 1_000
"""Steps up to which a run with a falling loss may have ended too early."""
REPORTS = 8
"""Least reported losses to tell whether it still falls."""
LITTLE = 0.1
"""Relative gain in accuracy: learning goes at best with the logarithm of the steps, so that twice as many
gain no more than the last doubling did.
"""
ENOUGH = 1_000
"""Steps that a fixed run should have: a small network makes most of its progress in so many."""
LARGE = 256
"""Batch size up to which larger batches improve steps about as much as they cost (McCandlish et al., "An
empirical model of large-batch training", 2018, for data of this size).
"""
FEW_AN_EPOCH = 4
"""Steps per epoch below which a longer run alone would need hundreds of epochs."""
STEPS_AN_EPOCH = 20
"""Steps per epoch below which a batch's gradient hardly differs from the full gradient."""
QUIET = 0.05
"""Fraction of the largest rate below which learning is fine-tuning."""

MAX_LOST_AFTER = 0.5
"""Fraction of the remaining loss: a run that lost more of it after the rate fell was still learning."""


@rule(
    "too-few-steps",
    title="Too few steps",
    summary="The run ended while it was still learning, or before it had begun to.",
    moves={"steps": "up"},
)
def too_few_steps(evidence: Evidence) -> Outcome:
    """Detect a run that ended early in its course, at a rate that does move the weights."""
    curve, update_ratio = summarize_loss(evidence), typical_update_ratio(evidence)
    if curve is None or evidence.status == "failed":
        return Inconclusive("The run did not come to its end.")
    if curve.learned >= _far(evidence, curve):
        return Negative(
            f"{evidence.step:,} steps brought the loss from {fixed(curve.chance)} to {fixed(curve.end)}."
        )
    if evidence.stopped_early:
        return Negative(
            f"Early stopping ended the run after {counted(evidence.step, 'step')}: the validation "
            "images were not known any better for as many epochs as it waits."
        )
    if evidence.step > FEW and not (curve.falling and evidence.step <= SOME and curve.stuck):
        return Negative(f"The run had {evidence.step:,} steps, and its loss was not falling any more.")
    if update_ratio is not None and update_ratio < NEAR:
        return Negative(
            f"The run had {evidence.step:,} steps, but each moved weights by {short(update_ratio)} of their "
            "size."
        )
    is_short = evidence.step <= FEW
    return Finding(
        cause="too-few-steps",
        confidence=0.85 if is_short and curve.learned < POOR else 0.65,
        effect=min(0.8 if is_short else 0.6, 1 - curve.learned),
        verdict=f"The run ended after {counted(evidence.step, 'step')}"
        + (", while its loss was still falling." if curve.falling else ", before it had begun to learn."),
        explanation="\n\n".join((
            "A step changes the weights a little, by what one batch says. How much is learned depends on "
            "the number of steps, not of epochs.",
            _count(evidence),
            f"The loss went from {fixed(curve.start, 3)} to {fixed(curve.end, 3)}; chance level is "
            f"{fixed(curve.chance, 3)}.",
        )),
        facts=(
            Fact("steps", float(evidence.step), f"{evidence.step:,}"),
            Fact("steps an epoch", float(evidence.steps_per_epoch), f"{evidence.steps_per_epoch:,}"),
            curve.fact,
        ),
        pictures=(loss_curve(curve, evidence.classes),),
        steps=(1, evidence.step),
        ruled_out=exclusions.rule_out_learning_rate(evidence) + exclusions.rule_out_initialization(evidence),
        changes=fixes.applicable_changes(_longer(evidence), evidence.recipe),
        explains=("under-fitting", "one-class"),
    )  # fmt: skip


def _far(evidence: Evidence, curve: LossCurve) -> float:
    """Return the progress that a run must have made for its length to be enough.

    More for a short one that goes on, unless it is as good as the untrained patch classifier lets expect.
    """
    goes_on = (curve.falling or len(curve.loss) < REPORTS) and not _slowed(evidence)
    # Beside a classifier without training that is not ahead of it nobody knows that there is more to learn.
    reached = below_patch_classifier(evidence) is False
    return NEARLY_THERE if evidence.step <= FEW and goes_on and not reached else POOR


def _slowed(evidence: Evidence) -> bool:
    """Return whether the second half of the epochs gained little, so that more would hardly help."""
    accuracies = evidence.curve("train/epoch_accuracy").values
    return (
        len(accuracies) >= 4
        and accuracies[-1] - accuracies[len(accuracies) // 2 - 1] < LITTLE * accuracies[-1]
    )


def _count(evidence: Evidence) -> str:
    images, batch = evidence.data.train, evidence.recipe.batch_size
    return (
        f"Here {images:,} images in batches of {batch:,} make {counted(evidence.steps_per_epoch, 'step')} "
        f"an epoch, "
        f"{evidence.total_steps:,} in all. A small network needs some hundred before it is better than "
        "guessing, and a thousand or more for most of its way."
    )


def _longer(evidence: Evidence) -> list[Change]:
    recipe, each, values = evidence.recipe, evidence.steps_per_epoch, {}
    batch = suggest_batch_size(evidence, recipe.batch_size)
    if each < FEW_AN_EPOCH and batch < recipe.batch_size:
        # With so few images thousands of epochs would be needed.
        values, each = {"batch_size": batch}, max(1, evidence.data.train // batch)
    epochs = affordable_epochs(evidence, max(recipe.epochs * 2, -(-ENOUGH // each)))
    smaller = f" of {batch} images" if values else ""
    longer = Change(
        {**values, "epochs": epochs},
        f"{epochs:,} epochs of {counted(each, 'step')}{smaller} are {counted(epochs * each, 'step')}.",
    )
    if recipe.limit is None or (
        available_images(evidence) <= evidence.data.train and evidence.data.available
    ):
        return [longer]
    unlimited = {"limit": None, "epochs": max(recipe.epochs, 10)}
    every = Change(
        unlimited, "All images, ten times: more steps, and no image so often that it is memorized."
    )
    return [every, longer]


@rule(
    "batch-too-large",
    title="Batch too large",
    summary="A batch holds so many of the images that an epoch is a few steps only.",
    moves={"batch_size": "down", "steps": "up"},
)
def batch_too_large(evidence: Evidence) -> Outcome:
    """Detect large batches that leave fewer than twenty steps per epoch, and too few in all."""
    curve, recipe = summarize_loss(evidence), evidence.recipe
    if curve is None:
        return Inconclusive("No loss was recorded.")
    each = evidence.steps_per_epoch
    if recipe.batch_size <= LARGE or each >= STEPS_AN_EPOCH:
        return Negative(f"Batches of {recipe.batch_size:,} make {counted(each, 'step')} an epoch.")
    if curve.learned >= _far(evidence, curve) or evidence.step > SOME:
        return Negative(
            f"Batches are large, but {evidence.step:,} steps brought the loss to {fixed(curve.end)}."
        )
    images, steps = evidence.data.train, "steps" if each > 1 else "step"
    batch = next((size for size in (64, 32) if images >= 40 * size), suggest_batch_size(evidence, 16))
    new_steps = max(1, images // batch) * recipe.epochs
    size = f"A batch of {recipe.batch_size:,} of {images:,} images leaves {each} {steps} an epoch"
    if recipe.batch_size >= images:
        size = f"A batch of {recipe.batch_size:,} holds all {images:,} images, so an epoch is one step"
    return Finding(
        cause="batch-too-large",
        confidence=0.9,
        effect=min(0.9, 1 - curve.learned),
        verdict=f"{size}, {evidence.total_steps:,} in all.",
        explanation="\n\n".join((
            "A gradient from more images is more exact: its error falls with the square root of their "
            "number. Four times the images halve it, and cost four times as much; beyond some hundred a "
            "step gets no better.",
            f"Here {images:,} / {recipe.batch_size:,} makes {each} {steps} an epoch, "
            f"{evidence.total_steps:,} in {counted(recipe.epochs, 'epoch')}. With batches of {batch} the "
            f"same images, seen as often, would make {new_steps:,} steps.",
            f"The loss went from {fixed(curve.start, 3)} to {fixed(curve.end, 3)}; chance level is "
            f"{fixed(curve.chance, 3)}. A rate as many times larger would make up for it up to a point "
            "(Goyal et al., 2017), and then overshoot.",
        )),
        facts=(
            Fact("images a batch", float(recipe.batch_size), f"{recipe.batch_size:,}"),
            Fact("steps an epoch", float(each), f"{each:,}"),
            curve.fact,
        ),
        pictures=(loss_curve(curve, evidence.classes),),
        steps=(1, evidence.step),
        ruled_out=exclusions.rule_out_learning_rate(evidence) + exclusions.rule_out_initialization(evidence),
        changes=fixes.applicable_changes(
            [Change({"batch_size": batch}, f"{new_steps:,} steps of the same images.")], recipe
        ),
        explains=("too-few-steps", "under-fitting", "one-class", "rate-too-low"),
    )  # fmt: skip


@rule(
    "schedule-ended",
    title="Schedule ended learning early",
    summary="The learning rate fell to almost nothing long before the end.",
)
def schedule_ended(evidence: Evidence) -> Outcome:
    """Detect a rate below a twentieth of its largest for half of the run, with much left to learn."""
    curve, rates = summarize_loss(evidence), evidence.curve("lr")
    if curve is None or len(rates) < 4:
        return Inconclusive("The learning rate was not recorded.")
    ended = _ended(rates.steps, rates.values)
    share = 1 - ended / max(evidence.step, 1)
    if share < 0.5:
        return Negative(
            f"The rate was more than {percent(QUIET)} of its largest for {percent(1 - share)} of the run."
        )
    at, before = _loss_at(curve, ended), curve.start - _loss_at(curve, ended)
    if evidence.recipe.schedule == "plateau":
        return Negative("A plateau lowers the rate only after the loss has stopped falling.")
    after, top, last = at - curve.end, max(rates.values), rates.values[-1]
    if curve.learned > WELL or after > MAX_LOST_AFTER * at:
        return Negative(
            f"The rate fell early, at step {ended:,}, and the loss to {fixed(curve.end)} all the same."
        )
    if before <= 0.01 * curve.chance and not _not_begun(evidence, curve, ended):
        return Negative(f"The rate fell early, at step {ended:,}, but the loss did not depend on it.")
    return Finding(
        cause="schedule-ended",
        confidence=0.9 if before > 0.05 * curve.chance else 0.8 if before > 0.01 * curve.chance else 0.6,
        effect=0.7,
        verdict=f"From step {ended:,} of {evidence.step:,} on the rate was below {percent(QUIET)} of its "
        "largest: learning ended there.",
        explanation="\n\n".join((
            "A falling rate lets weights settle, once they are near a good place. If it falls earlier, "
            "they settle where they happen to be.",
            f"This run's schedule is '{evidence.recipe.schedule}': the rate went from {short(top)} to "
            f"{short(last)}, {short(last / top)} of it. In the first {ended:,} steps the loss "
            f"{_fell(before)}, in the other {evidence.step - ended:,} it {_fell(after)}.",
            f"It ended at {fixed(curve.end, 3)}, where chance level is {fixed(curve.chance, 3)}.",
        )),
        facts=(
            Fact("last step at a rate that matters", float(ended), f"{ended:,} of {evidence.step:,}"),
            Fact("last rate by the largest", last / top, short(last / top)),
            Fact("fall of the loss before", before, f"{fixed(before, 3)}"),
            Fact("fall of the loss after", after, f"{fixed(after, 3)}"),
        ),
        pictures=(
            Lines(
                title="Learning rate",
                series=(Series("learning rate", tuple(rates.steps), rates.values),),
                logarithmic=True,
                reference=(f"{percent(QUIET)} of the largest", QUIET * top),
                alt=f"The rate falls from {short(top)} to {short(last)}.",
            ),
            loss_curve(curve, evidence.classes),
        ),
        steps=(ended, evidence.step),
        ruled_out=(
            *exclusions.rule_out_learning_rate(evidence, last=ended),
            *exclusions.rule_out_initialization(evidence),
        ),
        changes=fixes.applicable_changes(_schedules(), evidence.recipe),
        explains=("rate-too-low", "too-few-steps", "under-fitting", "one-class"),
    )  # fmt: skip


def _not_begun(evidence: Evidence, curve: LossCurve, ended: int) -> bool:
    """Return whether the rate fell during the initial plateau of the loss, although steps were long enough.

    Small networks stay on that plateau for some dozen steps; a rate that has fallen by then ends learning
    before it begins.
    """
    update_ratio = typical_update_ratio(evidence, last=ended)
    return curve.learned < POOR and update_ratio is not None and update_ratio >= NEAR


def _fell(by: float) -> str:
    return f"fell by {fixed(by, 3)}" if by > 0 else "did not fall"


def _ended(steps: tuple[int, ...], values: tuple[float, ...]) -> int:
    """Return the last step at which the rate was more than a twentieth of its largest."""
    loud = (step for step, value in zip(steps, values, strict=True) if value > QUIET * max(values))
    return max(loud, default=steps[-1])


def _loss_at(curve: LossCurve, step: int) -> float:
    return next((v for s, v in zip(curve.loss.steps, curve.loss.values, strict=True) if s >= step), curve.end)


def _schedules() -> tuple[Change, ...]:
    return (
        Change({"schedule": "constant"}, "The rate stays as it is to the end."),
        Change(
            {"schedule": "cosine"},
            "Half a cosine: the rate is large for most of the run and falls at its end.",
        ),
    )
