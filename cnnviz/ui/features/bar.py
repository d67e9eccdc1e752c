"""The bar on top: which network, which layer; share."""

from __future__ import annotations

from cnnviz.analysis.types import KIND_TITLES
from cnnviz.figures import numbers
from cnnviz.interpret.names import Layer
from cnnviz.ui.features.state import Asked, choose_layer, every_layer
from cnnviz.ui.inside.bar import inside_bar, stepper
from cnnviz.ui.inside.weights import Network


def features_bar(network: Network, asked: Asked) -> None:
    """Draw it."""
    named = {layer.name: label(layer) for layer in every_layer(network.analysis).values()}
    with inside_bar(network):
        stepper("Layer", named, asked.layer.name, key="features-layer", width=330, choose=choose_layer)


def label(layer: Layer) -> str:
    """A layer in the list: name, kind, shape of what it gives."""
    return f"{layer.name or '(model)'} · {KIND_TITLES[layer.kind]} · {numbers.shape(layer.output_shape)}"
