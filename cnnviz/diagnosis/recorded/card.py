"""What stands beside a recorded run: how it was made, from what, on what. `NAME.card.json`."""

from __future__ import annotations

from functools import cache

from pydantic import BaseModel, ConfigDict

from cnnviz.diagnosis.recorded import FOLDER, UnknownRecordingError, names

SUFFIX = ".card.json"


class Card(BaseModel):
    """All that someone needs who wants to make the run again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    """What was learned from, by its true name."""
    command: str
    """What makes the run, to be read; `FOLDER` stands for the data."""
    steps: int
    epochs: float
    seconds: float
    hardware: str
    versions: dict[str, str]
    fingerprint: str
    """Of the data's source bytes and labels, SHA-256."""


@cache
def card(name: str) -> Card:
    """The card of a recorded run; raises `UnknownRecordingError` where there is no such run, or no card."""
    path = FOLDER / f"{name}{SUFFIX}"
    if name not in names() or not path.is_file():
        raise UnknownRecordingError(f"The recorded run '{name}' has no card.")
    return Card.model_validate_json(path.read_bytes())
