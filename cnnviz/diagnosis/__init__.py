"""Why a run does not learn: evidence → findings → a recipe that fixes it. Importing this imports no torch.

    evidence = gather(database, run_id)        # what the run recorded, as plain values
    evidence = probe(database, run_id)         # or that and seconds of arithmetic on its checkpoint
    diagnosis = diagnose(evidence)             # every rule asked; findings in order of effect
    diagnosis.findings[0].changes[0].recipe(evidence.recipe)

A rule is one function in `cnnviz.diagnosis.rules`, a probe one in `cnnviz.diagnosis.probes`; both are found
by looking.
"""

from cnnviz.diagnosis.comparisons import Comparison
from cnnviz.diagnosis.engine import Checked, Diagnosis, diagnose
from cnnviz.diagnosis.evidence.evidence import Evidence, Look, Points
from cnnviz.diagnosis.evidence.from_database import gather
from cnnviz.diagnosis.finding import Bars, Change, Fact, Finding, Images, Lines, Note, Series
from cnnviz.diagnosis.outcome import Outcome
from cnnviz.diagnosis.probes.registry import Probe, probe, probes
from cnnviz.diagnosis.registry import Inconclusive, Negative, Rule, note, notes, rule, rules

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
