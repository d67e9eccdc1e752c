"""Rules on the batches of a training loop: shuffling, scaling, mode, schedule."""

from __future__ import annotations

import random
from functools import lru_cache

from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.evidence.generalization import chance_corrected
from cnnviz.diagnosis.evidence.learning_curves import POOR, summarize_loss
from cnnviz.diagnosis.evidence.loop import MIN_AGAIN, Loop
from cnnviz.diagnosis.finding import CodeFix, Fact, Finding, Lines, Series
from cnnviz.diagnosis.numbers import counted, percent, short
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule
from cnnviz.diagnosis.rules.loop.gradients import EFFECTS, FEW

MIN_BATCH = 4
"""Least batch size: in smaller ones a class is often alone."""
SORTED = 0.35
"""Excess of the most common class's share of a batch over that of random batches, relative to a batch of one
class.
"""
DRAWS = 400


@rule(
    "not-shuffled",
    title="Training images are not shuffled",
    summary="Batches hold images of one class or of few, in the order in which they are stored.",
    live=True,
    loop=True,
)
def not_shuffled(evidence: Evidence) -> Outcome:
    """Detect batches whose most common class is far more common than in random batches."""
    loop = _loop(evidence)
    total, observed = sum(loop.labels), loop.commonest
    present = sum(1 for n in loop.labels if n)
    if observed is None or total < 10 * MIN_BATCH or present < 2 or loop.batch_size < MIN_BATCH:
        return Inconclusive("Too few labels were seen, or batches are too small to tell.")
    usual = _usual_commonest(loop.labels, loop.batch_size)
    excess = (observed - usual) / max(1 - usual, 1e-9)
    if excess < SORTED:
        return Negative(
            f"The commonest class has {percent(observed)} of a batch, and {percent(usual)} of a random one."
        )
    return Finding(
        cause="not-shuffled",
        confidence=0.96 if excess > 0.6 else 0.85,
        effect=0.85,
        verdict=f"Training images come sorted by class: the commonest class has {percent(observed)} of a "
        f"batch, where {percent(usual)} is usual.",
        explanation=(
            "A step follows the gradient of its batch. Batches of one class pull the answer to that class, "
            "the next ones to another: the network learns the order, forgets what came before, and ends with "
            "the classes that came last. Batch normalization takes its statistics from single classes."
        ),
        facts=(
            Fact("commonest class of a batch", observed, percent(observed)),
            Fact("in random batches", usual, percent(usual)),
        ),
        fix=CodeFix(
            "Shuffle the training images, anew in each epoch.",
            "loader = DataLoader(dataset, batch_size=64, shuffle=True)\n"
            "# or: order = torch.randperm(len(images)) in each epoch",
        ),
        hides=EFFECTS,
    )


@lru_cache(maxsize=64)
def _usual_commonest(labels: tuple[int, ...], batch: int) -> float:
    """Estimate the mean share of the most common class in random batches (Monte Carlo, fixed seed)."""
    draw = random.Random(0)
    classes = range(len(labels))
    total = 0.0
    for _ in range(DRAWS):
        counts: dict[int, int] = {}
        for choice in draw.choices(classes, weights=labels, k=batch):
            counts[choice] = counts.get(choice, 0) + 1
        total += max(counts.values()) / batch
    return total / DRAWS


MIN_STEPS = 20
IN_A_ROW = 0.93
"""Fraction of batches that equal the one before: each is used for some 15 steps and more. What takes several
steps with a batch on purpose (a critic, an inner loop, an old policy's data) takes up to 10.
"""
WHOLE = 257
"""Batch size from which a batch may be a whole small data set: full-batch gradient descent."""
SMALL_WHOLE = 65
"""The same where held-out images are known well; usual batches are seldom larger."""
KNOWN_WELL = 0.8
"""Chance-corrected accuracy on held-out images that one batch out of many seldom gives."""


