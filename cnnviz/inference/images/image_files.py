"""Image files of uploads and paths: folders and zips are expanded, class folders give the true classes."""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

from cnnviz.datasets import DataError
from cnnviz.datasets.layouts.class_folders import arrange_files, listing
from cnnviz.datasets.layouts.zips import Archive
from cnnviz.inference.images.read_image import MAX_BYTES, Refusal, Upload

Found = Upload | Refusal


def from_upload(name: str, data: bytes) -> list[Found]:
    """Return the images of an upload: a single one, or a zip of images or of class folders."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return [Upload(name, data)]
    return _or_refusal(name, functools.partial(from_zip, name, io.BytesIO(data)))


def from_uploaded_folder(files: Mapping[str, bytes]) -> list[Found]:
    """Return the images of an uploaded folder, given by relative path, with the classes of class folders."""
    top = {name.partition("/")[0] for name in files}
    start = len(f"{min(top)}/") if len(top) == 1 else 0
    names = {name[start:] or name: name for name in files}
    return [
        Upload(names[name], files[names[name]], truth) for name, truth in _with_truth("the folder", names)
    ]


def from_paths(paths: Iterable[Path]) -> Iterator[Found]:
    """Yield the images of files, folders and zips; missing ones are refused."""
    for path in paths:
        yield from _or_refusal(str(path), functools.partial(_from_path, path))


def from_folder(root: Path) -> list[Upload]:
    """Return every file below a folder, without hidden ones.

    Raise `DataError` for links and too many files.
    """
    sizes = {name: size for name, size, _ in listing(root)}
    return [
        Upload(str(root / name), functools.partial(_read, root / name), truth, sizes[name])
        for name, truth in _with_truth(str(root), sizes)
    ]


def from_zip(name: str, file: Path | IO[bytes]) -> list[Upload]:
    """Return every file in a zip, read on demand; raise `DataError` as `zips.Archive`."""
    archive = Archive(name, file)
    return [
        Upload(
            f"{name}/{archive.prefix}{member}",
            functools.partial(archive.read, member),
            truth,
            archive.size(member),
        )
        for member, truth in _with_truth(name, archive.names)
    ]


def _from_path(path: Path) -> list[Upload]:
    if path.is_dir():
        return from_folder(path)
    if not path.is_file():
        raise DataError(f"There is no file '{path}'.")
    if zipfile.is_zipfile(path):
        return from_zip(str(path), path)
    return [Upload(str(path), functools.partial(_read, path), size=path.stat().st_size)]


def _with_truth(where: str, names: Iterable[str]) -> list[tuple[str, str | None]]:
    """Return every name with its class, where they are in class folders, of training and test parts."""
    known = sorted(names)
    try:
        layout = arrange_files(where, known)
    except DataError:
        return [(name, None) for name in known]
    return [(name, layout.classes[label]) for files in layout.parts.values() for name, label in files]


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _or_refusal(name: str, find: Callable[[], list[Upload]]) -> list[Found]:
    try:
        return [*find()] or [Refusal(name, f"'{name}' holds no files.")]
    except DataError as error:
        return [Refusal(name, str(error))]
    except OSError as error:
        return [Refusal(name, f"'{name}' cannot be read: {error.strerror or error}.")]
