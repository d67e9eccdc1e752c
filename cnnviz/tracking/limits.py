"""Owners and quotas: ownership checks, per-member limits, and usage.

Limits apply to members. A local user and a teacher have none.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from cnnviz.access import Principal, Role, principal
from cnnviz.tracking.database import Database, LimitError, NotOwnerError
from cnnviz.tracking.records import ACTIVE, Kind, Status
from cnnviz.tracking.tables import LOCAL_OWNER, CheckpointRow, OwnerRow, RunRow, SettingRow

# Owners of runs and experiments, checked inside the transaction that changes them.


def find_owner_id(session: Session, user: Principal) -> int | None:
    """Return the id of a principal's owner row; None if it has none yet, or may not write."""
    if not user.may_write:
        return None
    issuer, subject = user.identity
    query = select(OwnerRow.id).where(OwnerRow.issuer == issuer, OwnerRow.subject == subject)
    return session.scalar(query)


def get_or_create_owner(session: Session, what: str) -> int:
    """Return the owner id of the current principal, creating its row if needed.

    Args:
        session: The transaction that creates the object.
        what: The action, for the error message: `queue a run`.

    Raises:
        NotOwnerError: The principal is read-only.
    """
    user = principal()
    if not user.may_write:
        raise NotOwnerError(
            f"Only people who have joined or signed in can {what}; you can look at everything."
        )
    number = find_owner_id(session, user)
    if number is None:
        issuer, subject = user.identity
        row = OwnerRow(
            issuer=issuer, subject=subject, name=user.name[:100], role=user.role.value, created=time.time()
        )
        session.add(row)
        session.flush()
        return row.id
    owner = session.get_one(OwnerRow, number)
    if owner.role != user.role.value:  # As their provider's claim says by now.
        owner.role = user.role.value
    return number


def has_limits(session: Session, owner_id: int) -> bool:
    """Return whether the limits hold for an owner: not for the local one, nor for those who manage."""
    if owner_id == LOCAL_OWNER:
        return False
    owner = session.get(OwnerRow, owner_id)
    return owner is None or owner.role != Role.MANAGER.value


def require_owner(session: Session, owner_id: int | None, what: str) -> None:
    """Raise `NotOwnerError` unless the current principal may change objects of this owner.

    Args:
        session: The transaction that changes the object.
        owner_id: Owner id of the object's row.
        what: The object, as the beginning of a sentence: `Run 7`.
    """
    user = principal()
    if user.manages:
        return
    if not user.may_write or find_owner_id(session, user) != (owner_id or LOCAL_OWNER):
        raise NotOwnerError(f"{what} is somebody else's; you can look at it, and copy it.")


def writable_rows(session: Session, column: InstrumentedAttribute[int | None]) -> ColumnElement[bool]:
    """Return the SQL condition that selects the rows which the current principal may change."""
    user = principal()
    return true() if user.manages else column == (find_owner_id(session, user) or -1)


def owner_names(database: Database) -> dict[int, str]:
    """Return the name of every owner by id; the local owner's is empty."""
    with database.read() as session:
        return {row.id: row.name for row in session.execute(select(OwnerRow.id, OwnerRow.name))}


def names_by_key(database: Database) -> dict[str, str]:
    """Return the name of every owner except the local one, by its principal's key."""
    query = select(OwnerRow.issuer, OwnerRow.subject, OwnerRow.name).where(OwnerRow.id != LOCAL_OWNER)
    with database.read() as session:
        return {f"{row.issuer} {row.subject}": row.name for row in session.execute(query)}


def current_owner_id(database: Database) -> int | None:
    """Return the owner id of the current principal, or None if it owns nothing yet."""
    with database.read() as session:
        return find_owner_id(session, principal())


GLOBAL = "global"
LIMITS, FROZEN, UPLOADS, PURGED = "limits", "queue_frozen", "uploads", "purged"
MEGABYTE = 1_000_000
MAX_LIMIT = 1_000_000
NEAR = 0.8
"""Share of a limit from which on a member is warned."""


