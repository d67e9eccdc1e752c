"""Gradients that vanish on their way back through the layers, before anything is learned."""

from __future__ import annotations

from cnnviz.diagnosis import arithmetic, mending
from cnnviz.diagnosis.course import Course, course
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.finding import Fact, Finding
from cnnviz.diagnosis.numbers import fixed, short
from cnnviz.diagnosis.pictures import gradient_bars, loss_curve
from cnnviz.diagnosis.registry import Clear, Outcome, Untold, rule
from cnnviz.diagnosis.rules.rates import YOUNG
from cnnviz.diagnosis.stages import Stage, fresh, stages

VANISHED = 1e-3
"""The first layer's gradient by the last one's: the first then needs a thousand steps for one of the last. At
the start of networks that learn it is 0.02 to 10 (LeNet-5, AlexNet, VGG, GoogLeNet, ResNet)."""
FOLLOWS = ("one-class", "rate-too-low", "too-few-steps", "under-fitting", "input-scale")


@rule(
    "vanishing-gradients",
    title="Vanishing gradients",
    summary="Gradients shrink from layer to layer on their way back, so that the first layers do not learn.",
    live=True,
)
def vanishing_gradients(evidence: Evidence) -> Outcome:
    """Found where the first layer's gradient is a thousandth of the last one's, and the loss stays."""
    seen = tuple(stage for stage in stages(evidence, fresh(evidence)) if stage.at.gradient is not None)
    went = course(evidence)
    if went is None or len(seen) < 3:
        return Untold("The first step was not looked at, or the network has too few layers to compare.")
    first, last = seen[0].at.gradient or 0.0, seen[-1].at.gradient or 0.0
    if last == 0 or first / last >= VANISHED or first == 0:
        return Clear(
            f"At the first step '{seen[0].name}' has a gradient of {short(first)}, '{seen[-1].name}' "
            f"{short(last)}."
        )
    if not went.stuck:
        return Clear(f"The first layer's gradient is small at first, but the loss fell to {fixed(went.end)}.")
    return _vanishing(evidence, seen, went, first / last)


def _vanishing(evidence: Evidence, seen: tuple[Stage, ...], went: Course, ratio: float) -> Finding:
    flat = sorted({fact.type for fact in evidence.layers if fact.type in mending.SATURATING})
    each = ratio ** (1 / (len(seen) - 1))
    reason = _flat_reason(evidence, flat, each) if flat else arithmetic.law()
    recipe, last = evidence.recipe, seen[-1].at.gradient or 0.0
    changes = (mending.rectified(recipe), mending.normalised(recipe), mending.started(recipe))
    return Finding(
        cause="vanishing-gradients",
        confidence=0.7 if evidence.step < YOUNG else 0.95,
        effect=1.0,
        verdict=f"The gradient of '{seen[0].name}' is {short(ratio)} of that of '{seen[-1].name}': the "
        "first layers do not learn.",
        explanation="\n\n".join((
            "A layer's gradient is the next one's, multiplied by that one's weights and by the slope of the "
            "activation between them. Factors below 1 multiply to nothing over many layers (Hochreiter, "
            "1991).",
            reason,
            f"Measured at the first step: '{seen[-1].name}' has a gradient of norm "
            f"{short(seen[-1].at.gradient or 0)}, '{seen[0].name}' one of "
            f"{short(seen[0].at.gradient or 0)}, {len(seen) - 1} layers further back: {short(each)} for "
            f"each layer. The loss ends at {fixed(went.end, 3)}, guessing has {fixed(went.guess, 3)}.",
        )),
        facts=(
            Fact("first layer's gradient", seen[0].at.gradient or 0.0, short(seen[0].at.gradient or 0.0)),
            Fact("last layer's gradient", seen[-1].at.gradient or 0.0, short(seen[-1].at.gradient or 0.0)),
            Fact("handed on by a layer", each, short(each)),
            went.fact,
        ),
        pictures=(gradient_bars(seen), loss_curve(went, evidence.classes)),
        layers=tuple(stage.name for stage in seen if (stage.at.gradient or 0) < 0.03 * last),
        steps=(1, evidence.step),
        ruled_out=("The learning rate: gradients were measured before any weight had moved.",),
        changes=mending.kept(changes, recipe),
        explains=FOLLOWS if flat else (),
    )  # fmt: skip


def _flat_reason(evidence: Evidence, flat: list[str], each: float) -> str:
    count = sum(fact.type in flat for fact in evidence.layers)
    if flat == ["Sigmoid"]:
        return (
            f"The slope of a sigmoid is at most 1/4. {count} of them make at most (1/4)^{count} = "
            f"{short(0.25**count)} of a gradient, and weights below 1 take more. A ReLU's slope is 1 where "
            "it is on."
        )
    return (
        f"The slope of tanh is 1 at 0 and falls to 0.07 at ±2. Where its {count} activations get large "
        "values, each hands back a small part only. A ReLU's slope is 1 where it is on."
    )
