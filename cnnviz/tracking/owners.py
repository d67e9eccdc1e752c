"""Owners: whose a run or an experiment is, checked inside the transaction that would change it."""

from __future__ import annotations

import time

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from cnnviz.access import Principal, principal
from cnnviz.tracking.database import Database
from cnnviz.tracking.errors import NotOwnerError
from cnnviz.tracking.tables import LOCAL_OWNER, OwnerRow


def owner_number(session: Session, who: Principal) -> int | None:
    """The number of a principal's row; None for one who has nothing yet, or may have nothing."""
    if not who.may_write:
        return None
    issuer, subject = who.identity
    query = select(OwnerRow.id).where(OwnerRow.issuer == issuer, OwnerRow.subject == subject)
    return session.scalar(query)


def own(session: Session, what: str) -> int:
    """The number under which something new is kept for whoever acts, with a row made where there is none.

    Args:
        session: Of the transaction that makes it.
        what: What is made, as in `queue a run`.

    Raises `NotOwnerError` for those who may only look.
    """
    who = principal()
    if not who.may_write:
        raise NotOwnerError(f"Only who has joined or signed in can {what}; you can look at everything.")
    number = owner_number(session, who)
    if number is None:
        issuer, subject = who.identity
        row = OwnerRow(
            issuer=issuer, subject=subject, name=who.name[:100], role=who.role.value, created=time.time()
        )
        session.add(row)
        session.flush()
        number = row.id
    return number


def require_owner(session: Session, owner_id: int | None, what: str) -> None:
    """Raise `NotOwnerError` unless whoever acts may change what this owner has.

    Args:
        session: Of the transaction that changes it.
        owner_id: As the row has it.
        what: What it is, as the beginning of a sentence: `Run 7`.
    """
    who = principal()
    if who.manages:
        return
    if not who.may_write or owner_number(session, who) != (owner_id or LOCAL_OWNER):
        raise NotOwnerError(f"{what} is somebody else's; you can look at it, and copy it.")


def mine(session: Session, column: InstrumentedAttribute[int | None]) -> ColumnElement[bool]:
    """The condition that whoever acts may change a row; for a query over many."""
    who = principal()
    return true() if who.manages else column == (owner_number(session, who) or -1)


def owner_names(database: Database) -> dict[int, str]:
    """What every owner is called; the local one's name is empty."""
    with database.read() as session:
        return {row.id: row.name for row in session.execute(select(OwnerRow.id, OwnerRow.name))}


def names_by_key(database: Database) -> dict[str, str]:
    """What every owner but the local one is called, by the key of their principal."""
    query = select(OwnerRow.issuer, OwnerRow.subject, OwnerRow.name).where(OwnerRow.id != LOCAL_OWNER)
    with database.read() as session:
        return {f"{row.issuer} {row.subject}": row.name for row in session.execute(query)}


def own_number(database: Database) -> int | None:
    """The number of whoever acts, None where nothing is theirs yet."""
    with database.read() as session:
        return owner_number(session, principal())