@dataclass(frozen=True)
class Limits:
    """Quotas of one member; whole numbers."""

    waiting: int = 10
    """Queued runs; enough for an experiment of three conditions and three seeds."""
    minutes: int = 60
    """Minutes of training per day, on any device."""
    disk: int = 1_000
    """Megabytes of checkpoints and models."""
    upload: int = 500
    """Megabytes uploaded per day."""

    def __post_init__(self) -> None:
        """Raise `ValueError` for a value that is not a whole number in range."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_LIMIT:
                raise ValueError(
                    f"A limit is a whole number from 0 to {MAX_LIMIT:,}, not {value!r} ({field.name})."
                )


@dataclass(frozen=True)
class Usage:
    """Current usage of one owner."""

    waiting: int
    minutes: float
    disk: int
    """Bytes."""
    upload: int
    """Bytes."""

    def summary(self, limits: Limits) -> str:
        """Format usage and limits in one line."""
        return (
            f"{self.waiting} of {limits.waiting} waiting runs · "
            f"{self.minutes:,.0f} of {limits.minutes:,} minutes of training today · "
            f"{self.disk / MEGABYTE:,.0f} of {limits.disk:,} MB kept · "
            f"{self.upload / MEGABYTE:,.0f} of {limits.upload:,} MB handed in today"
        )

    def reached(self, limits: Limits, wanted: int = 1) -> str:
        """Return a message on the limit that keeps `wanted` runs from being queued; empty if none does."""
        if 0 in (limits.waiting, limits.minutes, limits.disk):
            return "Nobody may train for now: your teacher has set a limit to 0."
        if self.waiting + wanted > limits.waiting and wanted > 1:
            return (
                f"These are {wanted} runs, and {max(0, limits.waiting - self.waiting)} more of yours may "
                f"wait: {limits.waiting} is the limit for each. Queue fewer at once, or ask your teacher "
                "for more."
            )
        if self.waiting >= limits.waiting:
            return (
                f"{self.waiting} of your runs wait{'s' if self.waiting == 1 else ''}, and {limits.waiting} "
                "is the limit for each: wait until one has begun, or take one out of the queue."
            )
        if self.minutes >= limits.minutes:
            return (
                f"You have trained {self.minutes:.0f} minutes today, and {limits.minutes} a day is the "
                "limit; go on tomorrow, or ask your teacher for more."
            )
        if self.disk >= limits.disk * MEGABYTE:
            return (
                f"Your runs keep {self.disk / MEGABYTE:,.0f} MB, and {limits.disk:,} MB is the limit: delete "
                "for good what you need no longer, under Runs."
            )
        return ""

    def exhausted(self, limits: Limits) -> str:
        """Return a message on the limit that is reached, of runs or of uploads; empty if none is."""
        if self.upload < limits.upload * MEGABYTE:
            return self.reached(limits)
        if not limits.upload and not self.reached(limits):
            return "Nobody may hand in files for now: your teacher has set that limit to 0."
        return self.reached(limits) or (
            f"You have handed in {self.upload / MEGABYTE:,.0f} MB today, and {limits.upload:,} MB a day "
            "is the limit; go on tomorrow, or ask your teacher for more."
        )

    def near(self, limits: Limits) -> str:
        """Return a message on the limits of which little is left; empty if one is reached."""
        if self.exhausted(limits):
            return ""
        shares = (
            self.waiting / limits.waiting,
            self.minutes / limits.minutes,
            self.disk / MEGABYTE / limits.disk,
            self.upload / MEGABYTE / limits.upload,
        )  # no limit is 0: it would be reached
        parts = self.summary(limits).split(" · ")
        used_up = [part for part, share in zip(parts, shares, strict=True) if share >= NEAR]
        return f"Nearly used up: {', '.join(used_up)}." if used_up else ""


def get_setting(session: Session, scope: str, key: str) -> Any:
    """Return a setting's value, or None if it was never set."""
    return session.scalar(select(SettingRow.value).where(SettingRow.scope == scope, SettingRow.key == key))