@rule(
    "same-batch",
    title="The same batch again and again",
    summary="Every step sees the same images.",
    live=True,
    loop=True,
)
def same_batch(evidence: Evidence) -> Outcome:
    """Detect a loop in which hardly any two batches differ."""
    loop = _loop(evidence)
    if loop.batches < MIN_STEPS:
        return Inconclusive("Too few batches were seen.")
    if evidence.input is not None and evidence.input.low == evidence.input.high:
        return Inconclusive("All images are equal, so that batches cannot be told apart.")
    few = _few_images(evidence)
    if few is not None:
        return few
    are_augmented = loop.labels_again >= IN_A_ROW and loop.repeated_in_a_row < 0.5
    if are_augmented and loop.distinct_batches > 2 and loop.batch_size < WHOLE:
        return _same_labels(loop)
    one = loop.distinct_batches <= 2 and loop.most_repeated >= 0.6 * loop.batches
    if not one and (loop.repeated_in_a_row < IN_A_ROW or loop.closure):
        return Negative(f"{loop.batches:,} steps saw {loop.distinct_batches:,} different batches.")
    runs = 1 + (1 - loop.repeated_in_a_row) * (loop.batches - 1)
    if loop.batch_size >= WHOLE or (one and loop.batch_size >= SMALL_WHOLE and _known_well(evidence)):
        return Inconclusive(
            f"Every step sees the same {loop.batch_size:,} images, which may be all that there are."
        )
    return Finding(
        cause="same-batch",
        confidence=0.93,
        effect=0.9,
        verdict=f"All {loop.batches:,} steps that were looked at see the same "
        f"{loop.batch_size or 'few'} images."
        if one
        else f"Each batch of {loop.batch_size or 'few'} images is used for "
        f"some {loop.batches / runs:.0f} steps in a row: "
        f"{loop.batches:,} steps see {loop.distinct_batches:,} different ones.",
        explanation=(
            "The loss falls, since one batch is soon memorized, and nothing else is learned. It happens "
            "where the batch is taken outside of the loop, or a loader is begun anew in every step "
            "(next(iter(loader)) without shuffling)."
        ),
        facts=(
            Fact("batches", float(loop.batches), f"{loop.batches:,}"),
            Fact("different ones", float(loop.distinct_batches), f"{loop.distinct_batches}"),
        ),
        fix=CodeFix(
            "Take the next batch in every step.", "for images, labels in loader:\n    ...  # one step"
        ),
        hides=(*EFFECTS, "classes-missing"),
    )


def _known_well(evidence: Evidence) -> bool:
    held_out = evidence.held_out("accuracy").last
    return held_out is not None and chance_corrected(held_out, evidence.chance) >= KNOWN_WELL


def _same_labels(loop: Loop) -> Finding:
    """Report batches that differ, as by augmentation, and have the same labels in the same order."""
    return Finding(
        cause="same-batch",
        confidence=0.9,
        effect=0.9,
        verdict=f"{percent(loop.labels_again)} of the batches of {loop.batch_size} have the labels of the "
        "one before, in the same order: the same images again, otherwise augmented.",
        explanation=(
            "Labels that are drawn at random come in another order in each batch. Here the order stays, "
            "while the values that the network reads differ: a batch was taken outside of the loop, and is "
            "augmented or gets noise in every step. One batch is soon memorized, and nothing else learned."
        ),
        facts=(
            Fact("batches with the labels of the one before", loop.labels_again, percent(loop.labels_again)),
        ),
        fix=CodeFix(
            "Take the next batch in every step.", "for images, labels in loader:\n    ...  # one step"
        ),
        hides=(*EFFECTS, "classes-missing"),
    )


FEW_IMAGES = 0.1
"""Part of an epoch's images that differ from each other, below which few images come again and again. Rare
classes that are drawn more often leave more.
"""
MIN_IMAGES = 100


