"""What one run of an experiment reached: below both the answer and the sentences that tell it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Outcome(BaseModel):
    """One run: what it reached, or why it counts for nothing."""

    model_config = ConfigDict(frozen=True)

    seed: int
    run: int | None
    """Its number; None where there is no run, and in a recorded result."""
    status: str
    """The run's state, or `missing`."""
    accuracy: float | None
    """On the test images after the last epoch, in [0, 1]; None unless the run finished with one."""
    training: float | None = None
    seconds: float | None = None
    why: str = ""
    """What it failed with."""
