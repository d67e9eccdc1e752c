"""Library of user data sets: a path that was prepared once is available as `mine/NAME`.

Each has a small JSON file under `CNNVIZ_HOME/datasets`; uploads are stored beside it. A name means the data
as prepared: the path is not read again as long as the cached copy is valid.
"""

from __future__ import annotations

import functools
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from cnnviz.access.principal import forget_file, note_file, require_file
from cnnviz.datasets import cache, user_data
from cnnviz.datasets.cache import CacheRequest, Maker
from cnnviz.datasets.dataset import Dataset
from cnnviz.datasets.encoded_store import disk_errors, require_space
from cnnviz.datasets.image_files import READING
from cnnviz.datasets.spec import Arrays, DataError, DatasetSpec, Progress, silent
from cnnviz.datasets.user_data import OwnOptions
from cnnviz.models.library import slug
from cnnviz.paths import home

PREFIX = "mine/"
VERSION = 1
"""Version of the JSON files; those of another version are skipped."""
LONGEST_NAME = 60
_UPLOADS = {b"PK\x03\x04": ".zip", b"PK\x05\x06": ".zip", b"PAR1": ".parquet"}
"""Magic bytes of accepted uploads, and their suffixes."""
_RESERVED: set[str] = set()
"""Names being prepared: two visitors' uploads of one name must not become one data set."""
_RESERVING = threading.Lock()


@dataclass(frozen=True)
class UserDataset:
    """Data set of the user."""

    name: str
    """`mine/NAME`."""
    path: str
    """Absolute path of its source: a folder, a zip, or Parquet."""
    options: Mapping[str, Any]
    key: str
    state: str
    """Key and state of its cache entry."""
    reading: int
    """Version of the image decoding that it was prepared with."""
    spec: DatasetSpec

    @property
    def uploaded(self) -> bool:
        """Whether the source is an upload, stored in the user's home."""
        return Path(self.path).is_relative_to(uploads())


def folder() -> Path:
    """Return the folder of the JSON files, which need not exist."""
    return home() / "datasets"


def uploads() -> Path:
    """Return the folder of uploads, which need not exist."""
    return folder() / "uploads"


def free_name(requested: str) -> str:
    """Return `mine/NAME` for a requested name, with a number appended where it is in use."""
    stem = slug(requested)[:LONGEST_NAME].strip("-")
    used = {name.removeprefix(PREFIX) for name in (*user_datasets(), *_RESERVED)}
    numbered = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(used) + 2))
    return PREFIX + next(name for name in numbered if name not in used)


def save_user_dataset(
    path: Path, name: str | None = None, options: Mapping[str, Any] | None = None, progress: Progress = silent
) -> Dataset:
    """Prepare the data at `path` and save it as `mine/NAME`; an existing name is opened, or renewed.

    Without a name it is the one that the path already has, else one derived from the path's last component.

    Raises:
        DataError: For data that cannot be used, and for a name that belongs to another path.
    """
    source_path = Path(os.path.abspath(path))
    if not source_path.exists():
        raise DataError(f"There is no folder or file '{path}'; give the path of your images.")
    registry_name = _name_for(source_path, name)
    if registry_name not in user_datasets():  # an existing one may be renewed by anyone, from the same path
        require_file(_file(registry_name), f"The data set '{registry_name}'")
    options_changed = _changed(options or {})
    request, make = user_data.wanted(registry_name, source_path, options_changed)
    dataset = cache.open_entry(request) or cache.open_or_create(request, make, progress)
    _write(registry_name, source_path, options_changed, request, dataset)
    return dataset


def save_upload(filename: str, content: bytes, progress: Progress = silent) -> Dataset:
    """Store an upload, a zip or Parquet by its content, and prepare it under a new name.

    Nothing remains of data that cannot be used.

    Raises:
        DataError: For any other file, and as `save_user_dataset`.
    """
    suffix = next((suffix for start, suffix in _UPLOADS.items() if content.startswith(start)), None)
    if suffix is None:
        raise DataError(f"'{filename}' is neither a zip nor a Parquet file; hand in one of these.")
    with _reserved(Path(filename).stem) as name:
        require_file(_file(name), f"The data set '{name}'")
        target = uploads() / f"{name.removeprefix(PREFIX)}{suffix}"
        try:
            with disk_errors():
                target.parent.mkdir(parents=True, exist_ok=True)
                require_space(target.parent, len(content))
                target.write_bytes(content)
            return save_user_dataset(target, name, progress=progress)
        except DataError as error:
            target.unlink(missing_ok=True)
            raise DataError(str(error).replace(str(target), filename)) from error
        except BaseException:
            target.unlink(missing_ok=True)
            raise


@contextmanager
def _reserved(requested: str) -> Iterator[str]:
    """Context in which a free name is reserved for the caller, within this process."""
    with _RESERVING:
        name = free_name(requested)
        _RESERVED.add(name)
    try:
        yield name
    finally:
        _RESERVED.discard(name)


