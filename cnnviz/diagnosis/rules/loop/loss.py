"""Rules on loss and labels of a training loop: mismatched loss, labels out of range or permuted."""

from __future__ import annotations

from cnnviz.analysis.checks import activations
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.evidence.learning_curves import accuracy_summary
from cnnviz.diagnosis.evidence.loop import Loop, LoopLook
from cnnviz.diagnosis.finding import CodeFix, Fact, Finding
from cnnviz.diagnosis.numbers import counted, percent, short
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule
from cnnviz.diagnosis.rules.loop.gradients import EFFECTS

CLOSE = 2e-3
SATURATED = 0.98
"""Output of tanh that a trained network reaches."""
MIN_SIGMOID_RANGE = 0.5
"""Range of a loss's input from which it lies in [0, 1] by a sigmoid, though the graph shows none. What has
hardly learned anything may lie there, too.
"""
BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
DISTANCES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
"""Losses that broadcast outputs and targets over each other."""
SPREAD = 1e-4
"""Least range of the loss function's input: bounds of less are inconclusive."""


def probabilities(sample: LoopLook) -> bool:
    """Return whether the loss's input was probabilities: values in [0, 1] in rows that sum to 1."""
    if sample.low is None or sample.high is None or sample.row_low is None or sample.row_high is None:
        return False
    inside = sample.low >= -1e-6 and sample.high <= 1 + 1e-6
    return inside and abs(sample.row_low - 1) < CLOSE and abs(sample.row_high - 1) < CLOSE


def log_probabilities(sample: LoopLook) -> bool:
    """Return whether the loss's input was log-probabilities."""
    if sample.log_low is None or sample.log_high is None:
        return False
    return abs(sample.log_low) < CLOSE and abs(sample.log_high) < CLOSE


def squashed(samples: tuple[LoopLook, ...]) -> str:
    """Infer an activation on the outputs from the graph, else from their bounds; empty for none."""
    bounded = [sample for sample in samples if sample.low is not None and sample.high is not None]
    if len(bounded) < 2:
        return ""
    lows, highs = [sample.low or 0.0 for sample in bounded], [sample.high or 0.0 for sample in bounded]
    known = [sample.activation for sample in bounded if sample.activation is not None]
    if "linear" in known:
        return ""  # a layer's sums, which may lie in [0, 1] where little has been learned
    if known and known[0] and len(set(known)) == 1:
        if known[0] == "hardtanh":
            # ReLU6 is hard tanh from 0 to 6; other bounds are a clamp, wide enough on purpose.
            inside = max(highs) <= 6 if min(lows) >= 0 else max(highs) <= 1 and min(lows) >= -1
            return ("relu6" if min(lows) >= 0 else "hardtanh") if inside else ""
        return known[0]
    if all(probabilities(sample) for sample in bounded):
        return "softmax"
    inside = all(low >= 0 for low in lows) and all(high <= 1 for high in highs)
    if inside and max(highs) - min(lows) > (MIN_SIGMOID_RANGE if known else SPREAD):
        return "sigmoid"
    if all(low == 0 for low in lows) and max(highs) > 0:
        return "relu"
    reached = sum(high > SATURATED or low < -SATURATED for low, high in zip(lows, highs, strict=True)) > 1
    if all(low >= -1 for low in lows) and all(high <= 1 for high in highs) and reached and len(bounded) >= 4:
        return "tanh"
    return ""


@rule(
    "loss-mismatch",
    title="The loss does not fit the outputs",
    summary="NLL of what are no log-probabilities, a sigmoid twice, softmax of one output, a loss that is "
    "maximized, or shapes that are broadcast over each other.",
    live=True,
    loop=True,
)
def loss_mismatch(evidence: Evidence) -> Outcome:
    """Detect an unsuitable input: NLL needs log-probabilities, a loss with logits needs logits."""
    loop = _loop(evidence)
    samples = loop.losses
    if not samples:
        return Inconclusive(UNSEEN)
    function = samples[0].function
    if is_maximized(samples):
        return _maximized(function)
    if function in ("cross_entropy", "nll_loss") and all(sample.shape[1:] == (1,) for sample in samples):
        return _one_output(function)
    if function == "cross_entropy" and all(
        len(sample.shape) == 1 and sample.target == sample.shape for sample in samples
    ):
        return _over_the_batch()
    if function == "nll_loss":
        return _nll(samples)
    if function == "binary_cross_entropy_with_logits" and squashed(samples) in ("sigmoid", "softmax"):
        return _mismatch(
            0.9,
            "The loss applies a sigmoid itself, and gets outputs that have passed through one already.",
            "binary_cross_entropy_with_logits turns sums into probabilities itself. Given probabilities, the "
            "second sigmoid maps [0, 1] to [0.5, 0.73]: no class can be called unlikely.",
            CodeFix(
                "Give it the last layer's sums, or use nn.BCELoss for probabilities.",
                "loss = nn.functional.binary_cross_entropy_with_logits(logits, targets)",
            ),
        )
    broadcast = [sample for sample in samples if function in DISTANCES and sample.shape != sample.target]
    if broadcast:
        shapes = f"{_shape(broadcast[0].shape)} and {_shape(broadcast[0].target)}"
        return _mismatch(
            0.95,
            f"The loss compares tensors of shapes {shapes}, which are broadcast over each other.",
            "Every output is then compared with every label of the batch, so that the best answer is the "
            "labels' mean. PyTorch warns of it once.",
            CodeFix("Give both the same shape.", "loss = criterion(outputs.squeeze(1), targets)"),
        )
    return Negative(f"{function} is given what it takes.")


