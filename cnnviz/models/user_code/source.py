"""Source files of a user's network: its file and the local modules it imports, hashed, bounded and copied.

A run stores the digest of these files, and a copy of them is saved under `CNNVIZ_HOME/code`, so that a
resumed run executes the code that it began with even after an edit. Nothing in this module executes it.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType, TracebackType

from cnnviz.paths import home

MAX_FILES = 64
MAX_BYTES = 4_000_000
MANIFEST = "manifest.json"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NOT_LOCAL = frozenset((*sys.stdlib_module_names, "cnnviz", "torch", "torchvision", "numpy"))
"""Top-level names that are never resolved to modules beside the user's file."""


@dataclass(frozen=True)
class Source:
    """Files of a network, and the class or function in them that builds it."""

    root: Path
    """Folder that local imports are resolved from."""
    module: str
    """Dotted name of the module that defines the network."""
    attribute: str
    """Class or function in it."""
    files: tuple[tuple[str, bytes], ...] = ()
    """Path below `root` and content; empty for an installed package, which is imported as it is."""

    @property
    def installed(self) -> bool:
        """Whether it is an installed package, so that nothing is copied."""
        return not self.files

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest: module, class, and the content of every file."""
        return hashlib.sha256(self.manifest().encode()).hexdigest()

    def manifest(self) -> str:
        """Module, class and file hashes as JSON."""
        hashes = {path: hashlib.sha256(content).hexdigest() for path, content in self.files}
        named = {"module": self.module, "attribute": self.attribute, "files": dict(sorted(hashes.items()))}
        return json.dumps(named, indent=1)

    def with_modules(self, names: Iterable[str]) -> Source:
        """Return the source with further local modules that were imported at run time."""
        known = dict(self.files)
        for name in names:
            for path in _module_files(self.root, name):
                relative = path.relative_to(self.root).as_posix()
                if relative not in known:
                    known[relative] = path.read_bytes()
        return replace(self, files=_bounded(known, self.module))


def from_path(path: Path, attribute: str) -> Source:
    """Collect the source of `path/to/net.py`; local imports are found by parsing, not by execution.

    A file in a package (with an `__init__.py` beside it, or with relative imports) is a module of that
    package.

    Raises:
        ValueError: For a file that is missing, invalid or too large; one sentence.
    """
    path = path.resolve()
    if not path.is_file():
        raise ValueError(f"There is no file '{path}'.")
    root, parts = path.parent, [path.stem]
    relative = any(level for _, level in _imports(path, path.name))
    while (root / "__init__.py").is_file() or relative:
        root, parts, relative = root.parent, [root.name, *parts], False
    if not all(part.isidentifier() for part in parts):
        # A file whose name is no identifier cannot be imported by name, nor by any other module.
        return Source(root, path.stem, attribute, _bounded(_local_files(root, path), path.name))
    return Source(root, ".".join(parts), attribute, _bounded(_local_files(root, path), path.name))


def stamp(source: Source) -> tuple[tuple[int, int], ...]:
    """Return a value that changes with any of the files, from their mtime and size."""
    parts = []
    for relative, _ in source.files:
        try:
            state = (source.root / relative).stat()
            parts.append((state.st_mtime_ns, state.st_size))
        except OSError:
            parts.append((0, 0))
    return tuple(parts)


def _local_files(root: Path, first: Path) -> dict[str, bytes]:
    """Read the file and, transitively, every local module that it imports, by path below `root`."""
    queue, files = [first], dict[str, bytes]()
    while queue:
        path = queue.pop()
        relative = path.relative_to(root).as_posix()
        if relative in files:
            continue
        files[relative] = path.read_bytes()
        _check_size(files, first.name)
        package = relative.split("/")[:-1]
        for name, level in _imports(path, first.name):
            if level > len(package) + 1 or (not level and name.partition(".")[0] in _NOT_LOCAL):
                continue
            base = package[: len(package) - level + 1] if level else []
            queue += _module_files(root, ".".join(filter(None, (*base, name))))
        queue += [root.joinpath(*package[:n], "__init__.py") for n in range(1, len(package) + 1)
                    if root.joinpath(*package[:n], "__init__.py").is_file()]  # fmt: skip
    return files


def _imports(path: Path, label: str) -> Iterator[tuple[str, int]]:
    """Yield the dotted names that a file imports, with the level of relative imports.

    For `from a import b` both.
    """
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError) as error:
        position = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        message = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ValueError(
            f"{label} does not run: {type(error).__name__}: {message} ({path.name}{position})."
        ) from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, 0
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.level
            for alias in node.names:
                yield ".".join(filter(None, (node.module, alias.name))), node.level


def _module_files(root: Path, name: str) -> list[Path]:
    """Return the files below `root` that importing `name` executes, packages first.

    Empty where there are none.
    """
    parts = name.split(".")
    if not name or not all(part.isidentifier() for part in parts):
        return []
    files = []
    for count in range(1, len(parts) + 1):
        inner = root.joinpath(*parts[:count])
        if (inner / "__init__.py").is_file():
            files.append(inner / "__init__.py")
        elif inner.with_suffix(".py").is_file():
            files.append(inner.with_suffix(".py"))
    return files


def _check_size(files: dict[str, bytes], label: str) -> None:
    total = sum(map(len, files.values()))
    if len(files) > MAX_FILES or total > MAX_BYTES:
        raise ValueError(
            f"{label} and the local modules that it imports are {len(files):,} files with "
            f"{total / 1e6:,.1f} MB; at most {MAX_FILES} files with {MAX_BYTES / 1e6:.0f} MB are kept with "
            "a run, so move the network into a file that imports less."
        )


def _bounded(files: dict[str, bytes], label: str) -> tuple[tuple[str, bytes], ...]:
    _check_size(files, label)
    return tuple(sorted(files.items()))


# Saved copies, by digest.


def folder() -> Path:
    """Return the folder of saved copies, which need not exist."""
    return home() / "code"


def save_copy(source: Source) -> str:
    """Save a copy of the files atomically, and return their digest."""
    digest = source.digest
    target = folder() / digest
    if target.exists():
        return digest
    temporary = target.with_name(f".{digest}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    for relative, content in source.files:
        path = temporary / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    temporary.mkdir(parents=True, exist_ok=True)
    (temporary / MANIFEST).write_text(source.manifest(), encoding="utf-8")
    try:
        temporary.rename(target)
    except OSError:  # Another process was quicker.
        shutil.rmtree(temporary, ignore_errors=True)
        if not target.exists():
            raise
    return digest


def load_copy(digest: str, name: str) -> Source:
    """Load the copy of that digest and verify its hashes; `name` is its name in messages.

    Raises:
        ValueError: Where this machine has no such copy, or it was modified.
    """
    target = folder() / digest
    if _DIGEST.fullmatch(digest) is None or not (target / MANIFEST).is_file():
        raise ValueError(
            f"The code of {name} that this run was made with is not on this machine; start the program where "
            "it was, or train again with --model net.py:Net."
        )
    try:
        named = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
        files = tuple((path, (target / path).read_bytes()) for path in named["files"])
        source = Source(target, named["module"], named["attribute"], files)
    except (OSError, ValueError, KeyError, TypeError):
        source = None
    if source is None or source.digest != digest:
        raise ValueError(f"The copy of {name} that was kept with this run was changed, so it is not run.")
    return source


# Source positions in a user's own file, of a stack frame or an error. Imports no torch.

_PACKAGE = str(Path(__file__).parents[2])


def of_frame(frame: FrameType | None) -> str:
    """Return `net.py, line 12` for the innermost line of user code above `frame`.

    Empty where there is none.
    """
    while frame is not None:
        if _is_own(frame.f_code.co_filename):
            return _line(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return ""


def of_error(error: BaseException) -> str:
    """Return `net.py, line 12` for the innermost line of user code in a traceback.

    Empty where there is none.
    """
    line = ""
    step: TracebackType | None = error.__traceback__
    while step is not None:
        if _is_own(step.tb_frame.f_code.co_filename):
            line = _line(step.tb_frame.f_code.co_filename, step.tb_lineno)
        step = step.tb_next
    return line


def _is_own(filename: str) -> bool:
    """Return whether a file belongs neither to cnnviz, nor to an installed package, nor to Python."""
    parts = Path(filename).parts
    installed = "site-packages" in parts or "dist-packages" in parts
    return not (installed or filename.startswith((_PACKAGE, "<frozen", "<string>")) or _standard(parts))


def _standard(parts: tuple[str, ...]) -> bool:
    return any(part.startswith("python3") for part in parts[:-1]) and "lib" in parts


def _line(filename: str, number: int) -> str:
    return f"{Path(filename).name}, line {number}"
