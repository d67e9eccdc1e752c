"""Owners of files: what a member has saved or handed in says whose it is, in a small file beside it.

A file without one belongs to whoever works alone on this machine.
"""

from __future__ import annotations

from pathlib import Path

from cnnviz.access.principal import LOCAL, principal

SUFFIX = ".owner"


def file_owner(path: Path) -> str:
    """The key of the principal whose file this is."""
    try:
        return path.with_suffix(SUFFIX).read_text(encoding="utf-8")[:300] or LOCAL
    except FileNotFoundError:
        return LOCAL


def require_file(path: Path, what: str) -> None:
    """Raise `NotAllowedError` unless whoever acts may change the file, or make it where there is none.

    Args:
        path: The file.
        what: What it is, as the beginning of a sentence: `The model 'net'`.
    """
    who = principal()
    who.require_write("save anything")
    if path.exists():
        who.require(file_owner(path), what)


def note_file(path: Path) -> None:
    """Note that a file which is about to be made is whoever acts'."""
    key, beside = principal().key, path.with_suffix(SUFFIX)
    if key != LOCAL:
        beside.write_text(key, encoding="utf-8")
    else:
        beside.unlink(missing_ok=True)


def forget_file(path: Path) -> None:
    """Forget whose file it was, once it is gone."""
    path.with_suffix(SUFFIX).unlink(missing_ok=True)
