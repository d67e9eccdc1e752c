"""Model registry: specs, builders and layer lists of CNN architectures.

Importing this package does not import torch.
"""

from cnnviz.models.registry import (
    UnknownModelError,
    add,
    build,
    get,
    layer_list,
    names,
    problems,
    register,
    remove,
    resolve,
    sequential,
    specs,
    title_of,
)
from cnnviz.models.spec import ModelSpec, NoOptions, Options, Published, Shape

__all__ = [
    "ModelSpec",
    "NoOptions",
    "Options",
    "Published",
    "Shape",
    "UnknownModelError",
    "add",
    "build",
    "get",
    "layer_list",
    "names",
    "problems",
    "register",
    "remove",
    "resolve",
    "sequential",
    "specs",
    "title_of",
]
