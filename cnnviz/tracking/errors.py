"""What can go wrong with the run database, each in one sentence for people.

All are `ValueError`s, so that a page and the command line show the sentence and nothing else.
"""

from __future__ import annotations

from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cnnviz.access import NotAllowedError
from cnnviz.sentences import full_stop

_BUSY = frozenset(("SQLITE_BUSY", "SQLITE_LOCKED", "55P03", "40P01", "40001"))
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_FULL = frozenset(("SQLITE_FULL", "53100"))


class TrackingError(ValueError):
    """The run database cannot do what was asked."""


class NoSuchRunError(TrackingError):
    """There is no run of this number."""


class NoSuchExperimentError(TrackingError):
    """There is no experiment of this number."""


class WrongStateError(TrackingError):
    """A run in its present state cannot do this."""


class QueueFullError(TrackingError):
    """As many runs wait as may wait."""


class NotOwnerError(TrackingError, NotAllowedError):
    """This is somebody else's, or nothing may be changed at all."""


class LimitError(TrackingError):
    """An owner has as much as each may have."""


class StaleAttemptError(TrackingError):
    """The run has gone on, or was ended, without this worker: its writes are refused."""


class DatabaseUnavailableError(TrackingError):
    """The database cannot be opened, read or written."""


class DatabaseDamagedError(DatabaseUnavailableError):
    """The file is no whole SQLite database any more."""


class DatabaseBusyError(DatabaseUnavailableError):
    """Another process held the database for longer than we wait; trying again can help."""


class DatabaseFullError(DatabaseUnavailableError):
    """There is no space left where the database lies."""


def explained(error: DatabaseError | PoolTimeout, where: str) -> Exception:
    """Turn a driver's error into ours; what is a mistake in our own code comes back as it is.

    Args:
        error: What SQLAlchemy raised.
        where: The database's address, without its password.
    """
    if isinstance(error, PoolTimeout):
        return DatabaseBusyError(f"Too many parts of this process use the run database at once ({where}).")
    if not isinstance(error, OperationalError) and type(error) is not DatabaseError:
        return error
    code = str(getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None) or "")
    said = " ".join(str(error.orig).split())
    if any(code.startswith(known) for known in _BUSY):
        return DatabaseBusyError(full_stop(f"The run database is busy ({where}): {said}"))
    if code.startswith(_DAMAGED):
        return DatabaseDamagedError(
            f"The run database is damaged ({where}): {said.rstrip('.')}. Checkpoints do not lie in it but in "
            "the runs' folders; `python -m cnnviz runs recover` begins a new database from these."
        )
    if code in _FULL:
        return DatabaseFullError(
            f"There is no space left for the run database ({where}); free some and resume."
        )
    return DatabaseUnavailableError(full_stop(f"The run database cannot be used ({where}): {said}"))
