"""Importer of user code: isolates a user's module, and the modules beside it, from others of the same names.

Two versions of one file, or a local `datasets.py` beside an installed package, coexist in one process: while
a network is imported or built, its own modules are in `sys.modules`; afterwards those they shadowed are
restored.
"""

from __future__ import annotations

import ast
import enum
import importlib
import importlib.util
import inspect
import sys
import threading
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, create_model

from cnnviz.models.layers.base import MAX_CLASSES
from cnnviz.models.spec import NoOptions, Options, Shape
from cnnviz.models.user_code import source
from cnnviz.models.user_code.source import Source

if TYPE_CHECKING:
    from torch import nn

_lock = threading.RLock()


class Imported(MetaPathFinder):
    """Meta path finder of one source (modules below its root only), with its imported modules."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.modules: dict[str, ModuleType] = {}
        self._found: set[str] = set()
        self._listed = {_top(path) for path, _ in source.files}
        self._strict = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a listed module, or, as the last finder on the meta path, any module beside the file."""
        top = fullname.partition(".")[0]
        if self._strict and top not in self._listed:
            return None
        location = self.source.root.joinpath(*fullname.split("."))
        package = location / "__init__.py"
        if package.is_file():
            spec = importlib.util.spec_from_file_location(
                fullname, package, submodule_search_locations=[str(location)]
            )
        elif location.with_suffix(".py").is_file():
            spec = importlib.util.spec_from_file_location(fullname, location.with_suffix(".py"))
        elif location.is_dir() and any(
            p.startswith(f"{'/'.join(fullname.split('.'))}/") for p in self._paths
        ):
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(location)]
        else:
            return None
        self._found.add(fullname)
        return spec

    @property
    def _paths(self) -> list[str]:
        return [path for path, _ in self.source.files]

    @contextmanager
    def active(self) -> Iterator[None]:
        """Context in which imports resolve to this source's modules first.

        Shadowed modules are restored at exit.
        """
        with _lock:
            names = {name for name in sys.modules if name.partition(".")[0] in self._listed}
            hidden = {name: sys.modules.pop(name) for name in names}
            sys.modules.update(self.modules)
            first, last = _First(self), self
            sys.meta_path.insert(0, first)
            sys.meta_path.append(last)
            try:
                yield
            finally:
                sys.meta_path.remove(first)
                sys.meta_path.remove(last)
                for name in self._found & sys.modules.keys():
                    self.modules[name] = sys.modules.pop(name)
                sys.modules.update(hidden)

    def module(self) -> Any:
        """Import the module.

        Raises:
            ValueError: Where its code fails; one sentence.
        """
        name, label = self.source.module, self._label()
        with self.active():
            if name in self.modules:
                return self.modules[name]
            try:
                return importlib.import_module(name) if name.replace(".", "").isidentifier() else self._odd()
            except (Exception, SystemExit) as error:
                line = source.of_error(error)
                raise ValueError(
                    f"{label} does not run: {type(error).__name__}: {first_line(error)}"
                    f"{f' ({line})' if line else ''}"
                ) from error

    def _odd(self) -> ModuleType:
        """Import a file whose name is not a valid module name, such as `my-net.py`."""
        path = self.source.root / f"{self.source.module}.py"
        name = "net_" + "".join(c if c.isalnum() else "_" for c in path.stem)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        self._found.add(name)
        spec.loader.exec_module(module)
        self.modules[self.source.module] = module
        return module

    def _label(self) -> str:
        return self.source.module if self.source.installed else f"{self.source.module.replace('.', '/')}.py"

    def complete_source(self) -> Source:
        """The source, with the modules that were found only at run time."""
        return self.source if self.source.installed else self.source.with_modules(sorted(self._found))


class _First(MetaPathFinder):
    """First finder on the meta path: resolves listed modules before any other finder."""

    def __init__(self, imported: Imported) -> None:
        self._imported = imported

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        self._imported._strict = True
        try:
            return self._imported.find_spec(fullname, path, target)
        finally:
            self._imported._strict = False


