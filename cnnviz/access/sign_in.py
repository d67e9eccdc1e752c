"""Sign-in with OpenID Connect: maps a verified identity to a principal.

Streamlit's `st.login` implements the protocol and signs the cookie. An identity is issuer and subject: names
and e-mail addresses can be changed, reused, or unverified.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from cnnviz.access.principal import NOBODY, Principal, Role

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
