"""All rules asked, and what they say put in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from cnnviz.diagnosis import own_code
from cnnviz.diagnosis.comparisons import Comparison
from cnnviz.diagnosis.evidence.evidence import Evidence
from cnnviz.diagnosis.exclusions import OVER_FITTING, excludes
from cnnviz.diagnosis.finding import Change, Finding, Note
from cnnviz.diagnosis.fixes import checked as checked_changes
from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.outcome import Outcome, judge_outcome
from cnnviz.diagnosis.registry import Inconclusive, Negative, Rule, notes, rules
from cnnviz.diagnosis.registry import Outcome as RuleOutcome
from cnnviz.training.recipe import Recipe

# Consistency of the findings of one diagnosis: no two of them contradict each other.
#
# Rules do not know of each other, so that what one rules out another may find, and what one turns up another
# may turn down. This settles it for all of them alike.

EXCLUSIVE: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (frozenset(("rate-too-high",)), frozenset(("rate-too-low",))),
    (frozenset(("batch-too-small",)), frozenset(("batch-too-large",))),
    (frozenset(("under-fitting",)), frozenset(OVER_FITTING)),
)
"""Causes of which a run can have one side only."""


def consistent(findings: Sequence[Finding], recipe: Recipe) -> tuple[list[Finding], Mapping[str, Finding]]:
    """Make findings, which come in order, agree with each other.

    Returns:
        The findings that stay, without sentences that rule out what is found too, without changes that undo
        what an earlier finding changes, and without two that explain each other; and the finding that stays
        in place of each cause that went.
    """
    kept, gone = _compatible(findings)
    causes = {finding.cause for finding in kept}
    made: list[Finding] = []
    moved: dict[str, set[int]] = {}
    for finding in kept:
        changes = tuple(change for change in finding.changes if not _opposes(change, recipe, moved))
        for change in changes:
            for field, direction in _directions(change, recipe).items():
                moved.setdefault(field, set()).add(direction)
        earlier = {one.cause for one in made if finding.cause in one.explains}
        made.append(
            replace(
                finding,
                changes=changes,
                ruled_out=tuple(one for one in finding.ruled_out if not causes & {*excludes(one)}),
                explains=tuple(cause for cause in finding.explains if cause not in earlier),
            )
        )
    return made, gone


def _compatible(findings: Sequence[Finding]) -> tuple[list[Finding], dict[str, Finding]]:
    """Of two that exclude each other, the more confident stays; of equals, the first."""
    gone: dict[str, Finding] = {}
    for finding in sorted(findings, key=lambda one: -one.confidence):
        against = [
            other
            for other in findings
            if other.cause not in gone and other is not finding and _excludes(finding.cause, other.cause)
        ]
        if finding.cause not in gone:
            gone |= {other.cause: finding for other in against}
    return [finding for finding in findings if finding.cause not in gone], gone


def _excludes(one: str, other: str) -> bool:
    return any((one in a and other in b) or (one in b and other in a) for a, b in EXCLUSIVE)


def _opposes(change: Change, recipe: Recipe, moved: Mapping[str, set[int]]) -> bool:
    moves = _directions(change, recipe)
    return any(-direction in moved.get(field, ()) for field, direction in moves.items())


def _directions(change: Change, recipe: Recipe) -> dict[str, int]:
    """1 for each number of the recipe, or of its model's options, that a change raises, -1 where it falls."""
    old, new = recipe.model_dump(), dict(change.values)
    pairs = {field: (old.get(field), value) for field, value in new.items()}
    if isinstance(options := new.get("options"), Mapping):
        pairs |= {f"options.{name}": (recipe.options.get(name), value) for name, value in options.items()}
    return {
        field: 1 if value > before else -1
        for field, (before, value) in pairs.items()
        if _is_number(before) and _is_number(value) and value != before
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


SURE = 0.5
"""Below this confidence a finding is not told: it is more likely wrong than right."""
CERTAIN_ENOUGH_TO_INTERRUPT = 0.8
"""From here on a hint may turn up beside a run that is going: a false one costs trust."""


@dataclass(frozen=True)
class Checked:
    """What a rule looked for and what came of it."""

    cause: str
    title: str
    outcome: Literal["found", "clear", "not checked"]
    because: str


@dataclass(frozen=True)
class Diagnosis:
    """Findings in order of effect, what follows from another after it; and all that was looked for."""

    run: int | None
    verdict: str
    findings: tuple[Finding, ...]
    checked: tuple[Checked, ...]
    outcome: Outcome
    notes: tuple[Note, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    """What the run was compared with."""
    missing: tuple[str, ...] = ()
    """Of a run that was not judged: what was not recorded, and how it can be had."""
    next_steps: tuple[str, ...] = ()
    """Of a fault without a known cause: what to try next, in this order."""

    def as_json(self) -> dict[str, Any]:
        """What `cnnviz diagnose --json` prints."""
        findings = [_named(finding) for finding in self.findings]
        return {
            "run": self.run,
            "outcome": self.outcome,
            "verdict": self.verdict,
            "findings": findings,
            "notes": [asdict(note) for note in self.notes],
            "comparisons": [asdict(comparison) for comparison in self.comparisons],
            "missing": list(self.missing),
            "next_steps": list(self.next_steps),
            "checked": [asdict(one) for one in self.checked],
        }


def diagnose(evidence: Evidence) -> Diagnosis:
    """Ask every rule."""
    findings, checked = _asked(evidence, rules_for(evidence))
    ordered, gone = consistent(in_order(findings), evidence.recipe)
    checked = [_outweighed(one, gone) for one in checked]
    judged = judge_outcome(evidence, ordered)
    return Diagnosis(
        evidence.run,
        ordered[0].verdict if ordered else _without_findings(judged.outcome, judged.verdict, checked),
        tuple(ordered),
        tuple(checked),
        judged.outcome,
        tuple(filter(None, (remark(evidence) for remark in notes().values()))),
        judged.comparisons,
        judged.missing,
        judged.next_steps,
    )


def _outweighed(one: Checked, gone: Mapping[str, Finding]) -> Checked:
    if one.cause not in gone:
        return one
    because = f"There are signs of it, but more of what excludes it: {gone[one.cause].verdict}"
    return Checked(one.cause, one.title, "not checked", because)


def hint(evidence: Evidence) -> Finding | None:
    """The one thing to say beside a run that is going on, where a rule is sure enough."""
    findings, _ = _asked(evidence, [rule for rule in rules_for(evidence) if rule.live])
    sure = [finding for finding in findings if finding.confidence >= CERTAIN_ENOUGH_TO_INTERRUPT]
    return next(iter(in_order(sure)), None)


def rules_for(evidence: Evidence) -> list[Rule]:
    """The rules for such a run: faults of a loop are looked for where the loop is somebody's own."""
    return [rule for rule in rules().values() if not rule.loop or evidence.loop is not None]


def _judged(rule: Rule, evidence: Evidence) -> RuleOutcome:
    """What a rule says; of a run that is not ours, with fixes in code and what it lacks with its remedy."""
    if evidence.kind == "trained":
        return rule.judge(evidence)
    lacking = own_code.lacks(rule.cause, evidence)
    outcome = rule.judge(evidence) if lacking is None else Inconclusive(lacking)
    if isinstance(outcome, Inconclusive):
        return Inconclusive(own_code.how_to_give(rule.cause, outcome.why))
    return outcome


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """Largest expected effect first; what another one explains comes after all that nothing explains."""
    explained = {cause for finding in findings for cause in finding.explains}
    return sorted(findings, key=lambda one: (one.cause in explained, -one.confidence * one.effect, one.cause))


def _asked(evidence: Evidence, asked: Sequence[Rule]) -> tuple[list[Finding], list[Checked]]:
    findings, checked = [], []
    for rule in asked:
        outcome = _judged(rule, evidence)
        if isinstance(outcome, Finding):
            outcome = replace(outcome, changes=checked_changes(outcome.changes, evidence, rule.moves))
            if evidence.kind != "trained":
                outcome = own_code.for_own_code(outcome)
            if outcome.confidence >= SURE:
                findings.append(outcome)
                checked.append(Checked(rule.cause, rule.title, "found", outcome.verdict))
            else:
                doubt = f"There are signs, but too few to say so ({percent(outcome.confidence)} sure)."
                checked.append(Checked(rule.cause, rule.title, "not checked", doubt))
        elif isinstance(outcome, Negative):
            checked.append(Checked(rule.cause, rule.title, "clear", outcome.by))
        else:
            checked.append(Checked(rule.cause, rule.title, "not checked", outcome.why))
    return _without_hidden(findings, checked)


def _without_hidden(findings: list[Finding], checked: list[Checked]) -> tuple[list[Finding], list[Checked]]:
    """Neither find nor rule out what the signs of another finding hide: that is "not checked"."""
    hiding = {cause: finding for finding in findings for cause in finding.hides}
    return [finding for finding in findings if finding.cause not in hiding], [
        Checked(one.cause, one.title, "not checked", f"Hidden by what was found: {hiding[one.cause].verdict}")
        if one.cause in hiding
        else one
        for one in checked
    ]


def _without_findings(outcome: Outcome, verdict: str, checked: Sequence[Checked]) -> str:
    if outcome != "healthy":
        return verdict
    clear = sum(one.outcome == "clear" for one in checked)
    rest = len(checked) - clear
    missing = f"; {rest} could not be checked with what the run recorded" if rest else ""
    return f"Nothing found: {clear} known causes were looked for and ruled out{missing}. {verdict}"


def _named(finding: Finding) -> dict[str, Any]:
    """The finding as JSON; `evidence` is its numbers and pictures."""
    pictures = [{"kind": type(picture).__name__.lower(), **asdict(picture)} for picture in finding.pictures]
    plain = asdict(finding)
    facts = plain.pop("facts")
    del plain["pictures"]
    return plain | {"evidence": {"facts": facts, "pictures": pictures}}