def _top(path: str) -> str:
    return Path(path.split("/")[0]).stem


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message."""
    return next(iter(str(error).splitlines()), "no message")


# Constructor of a user's network: its arguments as typed options, and the call that builds it.
#
# Options on a page are booleans, bounded numbers and enumerations; other arguments can only be given on the
# command line, as in `net.py:Net(width=8, act="gelu")` or `--option width=8`.

CLASSES = ("num_classes", "n_classes", "nclasses", "num_class", "nb_classes", "n_class", "classes",
           "num_labels", "n_labels")  # fmt: skip
"""Parameter names that mean the number of classes."""
MAYBE_CLASSES = ("n_out", "num_outputs", "n_outputs", "num_out", "out_dim", "output_dim", "output_size",
                 "out_features", "out_channels", "output_channels")  # fmt: skip
"""Parameter names that mean the number of classes where their default equals the network's outputs."""
USUAL_CLASSES = 1000
MAX_INT, MAX_TIMES = 64, 8
"""Upper limit of an integer option on a page: 8 times its default, and at least 64."""
_EMPTY = inspect.Parameter.empty
_NUMBERS = {bool: "true or false", int: "a whole number", float: "a number"}


@dataclass
class Constructor:
    """Class or function that builds a network, with its arguments."""

    name: str
    """Name in messages."""
    imported: Imported
    target: Callable[..., Any]
    bound: dict[str, Any] = field(default_factory=dict)
    """Arguments given on the command line, which replace defaults."""
    classes_parameter: str = ""
    """Name of the argument for the number of classes; empty where there is none."""
    options: type[Options] = NoOptions
    missing: tuple[str, ...] = ()
    """Required arguments that were not given."""

    @property
    def default_classes(self) -> int:
        """Default of the argument for classes; 1000 where it has none."""
        value = self.bound.get(self.classes_parameter)
        if value is None:
            value = _parameters(self.target).get(self.classes_parameter, _NONE).default
        known = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_CLASSES
        return value if known else USUAL_CLASSES

    def build(self, classes: int, input_shape: Shape, options: Mapping[str, Any]) -> nn.Module:
        """Build the network.

        Raises:
            ValueError: Where the constructor fails, or returns no module; one sentence with the user's own
                line.
        """
        from torch import nn

        if self.missing:
            raise ValueError(self.missing_text())
        arguments = {**self.bound, **{name: self._native(name, value) for name, value in options.items()}}
        if self.classes_parameter:
            arguments[self.classes_parameter] = classes
        with self.imported.active():
            try:
                module = self.target(**arguments)
            except Exception as error:
                line = source.of_error(error)
                raise ValueError(
                    f"{self.name} cannot be built: {type(error).__name__}: {first_line(error)}"
                    f"{f' ({line})' if line else ''}"
                ) from error
        if not isinstance(module, nn.Module):
            raise ValueError(f"{self.name} gives a {type(module).__name__}, not a torch.nn.Module.")
        return module

    def missing_text(self) -> str:
        """Describe which arguments are missing, and how to give them."""
        example = ", ".join(f"{name}=…" for name in self.missing)
        needs = " and ".join(filter(None, (", ".join(self.missing[:-1]), self.missing[-1])))
        return (
            f"{self.name} needs {needs}: name it as '{self.name}({example})', or give "
            f"--option {self.missing[0]}=… on the command line."
        )

    def _native(self, name: str, value: Any) -> Any:
        """Convert an option to the constructor's type: a member of an enumeration, a value of a literal."""
        return _argument(value, _parameters(self.target)[name], _annotations(self.target).get(name))


_NONE = inspect.Parameter("none", inspect.Parameter.KEYWORD_ONLY)


