"""A model from the user's own Python file, for the command line only: reading one runs the file's code."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.models.spec import ModelSpec, Shape

if TYPE_CHECKING:
    from torch import nn

USUAL_SHAPE: Shape = (3, 224, 224)
USUAL_CLASSES = 1000
CLASSES_FROM_OUTPUT = "classes-from-output"
"""Tag of a spec whose classes are not chosen: they are as many as the network gives numbers."""


def is_file_model(name: str) -> bool:
    """Whether a model's name means a file: `path/to/file.py:ClassOrFunction`."""
    path, _, attribute = name.rpartition(":")
    return path.endswith(".py") and bool(attribute)


def from_file(name: str) -> ModelSpec:
    """The spec of `path/to/file.py:ClassOrFunction`, whose file is run.

    The class or function is called with `num_classes=` where it has such a parameter, and without arguments
    otherwise. Input is 3×224×224 unless a size is asked for. Raises `ValueError` in one sentence where the
    file or the name is missing, or the file does not run.
    """
    target = _target(name)
    takes_classes = "num_classes" in inspect.signature(target).parameters
    classes = _default_classes(target)

    def builder(asked: int, input_shape: Shape, _: Any) -> nn.Module:
        if takes_classes:
            return _module(name, target, {"num_classes": asked})
        if asked != classes:
            raise ValueError(
                f"{name} has no parameter 'num_classes', so its number of classes cannot be chosen."
            )
        return _module(name, target, {})

    return ModelSpec(
        name=name,
        title=name.rpartition(":")[2],
        family="Yours",
        year=0,
        summary=f"A model of your own, from {Path(name.rpartition(':')[0]).name}.",
        input_shape=USUAL_SHAPE,
        classes=classes,
        builder=builder,
        source="yours",
        tags=frozenset() if takes_classes else frozenset({CLASSES_FROM_OUTPUT}),
    )


def _target(name: str) -> Callable[..., Any]:
    path, _, attribute = name.rpartition(":")
    if not is_file_model(name):
        raise ValueError(f"'{name}' is not of the form path/to/file.py:ClassOrFunction.")
    if not Path(path).is_file():
        raise ValueError(f"There is no file '{path}'.")
    module = _run(Path(path))
    target = getattr(module, attribute, None)
    if target is None:
        own = [k for k, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__]
        raise ValueError(f"There is no '{attribute}' in {path}; it defines {', '.join(own) or 'nothing'}.")
    if not (inspect.isclass(target) or inspect.isroutine(target)):
        raise ValueError(f"'{attribute}' in {path} is a {type(target).__name__}, not a class or a function.")
    return target


def _run(path: Path) -> Any:
    """Import the file under a name of its own, with its folder searched first for what it imports."""
    spec = importlib.util.spec_from_file_location(f"cnnviz_file_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        raise ValueError(f"{path} does not run: {type(error).__name__}: {_first_line(error)}") from error
    finally:
        sys.path.remove(str(path.resolve().parent))
    return module


def _default_classes(target: Callable[..., Any]) -> int:
    parameter = inspect.signature(target).parameters.get("num_classes")
    given = parameter.default if parameter else None
    return given if isinstance(given, int) else USUAL_CLASSES


def _module(name: str, target: Callable[..., Any], arguments: dict[str, Any]) -> nn.Module:
    from torch import nn

    try:
        module = target(**arguments)
    except Exception as error:
        raise ValueError(f"{name} cannot be built: {type(error).__name__}: {_first_line(error)}") from error
    if not isinstance(module, nn.Module):
        raise ValueError(f"{name} gives a {type(module).__name__}, not a torch.nn.Module.")
    return module


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "no message")