def _few_images(evidence: Evidence) -> Finding | None:
    """Detect epochs of a handful of images, each of which comes many times within the epoch."""
    images, classes = _loop(evidence).images, max(evidence.classes, 2)
    judged = images.judged >= MIN_AGAIN
    natural = judged and images.known > 0.5 * images.judged
    # Rows of a few categories repeat by nature, which judged ones that are new rule out.
    if images.first < MIN_IMAGES or natural or (len(evidence.data.shape) != 3 and not judged):
        return None
    if images.first_distinct > min(FEW_IMAGES * images.first, 4 * classes):
        return None
    times = images.first / max(images.first_distinct, 1)
    return Finding(
        cause="same-batch",
        confidence=0.93,
        effect=0.9,
        verdict=f"An epoch of {images.first:,} images shows {images.first_distinct:,} different ones, each "
        f"some {times:.0f} times.",
        explanation=(
            "The loss falls, since a handful of images is soon memorized, and nothing else is learned. It "
            "happens where a sampler draws from too few rows (WeightedRandomSampler takes one weight for "
            "each image, not for each class), or an index is wrapped or bounded too early."
        ),
        facts=(
            Fact("images of the first epoch", float(images.first), f"{images.first:,}"),
            Fact("different ones", float(images.first_distinct), f"{images.first_distinct:,}"),
        ),
        fix=CodeFix(
            "Let every image be drawn.",
            "weights = weight_of_class[labels]  # one for each image\n"
            "sampler = WeightedRandomSampler(weights, num_samples=len(labels))",
        ),
        hides=(*EFFECTS, "classes-missing"),
    )


CENTERED, STANDARD = 0.6, (0.5, 1.7)
"""Bounds of mean and standard deviation of one standardized batch."""
DARKEST, BLACK = -5.0, 0.5
"""Least normalized pixel, and range of all: 0.33 between the channels of black images by ImageNet's means."""
TINY_INPUT = 1.2 / 255
"""Largest pixel after dividing [0, 1] by 255 again, with a margin."""


@rule(
    "scaled-twice",
    title="Inputs are scaled twice",
    summary="Pixels that lie in [0, 1] already are divided by 255 again.",
    live=True,
    loop=True,
)
def scaled_twice(evidence: Evidence) -> Outcome:
    """Detect inputs of at most about 1/255, or standardized inputs divided by 255."""
    read = evidence.input
    if read is None:
        return Inconclusive("What the network reads was not recorded.")
    centred = read.low < 0 and _is_standard(255 * read.mean, 255 * read.spread)
    if not centred and _is_dark(evidence):
        return _normalized_dark(read.low, read.high)
    if not centred and not (read.low >= 0 and 0 < read.high <= TINY_INPUT):
        return Negative(f"The network reads values from {short(read.low)} to {short(read.high)}.")
    curve = summarize_loss(evidence)
    description = (
        f"a standard deviation of {short(read.spread)}, 1/{1 / read.spread:.0f}: standardized pixels seem to "
        "be divided by 255."
        if centred
        else f"{short(read.high)} at most, about 1/255 of what is usual: pixels seem to be divided by 255 "
        "twice."
    )
    return Finding(
        cause="scaled-twice",
        confidence=0.85 if centred else 0.93,
        effect=0.3 if curve is not None and curve.learned > POOR else 0.7,
        verdict=f"The network reads values of {description}",
        explanation=(
            "transforms.ToTensor() and ToDtype(scale=True) divide bytes by 255 already. Divided once more, "
            f"images have a standard deviation of {short(read.spread)} in place of "
            f"{'1' if centred else 'some 0.25'}: "
            "the first layer's sums are almost only its biases, all images look alike, and learning begins "
            "with a long plateau."
        ),
        facts=(
            Fact("largest input", read.high, short(read.high)),
            Fact("standard deviation", read.spread, short(read.spread)),
        ),
        fix=CodeFix(
            "Divide once, then normalize.", "images = images.float() / 255  # only where they are bytes"
        ),
        hides=EFFECTS,
    )


def _is_dark(evidence: Evidence) -> bool:
    """Return whether all pixels of images are below the mean by nearly as much: those of black images."""
    read, shape = evidence.input, evidence.data.shape
    images = len(shape) == 3 and shape[0] in (1, 3)
    return images and read is not None and DARKEST < read.low < read.high < 0 < read.high - read.low < BLACK


