"""The GPU's self-test: what a processor can make of it passes there, and fails where the engine is broken."""

from __future__ import annotations

import pytest
import torch

from benchmarks import gpu_selftest
from benchmarks.gpu_selftest import CHECKS, Check, Outcome, render, selftest
from cnnviz.training.trainer import Trainer

CPU = torch.device("cpu")


def test_what_needs_no_gpu_passes_and_the_rest_is_not_counted() -> None:
    outcomes = list(selftest(CPU))
    assert [one.outcome for one in outcomes] == ["not made" if one.gpu else "pass" for one in CHECKS]
    assert render(outcomes).splitlines()[-1].endswith(" not made")
    assert "0 fail" in render(outcomes)


def test_a_step_that_learns_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trainer, "rate", lambda self: 0.0)
    with pytest.raises(AssertionError, match="of the test images"):
        gpu_selftest.learns(CPU)


def test_a_check_that_raises_has_failed_and_the_next_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(device: torch.device) -> str:
        raise RuntimeError(f"no {device}")

    monkeypatch.setattr(
        gpu_selftest, "CHECKS", [Check("one", breaks, False), Check("two", lambda _: "fine", False)]
    )
    one, two = selftest(CPU)
    assert (one.outcome, one.words, two.outcome) == ("fail", "RuntimeError: no cpu", "pass")
    assert render([one, two]).endswith("1 pass, 1 fail, 0 not made")
    assert isinstance(one, Outcome)
