"""Transfer of a run's data, model definition, code and initial weights to other machines.

Registered data sets are available anywhere by name. A user's own data are packed into the store under their
fingerprint when the run is queued; without a store the run waits for a machine that has them. Importing this
module does not import torch.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import shutil
import socket
import tarfile
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import String, cast, select

from cnnviz import datasets, tracking
from cnnviz.datasets import Dataset, Progress, cache
from cnnviz.models import library
from cnnviz.models.layers import LayerList
from cnnviz.models.user_code import source
from cnnviz.paths import home
from cnnviz.sentences import full_stop
from cnnviz.tracking import Database
from cnnviz.tracking.queue import DATA
from cnnviz.tracking.store import Store, StoreError, sha256_of
from cnnviz.tracking.tables import ExperimentRow, RunRow
from cnnviz.training import fine_tuning
from cnnviz.training.recipe import Recipe

LAYERS, CODE, START = "layers", "code", "start"
MAX_CODE_BYTES = 1_000_000
"""Maximum size of users' code that is stored with a run."""
_FILES = re.compile(r"about\.json|names\.txt|pictures\.bin|(train|test)-(images|labels|rows)\.npy")
"""File names of a packed data set."""


def collect_needs(recipe: Recipe, store: Store | None) -> dict[str, Any]:
    """Return the requirements stored in a run's row, uploading what only this machine has.

    Raises:
        StoreError: The store cannot be written.
    """
    needs: dict[str, Any] = {}
    if recipe.layers is None and recipe.model.startswith(library.PREFIX):
        path = library.folder() / f"{recipe.model.removeprefix(library.PREFIX)}.json"
        if path.is_file():
            needs[LAYERS] = json.loads(path.read_bytes())
    if recipe.code:
        needs[CODE] = _code(recipe)
    if not _is_available_anywhere(recipe.dataset):
        needs[DATA] = _data(recipe.dataset, store)
    _, _, digest = recipe.start_from.partition("@")
    if digest and store is not None:
        name = f"weights/{digest}.safetensors"
        path = fine_tuning.start_weights_path(digest)
        if path.is_file() and not store.holds(name):
            store.put(path, name)
        needs[START] = {"stored": name}
    return needs


def is_data_available(candidate: tracking.Candidate, with_store: bool) -> bool:
    """Return whether a machine can load a run's data: registered, on this machine, or in the store."""
    if _is_available_anywhere(candidate.dataset):
        return True
    packed = candidate.needs.get(DATA) or {}
    return bool(with_store and packed.get("stored")) or _is_local(candidate.dataset)


def prepare(recipe: Recipe, needs: Mapping[str, Any], store: Store | None) -> Recipe:
    """Provide a run's requirements other than data on this machine; return the recipe to train with.

    Raises:
        ValueError: The code does not match its digest.
    """
    if recipe.layers is None and needs.get(LAYERS) and recipe.model not in library.saved_specs():
        layers = LayerList.model_validate(needs[LAYERS])
        recipe = recipe.model_copy(update={"layers": layers})
    if recipe.code and needs.get(CODE):
        _keep_code(recipe, needs[CODE])
    _, _, digest = recipe.start_from.partition("@")
    if (
        digest
        and store is not None
        and START in needs
        and not fine_tuning.start_weights_path(digest).is_file()
    ):
        store.get(needs[START]["stored"], digest, fine_tuning.start_weights_path(digest))
    return recipe


def load_data(recipe: Recipe, needs: Mapping[str, Any], store: Store | None, progress: Progress) -> Dataset:
    """Load the data of a run: registered, from this machine, or from the store.

    Raises:
        DataError: The data cannot be loaded.
        StoreError: The stored data do not match what was packed.
    """
    packed = needs.get(DATA) or {}
    if not packed.get("stored") or store is None:
        return datasets.load(recipe.dataset, progress=progress)
    if _is_local(recipe.dataset):
        prepared = datasets.prepared(recipe.dataset)
        if prepared is not None and prepared.fingerprint == packed["fingerprint"]:
            return prepared
    return _unpack(packed, recipe.dataset, store)


def _is_available_anywhere(dataset: str) -> bool:
    """Return whether the data set is available on every machine: bundled, or downloaded by name."""
    if dataset.startswith(library.PREFIX) or datasets.is_path(dataset) or os.path.isabs(dataset):
        return False
    return datasets.find(dataset) is not None or "/" in dataset


def _is_local(dataset: str) -> bool:
    return datasets.find(dataset) is not None or datasets.is_path(dataset)


# Data: the files of a cache entry as one object, named by its fingerprint.


def _data(dataset: str, store: Store | None) -> dict[str, Any]:
    prepared = None if store is None else datasets.prepared(dataset)
    if prepared is None or store is None:
        return {"host": socket.gethostname()}
    entry: dict[str, Any] = {"fingerprint": prepared.fingerprint}
    with tempfile.TemporaryDirectory(prefix="cnnviz-pack-") as folder:
        path = Path(folder) / "data.tar"
        with tarfile.open(path, "w") as packed:
            for file in sorted(prepared.folder.iterdir()):
                if _FILES.fullmatch(file.name):
                    packed.add(file, file.name, recursive=False, filter=_normalized)
        digest = sha256_of(path)
        name = f"data/{prepared.fingerprint}-{digest[:16]}.tar"
        if not store.holds(name):
            store.put(path, name)
    return entry | {"stored": name, "digest": digest}


