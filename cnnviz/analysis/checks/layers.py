"""Checks of the order of layers (activations, normalization, dropout, unused layers) and of the output."""

from __future__ import annotations

import math
from collections.abc import Iterator

from cnnviz.analysis.checks import activations
from cnnviz.analysis.checks.network import OUTPUT, Network, OutputActivation
from cnnviz.analysis.checks.registry import Violation, check
from cnnviz.analysis.types import Node
from cnnviz.sentences import percent

# Checks of the output: cross-entropy expects one unbounded number per class.

NEURALINT = (
    "Nikanjam et al., Automatic fault detection for deep learning programs using graph transformations "
    "(NeuraLint), 2021"
)
REMOVE = "Remove it: train on the plain sums, and apply softmax only where probabilities are shown."


@check("output-activation", title="Activation on the outputs", reference=NEURALINT)
def output_activation(network: Network) -> Iterator[Violation]:
    """Find an activation between the last layer with weights and the output."""
    for last in network.output_activations()[-1:]:
        name = activations.name_of(last.function)
        subject = f"The outputs pass through {name}{f' ({last.layer!r})' if last.layer else ''}"
        layers = (last.layer,) if last.layer else ()
        if last.pooled:
            message = f"{subject} before the mean over positions, as in SqueezeNet: they are never below 0."
            yield Violation("note", layers, message, "Remove it if classes are never predicted.")
        elif last.function in activations.HARMLESS:
            message = f"{subject}, which cross-entropy applies itself: it changes nothing."
            yield Violation("note", layers, message, "It may be left out.")
        else:
            yield _cut_off(network, last, subject, layers)


def _cut_off(network: Network, last: OutputActivation, subject: str, layers: tuple[str, ...]) -> Violation:
    classes = network.analysis.classes
    if last.function in activations.BOUNDED and classes > 1:
        low, high = activations.BOUNDED[last.function]
        floor = activations.loss_floor(low, high, classes)
        best = activations.largest_probability(low, high, classes)
        message = (
            f"{subject}, so they lie between {low:g} and {high:g}: cross-entropy applies softmax itself and "
            f"cannot fall below {floor:.3f}, as no class gets a probability above {percent(best, 1)}."
        )
        return Violation("error", layers, message, REMOVE)
    if last.function in activations.CUTTING:
        message = f"{subject}: logits below 0 become 0 and get no gradient, so classes can stay unreachable."
        return Violation("error", layers, message, REMOVE)
    message = f"{subject} before cross-entropy, which applies softmax itself and wants plain sums."
    return Violation("warning", layers, message, REMOVE)


@check("output-dropout", title="Dropout after the output", reference=NEURALINT)
def output_dropout(network: Network) -> Iterator[Violation]:
    """Find dropout between the last layer with weights and the output."""
    for node in network.output_path()[1:]:
        if network.is_dropout(node):
            name = f"'{node.row}'" if network.is_layer(node) else "The model"
            message = (
                f"{name} drops outputs at random: the right class's logit becomes 0 in part of the steps."
            )
            fix = "Move it before the last layer with weights, or remove it."
            yield Violation("error", (node.row,) if network.is_layer(node) else (), message, fix)


@check("output-norm", title="Normalization after the output", reference=NEURALINT)
def output_norm(network: Network) -> Iterator[Violation]:
    """Find normalization between the last layer with weights and the output."""
    for node in network.output_path()[1:]:
        if node.kind == "norm":
            name = f"'{node.row}'" if network.is_layer(node) else "The model"
            message = (
                f"{name} normalizes the outputs, so how sure the network is of an image gets lost in part."
            )
            fix = "Move it before the last layer with weights, or remove it."
            yield Violation("warning", (node.row,) if network.is_layer(node) else (), message, fix)


@check("class-count", title="Outputs do not match the classes", reference=NEURALINT)
def class_count(network: Network) -> Iterator[Violation]:
    """Find outputs that are no vector, or of another length than there are classes."""
    output = network.nodes.get(OUTPUT)
    shape, classes = (output.output_shape if output else ()), network.analysis.classes
    if not network.analysis.rows or output is None:
        return
    ending = tuple(node.row for node in network.output_path()[:1] if network.is_layer(node))
    if len(shape) != 1:
        sides = "×".join(map(str, shape)) or "no numbers"
        message = f"An image gives {sides}, but a classifier gives a vector: one number a class."
        fix = (
            "End with global average pooling or a flatten, and a linear layer with as many units as classes."
        )
        yield Violation("error", ending, message, fix)
    elif math.prod(shape) == 1:
        message = "There is one output only: its softmax is always 1, and cross-entropy always 0."
        yield Violation("error", ending, message, "Give each class an output of its own, two classes too.")
    elif classes and shape[0] != classes:
        message = f"The network gives {shape[0]:,} outputs, but there are {classes:,} classes."
        yield Violation("error", ending, message, f"Give the last layer {classes:,} units.")