def put_setting(session: Session, scope: str, key: str, value: Any) -> None:
    """Insert or update a setting."""
    session.merge(SettingRow(scope=scope, key=key, value=value))


def limits_of(session: Session) -> Limits:
    """Return the stored limits, ignoring fields of newer versions."""
    stored = get_setting(session, GLOBAL, LIMITS)
    field_names = {field.name for field in fields(Limits)}
    return Limits(**{name: value for name, value in (stored or {}).items() if name in field_names})


def read_limits(database: Database) -> Limits:
    """Return the limits that apply to every member."""
    with database.read() as session:
        return limits_of(session)


def write_limits(database: Database, limits: Limits) -> None:
    """Change the limits; raise `NotOwnerError` unless the principal is a manager."""
    _require_manager("change limits")
    with database.write() as session:
        put_setting(session, GLOBAL, LIMITS, asdict(limits))


def held_back(database: Database, owner_id: int | None) -> str:
    """Return why no queued run of an owner starts: a frozen queue, or no minutes left today; else ""."""
    owner = owner_id or LOCAL_OWNER
    with database.read() as session:
        if is_frozen(session):
            return "the queue is frozen"
        limits = limits_of(session)
        if has_limits(session, owner) and minutes_today(session, owner, time.time()) >= limits.minutes:
            return f"waits until tomorrow: {limits.minutes} minutes of training a day are the limit"
    return ""


def is_frozen(session: Session) -> bool:
    """Return whether the queue is frozen."""
    return bool(get_setting(session, GLOBAL, FROZEN))


def queue_frozen(database: Database) -> bool:
    """Return whether the queue is frozen: active runs continue, queued ones do not start."""
    with database.read() as session:
        return is_frozen(session)


def freeze_queue(database: Database, frozen: bool) -> None:
    """Freeze or unfreeze the queue; raise `NotOwnerError` unless the principal is a manager."""
    _require_manager("freeze the queue")
    with database.write() as session:
        put_setting(session, GLOBAL, FROZEN, frozen)


def _require_manager(what: str) -> None:
    if not principal().manages:
        raise NotOwnerError(f"Only the teacher can {what}.")


# Usage.


def day_start(now: float) -> float:
    """Return the timestamp of the last midnight, local time."""
    day = time.localtime(now)
    return time.mktime((day.tm_year, day.tm_mon, day.tm_mday, 0, 0, 0, 0, 0, -1))


def minutes_today(session: Session, owner_id: int, now: float) -> float:
    """Return the minutes that an owner's runs have trained since midnight, those deleted for good too.

    Of a run that began earlier, the time since midnight counts.
    """
    midnight = day_start(now)
    active = RunRow.status.in_(sorted(ACTIVE))
    query = select(RunRow.earlier_seconds, RunRow.began, RunRow.ended, active).where(
        RunRow.owner_id == owner_id,
        RunRow.kind == Kind.TRAINED.value,
        or_(active, and_(RunRow.ended.is_not(None), RunRow.ended >= midnight)),
    )
    seconds = _purged_seconds(session, owner_id, midnight)
    for earlier, began, ended, running in session.execute(query):
        total = earlier + (max(0.0, now - began) if running and began else 0.0)
        seconds += min(total, (now if running or ended is None else ended) - midnight)
    return seconds / 60


def keep_minutes(session: Session, run: RunRow) -> None:
    """Keep what a run has trained today in its owner's account; call before its row is deleted for good."""
    midnight = day_start(time.time())
    if run.owner_id is None or run.kind != Kind.TRAINED or run.ended is None or run.ended < midnight:
        return
    seconds = _purged_seconds(session, run.owner_id, midnight)
    seconds += min(run.earlier_seconds, run.ended - midnight)
    put_setting(session, f"owner:{run.owner_id}", PURGED, {"day": midnight, "seconds": seconds})


