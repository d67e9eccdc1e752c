"""Checks of what stands at the end: cross-entropy wants one plain number a class."""

from __future__ import annotations

import math
from collections.abc import Iterator

from cnnviz.analysis.checks import activations
from cnnviz.analysis.checks.network import OUTPUT, Network, OutputActivation
from cnnviz.analysis.checks.registry import Found, check
from cnnviz.sentences import percent

NEURALINT = (
    "Nikanjam et al., Automatic fault detection for deep learning programs using graph transformations "
    "(NeuraLint), 2021"
)
REMOVE = "Remove it: train on the plain sums, and apply softmax only where probabilities are shown."


@check("output-activation", title="Activation on the outputs", reference=NEURALINT)
def output_activation(network: Network) -> Iterator[Found]:
    """Find an activation between the last layer with weights and the output."""
    for last in network.output_activations()[-1:]:
        name = activations.name_of(last.function)
        subject = f"The outputs pass through {name}{f' ({last.layer!r})' if last.layer else ''}"
        layers = (last.layer,) if last.layer else ()
        if last.pooled:
            message = f"{subject} before the mean over positions, as in SqueezeNet: they are never below 0."
            yield Found("note", layers, message, "Remove it if classes are never predicted.")
        elif last.function in activations.HARMLESS:
            message = f"{subject}, which cross-entropy applies itself: it changes nothing."
            yield Found("note", layers, message, "It may be left out.")
        else:
            yield _cut_off(network, last, subject, layers)


def _cut_off(network: Network, last: OutputActivation, subject: str, layers: tuple[str, ...]) -> Found:
    classes = network.analysis.classes
    if last.function in activations.BOUNDED and classes > 1:
        low, high = activations.BOUNDED[last.function]
        floor = activations.loss_floor(low, high, classes)
        best = activations.largest_probability(low, high, classes)
        message = (
            f"{subject}, so they lie between {low:g} and {high:g}: cross-entropy applies softmax itself and "
            f"cannot fall below {floor:.3f}, as no class gets a probability above {percent(best, 1)}."
        )
        return Found("error", layers, message, REMOVE)
    if last.function in activations.CUTTING:
        message = f"{subject}: logits below 0 become 0 and get no gradient, so classes can stay unreachable."
        return Found("error", layers, message, REMOVE)
    message = f"{subject} before cross-entropy, which applies softmax itself and wants plain sums."
    return Found("warning", layers, message, REMOVE)


@check("output-dropout", title="Dropout after the output", reference=NEURALINT)
def output_dropout(network: Network) -> Iterator[Found]:
    """Find dropout between the last layer with weights and the output."""
    for node in network.output_path()[1:]:
        if network.is_dropout(node):
            name = f"'{node.row}'" if network.is_layer(node) else "The model"
            message = (
                f"{name} drops outputs at random: the right class's logit becomes 0 in part of the steps."
            )
            fix = "Move it before the last layer with weights, or remove it."
            yield Found("error", (node.row,) if network.is_layer(node) else (), message, fix)


@check("output-norm", title="Normalization after the output", reference=NEURALINT)
def output_norm(network: Network) -> Iterator[Found]:
    """Find normalization between the last layer with weights and the output."""
    for node in network.output_path()[1:]:
        if node.kind == "norm":
            name = f"'{node.row}'" if network.is_layer(node) else "The model"
            message = (
                f"{name} normalizes the outputs, so how sure the network is of an image gets lost in part."
            )
            fix = "Move it before the last layer with weights, or remove it."
            yield Found("warning", (node.row,) if network.is_layer(node) else (), message, fix)


@check("class-count", title="Outputs do not match the classes", reference=NEURALINT)
def class_count(network: Network) -> Iterator[Found]:
    """Find outputs that are no vector, or of another length than there are classes."""
    output = network.nodes.get(OUTPUT)
    shape, classes = (output.output_shape if output else ()), network.analysis.classes
    if not network.analysis.rows or output is None:
        return
    ending = tuple(node.row for node in network.output_path()[:1] if network.is_layer(node))
    if len(shape) != 1:
        sides = "×".join(map(str, shape)) or "no numbers"
        message = f"The output is {sides} an image, but a classifier gives a vector of one number a class."
        fix = (
            "End with global average pooling or a flatten, and a linear layer with as many units as classes."
        )
        yield Found("error", ending, message, fix)
    elif math.prod(shape) == 1:
        message = "There is one output only: its softmax is always 1, and cross-entropy always 0."
        yield Found("error", ending, message, "Give each class an output of its own, two classes too.")
    elif classes and shape[0] != classes:
        message = f"The network gives {shape[0]:,} outputs, but there are {classes:,} classes."
        yield Found("error", ending, message, f"Give the last layer {classes:,} units.")
