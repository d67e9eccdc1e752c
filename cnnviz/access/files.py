"""Owners of files: a member's saved or uploaded file has its owner's key in a small file next to it.

A file without one belongs to the local user.
"""

from __future__ import annotations

from pathlib import Path

from cnnviz.access.principal import LOCAL, principal

SUFFIX = ".owner"


def file_owner(path: Path) -> str:
    """Return the key of the principal that owns the file."""
    try:
        return path.with_suffix(SUFFIX).read_text(encoding="utf-8")[:300] or LOCAL
    except FileNotFoundError:
        return LOCAL


def require_file(path: Path, what: str) -> None:
    """Raise `NotAllowedError` unless the current principal may change or create the file.

    Args:
        path: The file.
        what: Description, as the beginning of a sentence: `The model 'net'`.
    """
    user = principal()
    user.require_write("save anything")
    if path.exists():
        user.require(file_owner(path), what)


def note_file(path: Path) -> None:
    """Set the current principal as the owner of a file that is about to be created."""
    key, beside = principal().key, path.with_suffix(SUFFIX)
    if key != LOCAL:
        beside.write_text(key, encoding="utf-8")
    else:
        beside.unlink(missing_ok=True)


def forget_file(path: Path) -> None:
    """Delete the owner file of a deleted file."""
    path.with_suffix(SUFFIX).unlink(missing_ok=True)