def _name_for(path: Path, name: str | None) -> str:
    known = user_datasets()
    if name is None:
        existing = (own.name for own in known.values() if own.path == str(path))
        return next(existing, None) or free_name(path.stem)
    registry_name = PREFIX + slug(name.removeprefix(PREFIX))[:LONGEST_NAME].strip("-")
    if registry_name in known and known[registry_name].path != str(path):
        raise DataError(
            f"'{registry_name}' is the name of '{known[registry_name].path}' already; choose another name."
        )
    return registry_name


def _write(
    name: str, source_path: Path, options: dict[str, Any], request: CacheRequest, dataset: Dataset
) -> None:
    document = {
        "version": VERSION,
        "path": str(source_path),
        "options": options,
        "key": request.key,
        "reading": READING,
        "state": request.state,
        "title": dataset.title,
        "shape": list(dataset.shape),
        "classes": list(dataset.classes),
        "train": len(dataset.train),
        "test": len(dataset.test),
        "split": dataset.notes[0],
    }
    path = _file(name)
    with disk_errors():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
        temporary.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
        if not path.exists():
            note_file(path)
        temporary.replace(path)


def forget(name: str) -> None:
    """Remove a data set with its cached copy and its upload; the user's own files are not touched.

    Raises:
        DataError: Where there is no such name.
    """
    own = user_datasets().get(name)
    if own is None:
        raise DataError(f"You have no data set called '{name}'; `python -m cnnviz data list` lists them.")
    require_file(_file(name), f"The data set '{name}'")
    _file(name).unlink(missing_ok=True)
    forget_file(_file(name))
    if all(user_dataset.key != own.key for user_dataset in user_datasets().values()):
        shutil.rmtree(cache.folder() / own.key, ignore_errors=True)
    if own.uploaded:
        Path(own.path).unlink(missing_ok=True)


def opened(name: str, options: Mapping[str, Any]) -> Dataset | None:
    """Open the data set `mine/NAME` if its cached copy is available; None where it is not.

    Its source is read only for other options than it was saved with, or after a change of the image decoding:
    then it is prepared again, as long as the source exists.
    """
    own = user_datasets().get(name)
    if own is None:
        return None
    if own.reading != READING and Path(own.path).exists():
        return cache.open_entry(source(own, options)[0])
    if not options or _changed(options) == own.options:
        return cache.open_entry(CacheRequest(own.key, name, own.state))
    return cache.open_entry(source(own, options)[0]) if Path(own.path).exists() else None


def source(own: UserDataset, options: Mapping[str, Any]) -> tuple[CacheRequest, Maker]:
    """Return the cache request for the path as it is now, and the function that prepares it.

    Raises:
        DataError: Where the path no longer exists.
    """
    if not Path(own.path).exists():
        raise DataError(
            f"'{own.name}' was made from '{own.path}', which is gone, and so is the cached copy; put it "
            f"back, or take the name out: `python -m cnnviz data remove {own.name}`."
        )
    return user_data.wanted(own.name, Path(own.path), options or own.options)


def _changed(options: Mapping[str, Any]) -> dict[str, Any]:
    return OwnOptions.parse(options).changed()


def user_datasets() -> dict[str, UserDataset]:
    """Return all data sets of the user by name; `problems` describes files that cannot be read."""
    return {entry.name: entry for entry in _read_all() if isinstance(entry, UserDataset)}


def problems() -> list[str]:
    """Describe every JSON file in the folder that is invalid, one sentence each."""
    return [entry for entry in _read_all() if isinstance(entry, str)]


def _file(name: str) -> Path:
    return folder() / f"{name.removeprefix(PREFIX)}.json"


def _read_all() -> list[UserDataset | str]:
    entries: list[UserDataset | str] = []
    for path in sorted(folder().glob("*.json")):
        try:
            state = path.stat()
            entries.append(_read(path, state.st_mtime_ns, state.st_size, state.st_ino))
        except (OSError, ValueError, KeyError, TypeError) as error:
            entries.append(f"Your data set '{path.name}' is left out: its file cannot be read ({error!r}).")
    return entries


@functools.lru_cache(maxsize=1000)
def _read(path: Path, *version: int) -> UserDataset:
    """Read a JSON file (cached by file version: requested on every rerun of a page)."""
    document = orjson.loads(path.read_bytes())
    if slug(path.stem) != path.stem or document["version"] != VERSION:
        raise ValueError("it is of another version")
    name = PREFIX + path.stem
    return UserDataset(
        name=name,
        path=document["path"],
        options=document["options"],
        key=document["key"],
        state=document["state"],
        reading=document.get("reading", 1),
        spec=_spec(name, document),
    )


def _spec(name: str, document: Mapping[str, Any]) -> DatasetSpec:
    channels, height, width = document["shape"]
    source_path = Path(document["path"])

    def loader(options: Any, progress: Progress) -> Arrays:
        dataset = save_user_dataset(source_path, name, document["options"], progress)
        return Arrays(dataset.train.images, dataset.train.labels, dataset.test.images, dataset.test.labels)

    return DatasetSpec(
        name=name,
        title=document["title"],
        summary=f"Your own, from “{source_path.name}”.",
        shape=(channels, height, width),
        classes=tuple(document["classes"]),
        train=document["train"],
        test=document["test"],
        loader=loader,
        origin="Your own.",
        licence="",
        offline=True,
        split=document["split"],
        source="yours",
    )
