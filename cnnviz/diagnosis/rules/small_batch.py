"""A batch too small for the learning rate: each step follows the noise of a few images."""

from __future__ import annotations

import math

from cnnviz.diagnosis import excluded, mending
from cnnviz.diagnosis.course import NEARLY_THERE, POOR, Course, course
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.finding import Change, Fact, Finding
from cnnviz.diagnosis.fix_checks import affordable_epochs, batch_for
from cnnviz.diagnosis.numbers import counted, fixed, short
from cnnviz.diagnosis.pictures import loss_curve, update_lines
from cnnviz.diagnosis.registry import Clear, Outcome, Untold, rule
from cnnviz.diagnosis.rules.rates import YOUNG

SMALL = 8
"""Images: the error of a batch's gradient is 1/√8 = 0.35 of that of a single image, or more."""
USUAL = 0.1 / 256 / (1 - 0.9)
"""Rate by images a batch, momentum counted: 0.1 for 256 with momentum 0.9 (Goyal et al., "Accurate, large
minibatch SGD", 2017)."""
USUAL_ADAM = 1e-3 / math.sqrt(32)
"""The same for Adam, whose noise goes with the root of the batch (Malladi et al., 2022)."""
FAR = 8.0
"""Times the usual: small networks bear four times what was found for ResNet-50; at eight they do not. At
twice that a run that learned half of its way is kept from the other half."""
ENOUGH = 1_000
"""Steps that a mended run should have."""

ENOUGH_STEPS = 300
"""In which small networks on small images are seen to learn, whatever the batch."""


@rule(
    "batch-too-small",
    title="Batch too small for the rate",
    summary="A few images a step, at a rate for many: steps follow noise.",
    live=True,
    moves={"batch_size": "up", "lr": "down"},
)
def batch_too_small(evidence: Evidence) -> Outcome:
    """Found where a batch of eight or fewer goes with a rate for many more, and the run is poor."""
    went, recipe = course(evidence), evidence.recipe
    if went is None:
        return Untold("No loss was recorded.")
    if recipe.batch_size > SMALL:
        return Clear(f"A batch has {recipe.batch_size:,} images.")
    times = _times(evidence)
    if times < FAR or went.learned >= (NEARLY_THERE if times >= 2 * FAR else POOR):
        return Clear(
            f"Batches of {recipe.batch_size} go with a rate of {recipe.lr:g}: the loss is {fixed(went.end)}."
        )
    return _finding(evidence, went, times)


def _finding(evidence: Evidence, went: Course, times: float) -> Finding:
    recipe, images = evidence.recipe, evidence.data.train
    batch, rule_of = batch_for(evidence, 32), "1/√n of that of a single image"
    epochs = affordable_epochs(evidence, -(-ENOUGH * batch // max(images, 1)))
    steps = counted(epochs * max(1, images // batch), "step")
    slower = recipe.lr / times
    larger = Change(
        {"batch_size": batch, "epochs": epochs},
        f"The error of {batch} images' gradient is {1 / math.sqrt(batch):.2f} of that of one; "
        f"{counted(epochs, 'epoch')} make {steps}.",
    )
    quieter = mending.rate(recipe, slower, "The rate that goes with so small a batch.")
    # With a few dozen images there is no larger batch to be had that is worth the name.
    # Nor does one help at which the rate is still as far from the usual.
    helps = batch >= 2 * recipe.batch_size and times * recipe.batch_size / batch < FAR
    ways = (larger, quieter) if helps else (quieter,)
    return Finding(
        cause="batch-too-small",
        confidence=0.9 if evidence.step >= YOUNG and went.learned < POOR else 0.7,
        effect=1.0,
        verdict=f"Batches of {recipe.batch_size} at a rate of {recipe.lr:g}: each step follows single "
        f"images, {short(times)} times as far as is usual for a batch of that size.",
        explanation="\n\n".join((
            f"A batch's gradient is that of all images and an error, {rule_of}. With n = "
            f"{recipe.batch_size} the error is 1/√{recipe.batch_size} = "
            f"{1 / math.sqrt(recipe.batch_size):.2f}, with n = {batch} {1 / math.sqrt(batch):.2f}. Many "
            "small steps average it out, large ones do not.",
            f"So the rate goes with the batch: {recipe.lr:g} for {recipe.batch_size} is as much as "
            f"{recipe.lr * batch / recipe.batch_size:g} for {batch}, {short(times)} times the usual.",
            f"The loss went from {short(went.start)} to {short(went.end)} and was {short(went.worst)} at "
            f"its worst; guessing has {fixed(went.guess, 3)}.",
        )),
        facts=(
            Fact("images a batch", float(recipe.batch_size), f"{recipe.batch_size}"),
            Fact("learning rate", recipe.lr, f"{recipe.lr:g}"),
            Fact("rate for the batch, by the usual", times, short(times)),
            went.fact,
        ),
        pictures=(loss_curve(went, evidence.classes), update_lines(evidence)),
        steps=(1, evidence.step),
        ruled_out=(
            *_long_enough(evidence),
            *excluded.start(evidence),
        ),
        changes=mending.kept(
            ways,
            recipe,
        ),
        explains=(
            "rate-too-high", "non-finite", "dead-relu", "one-class", "under-fitting", "exploding-gradients",
        ),
    )  # fmt: skip


def _times(evidence: Evidence) -> float:
    """How many times the usual the rate is, for the batch."""
    recipe = evidence.recipe
    if recipe.optimiser in ("adam", "adamw"):
        return recipe.lr / math.sqrt(recipe.batch_size) / USUAL_ADAM
    return recipe.lr / (1 - recipe.momentum) / recipe.batch_size / USUAL


def _long_enough(evidence: Evidence) -> tuple[str, ...]:
    """That the run had steps enough to learn something, as runs with usual batches do."""
    if evidence.step < ENOUGH_STEPS:
        return ()
    return (f"The length of the run: it had {evidence.step:,} steps.",)
