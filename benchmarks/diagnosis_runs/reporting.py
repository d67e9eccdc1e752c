"""What is printed of a part once it is diagnosed: what is named, what is wrong, what is fixed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import chain

from benchmarks.diagnosis_runs import judging, scoring
from benchmarks.diagnosis_runs.judging import Kept
from benchmarks.diagnosis_runs.scoring import Named, share, with_interval
from cnnviz.diagnosis import diagnose

Judgments = list[tuple[str, Named]]


def names(kept: Kept, probed: bool) -> None:
    """What is named, cause by cause; what is missed; and false comfort."""
    judgments = [(run.planned.name, judging.named(run, evidence)) for run, evidence in kept.evidence(probed)]
    every = [judgment for _, judgment in judgments]
    known = [judgment for judgment in every if not judgment.of_unknown_cause]
    print(f"\nNamed {'with' if probed else 'without'} probes, n = {len(every)} failing runs")
    print(f"  {'cause':28s} {'runs':>4s} {'first':>6s} {'at all':>7s} {'first, but not planted':>23s}")
    for score in scoring.by_cause(every):
        print(
            f"  {score.cause:28s} {score.planted:4d} {score.first:6d} {score.at_all:7d} "
            f"{score.falsely:11d} of {score.others}"
        )
    print(f"  of a cause that a rule is meant to know, n = {len(known)}:")
    print(f"    named first, by its own name: {with_interval(judgment.strictly_first for judgment in known)}")
    print(f"    named first: {with_interval(judgment.first for judgment in known)}")
    print(f"    first or its mechanism: {with_interval(judgment.by_mechanism for judgment in known)}")
    print(f"    every planted cause named: {with_interval(judgment.complete for judgment in known)}")
    pairs = [judgment for judgment in known if len(judgment.planted) == 2]
    print(f"    of two causes both: {share(judgment.complete for judgment in pairs)}")
    unknown = [judgment for judgment in every if judgment.of_unknown_cause]
    unexplained = with_interval(judgment.strictly_first for judgment in unknown)
    print(f"  of no known cause: unexplained {unexplained}; ", end="")
    print(f"or what comes nearest {share(judgment.by_mechanism for judgment in unknown)}")
    for name, judgment in judgments:
        if not judgment.first:
            mark = "its mechanism" if judgment.by_mechanism else "missed"
            print(f"    {mark}: {name}: {', '.join(judgment.named) or 'nothing'} ({judgment.outcome})")
    fallen = [(name, _of_healthy(kept, name, run.run, probed)) for name, run in kept.fallen]
    _comfort([*judgments, *fallen], len(fallen))
    healthy = alarms(kept, probed)
    _twins(kept, probed)
    _together([*judgments, *fallen, *healthy])


def alarms(kept: Kept, probed: bool) -> Judgments:
    """What is said of healthy runs, which is printed and returned."""
    judgments = [(name, _of_healthy(kept, name, run.run, probed)) for name, run in kept.healthy]
    if judgments:
        wrong = with_interval(bool(judgment.named) for _, judgment in judgments)
        print(f"  wrong statements on healthy runs: {wrong}")
        outcomes = Counter(judgment.outcome for _, judgment in judgments)
        print("  outcomes of healthy runs:", ", ".join(f"{key} {count}" for key, count in outcomes.items()))
    for name, judgment in judgments:
        if judgment.named or judgment.outcome != "healthy":
            print(f"    {name}: {', '.join(judgment.named) or 'nothing'} ({judgment.outcome})")
    return judgments


def _twins(kept: Kept, probed: bool) -> None:
    """What is said of twins that have learned; some have few images, much dropout or few steps on purpose."""
    every = {run.planned.twin_name: run.twin for run in kept.runs if run.twin.accuracy >= scoring.LEARNT}
    judgments = [(name, _of_healthy(kept, name, twin.run, probed)) for name, twin in every.items()]
    named = share(bool(judgment.named) for _, judgment in judgments)
    print(f"  something is said of twins, some lean on purpose: {named}")
    for name, judgment in judgments:
        if judgment.named or judgment.outcome != "healthy":
            causes = ", ".join(judgment.named) or "nothing"
            print(f"    {name} {every[name].accuracy:.1%}: {causes} ({judgment.outcome})")


def _of_healthy(kept: Kept, name: str, run: int, probed: bool) -> Named:
    return judging.of_healthy(kept.trainer.evidence(name, run, probed))


def _comfort(judgments: Judgments, fallen: int) -> None:
    """Runs below 90 % of what a healthy one reaches that are called healthy."""
    print(
        f"  false comfort: {with_interval(judgment.comforts for _, judgment in judgments)}; "
        f"{fallen} of them were meant to be healthy and ended badly"
    )
    for name, judgment in judgments:
        if judgment.comforts:
            print(f"    called healthy: {name}")


def _together(judgments: Judgments) -> None:
    """Diagnoses in which two statements cannot both be true."""
    clashing = [bool(judgment.contradictions) for _, judgment in judgments]
    print(f"  diagnoses that contradict themselves: {with_interval(clashing)}")
    for name, judgment in judgments:
        for sentence in judgment.contradictions:
            print(f"    {name}: {sentence}")


def fixed(kept: Kept, most: int | None) -> None:
    """How often the first change of the first finding is enough, on at most so many runs, evenly chosen."""
    curable = [pair for pair in kept.evidence(False) if pair[0].planned.plant.mendable]
    rest = sum(run.fails for run in kept.runs) - len(curable)
    reached: dict[str, list[bool]] = {}
    print("\nFixed by the first change of the first finding")
    for run, evidence in scoring.spread(curable, most):
        after = judging.mend(kept.trainer, run.planned.name, evidence, diagnose(evidence))
        enough = after is not None and scoring.mended(after.accuracy, run.twin.accuracy)
        reached.setdefault("+".join(run.planned.plant.causes), []).append(enough)
        if not enough:
            what = "no change is proposed" if after is None else f"{after.accuracy:.1%}"
            print(f"    not: {run.planned.name}: {what} (twin {run.twin.accuracy:.1%})", flush=True)
    for causes, those in sorted(reached.items()):
        print(f"  {causes:40s} {share(those)}")
    print(f"  {with_interval(_all(reached.values()))}", end="; ")
    print(f"{rest} more are wrong data or code, or two faults, which no first change mends, and do not count")


def _all(lists: Iterable[list[bool]]) -> list[bool]:
    return list(chain.from_iterable(lists))
