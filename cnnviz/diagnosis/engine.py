"""Diagnosis engine: applies all rules to the evidence, resolves contradictions and ranks the findings.

A data set can be diagnosed before any training, by the rules that need images alone; that report is computed
once and stored beside the cached images. Importing this imports no torch.
"""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import orjson

from cnnviz.datasets.spec import Progress, Step, silent
from cnnviz.diagnosis import own_code
from cnnviz.diagnosis.comparisons import Comparison
from cnnviz.diagnosis.evidence import Data, DataQuality, Evidence
from cnnviz.diagnosis.exclusions import OVER_FITTING, excludes
from cnnviz.diagnosis.finding import Change, Finding, Note
from cnnviz.diagnosis.fixes import valid_changes
from cnnviz.diagnosis.numbers import percent
from cnnviz.diagnosis.outcome import Outcome, judge_outcome
from cnnviz.diagnosis.rules import Inconclusive, Negative, Rule, notes, rules
from cnnviz.diagnosis.rules import Outcome as RuleOutcome
from cnnviz.training.recipe import Recipe

if TYPE_CHECKING:
    from cnnviz.datasets import Dataset

# Consistency of findings. Rules are independent: one may rule out what another finds, or raise a
# value that another lowers.

EXCLUSIVE: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (frozenset(("rate-too-high",)), frozenset(("rate-too-low",))),
    (frozenset(("batch-too-small",)), frozenset(("batch-too-large",))),
    (frozenset(("under-fitting",)), frozenset(OVER_FITTING)),
)
"""Pairs of sets of causes of which a run can have one side only."""


def resolve_conflicts(
    findings: Sequence[Finding], recipe: Recipe
) -> tuple[list[Finding], Mapping[str, Finding]]:
    """Resolve contradictions between findings, which are given by descending rank.

    Returns:
        The remaining findings, without sentences that rule out another finding, without changes opposed to an
        earlier finding's, and without mutual explanations; and a mapping from each dropped cause to the
        finding that excludes it.
    """
    compatible, excluded = _compatible(findings)
    causes = {finding.cause for finding in compatible}
    resolved: list[Finding] = []
    directions: dict[str, set[int]] = {}
    for finding in compatible:
        changes = tuple(change for change in finding.changes if not _opposes(change, recipe, directions))
        for change in changes:
            for field, direction in _directions(change, recipe).items():
                directions.setdefault(field, set()).add(direction)
        earlier = {previous.cause for previous in resolved if finding.cause in previous.explains}
        resolved.append(
            replace(
                finding,
                changes=changes,
                ruled_out=tuple(
                    previous for previous in finding.ruled_out if not causes & {*excludes(previous)}
                ),
                explains=tuple(cause for cause in finding.explains if cause not in earlier),
            )
        )
    return resolved, excluded


def _compatible(findings: Sequence[Finding]) -> tuple[list[Finding], dict[str, Finding]]:
    """Drop the less confident of two findings that exclude each other; of equals, the later."""
    excluded: dict[str, Finding] = {}
    for finding in sorted(findings, key=lambda candidate: -candidate.confidence):
        against = [
            other
            for other in findings
            if other.cause not in excluded and other is not finding and _excludes(finding.cause, other.cause)
        ]
        if finding.cause not in excluded:
            excluded |= {other.cause: finding for other in against}
    return [finding for finding in findings if finding.cause not in excluded], excluded


def _excludes(first: str, second: str) -> bool:
    return any((first in a and second in b) or (first in b and second in a) for a, b in EXCLUSIVE)


def _opposes(change: Change, recipe: Recipe, directions: Mapping[str, set[int]]) -> bool:
    moves = _directions(change, recipe)
    return any(-direction in directions.get(field, ()) for field, direction in moves.items())


def _directions(change: Change, recipe: Recipe) -> dict[str, int]:
    """Return 1 for each number of recipe or model options that a change raises, −1 where it lowers it."""
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


MIN_CONFIDENCE = 0.5
"""Confidence below which a finding is not reported: it is more likely wrong than right."""
MIN_HINT_CONFIDENCE = 0.8
"""Confidence from which a hint is shown beside a running run: a false alarm costs trust."""


@dataclass(frozen=True)
class Checked:
    """Result of one rule."""

    cause: str
    title: str
    outcome: Literal["found", "clear", "not checked"]
    because: str


