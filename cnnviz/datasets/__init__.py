"""Data sets: a registry of specs, and `load`. Importing this package does not import torch."""

from cnnviz.datasets.dataset import Dataset, Part, Split, convert_images, describe_conversion
from cnnviz.datasets.library import forget, save_user_dataset
from cnnviz.datasets.registry import (
    UnknownDatasetError,
    check,
    find,
    get,
    is_path,
    load,
    names,
    prepared,
    problems,
    register,
    remove,
    specs,
    title_of,
)
from cnnviz.datasets.spec import Arrays, DataError, DatasetSpec, Progress, Step

adapt, how = convert_images, describe_conversion
"""Earlier names of these functions."""

__all__ = [
    "Arrays",
    "DataError",
    "Dataset",
    "DatasetSpec",
    "Part",
    "Progress",
    "Split",
    "Step",
    "UnknownDatasetError",
    "adapt",
    "check",
    "convert_images",
    "describe_conversion",
    "find",
    "forget",
    "get",
    "how",
    "is_path",
    "load",
    "names",
    "prepared",
    "problems",
    "register",
    "remove",
    "save_user_dataset",
    "specs",
    "title_of",
]
