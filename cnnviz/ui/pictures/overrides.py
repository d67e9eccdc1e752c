"""Changes to a network's own preprocessing, as the URL holds them: `invert:true,fit:pad`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from cnnviz.ui import url_state
from cnnviz.ui.inside.address import put

if TYPE_CHECKING:
    from cnnviz.inference.preprocessing import Preprocessing

CHOICES = ("fit", "resample", "background", "scale")
SWITCHES = ("oriented", "invert", "centre")
CHANGEABLE = (*SWITCHES, *CHOICES)


def read(text: str | None, own: Preprocessing) -> tuple[Preprocessing, str | None]:
    """The preprocessing with the changes that fit, and a sentence on those that do not."""
    if not text:
        return own, None
    changes: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.partition(":")
        if name not in CHANGEABLE:
            return own, f"“prep” cannot change {url_state.quoted(name)}, only {', '.join(CHANGEABLE)}."
        changes[name] = value == "true" if name in SWITCHES else value
    try:
        return own.changed(**changes), None
    except ValueError as error:
        return own, f"{error} The network's own is used."


def write(changes: Mapping[str, Any]) -> str | None:
    """Changes as the URL holds them; None for none."""
    told = (f"{name}:{str(value).lower()}" for name, value in changes.items())
    return ",".join(told) or None


def changed(how: Preprocessing, own: Preprocessing) -> dict[str, Any]:
    """The fields in which `how` differs from the network's own."""
    return {name: getattr(how, name) for name in CHANGEABLE if getattr(how, name) != getattr(own, name)}


def change(name: str, value: object, how: Preprocessing, own: Preprocessing) -> None:
    """Change one field of `how` in the URL; `own` is the network's, which needs no mention there."""
    changes = changed(how, own) | {name: value}
    put(prep=write({field: kept for field, kept in changes.items() if kept != getattr(own, field)}))


def values(name: str, own: Preprocessing) -> list[str]:
    """What a field can be for this network."""
    possible: list[str] = []
    for value in get_args(type(own).model_fields[name].annotation):
        for one in get_args(value) or (value,):
            try:
                own.changed(**{name: one})
            except ValueError:
                continue
            possible.append(str(one))
    return possible