def is_maximized(samples: tuple[LoopLook, ...]) -> bool:
    """Return whether a loss against labels gets a negative gradient, and grows.

    A part that is subtracted from a loss, as the entropy of the outputs, is compared with no labels.
    """
    scales = [sample.scale for sample in samples if sample.scale is not None]
    if len(scales) < 2 or max(scales) >= 0 or any(len(sample.target) != 1 for sample in samples):
        return False
    first, last = samples[0].loss, samples[-1].loss
    return first is not None and last is not None and not last <= first


def _maximized(function: str | None) -> Finding:
    return _mismatch(
        0.9,
        "The loss is maximized: it grows, since its gradient has the sign of minus the loss.",
        f"Optimizers minimize. {function} is smallest where the outputs are right, so that minus the loss is "
        "smallest where they are as wrong as can be.",
        CodeFix("Take the loss as it is.", "loss = criterion(outputs, targets)  # and no minus before it"),
    )


def _one_output(function: str | None) -> Finding:
    return _mismatch(
        0.97,
        f"{function} is given one output an image: softmax of a single number is 1, whatever it is.",
        "Softmax divides by the sum over the outputs, which is the number itself where there is only one. "
        "The gradient is 0, and nothing is learned.",
        CodeFix(
            "For two classes by one output use binary cross-entropy, or make the last layer as wide as there "
            "are classes.",
            "loss = nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], labels.float())\n"
            "# or: nn.Linear(features, 2), with nn.functional.cross_entropy",
        ),
    )


def _over_the_batch() -> Finding:
    return _mismatch(
        0.95,
        "cross_entropy is given one number an image, (N,) against (N,): its softmax is over the batch.",
        "Given a single dimension, cross-entropy takes it for the classes of one image. So the images of the "
        "batch compete with each other to be the one that is right, and their labels are taken for "
        "probabilities.",
        CodeFix(
            "For two classes by one output use binary cross-entropy.",
            "loss = nn.functional.binary_cross_entropy_with_logits(outputs, labels.float())",
        ),
    )


def _nll(samples: tuple[LoopLook, ...]) -> Outcome:
    wrong = [sample for sample in samples if not log_probabilities(sample)]
    if not wrong:
        return Negative("nll_loss is given log-probabilities: its rows are logarithms of what sums to 1.")
    probability_inputs = [sample for sample in wrong if probabilities(sample)]
    loss = wrong[-1].loss
    text = f" Its loss was {short(loss)}." if loss is not None and loss < 0 else ""
    actual = (
        "probabilities" if len(probability_inputs) == len(wrong) else "numbers that are no log-probabilities"
    )
    return _mismatch(
        0.97,
        f"nll_loss is given {actual}: it takes logarithms of probabilities.{text}",
        "Negative log-likelihood takes minus the number of the right class. Of log-probabilities that is the "
        "cross-entropy; of anything else it is no likelihood: it can fall below 0 without end, by making all "
        "numbers large.",
        CodeFix(
            "Use cross-entropy on the last layer's sums, or put log_softmax before NLL.",
            "loss = nn.functional.cross_entropy(logits, labels)\n"
            "# or: nn.functional.nll_loss(nn.functional.log_softmax(logits, 1), labels)",
        ),
    )


def _mismatch(confidence: float, verdict: str, explanation: str, fix: CodeFix) -> Finding:
    return Finding(
        cause="loss-mismatch",
        confidence=confidence,
        effect=0.9,
        verdict=verdict,
        explanation=explanation,
        facts=(),
        fix=fix,
        hides=(*EFFECTS, "output-activation"),
    )


