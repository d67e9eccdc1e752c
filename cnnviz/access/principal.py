"""The principal: who a call is made for, and whether they may change what an owner has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum

LOCAL = "local"
"""The owner of all that was made alone on one's own machine, and of every database from before owners."""


class NotAllowedError(ValueError):
    """The principal may not do this, in a sentence for people."""


class Role(StrEnum):
    """What a principal may do."""

    MANAGER = "manager"
    """Everything: whoever works alone, and a teacher."""
    MEMBER = "member"
    """See everything, change what is their own."""
    READER = "reader"
    """See everything, change nothing."""


@dataclass(frozen=True)
class Principal:
    """Who acts.

    Attributes:
        key: Who vouches for them and what they are known by there, `ISSUER SUBJECT`; `local` alone. A
            member's is unguessable or verified, never a name that was typed.
        name: What people read.
        role: What they may do.
    """

    key: str
    name: str
    role: Role

    @property
    def identity(self) -> tuple[str, str]:
        """Issuer and subject, as the run database keeps them."""
        issuer, _, subject = self.key.partition(" ")
        return issuer, subject or issuer

    @property
    def manages(self) -> bool:
        """Whether what others own may be changed too, and limits do not hold."""
        return self.role is Role.MANAGER

    @property
    def may_write(self) -> bool:
        """Whether anything may be made or changed."""
        return self.role is not Role.READER

    def owns(self, owner: str | None) -> bool:
        """Whether this owner is them; what has none is from before there were owners."""
        return self.role is not Role.READER and (owner or LOCAL) == self.key

    def may_change(self, owner: str | None) -> bool:
        """Whether what this owner has may be changed."""
        return self.manages or self.owns(owner)

    def require_write(self, what: str) -> None:
        """Raise `NotAllowedError` where nothing may be made, as in `require_write("queue a run")`."""
        if not self.may_write:
            raise NotAllowedError(f"Only who has joined or signed in can {what}; you can look at everything.")

    def require(self, owner: str | None, what: str) -> None:
        """Raise `NotAllowedError` unless what this owner has may be changed.

        Args:
            owner: Whose it is.
            what: What it is, as the beginning of a sentence: `Run 7`.
        """
        if not self.may_change(owner):
            raise NotAllowedError(f"{what} is somebody else's; you can look at it, and copy it.")


ALONE = Principal(LOCAL, "", Role.MANAGER)
NOBODY = Principal("", "", Role.READER)
"""Whoever has not said who they are, and every thread of a shared app that works for nobody in particular."""

_acting: ContextVar[Principal | None] = ContextVar("cnnviz_principal", default=None)
_resolver: Callable[[], Principal] | None = None


def principal() -> Principal:
    """Return who this call is made for: set by `acting`, else what the resolver says, else `ALONE`."""
    explicit = _acting.get()
    if explicit is not None:
        return explicit
    return ALONE if _resolver is None else _resolver()


@contextmanager
def acting(who: Principal) -> Iterator[Principal]:
    """Make every call in the block for this principal, as a thread does that works for a visitor."""
    token = _acting.set(who)
    try:
        yield who
    finally:
        _acting.reset(token)


def resolve_with(resolver: Callable[[], Principal] | None) -> None:
    """Install what says who a call is made for, in a process that serves more than one; None removes it."""
    global _resolver
    _resolver = resolver