def _normalized_dark(low: float, high: float) -> Finding:
    return Finding(
        cause="scaled-twice",
        confidence=0.85,
        effect=0.7,
        verdict=f"The network reads values from {short(low)} to {short(high)}, all below the mean that was "
        "subtracted: pixels seem to be divided by 255 twice, and then normalized.",
        explanation=(
            "transforms.ToTensor() and ToDtype(scale=True) divide bytes by 255 already. Divided once more, "
            "pixels are at most 1/255, nearly black; Normalize subtracts a mean that is meant for [0, 1], so "
            "that what is left is minus mean over standard deviation in every pixel, and a trace of the "
            "image."
        ),
        facts=(Fact("least input", low, short(low)), Fact("largest input", high, short(high))),
        fix=CodeFix(
            "Divide once, then normalize.", "images = images.float() / 255  # only where they are bytes"
        ),
        hides=EFFECTS,
    )


def _is_standard(mean: float, spread: float) -> bool:
    """Return whether values have about mean 0 and standard deviation 1."""
    return abs(mean) <= CENTERED and STANDARD[0] <= spread <= STANDARD[1]


@rule(
    "training-in-eval-mode",
    title="Trained in evaluation mode",
    summary="model.train() is missing, so that dropout and batch normalization are off while it learns.",
    live=True,
    loop=True,
)
def training_in_eval_mode(evidence: Evidence) -> Outcome:
    """Detect training passes whose layers are in evaluation mode."""
    loop = _loop(evidence)
    passes, off = loop.count("passes"), loop.count("passes_in_evaluation")
    if not loop.modes:
        return Negative("No layer acts differently in the two modes.")
    if passes < FEW:
        return Inconclusive("Too few training passes were seen.")
    model_passes = loop.count("passes_of_evaluating_model")
    # Layers in evaluation mode in a network in training mode are right with pretrained weights.
    fresh = loop.parameters.weights > 0 and loop.parameters.default >= FRESH * loop.parameters.weights
    if off < 0.3 * passes or (model_passes < 0.5 * off and not fresh):
        return Negative(f"{passes - off:,} of {passes:,} training passes were made in training mode.")
    frozen = set(loop.parameters.frozen)
    acting = [name for name in loop.modes if name not in frozen]
    if not acting:
        return Negative("The layers that act differently are frozen, as is usual above a pretrained trunk.")
    after = loop.count("passes_in_evaluation_after")
    once = after >= 0.9 * off
    return Finding(
        cause="training-in-eval-mode",
        confidence=0.96 if off > 0.9 * passes or once else 0.85,
        effect=0.55,
        verdict=f"{percent(off / passes)} of the training passes were made in evaluation mode"
        + (", all of them after the first evaluation." if once else "."),
        explanation=(
            f"{counted(len(acting), 'layer')} ({', '.join(repr(name) for name in acting[:3])}) act "
            "differently in training. In evaluation mode dropout drops nothing, and batch normalization "
            "uses running statistics that are then never brought up to date: it normalizes by what it "
            "began with."
            + (" model.train() stands before the loop over epochs, and model.eval() inside." if once else "")
        ),
        facts=(
            Fact("training passes in evaluation mode", off / passes, f"{off:,} of {passes:,}"),
            Fact("layers concerned", float(len(acting)), f"{len(acting)}"),
        ),
        layers=tuple(acting),
        fix=CodeFix(
            "Call model.train() at the beginning of every epoch.",
            "for epoch in range(epochs):\n    model.train()\n    ...  # train\n    model.eval()\n    "
            "...  # evaluate",
        ),
        hides=EFFECTS,
    )


FRESH = 0.5
"""Fraction of the weights that were as torch draws them when watching began, in a network from scratch."""
NEGLIGIBLE = 0.5
"""Fraction of the steps with less than a hundredth of the largest rate."""
EPOCHS = 3
"""Least epochs of a run, in the first of which its schedule has no reason to end."""
OFTEN = 6
"""Reversals of the rate, up and down."""
SHORT_PERIOD = 0.6
"""Period in epochs: shorter ones were meant in epochs."""


