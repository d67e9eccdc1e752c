"""Rules on the output: constant predictions, and an activation before cross-entropy."""

from __future__ import annotations

from cnnviz.analysis.checks import activations
from cnnviz.analysis.checks.network import WEIGHTED
from cnnviz.diagnosis import alternative_networks, fixes
from cnnviz.diagnosis.evidence import Evidence, Histogram, LayerFact, OutputActivationFact
from cnnviz.diagnosis.evidence.learning_curves import POOR, WELL, LossCurve, summarize_loss
from cnnviz.diagnosis.finding import Bars, Change, Fact, Finding, Lines, Series
from cnnviz.diagnosis.numbers import percent, short
from cnnviz.diagnosis.rules import Inconclusive, Negative, Outcome, rule
from cnnviz.diagnosis.rules.loop.loss import activation_by_bounds

# Collapse to one class: a symptom more than a cause (AlexNet/STL-10 paper review).

ALMOST_ALL = 0.9
"""Fraction of equal predictions: with two classes or more, none of them nearly so common, no working model
comes near; a collapsed one has exactly 1, or a little less with dropout or noise.
"""
NOT_THE_DATA = 1.5
"""Least ratio of the most frequent prediction to the most common class, which may itself be most images."""

SLOW_START = 200
"""Steps: LeNet-5 with PyTorch's initialization predicts one class for some 60 of them before it learns."""

EVEN = 1.5
"""Ratio of the most to the least common class up to which classes count as balanced."""


@rule(
    "one-class",
    title="Collapse to one class",
    summary="Nearly every image gets the same answer, whatever it shows.",
    live=True,
)
def one_class(evidence: Evidence) -> Outcome:
    """Detect one class predicted for nine tenths of the images, and 1.5 times its most common share."""
    histogram = _newest(evidence)
    if histogram is None or evidence.classes < 2:
        return Inconclusive("No epoch has ended yet, so no answers were counted.")
    if evidence.loop is not None and evidence.loop.functions and not sum(evidence.loop.labels):
        return Inconclusive("The loss's targets are no classes, so the largest output is no answer.")
    share, floor = histogram.largest_share, max(ALMOST_ALL, min(0.99, NOT_THE_DATA * evidence.chance))
    if share < floor:
        return Negative(
            f"The commonest answer takes {percent(share)} of the images, less than {percent(floor)}."
        )
    young = evidence.status == "running" and evidence.step < SLOW_START
    number, spread = histogram.counts.index(max(histogram.counts)), evidence.curve("test/logit_spread").last
    name = evidence.data.classes[number]
    return Finding(
        cause="one-class",
        confidence=min(0.7 if young else 0.99, 0.5 + share / 2),
        effect=1.0,
        verdict=f"{percent(share)} of the images are called '{name}', whatever they show.",
        explanation=(
            "A model that gives every image the classes' shares as probabilities has a loss of "
            f"ln {evidence.classes} = {evidence.chance_loss:.3f} where all classes are equally common. "
            "A network whose last layer gives nearly the same numbers for every image cannot do better: "
            "whichever class's number is a hair larger wins for all of them. The reason lies further back, "
            "where the images' differences got lost." + _logits(evidence)
        ),
        facts=(
            Fact("commonest answer", share, f"{percent(share, 1)} '{name}'"),
            Fact("commonest class in training", evidence.chance, f"{percent(evidence.chance, 1)}"),
            *(
                (Fact("standard deviation of a logit over images", spread, short(spread)),)
                if spread is not None
                else ()
            ),
        ),
        ruled_out=_balanced(evidence),
        pictures=(_one_class_figure(evidence, histogram, name),),
        steps=(histogram.step, histogram.step),
    )


def _balanced(evidence: Evidence) -> tuple[str, ...]:
    """Rule out class imbalance, where no class is common enough to be predicted always."""
    counts = [count for count in evidence.data.counts if count]
    if len(counts) < 2 or max(counts) > EVEN * min(counts):
        return ()
    return (f"Unbalanced classes: the commonest has {percent(evidence.chance)} of the training images.",)


def _logits(evidence: Evidence) -> str:
    spread = evidence.curve("test/logit_spread").last
    if spread is None:
        return ""
    if not spread:
        return "\n\nMeasured on test images: every logit is the same for all of them."
    return (
        f"\n\nMeasured on test images: a logit differs by {short(spread)} from image to image. Its "
        "class's probability p changes by p·(1 - p) of it, which is at most 1/4, so probabilities differ by "
        f"no more than about {short(spread)}/4 = {short(spread / 4)}."
    )


