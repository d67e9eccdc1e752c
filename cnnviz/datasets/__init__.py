"""Images to learn from: a registry of specs, and one door, `load`. Importing this imports no torch."""

from cnnviz.datasets.convert import adapt, how
from cnnviz.datasets.dataset import Dataset, Part, Split
from cnnviz.datasets.library import forget, save_user_dataset
from cnnviz.datasets.loading import check, is_path, load, prepared
from cnnviz.datasets.registry import UnknownDatasetError, get, names, problems, register, remove, specs
from cnnviz.datasets.spec import Arrays, DataError, DatasetSpec, Progress, Step

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
]
