"""Who acts, and what they may do: the principal, the class that a teacher opens, and the gate before the app.

Alone on one's own machine there is one owner who may do everything, and nothing here costs anything:
`principal()` is `ALONE`. A process that serves others installs a resolver (`resolve_with`), which says who a
call is made for; packages that store things ask `principal()` and refuse what is not theirs.
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
