"""Errors of the run database, each with a one-sentence message for users.

All are `ValueError`s: pages and the command line show the message without a traceback.
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
    """Base class of all errors of the run database."""


class NoSuchRunError(TrackingError):
    """No run has this id."""


class NoSuchExperimentError(TrackingError):
    """No experiment has this id."""


class WrongStateError(TrackingError):
    """The operation is not allowed in the run's present status."""


class QueueFullError(TrackingError):
    """The queue already holds the maximum number of waiting runs."""


class NotOwnerError(TrackingError, NotAllowedError):
    """The object belongs to another owner, or the principal is read-only."""


class LimitError(TrackingError):
    """The owner has reached a limit."""


class StaleAttemptError(TrackingError):
    """The lease is no longer valid (the run was claimed again, or has ended): the write is refused."""


class DatabaseUnavailableError(TrackingError):
    """The database cannot be opened, read or written."""


class DatabaseDamagedError(DatabaseUnavailableError):
    """The file is corrupt, or not a SQLite database."""


class DatabaseBusyError(DatabaseUnavailableError):
    """The database was locked by another process for longer than the timeout; a retry can help."""


class DatabaseFullError(DatabaseUnavailableError):
    """No space is left on the database's disk."""


def translate_error(error: DatabaseError | PoolTimeout, where: str) -> Exception:
    """Translate a driver's error into a `TrackingError`; programming errors are returned unchanged.

    Args:
        error: The error raised by SQLAlchemy.
        where: The database's address, without its password.
    """
    if isinstance(error, PoolTimeout):
        return DatabaseBusyError(f"Too many parts of this process use the run database at once ({where}).")
    if not isinstance(error, OperationalError) and type(error) is not DatabaseError:
        return error
    code = str(getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None) or "")
    message = " ".join(str(error.orig).split())
    if any(code.startswith(prefix) for prefix in _BUSY):
        return DatabaseBusyError(full_stop(f"The run database is busy ({where}): {message}"))
    if code.startswith(_DAMAGED):
        return DatabaseDamagedError(
            f"The run database is damaged ({where}): {message.rstrip('.')}. Checkpoints do not lie in it but "
            "in the runs' folders; `python -m cnnviz runs recover` begins a new database from these."
        )
    if code in _FULL:
        return DatabaseFullError(
            f"There is no space left for the run database ({where}); free some and resume."
        )
    return DatabaseUnavailableError(full_stop(f"The run database cannot be used ({where}): {message}"))
