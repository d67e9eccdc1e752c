"""Recorded runs beside each other: losses, accuracies, answers."""

from __future__ import annotations

from collections.abc import Mapping

from cnnviz.diagnosis import Bars, Evidence, Lines, Points, Series


def losses(runs: Mapping[str, Evidence]) -> Lines:
    """Loss over steps, training solid and test dashed, and what an even guess costs; at least one run."""
    first = next(iter(runs.values()))
    return Lines(
        title="Loss",
        series=_both(runs, "train/loss", "test/loss"),
        y_label="loss",
        reference=(f"ln {first.classes}: an even guess", first.chance_loss),
    )


def accuracies(runs: Mapping[str, Evidence]) -> Lines:
    """Accuracy by epochs, training solid and test dashed, and what one answer for all reaches."""
    first = next(iter(runs.values()))
    return Lines(
        title="Accuracy",
        series=_both(runs, "train/epoch_accuracy", "test/accuracy"),
        y_label="accuracy",
        reference=("one answer for all", first.chance),
        percent=True,
    )


def answers(runs: Mapping[str, Evidence]) -> Bars:
    """Which answers the test images get after the last epoch, beside how many of each class there are."""
    first = next(iter(runs.values()))
    values = {name: _shares(run.predicted["test"][-1].counts) for name, run in runs.items()}
    return Bars(
        title="Answers to the test images",
        names=first.data.classes,
        values=values | {"training images": _shares(first.data.counts)},
        y_label="share of the images",
        percent=True,
    )


def _both(runs: Mapping[str, Evidence], training: str, test: str) -> tuple[Series, ...]:
    shown = []
    for name, run in runs.items():
        before = f"{name}, " if len(runs) > 1 else ""
        shown += [
            _series(f"{before}training", run.curve(training)),
            _series(f"{before}test", run.curve(test), dashed=True),
        ]
    return tuple(shown)


def _series(name: str, curve: Points, dashed: bool = False) -> Series:
    return Series(name, tuple(map(float, curve.steps)), curve.values, dashed)


def _shares(counts: tuple[int, ...]) -> tuple[float, ...]:
    return tuple(count / max(sum(counts), 1) for count in counts)