def _normalized(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Normalize a tar member, so that the same files always give the same bytes."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime, member.mode = 0, 0o644
    return member


def _unpack(packed: Mapping[str, Any], dataset: str, store: Store) -> Dataset:
    key = f"packed-{packed['digest'][:32]}"
    entry = cache.folder() / key
    if not entry.exists():
        cache.folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unpack-", dir=cache.folder()) as folder:
            archive, fresh = Path(folder) / "data.tar", Path(folder) / "entry"
            store.get(packed["stored"], packed["digest"], archive)
            fresh.mkdir()
            _extract(archive, fresh)
            try:
                fresh.replace(entry)
            except OSError:  # Another worker was faster.
                if not entry.exists():
                    raise
    about = json.loads((entry / cache.ABOUT).read_bytes())
    cached = cache.open_entry(cache.CacheRequest(key, dataset, about["state"]))
    if cached is None or cached.fingerprint != packed["fingerprint"]:
        shutil.rmtree(entry, ignore_errors=True)
        raise StoreError("The data in the store are not those that the run was queued with.")
    return cached


def _extract(archive: Path, folder: Path) -> None:
    """Extract regular files with known names; raise `StoreError` for anything else."""
    try:
        with tarfile.open(archive, "r:") as packed:
            for member in packed:
                content = packed.extractfile(member) if member.isreg() else None
                if content is None or _FILES.fullmatch(member.name) is None:
                    raise StoreError("The data in the store hold a file that no data set has.")
                with (folder / member.name).open("wb") as file:
                    shutil.copyfileobj(content, file)
    except tarfile.TarError as error:
        raise StoreError(full_stop(f"The data in the store cannot be read: {error}")) from None


# Users' code: stored under the digest in the recipe, and run only where that is allowed.


def _code(recipe: Recipe) -> dict[str, Any]:
    files = source.load_copy(recipe.code, recipe.model)
    if sum(len(content) for _, content in files.files) > MAX_CODE_BYTES:
        return {}
    return {
        "module": files.module,
        "attribute": files.attribute,
        "files": {path: base64.b64encode(content).decode() for path, content in files.files},
    }


def _keep_code(recipe: Recipe, stored: Mapping[str, Any]) -> None:
    """Store the files that came with a run, after verification of the recipe's digest."""
    try:
        source.load_copy(recipe.code, recipe.model)
        return
    except ValueError:
        pass
    try:
        files = tuple((path, base64.b64decode(content)) for path, content in stored["files"].items())
        code = source.Source(Path(), stored["module"], stored["attribute"], files)
    except (KeyError, AttributeError, TypeError, binascii.Error):
        code = None
    is_safe = code is not None and all(_is_inside(path) for path, _ in code.files)
    if code is None or not is_safe or code.digest != recipe.code:
        raise ValueError(f"The code of {recipe.model} was changed on its way here, so it is not run.")
    source.save_copy(code)


def _is_inside(path: str) -> bool:
    return not os.path.isabs(path) and ".." not in Path(path).parts


# Garbage collection of stored code and initial weights.
#
# The code of a run's network is stored under `CNNVIZ_HOME/code` and its initial weights under
# `CNNVIZ_HOME/weights`, both by digest, so that runs share them. Copies referenced by a run (including a
# hidden one, which can be restored) or by an experiment are kept.

YOUNG_SECONDS = 3600.0
"""Minimum age of a copy to be deleted: it is made before its run is in the database."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


def prune_copies(database: Database, older_than: float = YOUNG_SECONDS) -> tuple[int, int]:
    """Delete copies that no run and no experiment references; return their number and size in bytes.

    Args:
        database: The run database of this home.
        older_than: Minimum age in seconds.

    Raises:
        OSError: A folder cannot be listed.
    """
    copies = [path for folder in (source.folder(), home() / "weights") for path in _entries(folder)]
    old = [path for path in copies if path.stat().st_mtime <= time.time() - older_than]
    if not old:
        return 0, 0
    referenced = _referenced_digests(database)
    count = freed = 0
    for path in old:
        if path.name[:64] in referenced:
            continue
        size = _size(path)
        with suppress(OSError):  # Another process may have deleted it already.
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
            count, freed = count + 1, freed + size
    return count, freed


def _entries(folder: Path) -> list[Path]:
    """Return the entries of a folder whose names begin with a digest."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if _DIGEST.match(path.name) and not path.is_symlink()]


def _referenced_digests(database: Database) -> set[str]:
    """Return all digests in recipes and experiments."""
    digests: set[str] = set()
    with database.read() as session:
        for text in session.scalars(select(cast(RunRow.recipe, String))):
            digests.update(_DIGEST.findall(text or ""))
        for text in session.scalars(select(ExperimentRow.body)):
            digests.update(_DIGEST.findall(text))
    return digests


def _size(path: Path) -> int:
    parts = path.rglob("*") if path.is_dir() else [path]
    return sum(part.stat().st_size for part in parts if part.is_file())