def _relu_before_sigmoid() -> Finding:
    return Finding(
        cause="output-activation",
        confidence=0.93,
        effect=0.7,
        verdict="Binary cross-entropy is given outputs of ReLU, which call no class unlikely.",
        explanation=(
            "binary_cross_entropy_with_logits applies a sigmoid itself, and takes the last layer's sums: "
            "negative where a class is unlikely. Where ReLU has made them 0 its gradient is 0, too, and the "
            "probability stays one half."
        ),
        facts=(),
        fix=CodeFix(
            "Give it the last layer's sums, without an activation.",
            "loss = nn.functional.binary_cross_entropy_with_logits(logits, targets)",
        ),
        hides=(*EFFECTS, "dead-relu"),
    )


def activation_by_bounds(evidence: Evidence) -> Outcome:
    """Detect an activation before cross-entropy, from the graph or the bounds of its input."""
    loop = _loop(evidence)
    samples = loop.losses
    if not samples:
        return Inconclusive(UNSEEN)
    function = squashed(samples)
    if samples[0].function == "binary_cross_entropy_with_logits" and function == "relu":
        return _relu_before_sigmoid()
    if samples[0].function != "cross_entropy":
        return Negative(f"The loss is {samples[0].function} and not cross-entropy.")
    if all(log_probabilities(sample) for sample in samples):
        return Negative("Cross-entropy is given log-probabilities, which it leaves as they are.")
    if not function:
        lows, highs = [sample.low or 0.0 for sample in samples], [sample.high or 0.0 for sample in samples]
        return Negative(f"Cross-entropy is given values from {short(min(lows))} to {short(max(highs))}.")
    bounds = activations.BOUNDED.get(function)
    classes = max(loop.classes or evidence.classes, 2)
    floor = activations.loss_floor(*bounds, classes, 0.0) if bounds else None
    name = "a sigmoid" if function == "sigmoid" else activations.name_of(function)
    return Finding(
        cause="output-activation",
        confidence={"softmax": 0.98, "tanh": 0.8}.get(function, 0.93),
        effect=0.7,
        verdict=f"Cross-entropy is given outputs that passed through {name}"
        + (f": the loss cannot fall below {floor:.3f}." if floor is not None else "."),
        explanation=(
            f"In {counted(len(samples), 'looked-at step')} what cross-entropy was given lay "
            + ("in [0, 1] with rows that sum to 1. " if function == "softmax" else "within bounds. ")
            + "Cross-entropy applies softmax itself, and takes the last layer's sums: as large as "
            "they need to be, and negative where a class is unlikely."
        ),
        facts=((Fact("least possible loss", floor, f"{floor:.3f}"),) if floor is not None else ()),
        fix=CodeFix(
            "Give cross-entropy the last layer's sums, without an activation; use softmax only to show "
            "probabilities.",
            "loss = nn.functional.cross_entropy(logits, labels)",
        ),
        hides=(*EFFECTS,),
    )


@rule(
    "labels-out-of-range",
    title="Labels outside of the classes",
    summary="A label is negative, or as large as the number of outputs or larger.",
    live=True,
    loop=True,
)
def labels_out_of_range(evidence: Evidence) -> Outcome:
    """Detect labels without an output: cross-entropy then raises, or is skipped."""
    loop = _loop(evidence)
    low, high, classes = loop.label_low, loop.label_high, loop.classes
    binary = [sample for sample in loop.losses if sample.function in BINARY and sample.target_low is not None]
    lows, highs = [s.target_low or 0.0 for s in binary], [s.target_high or 0.0 for s in binary]
    if binary and (min(lows) < 0 or max(highs) > 1):
        return _no_probabilities(min(lows), max(highs))
    if low is None or high is None or not classes:
        return Inconclusive("No labels were seen.")
    if low >= 0 and high < classes:
        return Negative(f"Labels go from {low} to {high}, and there are {classes} outputs.")
    return Finding(
        cause="labels-out-of-range",
        confidence=0.98,
        effect=1.0,
        verdict=f"Labels go from {low} to {high}, but there are {classes} outputs: 0 to "
        f"{classes - 1} would fit.",
        explanation=(
            "Class numbers begin at 0. Labels that begin at 1 need one subtracted; where there are more "
            "classes than outputs, the last layer needs as many units as there are classes."
            + (f" PyTorch said: {loop.label_error}." if loop.label_error else "")
        ),
        facts=(
            Fact("labels", float(high), f"{low} to {high}"),
            Fact("outputs", float(classes), f"{classes}"),
        ),
        fix=CodeFix(
            "Number the classes from 0, or give the last layer more units.",
            "labels = labels - 1" if low == 1 and high == classes else f"nn.Linear(features, {high + 1})",
        ),
        hides=EFFECTS,
    )