def _purged_seconds(session: Session, owner_id: int, midnight: float) -> float:
    stored = get_setting(session, f"owner:{owner_id}", PURGED) or {}
    return float(stored.get("seconds", 0.0)) if stored.get("day") == midnight else 0.0


def over_minutes(database: Database) -> list[int]:
    """Return the ids of running runs whose owner has used up today's minutes of training."""
    query = select(RunRow.id, RunRow.owner_id).where(
        RunRow.status == Status.RUNNING, RunRow.kind == Kind.TRAINED.value, RunRow.owner_id.is_not(None)
    )
    with database.read() as session:
        running = [row for row in session.execute(query) if has_limits(session, row.owner_id)]
        limit, now = limits_of(session).minutes, time.time()
        over = {
            owner
            for owner in {row.owner_id for row in running}
            if minutes_today(session, owner, now) >= limit
        }
    return [row.id for row in running if row.owner_id in over]


def usage_of(session: Session, owner_id: int) -> Usage:
    """Return the usage of an owner, including deleted runs whose files are not purged yet."""
    now = time.time()
    waiting = select(func.count()).where(
        RunRow.owner_id == owner_id, RunRow.status == Status.QUEUED, RunRow.deleted_at.is_(None)
    )
    stored_bytes = select(func.coalesce(func.sum(CheckpointRow.bytes), 0)).where(
        CheckpointRow.run_id.in_(select(RunRow.id).where(RunRow.owner_id == owner_id))
    )
    return Usage(
        session.scalar(waiting) or 0,
        minutes_today(session, owner_id, now),
        int(session.scalar(stored_bytes) or 0),
        _uploaded(session, owner_id, now),
    )


def read_usage(database: Database, owner_id: int | None = None) -> Usage:
    """Return the usage of an owner, the current principal by default."""
    with database.read() as session:
        number = owner_id if owner_id is not None else find_owner_id(session, principal())
        return usage_of(session, number) if number is not None else Usage(0, 0.0, 0, 0)


def usage_by_key(database: Database) -> dict[str, Usage]:
    """Return the usage of every owner except the local one, by its principal's key."""
    with database.read() as session:
        owners = session.execute(
            select(OwnerRow.id, OwnerRow.issuer, OwnerRow.subject).where(OwnerRow.id != LOCAL_OWNER)
        ).all()
        return {f"{row.issuer} {row.subject}": usage_of(session, row.id) for row in owners}


def check_limits(session: Session, owner_id: int | None, wanted: int = 1) -> None:
    """Raise `LimitError` if this owner may not queue `wanted` more runs; managers have no limits.

    Args:
        session: The transaction that queues them.
        owner_id: Owner id; None if the principal owns nothing yet.
        wanted: Number of runs.
    """
    if principal().manages:
        return
    usage = Usage(0, 0.0, 0, 0) if owner_id is None else usage_of(session, owner_id)
    reached = usage.reached(limits_of(session), wanted)
    if reached:
        raise LimitError(reached)


def upload_allowance(database: Database) -> int:
    """Return the number of bytes that the current principal may still upload today."""
    with database.read() as session:
        number = find_owner_id(session, principal())
        used = 0 if number is None else _uploaded(session, number, time.time())
        return max(0, limits_of(session).upload * MEGABYTE - used)


def count_upload(database: Database, size: int) -> None:
    """Add an upload of the current principal to its usage."""
    with database.write() as session:
        number, now = get_or_create_owner(session, "hand in a file"), time.time()
        used = _uploaded(session, number, now) + size
        put_setting(session, f"owner:{number}", UPLOADS, {"day": day_start(now), "bytes": used})


def _uploaded(session: Session, owner_id: int, now: float) -> int:
    stored = get_setting(session, f"owner:{owner_id}", UPLOADS) or {}
    return int(stored.get("bytes", 0)) if stored.get("day") == day_start(now) else 0
