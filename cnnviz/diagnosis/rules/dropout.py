"""So much dropped that too little is left to learn from."""

from __future__ import annotations

from cnnviz.diagnosis import excluded
from cnnviz.diagnosis.course import NEARLY_THERE
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.finding import Bars, Change, Fact, Finding
from cnnviz.diagnosis.networks import dropout_rates, with_dropout
from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.proven import learnt_without
from cnnviz.diagnosis.registry import Clear, Outcome, Untold, rule
from cnnviz.diagnosis.standing import WELL, Standing, accuracies, standing

STRONG, EXTREME = 0.75, 0.85
"""Error is flat while 40 to 80 % of the units are kept and rises steeply below a quarter (Srivastava et al.,
"Dropout", 2014, section 7.3)."""
MILD = 0.3


@rule(
    "dropout",
    title="Dropout too strong",
    summary="So many units are dropped that too few learn.",
    moves={"dropout": "down"},
)
def dropout(evidence: Evidence) -> Outcome:
    """Found where three quarters or more of a layer's inputs are dropped and the images are not known."""
    rates, now = dropout_rates(evidence), standing(evidence)
    if not rates:
        return Clear("No layer drops anything.")
    name, most = max(rates.items(), key=lambda pair: pair[1])
    if most < STRONG:
        return Clear(
            f"At most {percent(most)} is dropped, less than {percent(STRONG)}, from where on it harms."
        )
    if now is None and (most < EXTREME or evidence.status != "failed"):
        return Untold("No epoch has ended yet, so nobody knows how well the training images are learnt.")
    enough = WELL if most >= EXTREME else NEARLY_THERE
    if now is not None and (now.learnt_well or now.above(now.held) >= enough):
        return Clear(
            f"{percent(most)} is dropped, but the images are known all the same ({percent(now.held)})."
        )
    return _finding(evidence, rates, now, name)


def _finding(evidence: Evidence, rates: dict[str, float], now: Standing | None, name: str) -> Finding:
    most, proven = rates[name], learnt_without(evidence, "dropout")
    width = next((layer.out for layer in evidence.layers if layer.name == name), ())
    units = 1
    for side in width:
        units *= side
    arithmetic = f" Of the {units:,} values that enter '{name}' {units * (1 - most):,.0f} are left." * (
        units > 1
    )
    change = with_dropout(evidence.recipe, MILD)
    return Finding(
        cause="dropout",
        confidence=0.98 if proven else 0.93 if most >= EXTREME else 0.75,
        effect=max(0.5, now.lost) if now else 1.0,
        verdict=f"Dropout of {percent(most)} leaves too little to learn from.",
        explanation=(
            f"In every training step each value is set to zero with a chance of {most:g}, and what is left "
            f"is multiplied by 1/(1 − {most:g}) = {1 / (1 - most):.3g}, so that the sum is right on "
            f"average.{arithmetic} But an average over few values is noisy: the variance that dropout adds "
            f"is p/(1 − p) = {most / (1 - most):.3g} times the mean square of what comes in, where p = 0.5 "
            "adds once. From one step to the next the network after it sees something else, and the "
            f"gradients point somewhere else.\n\n{_nothing_held_back(now)}"
        ),
        facts=(
            Fact("dropped", most, f"{percent(most)} at '{name}'"),
            Fact(
                "kept along the way", _kept(rates), f"{percent(_kept(rates), 2)} through all dropout layers"
            ),
            *(now.facts if now else ()),
            *proven,
        ),
        pictures=(
            Bars(
                title="What each dropout layer drops",
                names=tuple(rates),
                values={"dropped": tuple(rates.values())},
                reference=("half, the usual most", 0.5),
                marked=tuple(layer for layer, rate in rates.items() if rate >= STRONG),
                alt=f"'{name}' drops {percent(most)}.",
                percent=True,
            ),
            *((accuracies(evidence, "Accuracy with dropout (training) and without"),) if now else ()),
        ),
        layers=tuple(layer for layer, rate in rates.items() if rate >= STRONG),
        ruled_out=excluded.over_fitting(now) if now else (),
        changes=(Change(change, f"Drop {percent(MILD)} at most."),) if change else (),
        explains=(
            "one-class",
            "under-fitting",
            "vanishing-gradients",
            "rate-too-low",
            "rate-too-high",
            "too-few-steps",
            "dead-relu",
            "exploding-gradients",
            "non-finite",
        ),
    )


def _nothing_held_back(now: Standing | None) -> str:
    means = "Dropout is a means against over-fitting, but here"
    if now is None:
        return f"{means} the run did not come so far: the loss was no number before an epoch had ended."
    return (
        f"{means} the training images are known to {percent(now.learnt)} only, and others to "
        f"{percent(now.held)}: there is nothing to be held back."
    )


def _kept(rates: dict[str, float]) -> float:
    kept = 1.0
    for rate in rates.values():
        kept *= 1 - rate
    return kept
