"""Layer lists: sequential networks described as data. Importing this package does not import torch."""

from cnnviz.models.layers.base import AnyShape, Init, Layer, MisfitError
from cnnviz.models.layers.basic import (
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    GlobalPool,
    Inception,
    Linear,
    LocalResponseNorm,
    NaiveInception,
    Pool,
    Residual,
    Resize,
    Softmax,
)
from cnnviz.models.layers.layer_list import KINDS, LayerList, Step, module_from

__all__ = [
    "KINDS",
    "Activation",
    "AnyShape",
    "BatchNorm",
    "Conv",
    "Dropout",
    "Flatten",
    "GlobalPool",
    "Inception",
    "Init",
    "Layer",
    "LayerList",
    "Linear",
    "LocalResponseNorm",
    "MisfitError",
    "NaiveInception",
    "Pool",
    "Residual",
    "Resize",
    "Softmax",
    "Step",
    "module_from",
]