SUMS = ("conv", "fc")
HIGHEST_DROPOUT = 0.8
"""Srivastava et al. (2014) tested retention of 0.2 of the units and more; with fewer, little is left."""
SATURATING_LAYERS = 4
"""Number of hidden layers with a saturating activation that is too many: a sigmoid's slope is ≤ 1/4."""


def _listed(names: list[str]) -> str:
    """Join names in a sentence; of more than four, the first three."""
    quoted = [f"'{name}'" for name in dict.fromkeys(names)]
    if len(quoted) > 4:
        return f"{', '.join(quoted[:3])} and {len(quoted) - 3:,} others"
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


@check("missing-activation", title="No activation between two layers", reference=NEURALINT)
def missing_activation(network: Network) -> Iterator[Violation]:
    """Find convolutions and linear layers that follow one another without a non-linearity between them.

    Excluded is what published networks do on purpose: grouped and depthwise convolutions, which a 1×1
    convolution complements, 1×1 convolutions that do not widen, the linear bottlenecks of MobileNetV2, and
    results that other layers read too.
    """
    pairs = []
    for node in network.layers():
        if node.kind in SUMS and not _grouped(network, node):
            source = _linear_source(network, node)
            if source is not None and not _linear_bottleneck(network, source):
                pairs.append((source.row, node.row))
    if not pairs:
        return
    first, second = pairs[0]
    more = f", and so between {len(pairs) - 1:,} other pairs" if len(pairs) > 1 else ""
    message = (
        f"Between '{first}' and '{second}' there is no activation{more}: two sums in a row are one sum, so "
        "the second layer adds nothing that one layer could not compute."
    )
    names = tuple(dict.fromkeys(name for pair in pairs for name in pair))
    yield Violation("warning", names, message, f"Put an activation, such as ReLU, after '{first}'.")


def _linear_source(network: Network, node: Node) -> Node | None:
    """Return the convolution or linear layer that a node reads through linear operations only, or None."""
    while True:
        sources = network.before(node)
        if len(sources) != 1:
            return None
        node = sources[0]
        if len(network.after(node)) != 1:
            return None
        if node.kind in SUMS:
            return node if network.is_layer(node) and not _grouped(network, node) else None
        if not network.is_linear(node):
            return None


def _grouped(network: Network, node: Node) -> bool:
    row = network.row(node)
    return row is not None and row.settings.get("groups", 1) != 1


def _linear_bottleneck(network: Network, node: Node) -> bool:
    row = network.row(node)
    if row is None or node.kind != "conv":
        return False
    settings = row.settings
    return set(settings.get("kernel", [0])) == {1} and settings.get("out", 0) <= settings.get("in", 0)


@check("activation-twice", title="Two activations in a row", reference=NEURALINT)
def activation_twice(network: Network) -> Iterator[Violation]:
    """Find an activation that directly follows another one, except at the output."""
    ending = {node.id for node in network.output_path()}
    for node in network.layers():
        sources = network.before(node)
        while len(sources) == 1 and network.is_dropout(sources[0]):
            sources = network.before(sources[0])
        if node.kind != "activation" or node.id in ending or len(sources) != 1:
            continue
        if sources[0].kind == "activation" and node.row != sources[0].row:
            first, second = (activations.name_of(network.function(part)) for part in (sources[0], node))
            names = tuple(part.row for part in (sources[0], node) if network.is_layer(part))
            names_text = f" ({_listed(list(names))})" if names else ""
            if first == second == "ReLU":
                message = f"A ReLU follows a ReLU{names_text}: it changes nothing."
            else:
                message = (
                    f"{second} follows {first} with no layer between them{names_text}, which narrows values."
                )
            yield Violation("warning", names, f"{message[:1].upper()}{message[1:]}", "Remove one of the two.")


@check(
    "bias-before-norm",
    title="Bias before batch normalization",
    reference="Ioffe and Szegedy, Batch normalization, 2015, section 3.2",
)
def bias_before_norm(network: Network) -> Iterator[Violation]:
    """Find biases that the following batch normalization subtracts."""
    names, redundant = [], 0
    for node in network.layers():
        row, after = network.row(node), network.after(node)
        if row is None or node.kind not in SUMS or not row.settings.get("bias") or len(after) != 1:
            continue
        if network.is_batch_norm(after[0]) and row.name not in names:
            names.append(row.name)
            redundant += row.settings.get("out", 0)
    if names:
        count = "has a bias" if len(names) == 1 else "have biases"
        message = (
            f"{_listed(names)} {count} that the batch normalization behind subtracts with the mean: "
            f"{redundant:,} parameters do nothing."
        )
        yield Violation("note", tuple(names), message, "Build these layers with bias=False.")