def read(name: str, imported: Imported, target: Callable[..., Any], bound: Mapping[str, Any]) -> Constructor:
    """Inspect a constructor's signature, with `bound` arguments in place of defaults.

    Raises:
        ValueError: For a bound argument that it does not have.
    """
    parameters = _parameters(target)
    unknown = next((argument for argument in bound if argument not in parameters), None)
    if unknown is not None:
        known = ", ".join(parameters) or "none"
        raise ValueError(f"{name} has no argument '{unknown}'; its arguments are: {known}.")
    annotations = _annotations(target)
    values = {
        argument: _argument(value, parameters[argument], annotations.get(argument))
        for argument, value in bound.items()
    }
    classes = next((n for n in CLASSES if n in parameters), "")
    fields: dict[str, Any] = {}
    missing = []
    for argument, parameter in parameters.items():
        if argument == classes:
            continue
        default = values.get(argument, parameter.default)
        if default is _EMPTY:
            missing.append(argument)
            continue
        option = _field(annotations.get(argument), default, bound.get(argument))
        if option is not None and not argument.startswith(("_", "model_")) and not hasattr(Options, argument):
            fields[argument] = option
    options = create_model(f"{target.__name__}Options", __base__=Options, **fields) if fields else NoOptions
    return Constructor(name, imported, target, values, classes, options, tuple(missing))


def infer_classes_parameter(constructor: Constructor, outputs: int) -> str:
    """Return the argument whose default equals the number of outputs, where no name means the classes."""
    parameters = _parameters(constructor.target)
    for name in MAYBE_CLASSES:
        default = constructor.bound.get(name, parameters[name].default if name in parameters else None)
        if default == outputs and isinstance(default, int) and not isinstance(default, bool):
            return name
    return ""


def _parameters(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):
        return {}
    usable = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: parameter for name, parameter in parameters.items() if parameter.kind in usable}


def _annotations(target: Callable[..., Any]) -> dict[str, Any]:
    """Resolve annotations to types; unresolved where they name something imported for type checking only."""
    function = target.__init__ if inspect.isclass(target) else target
    try:
        return typing.get_type_hints(function)
    except Exception:
        return dict(getattr(function, "__annotations__", {}))


def _field(annotation: Any, default: Any, text: Any) -> tuple[Any, Any] | None:
    """Return type and default of an option, or None for what a page cannot offer.

    `text` is the argument as given on the command line, which is then the only text that it can be.
    """
    if isinstance(default, enum.Enum):
        return Literal[tuple(member.name for member in type(default))], default.name
    if typing.get_origin(annotation) is Literal:
        accepted = typing.get_args(annotation)
        simple = all(isinstance(choice, str | int | bool) for choice in accepted)
        return (Literal[accepted], default) if simple and default in accepted else None
    if isinstance(default, bool):
        return bool, default
    if isinstance(default, int):
        least, most = min(1, MAX_TIMES * default), max(MAX_INT, MAX_TIMES * default)
        return int, Field(default, ge=least, le=most)
    if isinstance(default, float):
        low, high = min(0.0, 10 * default), 1.0 if 0 <= default <= 1 else max(0.0, 10 * default)
        return float, Field(default, ge=low, le=high)
    if isinstance(default, str):
        return Literal[(default,)], default
    return (Literal[(text,)], text) if isinstance(text, str) else None


def _choice(value: Any, name: str, accepted: tuple[Any, ...]) -> Any:
    """Return the value of a `Literal` that is given, as itself or as text."""
    for choice in accepted:
        if value == choice or (isinstance(value, str) and value == str(choice)):
            return choice
    raise ValueError(f"'{name}' cannot be '{value}'; it can be {' or '.join(map(str, accepted))}.")


def _argument(value: Any, parameter: inspect.Parameter, annotation: Any) -> Any:
    """Parse a typed argument as a Python literal, unless the parameter is a string."""
    kind = annotation if inspect.isclass(annotation) else type(parameter.default)
    if isinstance(value, str) and issubclass(kind, enum.Enum):
        if value not in kind.__members__:
            raise ValueError(
                f"'{parameter.name}' cannot be '{value}'; it can be {' or '.join(kind.__members__)}."
            )
        return kind[value]
    if typing.get_origin(annotation) is Literal:
        return _choice(value, parameter.name, typing.get_args(annotation))
    if not isinstance(value, str) or isinstance(parameter.default, str) or kind is str:
        return value
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        if type(parameter.default) in _NUMBERS:
            expected = _NUMBERS[type(parameter.default)]
            raise ValueError(
                f"'{parameter.name}' is {expected}, as {parameter.default}, not '{value}'."
            ) from None
        return value