def _newest(evidence: Evidence) -> Histogram | None:
    for part in ("test", "train"):
        if evidence.predicted.get(part):
            return evidence.predicted[part][-1]
    return None


def _one_class_figure(evidence: Evidence, histogram: Histogram, name: str) -> Bars:
    total, train_images = sum(histogram.counts), max(sum(evidence.data.counts), 1)
    return Bars(
        title="Answers, and what there is",
        names=evidence.data.classes,
        values={
            "answers": tuple(count / total for count in histogram.counts),
            "training images": tuple(count / train_images for count in evidence.data.counts),
        },
        y_label="share of the images",
        percent=True,
        marked=(name,),
        alt=f"{percent(max(histogram.counts) / total)} of the answers are {name}.",
    )


# Activation on the logits before cross-entropy, which applies softmax itself.

FOLLOWS = ("one-class", "rate-too-low", "too-few-steps", "under-fitting", "vanishing-gradients")
FOLLOWS_ZEROS = (*FOLLOWS, "dead-relu", "rate-too-high")
"""Outputs cut off at 0 are dead ReLUs themselves, and long steps kill them."""
PASSING = ("Flatten", "Unflatten", "Identity", "Dropout")
"""Prefixes of the types of modules that are the identity in evaluation mode."""


@rule(
    "output-activation",
    title="Activation on the outputs",
    summary="The logits pass through an activation, so the loss cannot fall as far as it should.",
    live=True,
)
def output_activation(evidence: Evidence) -> Outcome:
    """Detect an activation between the last layer with weights and the output."""
    if (
        evidence.loop is not None
    ):  # the loss function's input is more conclusive than the network's last layer
        return activation_by_bounds(evidence)
    located = _output_activations(evidence)
    if located is None:
        return Inconclusive("The network's layers are not known.")
    on_logits = [activation for activation in located if activation.function not in activations.HARMLESS]
    if not on_logits:
        if located:
            return Negative("The outputs are log-probabilities, which cross-entropy leaves as they are.")
        return Negative("No activation stands between the last layer with weights and the output.")
    curve, last = summarize_loss(evidence), on_logits[-1]
    name = activations.name_of(last.function)
    if last.pooled:
        return Negative(f"The outputs are means of a {name}'s results over all positions, as in SqueezeNet.")
    if last.function in activations.BOUNDED or last.function in activations.CUTTING:
        return _activation_finding(evidence, on_logits, last, curve)
    if not last.function:
        return Inconclusive(f"What '{last.layer}' does to the logits is not known.")
    if curve is None or curve.learned >= POOR:
        return Negative(f"The logits pass through {name}, which lets most of them through.")
    return _activation_finding(evidence, on_logits, last, curve, confidence=0.6)


def _activation_finding(
    evidence: Evidence,
    on_logits: list[OutputActivationFact],
    last: OutputActivationFact,
    curve: LossCurve | None,
    confidence: float = 0.99,
) -> Finding:
    learned = curve.learned if curve else 0.0
    bounds, name = activations.BOUNDED.get(last.function), activations.name_of(last.function)
    description = f"'{last.layer}', {name}" if last.layer else f"{name}, called by the model itself"
    floor = _floor(evidence, bounds)
    return Finding(
        cause="output-activation",
        confidence=confidence,
        effect=0.3 if learned >= WELL else max(0.6, 1 - learned),
        verdict=f"The logits pass through an activation ({description}) before cross-entropy"
        + (f": the loss cannot fall below {floor:.3f}." if floor is not None else "."),
        explanation="\n\n".join((
            "Cross-entropy applies softmax to what the network puts out, and softmax turns any numbers into "
            "probabilities. So the last layer's sums should go there as they are: as large as they need to "
            "be, and negative where a class is unlikely.",
            _arithmetic(evidence, bounds, floor) if bounds else _one_sided(last.function),
            *((f"Training loss ends at {curve.end:.3f}; chance is {curve.chance:.3f}.",) if curve else ()),
        )),
        facts=(
            *((Fact("least possible loss", floor, f"{floor:.3f}"),) if floor is not None else ()),
            *((_largest(evidence, bounds),) if bounds else ()),
            *((curve.fact,) if curve else ()),
            Fact("classes", float(evidence.classes), f"{evidence.classes:,}"),
        ),
        pictures=(_activation_figure(evidence, curve, floor),),
        layers=tuple(activation.layer for activation in on_logits if activation.layer),
        changes=fixes.applicable_changes((_removed(evidence, on_logits),), evidence.recipe),
        explains=FOLLOWS if bounds and last.function != "relu6" else FOLLOWS_ZEROS,
    )  # fmt: skip


