"""Diagnosis of imported histories: of what they do not hold nothing is stated, and nothing is proposed."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from cnnviz import tracking
from cnnviz.diagnosis import Diagnosis, diagnose, gather
from cnnviz.tracking.import_history import import_history

Row = tuple[float, float, float, float]
"""Accuracy and loss in training, accuracy and loss in validation."""
HISTORIES: dict[str, Callable[[int], Row]] = {
    "good": lambda epoch: (
        min(0.97, 0.5 + 0.05 * epoch), 2 * math.exp(-epoch / 4) + 0.08,
        min(0.95, 0.48 + 0.05 * epoch), 2 * math.exp(-epoch / 4) + 0.12,
    ),
    "over-fitting": lambda epoch: (
        min(0.999, 0.3 + 0.08 * epoch), 2 * math.exp(-epoch / 2),
        min(0.72, 0.3 + 0.06 * epoch), 1.2 + 0.12 * abs(epoch - 5),
    ),
    "nan": lambda epoch: (0.3, 1.9, 0.3, 1.9) if epoch < 4 else (0.1, math.nan, 0.1, math.nan),
    "chance": lambda epoch: (0.1, 2.303, 0.1, 2.303),
}  # fmt: skip


def diagnosed(folder: Path, name: str, *, held_out: int | None = 5_000) -> Diagnosis:
    """Import twelve epochs of a history and diagnose it."""
    rows = [f"{epoch},{','.join(map(str, HISTORIES[name](epoch)))}" for epoch in range(12)]
    path = folder / f"{name}.csv"
    path.write_text("\n".join(["epoch,accuracy,loss,val_accuracy,val_loss", *rows]), encoding="utf-8")
    with tracking.connect() as database:
        made = import_history(database, path, classes=10, held_out=held_out, steps_per_epoch=100)
        return diagnose(gather(database, made.run_id))


def test_a_history_that_learned_well_is_healthy(tmp_path: Path) -> None:
    assert diagnosed(tmp_path, "good").outcome == "healthy"


def test_over_fitting_is_found_without_a_number_of_images(tmp_path: Path) -> None:
    (finding,) = diagnosed(tmp_path, "over-fitting").findings
    assert finding.cause == "over-fitting-data"
    assert "How many there are is not known." in finding.verdict
    assert "0 training images" not in finding.verdict
    assert " 0 " not in finding.explanation
    assert "more training images" in str(finding.fix)


def test_a_loss_that_is_no_number_is_found_in_its_curve(tmp_path: Path) -> None:
    (finding,) = diagnosed(tmp_path, "nan").findings
    assert finding.cause == "non-finite"
    assert finding.steps == (500, 500)
    assert "learning rate" not in {fact.label for fact in finding.facts}, "it is not known"


@pytest.mark.parametrize("held_out", [None, 5_000])
@pytest.mark.parametrize("name", HISTORIES)
def test_nothing_is_stated_or_asked_for_that_a_history_cannot_have(
    tmp_path: Path, name: str, held_out: int | None
) -> None:
    result = diagnosed(tmp_path, name, held_out=held_out)
    checks = {checked.cause: checked for checked in result.checked}
    assert checks["dropout"].because == "The network's layers are not known."
    assert checks["over-fitting-model"].outcome != "found"
    for checked in result.checked:
        for impossible in ("run.evaluate", "run.step", "this loop: the", "No epoch has ended", " 0 weights"):
            assert impossible not in checked.because, checked
    if held_out is None and name == "over-fitting":
        assert "--held-out N" in checks["over-fitting-data"].because
