"""Diagnosis of a run: evidence → findings → a recipe with the fix. Importing this imports no torch.

    evidence = gather(database, run_id)        # what the run recorded, as plain values
    evidence = probe(database, run_id)         # the same, with probes of its checkpoint
    diagnosis = diagnose(evidence)             # all rules applied; findings by descending rank
    diagnosis.findings[0].changes[0].recipe(evidence.recipe)

A rule is a function in `cnnviz.diagnosis.rules`, a probe one in `cnnviz.diagnosis.probes`; both register
themselves.
"""

from cnnviz.diagnosis.comparisons import Comparison
from cnnviz.diagnosis.engine import Checked, Diagnosis, diagnose
from cnnviz.diagnosis.evidence import Evidence, Look, Points
from cnnviz.diagnosis.evidence.from_database import gather
from cnnviz.diagnosis.finding import Bars, Change, Fact, Finding, Images, Lines, Note, Series
from cnnviz.diagnosis.outcome import Outcome
from cnnviz.diagnosis.probes import Probe, probe, probes
from cnnviz.diagnosis.rules import Inconclusive, Negative, Rule, note, notes, rule, rules

__all__ = [
    "Bars",
    "Change",
    "Checked",
    "Comparison",
    "Diagnosis",
    "Evidence",
    "Fact",
    "Finding",
    "Images",
    "Inconclusive",
    "Lines",
    "Look",
    "Negative",
    "Note",
    "Outcome",
    "Points",
    "Probe",
    "Rule",
    "Series",
    "diagnose",
    "gather",
    "note",
    "notes",
    "probe",
    "probes",
    "rule",
    "rules",
]
