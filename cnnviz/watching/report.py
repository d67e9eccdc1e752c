"""Result of `run.diagnose()`: the diagnosis of a watched loop, formatted for a terminal or a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from cnnviz.diagnosis import Diagnosis, Finding, Outcome
from cnnviz.diagnosis.registry import rules
from cnnviz.sentences import percent


@dataclass(frozen=True, repr=False)
class Report:
    """Diagnosis with `outcome`, `verdict` and `findings`, each with `cause`, `confidence` and `fix`."""

    diagnosis: Diagnosis
    probes: tuple[tuple[str, str], ...] = ()
    """Title and result of each probe that was run."""

    @property
    def outcome(self) -> Outcome:
        """`healthy`, `cause-found`, `unexplained` or `not-judged`."""
        return self.diagnosis.outcome

    @property
    def healthy(self) -> bool | None:
        """True or False; None where too little is known."""
        return {"healthy": True, "not-judged": None}.get(self.outcome, False)

    @property
    def verdict(self) -> str:
        """One self-contained sentence."""
        return self.diagnosis.verdict

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings, by descending rank."""
        return self.diagnosis.findings

    @property
    def causes(self) -> tuple[str, ...]:
        """Cause identifiers of the findings."""
        return tuple(finding.cause for finding in self.findings)

    @property
    def missing(self) -> tuple[str, ...]:
        """What is not known, and how to provide it."""
        return self.diagnosis.missing

    def __str__(self) -> str:
        lines = [f"{self.outcome}: {self.verdict}"]
        for number, finding in enumerate(self.findings, 1):
            title = rules()[finding.cause].title
            lines.append(f"{number}. {title} ({finding.cause}, {percent(finding.confidence)} sure)")
            lines.append(f"   {finding.verdict}")
            if finding.fix is not None:
                lines.append(f"   Fix: {finding.fix.text}")
                lines += [f"       {line}" for line in finding.fix.code.splitlines()]
        lines += [f"Check: {title}. {result}" for title, result in self.probes]
        lines += [f"Missing: {item}" for item in self.missing]
        lines += [f"Note: {item.text}" for item in self.diagnosis.notes]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = [f"<p><b>{escape(self.outcome)}</b>: {escape(self.verdict)}</p>"]
        for finding in self.findings:
            title = escape(rules()[finding.cause].title)
            text = (
                f"<h4>{title} <small>{escape(finding.cause)}, {percent(finding.confidence)} sure</small></h4>"
            )
            text += f"<p>{escape(finding.verdict)}</p>"
            if finding.fix is not None:
                text += f"<p><b>Fix:</b> {escape(finding.fix.text)}</p>"
                text += f"<pre>{escape(finding.fix.code)}</pre>" if finding.fix.code else ""
            parts.append(text)
        parts += [f"<p>{escape(title)}: {escape(result)}</p>" for title, result in self.probes]
        parts += [f"<p>Missing: {escape(item)}</p>" for item in self.missing]
        return "".join(parts)
