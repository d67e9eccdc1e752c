"""Copies of code and weights that runs began with, and their removal when no run names them any more.

A run keeps its network's files under `CNNVIZ_HOME/code` and the weights that it begins with under
`CNNVIZ_HOME/weights`, both by digest, so that several runs share one. What a run, a deleted one that can be
brought back among them, or an experiment names stays.
"""

from __future__ import annotations

import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

from sqlalchemy import String, cast, select

from cnnviz.models.library import home
from cnnviz.models.user_code import source
from cnnviz.tracking import Database
from cnnviz.tracking.tables import ExperimentRow, RunRow

YOUNG_SECONDS = 3600.0
"""A copy is made before the run that names it stands in the database: younger ones are left alone."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


def prune_copies(database: Database, older_than: float = YOUNG_SECONDS) -> tuple[int, int]:
    """Remove copies that no run and no experiment names; return how many, and how many bytes.

    Args:
        database: The run database, the one that this home's runs are in.
        older_than: Only those made at least so many seconds ago.

    Raises:
        OSError: for a folder that cannot be listed.
    """
    copies = [path for folder in (source.folder(), home() / "weights") for path in _entries(folder)]
    old = [path for path in copies if path.stat().st_mtime <= time.time() - older_than]
    if not old:
        return 0, 0
    named = _named(database)
    count = freed = 0
    for path in old:
        if path.name[:64] in named:
            continue
        size = _size(path)
        with suppress(OSError):  # another program may have removed it already
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
            count, freed = count + 1, freed + size
    return count, freed


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder by digest, and nothing else."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if _DIGEST.match(path.name) and not path.is_symlink()]


def _named(database: Database) -> set[str]:
    """Every digest that a recipe or an experiment holds."""
    found: set[str] = set()
    with database.read() as session:
        for text in session.scalars(select(cast(RunRow.recipe, String))):
            found.update(_DIGEST.findall(text or ""))
        for text in session.scalars(select(ExperimentRow.body)):
            found.update(_DIGEST.findall(text))
    return found


def _size(path: Path) -> int:
    parts = path.rglob("*") if path.is_dir() else [path]
    return sum(part.stat().st_size for part in parts if part.is_file())
