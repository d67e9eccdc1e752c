"""Access control: the current principal, the class opened by a teacher, the gate before the app, sign-in.

A local user may do everything: `principal()` is `ALONE`. A process that serves several users installs a
resolver (`resolve_with`), which returns the principal of the current call; packages that store objects check
`principal()` against the owner.
"""

from cnnviz.access.principal import (
    ALONE,
    LOCAL,
    NOBODY,
    NotAllowedError,
    Principal,
    Role,
    acting,
    principal,
    resolve_with,
)

__all__ = [
    "ALONE",
    "LOCAL",
    "NOBODY",
    "NotAllowedError",
    "Principal",
    "Role",
    "acting",
    "principal",
    "resolve_with",
]
