"""Import a user's module with the modules beside it, without mixing them up with others of the same names.

Two versions of one file, or a local `datasets.py` beside an installed package, live in one process: while a
network is imported or built its own modules stand in `sys.modules`, and what they hid comes back.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from cnnviz.models.user_code import origin
from cnnviz.models.user_code.source import Source

_lock = threading.RLock()


class Imported(MetaPathFinder):
    """A source whose modules have been, or are about to be, imported: finds them below its root only."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.modules: dict[str, ModuleType] = {}
        self._found: set[str] = set()
        self._listed = {_top(path) for path, _ in source.files}
        self._strict = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a listed module; once nobody else has it, any that lies beside the file."""
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
        """Have imports find this source's modules first, and give back afterwards what they hid."""
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
        """Run the module; raises `ValueError` in one sentence where it does not run."""
        name, label = self.source.module, self._label()
        with self.active():
            if name in self.modules:
                return self.modules[name]
            try:
                return importlib.import_module(name) if name.replace(".", "").isidentifier() else self._odd()
            except (Exception, SystemExit) as error:
                line = origin.of_error(error)
                raise ValueError(
                    f"{label} does not run: {type(error).__name__}: {first_line(error)}"
                    f"{f' ({line})' if line else ''}"
                ) from error

    def _odd(self) -> ModuleType:
        """A file whose name is none that can be imported, as `my-net.py`."""
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
        """The source with modules that were found only while it ran."""
        return self.source if self.source.installed else self.source.with_modules(sorted(self._found))


class _First(MetaPathFinder):
    """Asks for listed modules before anybody else is asked."""

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
    """What an exception says, in a line."""
    return next(iter(str(error).splitlines()), "no message")