@dataclass(frozen=True)
class Diagnosis:
    """Findings by descending rank, those explained by another finding last; and the results of all rules."""

    run: int | None
    verdict: str
    findings: tuple[Finding, ...]
    checked: tuple[Checked, ...]
    outcome: Outcome
    notes: tuple[Note, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    """Comparisons of the run with references."""
    missing: tuple[str, ...] = ()
    """For an inconclusive diagnosis: what was not recorded, and how to obtain it."""
    next_steps: tuple[str, ...] = ()
    """For an unexplained fault: what to try next, in order."""

    def explained_by(self, finding: Finding) -> Finding | None:
        """Return the finding that this one follows from, which is to be fixed first; None for none."""
        return next((other for other in self.findings if finding.cause in other.explains), None)

    def as_json(self) -> dict[str, Any]:
        """Return the output of `cnnviz diagnose --json`."""
        findings = []
        for finding in self.findings:
            root = self.explained_by(finding)
            findings.append(_finding_json(finding) | {"follows_from": root.cause if root else None})
        return {
            "run": self.run,
            "outcome": self.outcome,
            "verdict": self.verdict,
            "findings": findings,
            "notes": [asdict(note) for note in self.notes],
            "comparisons": [asdict(comparison) for comparison in self.comparisons],
            "missing": list(self.missing),
            "next_steps": list(self.next_steps),
            "checked": [asdict(result) for result in self.checked],
        }


def diagnose(evidence: Evidence) -> Diagnosis:
    """Apply all rules to the evidence."""
    failures: list[str] = []
    findings, checked = _apply_rules(evidence, applicable_rules(evidence), failures)
    ordered, excluded = resolve_conflicts(rank_findings(findings), evidence.recipe)
    checked = [_mark_excluded(result, excluded) for result in checked]
    judgment = judge_outcome(evidence, ordered)
    if failures and judgment.outcome == "healthy":
        # A rule that failed has ruled nothing out.
        judgment = replace(judgment, outcome="not-judged", verdict=failures[0], missing=tuple(failures))
    return Diagnosis(
        evidence.run,
        ordered[0].verdict if ordered else _without_findings(judgment.outcome, judgment.verdict, checked),
        tuple(ordered),
        tuple(checked),
        judgment.outcome,
        _remarks(evidence),
        judgment.comparisons,
        judgment.missing,
        judgment.next_steps,
    )


def _mark_excluded(result: Checked, excluded: Mapping[str, Finding]) -> Checked:
    if result.cause not in excluded:
        return result
    because = f"There are signs of it, but more of what excludes it: {excluded[result.cause].verdict}"
    return Checked(result.cause, result.title, "not checked", because)


def hint(evidence: Evidence) -> Finding | None:
    """Return the top finding for a running run, where a rule is confident enough."""
    findings, _ = _apply_rules(evidence, [rule for rule in applicable_rules(evidence) if rule.live], [])
    confident = [finding for finding in findings if finding.confidence >= MIN_HINT_CONFIDENCE]
    return next(iter(rank_findings(confident)), None)


def applicable_rules(evidence: Evidence) -> list[Rule]:
    """Return the applicable rules: those for faults of a training loop only for a watched run."""
    return [rule for rule in rules().values() if not rule.loop or evidence.loop is not None]


def _apply_rule(rule: Rule, evidence: Evidence) -> RuleOutcome:
    """Apply a rule; a finding proposes valid changes only.

    Of a run not trained here, inconclusive results say how to provide what is missing, and fixes are code.
    """
    trained = evidence.kind == "trained"
    lacking = None if trained else own_code.missing_fields(rule.cause, evidence)
    outcome = rule.apply(evidence) if lacking is None else Inconclusive(lacking)
    if isinstance(outcome, Finding):
        outcome = replace(outcome, changes=valid_changes(outcome.changes, evidence, rule.moves))
        return outcome if trained else own_code.with_code_fix(outcome, evidence.framework)
    if isinstance(outcome, Inconclusive) and not trained:
        return Inconclusive(own_code.how_to_provide(rule.cause, outcome.why, evidence))
    return outcome


def _describe_failure(what: str, error: Exception) -> str:
    """Return one sentence on an exception within a rule or note, and warn of it: it is a fault of the rule.

    One rule that meets evidence nobody thought of must not cost the reader all the others.
    """
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(frame.filename)}:{frame.lineno}"
    sentence = f"{what} failed with {type(error).__name__} ({place}: {error}), a fault of cnnviz to report."
    warnings.warn(sentence, RuntimeWarning, stacklevel=2)
    return sentence


def _remarks(evidence: Evidence) -> tuple[Note, ...]:
    remarks = []
    for kind, remark in notes().items():
        try:
            remarks.append(remark(evidence))
        except Exception as error:
            _describe_failure(f"The note '{kind}'", error)
    return tuple(filter(None, remarks))


def rank_findings(findings: Sequence[Finding]) -> list[Finding]:
    """Sort findings by descending rank (confidence · effect), those explained by another finding last."""
    explained = {cause for finding in findings for cause in finding.explains}
    return sorted(
        findings,
        key=lambda finding: (finding.cause in explained, -finding.confidence * finding.effect, finding.cause),
    )