@check("norm-twice", title="Two batch normalizations in a row", reference=NEURALINT)
def norm_twice(network: Network) -> Iterator[Violation]:
    """Find batch normalization that directly follows batch normalization."""
    for node in network.layers():
        sources = network.before(node)
        if network.is_batch_norm(node) and len(sources) == 1 and network.is_batch_norm(sources[0]):
            names = (sources[0].row, node.row)
            message = f"{_listed(list(names))} normalize the same values twice in a row."
            yield Violation("warning", names, message, f"Remove '{node.row}'.")


@check(
    "dropout-before-norm",
    title="Dropout before batch normalization",
    reference="Li et al., Understanding the disharmony between dropout and batch normalization, 2019",
)
def dropout_before_norm(network: Network) -> Iterator[Violation]:
    """Find dropout that reaches batch normalization through at most one layer with weights."""
    for node in network.layers():
        if not network.is_batch_norm(node):
            continue
        source, sums = node, 0
        while len(network.before(source)) == 1 and sums <= 1:
            source = network.before(source)[0]
            sums += source.kind in SUMS
            if network.is_dropout(source) and _rate(network, source):
                message = (
                    f"Dropout ({source.row or 'in the model'}) changes the variance that '{node.row}' "
                    "measures in training, so its statistics do not fit when nothing is dropped."
                )
                names = tuple(part.row for part in (source, node) if part.row)
                yield Violation("warning", names, message, f"Move the dropout behind '{node.row}'.")
                break
            if not (source.kind in (*SUMS, "activation") or network.is_linear(source)):
                break


def _rate(network: Network, node: Node) -> float:
    row = network.row(node)
    return float(row.settings.get("p", 0.5)) if row is not None and network.is_layer(node) else 0.5


@check(
    "dropout-rate",
    title="Dropout of nearly everything",
    reference="Srivastava et al., Dropout, 2014, section 7.3",
)
def dropout_rate(network: Network) -> Iterator[Violation]:
    """Find dropout that retains less than a fifth of the values."""
    for node in network.layers():
        rate = _rate(network, node)
        if network.is_dropout(node) and network.is_layer(node) and rate > HIGHEST_DROPOUT:
            message = f"'{node.row}' drops {percent(rate)} of its values in training: little is left to use."
            yield Violation("warning", (node.row,), message, "Drop a half at most; 0.5 and 0.2 are usual.")


@check("hidden-softmax", title="Softmax between layers", reference=NEURALINT)
def hidden_softmax(network: Network) -> Iterator[Violation]:
    """Find softmax whose result is the input of a convolution or linear layer."""
    for node in network.layers():
        if network.function(node) == "softmax" and node.kind == "activation":
            readers = [after.row for after in network.after(node) if after.kind in SUMS]
            if readers:
                message = (
                    f"'{readers[0]}' reads a softmax: its values add up to 1, so most of them are near 0."
                )
                names = (node.row,) if network.is_layer(node) else ()
                yield Violation("warning", (*names, *readers), message, "Use ReLU between layers.")


@check(
    "saturating-activations",
    title="Saturating activations in many layers",
    reference="Glorot and Bengio, Understanding the difficulty of training deep feedforward networks, 2010",
)
def saturating_activations(network: Network) -> Iterator[Violation]:
    """Find deep networks of sigmoid or tanh without normalization; multiplicative gates are excluded."""
    if any(node.kind == "norm" for node in network.layers()):
        return
    names, functions = [], set()
    ending = {node.id for node in network.output_path()}
    for node in network.layers():
        function = network.function(node)
        if node.kind != "activation" or function not in activations.SATURATING or node.id in ending:
            continue
        if not any(after.label == "multiply" for after in network.after(node)):
            names.append(node.row if network.is_layer(node) else node.label)
            functions.add(activations.name_of(function))
    if len(names) >= SATURATING_LAYERS:
        message = (
            f"{len(names):,} layers in a row of {' and '.join(sorted(functions))} make gradients fade on "
            "their way back: the slope is small where values are large."
        )
        rows = tuple(name for name in names if name in {row.name for row in network.analysis.rows})
        yield Violation("note", rows, message, "Use ReLU, or batch normalization before each activation.")


@check("unused-layer", title="Layers that take no part", reference=NEURALINT)
def unused_layer(network: Network) -> Iterator[Violation]:
    """Find layers with parameters that no forward pass uses, not even in training."""
    unused = [
        row
        for row in network.analysis.rows
        if row.params and not (row.calls or row.macs or row.elementwise or row.outputs)
    ]
    if unused:
        count = math.fsum(row.params for row in unused)
        names = [row.name or "the model itself" for row in unused]
        message = f"{_listed(names)} hold {count:,.0f} parameters, but the forward pass never uses them."
        fix = "Call them in forward, or remove them."
        yield Violation("warning", tuple(row.name for row in unused), message, fix)