def _output_activations(evidence: Evidence) -> tuple[OutputActivationFact, ...] | None:
    """Return the output activations as recorded; of older evidence, inferred from the layers' order."""
    if evidence.output_activations is not None:
        return evidence.output_activations
    if not evidence.layers:
        return None
    weighted = [n for n, fact in enumerate(evidence.layers) if fact.kind in WEIGHTED]
    if not weighted:
        return None
    ending = evidence.layers[weighted[-1] + 1 :]
    return tuple(
        OutputActivationFact(
            function=activations.FUNCTIONS[fact.type],
            layer=fact.name,
            pooled=any(later.kind == "pool" for later in ending[index + 1 :]),
        )
        for index, fact in enumerate(ending)
        if fact.type in activations.FUNCTIONS
        # Before another kind of layer, such as LeNet-5's radial-basis units, it is a hidden activation.
        and all(_passes_on(later) for later in ending[index + 1 :])
    )


def _passes_on(fact: LayerFact) -> bool:
    """Return whether a layer without weights is the identity, activations and pooling aside."""
    return fact.kind == "pool" or fact.type in activations.FUNCTIONS or fact.type.startswith(PASSING)


def _floor(evidence: Evidence, bounds: tuple[float, float] | None) -> float | None:
    if bounds is None or evidence.classes < 2:
        return None
    return activations.loss_floor(*bounds, evidence.classes, evidence.recipe.label_smoothing)


def _arithmetic(evidence: Evidence, bounds: tuple[float, float], floor: float | None) -> str:
    low, high = bounds
    lead, others = f"{high - low:g}", evidence.classes - 1
    text = (
        f"Here every output lies between {low:g} and {high:g}, so the right class leads the others by at "
        f"most {lead}."
    )
    if floor is None:
        return text
    best = activations.largest_probability(low, high, evidence.classes)
    at_most = percent(best, 1)
    text += f" Its probability is at most e^{lead}/(e^{lead} + {others:,}) = {at_most}, "
    if smoothing := evidence.recipe.label_smoothing:
        return (
            f"{text}and the loss at least {floor:.3f} with label smoothing of {smoothing:g}, however long it "
            "trains."
        )
    return (
        f"{text}and the loss at least ln(e^{lead} + {others:,}) − {lead} = {floor:.3f}, however long it "
        "trains. The nearer an output comes to its bound, the flatter the function: gradients vanish there."
    )


def _one_sided(function: str) -> str:
    if function in activations.CUTTING:
        return (
            "Here sums below 0 become 0, and the slope there is 0: the network cannot say that a class is "
            "unlikely by more than 0, and a class whose output is 0 for an image gets no gradient from it, "
            "though it may be the right one. A class that is 0 for all images stays so."
        )
    return (
        "Here sums below 0 are squeezed towards 0, and so are their gradients: the network can hardly say "
        "that a class is unlikely."
    )


def _largest(evidence: Evidence, bounds: tuple[float, float]) -> Fact:
    best = activations.largest_probability(*bounds, max(evidence.classes, 1))
    return Fact("largest possible probability", best, percent(best, 1))


def _removed(evidence: Evidence, on_logits: list[OutputActivationFact]) -> Change | None:
    """Propose the recipe without these layers; a registered model's layers cannot be changed by a recipe."""
    layers, names = evidence.recipe.layers, [activation.layer for activation in on_logits if activation.layer]
    if layers is None or not names:
        return None
    listed = ", ".join(f"'{name}'" for name in names)
    reason = f"Without {listed} cross-entropy gets the last layer's sums as they are."
    return Change(alternative_networks.remove_layers(layers, names), reason)


def _activation_figure(evidence: Evidence, curve: LossCurve | None, floor: float | None) -> Lines:
    loss = curve.loss if curve else evidence.curve("train/loss")
    steps = tuple(map(float, loss.steps))
    series = [Series("training loss", steps, loss.values)]
    if floor is not None:
        series.append(Series("least possible", steps, (floor,) * len(steps), dashed=True))
    return Lines(
        title="Training loss" + (", and the least that these outputs allow" if floor is not None else ""),
        series=tuple(series),
        y_label="loss (nats)",
        reference=(f"chance level: {curve.chance:.2f}", curve.chance) if curve else None,
        alt=f"It ends at {short(loss.values[-1])}." if loss.values else "No loss was recorded yet.",
    )