@rule(
    "scheduler-per-batch",
    title="The schedule is stepped per batch",
    summary="scheduler.step() stands in the loop over batches, with a length that is meant in epochs.",
    live=True,
    loop=True,
)
def scheduler_per_batch(evidence: Evidence) -> Outcome:
    """Detect a rate that is negligible for most of the run, or oscillates within epochs."""
    loop = _loop(evidence)
    rates, steps = loop.rates, loop.count("steps")
    if steps < 2 * MIN_STEPS:
        return Inconclusive("Too few steps were seen.")
    if not rates.changes:
        return Negative(f"The learning rate stays at {short(rates.largest)}.")
    settled = _settled_in_first_epoch(loop)
    if rates.changes_in_epoch < 3 and not settled:
        return Negative("The learning rate changes only where epochs end.")
    epoch = _epoch_length(loop)
    fallen = settled or (
        rates.negligible >= NEGLIGIBLE and rates.last < 0.01 * rates.largest and not rates.reversals
    )
    period = 2 * steps / max(rates.reversals, 1)
    swings = rates.reversals >= OFTEN and epoch is not None and period < SHORT_PERIOD * epoch
    if not fallen and not swings:
        return Negative(
            f"The learning rate moves between {short(rates.smallest)} and {short(rates.largest)} "
            "over the run."
        )
    description = (
        f"it falls to {short(rates.last / rates.largest)} of its largest value within the first epoch of "
        f"{len(loop.marks)}"
        if settled
        else f"it is below a hundredth of its largest value in {percent(rates.negligible)} of the steps"
        if fallen
        else f"it goes up and down every {period:.0f} steps, where an epoch has {epoch:.0f}"
    )
    curve = evidence.curve("lr")
    return Finding(
        cause="scheduler-per-batch",
        confidence=0.9 if fallen else 0.85,
        effect=0.7 if fallen else 0.4,
        verdict=f"The learning rate changes within epochs, much faster than meant: {description}.",
        explanation=(
            "StepLR, MultiStepLR, ExponentialLR and CosineAnnealingLR count calls of scheduler.step(). Their "
            "lengths are usually meant in epochs; called after every batch they run through as many times "
            "faster as an epoch has batches, and learning ends before it has begun."
        ),
        facts=(
            Fact("largest rate", rates.largest, short(rates.largest)),
            Fact("last rate", rates.last, short(rates.last)),
            Fact("steps with a negligible rate", rates.negligible, percent(rates.negligible)),
        ),
        pictures=(
            Lines(
                title="Learning rate",
                series=(Series("learning rate", tuple(map(float, curve.steps)), curve.values),),
                y_label="learning rate",
                logarithmic=all(value > 0 for value in curve.values),
                alt=f"It begins at {short(rates.first)} and ends at {short(rates.last)}.",
            ),
        )
        if curve.values
        else (),
        fix=CodeFix(
            "Step the scheduler once an epoch, or give its lengths in steps.",
            "for epoch in range(epochs):\n    for images, labels in loader:\n        ...\n        "
            "optimizer.step()\n    scheduler.step()",
        ),
        hides=EFFECTS,
    )


def _settled_in_first_epoch(loop: Loop) -> bool:
    """Return whether the rate fell tenfold within the first of several epochs, and stayed there."""
    rates, marks = loop.rates, loop.marks
    if len(marks) < EPOCHS or not 0 < rates.settled_at < 0.9 * marks[0]:
        return False
    return not rates.reversals and rates.fell_at == 0 and rates.last <= 0.1001 * rates.largest


def _epoch_length(loop: Loop) -> float | None:
    if len(loop.marks) < 2:
        return None
    return (loop.marks[-1] - loop.marks[0]) / (len(loop.marks) - 1)


def _loop(evidence: Evidence) -> Loop:
    return evidence.loop or Loop()
