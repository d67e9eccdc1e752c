"""Hugging Face layout: data sets by repository name, through the `datasets` library."""

from __future__ import annotations

import functools
import re
import shutil
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cnnviz.datasets import cache, parquet, user_data
from cnnviz.datasets.cache import About, CacheRequest, Maker
from cnnviz.datasets.encoded_store import Source, require_space
from cnnviz.datasets.image_files import READING
from cnnviz.datasets.parquet import Columns
from cnnviz.datasets.spec import DataError, Progress, Step
from cnnviz.datasets.user_data import OwnOptions

BUILDERS = frozenset(("parquet", "arrow", "imagefolder"))
"""Allowed formats. The library supports others too, among them pickled tables."""
_WORD = r"[\w.-]+"
NAME = re.compile(rf"(?:hf:)?(?P<repository>{_WORD}/{_WORD}|(?<=hf:){_WORD})(?::(?P<configuration>{_WORD}))?")


def named(name: str) -> bool:
    """Return whether `name` could be a repository: `owner/name`, `owner/name:configuration`, `hf:name`."""
    return NAME.fullmatch(name) is not None and ".." not in name


def wanted(name: str, options: Mapping[str, Any]) -> tuple[CacheRequest, Maker]:
    """Return the cache request of the data set `name`, and the function that fetches it."""
    chosen = OwnOptions.model_validate(OwnOptions.parse(options))
    repository = name.removeprefix("hf:")
    entry = CacheRequest(
        key=cache.key_of(repository.split("/")[-1], "hf", repository, chosen.changed()),
        name=name,
        state=cache.state_of(repository, chosen.model_dump(), READING),
    )
    return entry, functools.partial(_make, name, chosen)


def _make(name: str, options: OwnOptions, folder: Path, progress: Progress) -> About:
    folder_fetched = folder / "fetched"
    try:
        return user_data.make(source(name, folder_fetched, progress), options, folder, progress)
    finally:
        shutil.rmtree(folder_fetched, ignore_errors=True)


def source(name: str, folder: Path, progress: Progress) -> Source:
    """Fetch `name` into a folder and return its images.

    Raises:
        DataError: Where it cannot be reached, has an unsupported format, or contains no images.
    """
    match = NAME.fullmatch(name)
    assert match is not None
    progress(Step(f"asking Hugging Face for {name}", 0, None))
    _require_network(name)
    builder = _prepared(name, match["repository"], match["configuration"], folder, progress)
    parts, notes = parquet.own_parts(name, {str(part): part for part in builder.info.splits})
    fetched = {part: builder.as_dataset(split=split) for part, split in parts.items()}
    columns = parquet.columns(fetched["train"].features.arrow_schema, name)
    # Images stored as files are in the library's folders; paths in a table are not followed.
    image_folders = _library_folders(folder) if builder.name == "imagefolder" else ()
    classes = columns.classes or _numbered(fetched, columns)
    return Source(
        title=name.removeprefix("hf:").split("/")[-1],
        classes=classes,
        parts={
            part: parquet.rows(_batches(stream), columns, f"{part} of {name}", image_folders)
            for part, stream in fetched.items()
        },
        count=sum(len(stream) for stream in fetched.values()),
        notes=(f"From Hugging Face: {name.removeprefix('hf:')}.", *notes),
    )


def _prepared(name: str, repository: str, configuration: str | None, folder: Path, progress: Progress) -> Any:
    import datasets

    datasets.disable_progress_bars()
    try:
        builder = datasets.load_dataset_builder(repository, configuration, cache_dir=str(folder))
        if builder.name not in BUILDERS:
            raise DataError(
                f"'{name}' is stored as {builder.name}; what is taken is {', '.join(sorted(BUILDERS))}."
            )
        folder.mkdir(parents=True, exist_ok=True)
        require_space(folder, 2 * (builder.info.download_size or 0))
        progress(Step(f"downloading {name}", 0, None))
        builder.download_and_prepare()
    except DataError:
        raise
    except Exception as error:
        # The library passes on exceptions of its dependencies.
        reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
        raise DataError(
            f"There is no file or folder '{name}', and Hugging Face's data set of that name cannot be used: "
            f"{reason}; check the name and the connection."
        ) from error
    return builder


def _require_network(name: str) -> None:
    """Fail early without a network: the library would retry for half a minute."""
    from huggingface_hub import constants

    host = urllib.parse.urlsplit(constants.ENDPOINT).hostname
    if urllib.request.getproxies() or host is None:
        return
    try:
        socket.getaddrinfo(host, 443)
    except OSError as error:
        raise DataError(
            f"There is no file or folder '{name}', and Hugging Face cannot be reached to ask for it "
            f"({error.strerror}); check the name or the connection ('digits' and 'shapes' need no network)."
        ) from error


def _library_folders(folder: Path) -> tuple[Path, ...]:
    from huggingface_hub import constants

    return folder, Path(constants.HF_HUB_CACHE)


def _batches(stream: Any) -> Iterator[Any]:
    yield from stream.with_format("arrow").iter(batch_size=parquet.AT_ONCE)


def _numbered(fetched: Mapping[str, Any], columns: Columns) -> tuple[str, ...]:
    def labels() -> Iterator[Any]:
        for split in fetched.values():
            yield from split.select_columns(columns.label).with_format("arrow").iter(batch_size=10_000)

    return tuple(str(number) for number in range(parquet.counted(labels, columns.label)))
