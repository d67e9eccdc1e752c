"""Unstable last epochs: the run had been better, and ended in a jump to the worse."""

from __future__ import annotations

from cnnviz.diagnosis import mending
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.finding import Change, Fact, Finding, Lines, Series
from cnnviz.diagnosis.last_epochs import BACK, EPOCHS, Fall, fall, pooled
from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.registry import Clear, Outcome, Untold, rule
from cnnviz.diagnosis.standing import losses

ENDED = ("finished", "stopped", "failed")
SLOWER = 3.0
"""Times smaller, where the rate falls already."""


@rule(
    "unstable-training",
    title="Unstable last epochs",
    summary="The network had been better, and the last epoch threw it back.",
    moves={"lr": "down"},
)
def unstable_training(evidence: Evidence) -> Outcome:
    """Found where the last epoch's held-out accuracy lies far below that of the epochs before it."""
    seen, images = pooled(evidence)
    if len(seen) < EPOCHS or not images:
        return Untold(f"Fewer than {EPOCHS} epochs were evaluated, so nobody knows what is usual.")
    fallen = fall(evidence)
    if fallen is None:
        return Clear(
            f"The last epoch ({percent(seen.values[-1], 1)} of held-out images) is no worse than those "
            "before it, within what sampling explains."
        )
    if evidence.status not in ENDED:
        return Untold("The newest epoch is worse than those before it, but the run goes on.")
    return Finding(
        cause="unstable-training",
        confidence=0.9 if fallen.lost > 6 * fallen.error and fallen.lost > 0.1 else 0.75,
        effect=min(1.0, max(0.2, fallen.lost)),
        verdict=(
            f"The run ended in a bad epoch: it knew {percent(fallen.reached, 1)} of the held-out images at "
            f"step {fallen.step:,} and {percent(fallen.last, 1)} at its end."
        ),
        explanation="\n\n".join((
            "Each step follows a few images. While the rate is large, weights do not come to rest but move "
            "about the place that they were led to, and now and then a step throws them out of it. Which "
            "epoch is the last is then an accident: a better one had been there before, and another might "
            "have come next.",
            _numbers(fallen),
            "A rate that falls towards the end lets the weights settle. A mean of the weights over the last "
            "steps (an exponential moving average) does so too, and a checkpoint of the best epoch by "
            "validation images saves what had been reached.",
        )),
        facts=(
            Fact("had been reached", fallen.reached, f"{percent(fallen.reached, 1)} at step {fallen.step:,}"),
            Fact("at the end", fallen.last, f"{percent(fallen.last, 1)} of {fallen.images:,}"),
            Fact("standard error of the difference", fallen.error, f"{100 * fallen.error:.1f} points"),
        ),
        pictures=(_picture(evidence), losses(evidence, "Loss by epoch")),
        steps=(fallen.step, evidence.step),
        ruled_out=(
            "Over-fitting: it comes on over several epochs, and this was the last one alone.",
        ) if _sudden(evidence, fallen) else (),
        changes=mending.kept(_calmer(evidence), evidence.recipe),
        explains=(
            "over-fitting-data", "over-fitting-augmentation", "over-fitting-model", "one-class",
            "labels-noisy", "evaluation-mode",
        ),
    )  # fmt: skip


def _numbers(fallen: Fall) -> str:
    return (
        f"Of the {BACK} epochs before the last the second best knew {percent(fallen.reached, 1)}, the last "
        f"one knows {percent(fallen.last, 1)}: {100 * fallen.lost:.1f} points less. Both are counted on "
        f"{fallen.images:,} held-out images, so chance alone makes a difference of about "
        f"{100 * fallen.error:.1f} points; this is {fallen.lost / max(fallen.error, 1e-9):.0f} times that."
    )


def _sudden(evidence: Evidence, fallen: Fall) -> bool:
    """Whether the epoch before the last was still good: half of the fall or more came with the last."""
    values = pooled(evidence)[0].values
    return values[-2] - values[-1] > fallen.lost / 2


def _calmer(evidence: Evidence) -> list[Change]:
    recipe = evidence.recipe
    falling = Change(
        {"schedule": "cosine"}, "Half a cosine: the rate falls to nothing at the end, and weights settle."
    )
    slower = mending.rate(recipe, recipe.lr / SLOWER, "Steps a third as long are thrown out less easily.")
    return [slower] if recipe.schedule in ("cosine", "one-cycle") else [falling, slower]


def _picture(evidence: Evidence) -> Lines:
    seen, _ = pooled(evidence)
    learnt = evidence.curve("train/epoch_accuracy")
    return Lines(
        title="Held-out accuracy by epoch",
        series=(
            Series("held-out images", tuple(map(float, seen.steps)), seen.values),
            Series("in training", tuple(map(float, learnt.steps)), learnt.values, dashed=True),
        ),
        y_label="accuracy",
        reference=("a constant answer", evidence.chance),
        alt=f"It ends at {percent(seen.values[-1])}; before that it was {percent(max(seen.values))} at best.",
        percent=True,
    )
