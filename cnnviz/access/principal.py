"""Principal: the user on whose behalf a call is made, and their permissions; and sign-in with OpenID Connect.

Streamlit's `st.login` implements the protocol and signs the cookie; a verified identity is mapped to a
principal. An identity is issuer and subject: names and e-mail addresses can be changed, reused, or
unverified.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

LOCAL = "local"
"""Key of the local user, who owns everything made without sign-in, and in databases from before owners."""


class NotAllowedError(ValueError):
    """The principal lacks the permission; the message is for users."""


class Role(StrEnum):
    """Role of a principal."""

    MANAGER = "manager"
    """May do everything: a local user, or a teacher."""
    MEMBER = "member"
    """May see everything, and change their own objects."""
    READER = "reader"
    """May see everything, and change nothing."""


@dataclass(frozen=True)
class Principal:
    """A user.

    Attributes:
        key: Issuer and subject, `ISSUER SUBJECT`; `local` for the local user. A member's key is unguessable
            or verified, never a name that was typed.
        name: Display name.
        role: Role.
    """

    key: str
    name: str
    role: Role

    @property
    def identity(self) -> tuple[str, str]:
        """Issuer and subject, as stored in the run database."""
        issuer, _, subject = self.key.partition(" ")
        return issuer, subject or issuer

    @property
    def manages(self) -> bool:
        """Return whether they may change others' objects, without limits."""
        return self.role is Role.MANAGER

    @property
    def may_write(self) -> bool:
        """Return whether they may create or change anything."""
        return self.role is not Role.READER

    def owns(self, owner: str | None) -> bool:
        """Return whether they are this owner; objects without one are from before there were owners."""
        return self.role is not Role.READER and (owner or LOCAL) == self.key

    def may_change(self, owner: str | None) -> bool:
        """Return whether they may change objects of this owner."""
        return self.manages or self.owns(owner)

    def require_write(self, what: str) -> None:
        """Raise `NotAllowedError` for a reader; `what` is the action: `queue a run`."""
        if not self.may_write:
            raise NotAllowedError(
                f"Only people who have joined or signed in can {what}; you can look at everything."
            )

    def require(self, owner: str | None, what: str) -> None:
        """Raise `NotAllowedError` unless they may change objects of this owner.

        Args:
            owner: Key of the object's owner.
            what: The object, as the beginning of a sentence: `Run 7`.
        """
        if not self.may_change(owner):
            raise NotAllowedError(f"{what} is somebody else's; you can look at it, and copy it.")


ALONE = Principal(LOCAL, "", Role.MANAGER)
NOBODY = Principal("", "", Role.READER)
"""An unidentified visitor, and threads of a shared app that work for no particular user."""

_acting: ContextVar[Principal | None] = ContextVar("cnnviz_principal", default=None)
_resolver: Callable[[], Principal] | None = None


def principal() -> Principal:
    """Return the current principal: set by `acting`, else by the resolver, else `ALONE`."""
    explicit = _acting.get()
    if explicit is not None:
        return explicit
    return ALONE if _resolver is None else _resolver()


@contextmanager
def acting(who: Principal) -> Iterator[Principal]:
    """Set the principal of all calls in the block, for threads that work on behalf of a visitor."""
    token = _acting.set(who)
    try:
        yield who
    finally:
        _acting.reset(token)


def resolve_with(resolver: Callable[[], Principal] | None) -> None:
    """Install the function that returns the current principal in a shared process; None removes it."""
    global _resolver
    _resolver = resolver


# Owners of files: a member's saved or uploaded file has its owner's key in a small file next to it.
#
# A file without one belongs to the local user.

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


VARIABLE = "CNNVIZ_SIGN_IN"
"""Policy as JSON, for the app that `cnnviz app --sign-in` starts."""
IDENTITY = frozenset({"iss", "sub", "is_logged_in"})


@dataclass(frozen=True)
class SignIn:
    """Sign-in policy.

    Attributes:
        guests: Whether visitors without sign-in may look.
        claims: Pairs such as `("groups", "teacher")`: users with this value in this claim are managers.
        managers: `ISSUER SUBJECT` of individual managers.
    """

    guests: bool = True
    claims: tuple[tuple[str, str], ...] = ()
    managers: tuple[str, ...] = ()

    def write(self) -> str:
        """Serialize the policy as JSON."""
        return json.dumps({"guests": self.guests, "claims": self.claims, "managers": self.managers})

    @classmethod
    def read(cls, text: str) -> SignIn:
        """Parse the result of `write`; raise `ValueError`."""
        policy = json.loads(text)
        try:
            claims = tuple((str(name), str(value)) for name, value in policy["claims"])
            return cls(policy["guests"] is True, claims, tuple(map(str, policy["managers"])))
        except (KeyError, TypeError) as error:
            raise ValueError(f"{VARIABLE} is what `cnnviz app --sign-in` sets.") from error

    def principal(self, user: Mapping[str, Any], claimed_by_headers: Collection[str] = ()) -> Principal:
        """Return the principal of a Streamlit user; `NOBODY` without sign-in.

        Args:
            user: `st.user`.
            claimed_by_headers: Fields that `server.trustedUserHeaders` fills in from request headers. If one
                of them decides on identity or role, the result is `NOBODY`: anyone who reaches the port could
                send them.
        """
        if {*IDENTITY, *(name for name, _ in self.claims)} & set(claimed_by_headers):
            return NOBODY
        issuer, subject = user.get("iss"), user.get("sub")
        if user.get("is_logged_in") is not True or not _is_name(issuer) or not _is_name(subject):
            return NOBODY
        if "://" not in str(issuer):  # Issuers are URLs, so none can be `local` or `class`.
            return NOBODY
        key = f"{issuer} {subject}"
        names = (user.get(name) for name in ("name", "preferred_username", "email"))
        display_name = next((name for name in names if isinstance(name, str) and name.strip()), str(subject))
        return Principal(key, display_name[:100], Role.MANAGER if self._manages(key, user) else Role.MEMBER)

    def _manages(self, key: str, user: Mapping[str, Any]) -> bool:
        return key in self.managers or any(value in _values(user.get(name)) for name, value in self.claims)


def _is_name(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= 255 and not any(c.isspace() for c in text)


def _values(claim: object) -> list[object]:
    """Return the values of a claim, which is one value or a list."""
    return list(claim) if isinstance(claim, list | tuple) else [claim]