def _no_probabilities(low: float, high: float) -> Finding:
    return Finding(
        cause="labels-out-of-range",
        confidence=0.97,
        effect=1.0,
        verdict=f"Binary cross-entropy is given targets from {short(low)} to {short(high)}: it takes "
        "probabilities, 0 to 1.",
        explanation=(
            "Binary cross-entropy weighs the logarithms of p and of 1 - p by the target and by 1 minus it. "
            "With targets outside of [0, 1] one of the weights is negative, and the loss falls without end "
            "as the outputs grow, whatever the images show."
        ),
        facts=(Fact("least target", low, short(low)), Fact("largest target", high, short(high))),
        fix=CodeFix(
            "Number the two classes 0 and 1.",
            "labels = (labels + 1) / 2" if low == -1 else f"labels = (labels - {short(low)}) / "
            f"{short(high - low)}",
        ),
        hides=(*EFFECTS, "loss-mismatch", "output-activation"),
    )  # fmt: skip


RIGHT = 0.75
"""Accuracy after the best renumbering of the classes."""
PARTLY, MANY = 0.5, 10
GAIN = 0.4
EACH = 3
"""Least images per class."""


@rule(
    "labels-permuted",
    title="Test labels are numbered differently",
    summary="The network tells the classes apart, and the labels it is judged by call them by other numbers.",
    live=True,
    loop=True,
)
def labels_permuted(evidence: Evidence) -> Outcome:
    """Detect low accuracy that a renumbering of the classes makes high."""
    if evidence.loop is not None and evidence.loop.preprocessing_mismatch is not None:
        return Inconclusive("Images that are judged were prepared otherwise, so their answers say nothing.")
    matrix = evidence.confusion
    classes, images = len(matrix), sum(map(sum, matrix))
    if not classes or images < EACH * classes:
        return Inconclusive("Too few images were judged with labels.")
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment([[-n for n in row] for row in matrix])
    best = sum(matrix[r][c] for r, c in zip(rows, columns, strict=True)) / images
    plain = sum(matrix[i][i] for i in range(classes)) / images
    renamed = [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if r != c and sum(matrix[r])]
    # A network that is only partly trained: with many images and an accuracy far below chance level.
    partly = best >= PARTLY and plain < 0.5 / classes and images >= MANY * classes
    if (best < RIGHT and not partly) or best - plain < GAIN:
        return Negative(
            f"{percent(plain, 1)} of {images:,} judged images are right; no other numbering of the classes "
            f"makes more than {percent(best, 1)} right."
        )
    summary = accuracy_summary(evidence)
    if summary is not None and 2 * summary.above(summary.train_accuracy) < summary.above(best):
        # Random training labels, too, leave a network that answers each class alike: by the chance majority
        # of that class's labels. Where only the judged ones are renumbered, it knows those it learns from.
        return Negative(
            f"Another numbering of the classes makes {percent(best, 1)} of the judged images right, but of "
            f"those that it learns from the network knows only {percent(summary.train_accuracy, 1)}: it is "
            "not the numbering of the judged ones."
        )
    names = evidence.data.classes
    pairs = ", ".join(f"{_class(names, r)} is answered {_class(names, c)}" for r, c in renamed[:3])
    return Finding(
        cause="labels-permuted",
        confidence=0.96 if best >= RIGHT else 0.85,
        effect=best - plain,
        verdict=f"Judged images are numbered differently from training images: {percent(plain, 1)} "
        f"are right, and {percent(best, 1)} once {len(renamed)} classes are renamed.",
        explanation=(
            f"The network answers each class alike, only under another number ({pairs}). Training and test "
            "labels were made of different lists of classes: of folders in another order, of a sorted and an "
            "unsorted list, or shuffled apart from their images."
        ),
        facts=(
            Fact("accuracy", plain, percent(plain, 1)),
            Fact("accuracy with renamed classes", best, percent(best, 1)),
        ),
        fix=CodeFix(
            "Number both parts' classes by one list.",
            "number = {name: i for i, name in enumerate(sorted(classes))}  # for both parts",
        ),
        hides=EFFECTS,
    )


def _class(names: tuple[str, ...], number: int) -> str:
    return names[number] if number < len(names) else str(number)


def _loop(evidence: Evidence) -> Loop:
    return evidence.loop or Loop()


UNSEEN = "No loss was seen in a looked-at step: call run.step(loss, logits, labels) before optimizer.step()."


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) if shape else "a single number"
