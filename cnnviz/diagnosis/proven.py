"""What the probe of one batch proves."""

from __future__ import annotations

from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.finding import Fact


def learnt_without(evidence: Evidence, what: str) -> tuple[Fact, ...]:
    """That a batch is learnt without `what` ("decay" or "dropout") and is not with it; nothing where not."""
    arms = evidence.probes.get("overfit-batch", {}).get("arms", {})
    own, without = arms.get("own", {}).get("loss"), arms.get(f"no-{what}", {}).get("loss")
    if own is None or without is None or without > own / 2:
        return ()
    return (Fact(f"loss of one batch without {what}", without, f"{without:.3g}, and {own:.3g} with it"),)