def _apply_rules(
    evidence: Evidence, selected: Sequence[Rule], failures: list[str]
) -> tuple[list[Finding], list[Checked]]:
    """Apply the selected rules; a sentence on each that raised an exception is appended to `failures`."""
    findings, checked = [], []
    for rule in selected:
        try:
            outcome = _apply_rule(rule, evidence)
        except Exception as error:
            failures.append(_describe_failure(f"The check '{rule.title}'", error))
            outcome = Inconclusive(failures[-1])
        if isinstance(outcome, Finding):
            if outcome.confidence >= MIN_CONFIDENCE:
                findings.append(outcome)
                checked.append(Checked(rule.cause, rule.title, "found", outcome.verdict))
            else:
                reason = f"There are signs, but too few to say so ({percent(outcome.confidence)} sure)."
                checked.append(Checked(rule.cause, rule.title, "not checked", reason))
        elif isinstance(outcome, Negative):
            checked.append(Checked(rule.cause, rule.title, "clear", outcome.by))
        else:
            checked.append(Checked(rule.cause, rule.title, "not checked", outcome.why))
    return _drop_hidden(findings, checked)


def _drop_hidden(findings: list[Finding], checked: list[Checked]) -> tuple[list[Finding], list[Checked]]:
    """Report causes whose signs another finding hides as "not checked"."""
    hiding = {cause: finding for finding in findings for cause in finding.hides}
    return [finding for finding in findings if finding.cause not in hiding], [
        Checked(
            result.cause,
            result.title,
            "not checked",
            f"Hidden by what was found: {hiding[result.cause].verdict}",
        )
        if result.cause in hiding
        else result
        for result in checked
    ]


def _without_findings(outcome: Outcome, verdict: str, checked: Sequence[Checked]) -> str:
    if outcome != "healthy":
        return verdict
    clear = sum(result.outcome == "clear" for result in checked)
    unchecked = len(checked) - clear
    missing = f"; {unchecked} could not be checked with what the run recorded" if unchecked else ""
    return f"Nothing found: {clear} known causes were looked for and ruled out{missing}. {verdict}"


def _finding_json(finding: Finding) -> dict[str, Any]:
    """Return the finding as JSON; `evidence` has its facts and pictures."""
    pictures = [{"kind": type(picture).__name__.lower(), **asdict(picture)} for picture in finding.pictures]
    plain = asdict(finding)
    facts = plain.pop("facts")
    del plain["pictures"]
    return plain | {"evidence": {"facts": facts, "pictures": pictures}}


RULES = ("constant-input", "split-mismatch", "classes-missing", "leakage")
"""Causes that need no run."""
FILE = "quality-2.json"
"""Name of the stored report; the number is raised when the rules change what they report for the same data.
"""


@dataclass(frozen=True)
class Problem:
    """A problem of a data set, as reported by a rule."""

    cause: str
    verdict: str
    """One sentence."""
    explanation: str
    """For a student; paragraphs are separated by empty lines."""


@dataclass(frozen=True)
class DataReport:
    """Problems of a data set by descending rank, and the causes that were ruled out."""

    problems: tuple[Problem, ...]
    clear: tuple[str, ...]
    """One sentence for each cause ruled out."""
    unknown: tuple[str, ...] = ()
    """Why the remaining causes could not be checked."""


def data_report(dataset: Dataset, progress: Progress = silent) -> DataReport:
    """Return the report on `dataset`: the stored one, else computed and stored.

    Raises:
        DataError: For damaged images.
    """
    path = dataset.folder / FILE
    try:
        return _read(orjson.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        # Missing or damaged: compute it again.
        report = compute_report(dataset, progress)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(orjson.dumps(asdict(report)))
        temporary.replace(path)
    except OSError:
        # A disk that is full or read-only: the report is computed again next time.
        temporary.unlink(missing_ok=True)
    return report


def _read(stored: dict[str, Any]) -> DataReport:
    problems = tuple(Problem(**problem) for problem in stored["problems"])
    return DataReport(problems, tuple(stored["clear"]), tuple(stored["unknown"]))


def compute_report(dataset: Dataset, progress: Progress = silent) -> DataReport:
    """Compute the report."""
    import torch

    from cnnviz.training.data import DataModule
    from cnnviz.training.data.quality import dataset_report

    progress(Step("looking for images that are all alike or in both parts", 0, None))
    recipe = Recipe(validation=0)
    data_module = DataModule.of(dataset, recipe, dataset.shape[0], torch.device("cpu"))
    classes = len(dataset.classes)
    data = Data(
        classes=dataset.classes,
        counts=tuple(data_module.train.labels.bincount(minlength=classes).tolist()),
        train=len(data_module.train),
        test=len(data_module.test),
        shape=dataset.shape,
    )
    evidence = Evidence(
        recipe=recipe, data=data, quality=DataQuality.model_validate(dataset_report(data_module))
    )
    diagnosis = diagnose(evidence)
    return DataReport(
        problems=tuple(
            Problem(finding.cause, finding.verdict, finding.explanation)
            for finding in diagnosis.findings
            if finding.cause in RULES
        ),
        clear=tuple(
            result.because
            for result in diagnosis.checked
            if result.cause in RULES and result.outcome == "clear"
        ),
        unknown=tuple(
            result.because
            for result in diagnosis.checked
            if result.cause in RULES and result.outcome == "not checked"
        ),
    )
