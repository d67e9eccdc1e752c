"""A diagnosis as one HTML file that opens without a network. Everything that anybody named is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from cnnviz import __version__
from cnnviz.diagnosis import Bars, Change, Diagnosis, Evidence, Finding, Images, rules
from cnnviz.diagnosis.finding import Picture
from cnnviz.diagnosis.words import COMPARISONS, MARKS, OUTCOMES, SIGNS, state, sureness, where
from cnnviz.figures.evidence.strip import strip
from cnnviz.figures.evidence.svg import bars_svg, lines_svg
from cnnviz.figures.palette import OUTCOME_COLORS
from cnnviz.figures.report.page import CSS, POLICY
from cnnviz.training.differing import value_text

OWN_CSS = Path(__file__).with_name("report.css")
CHECKED = {"clear": "Ruled out", "not checked": "Could not be checked"}


def html_report(evidence: Evidence, found: Diagnosis) -> str:
    """A whole HTML document: verdict, findings with pictures and changes, and all that was ruled out."""
    name = evidence.title if evidence.run is None else f"Run {evidence.run}, {evidence.title}"
    body = "".join(
        (
            f'<h1>{escape(name)}</h1><p class="about">{escape(state(evidence))}</p>',
            f'<p class="outcome {found.outcome}">{escape(_outcome(found))}</p>',
            f'<p class="verdict {found.outcome}">{escape(found.verdict)}</p>',
            f'<p class="error">It ended with: {escape(evidence.error)}</p>' if evidence.error else "",
            *(_finding(number, one, evidence) for number, one in enumerate(found.findings, 1)),
            _listed("What is missing", found.missing, "ul"),
            _listed("What to try next, in this order", found.next_steps, "ol"),
            _listed("Notes", [one.text for one in found.notes], "ul"),
            _compared(found),
            _checked(found),
            f"<details><summary>Recipe</summary><pre>{escape(evidence.recipe.write())}</pre></details>",
        )
    )
    styles = CSS.read_text(encoding="utf-8") + OWN_CSS.read_text(encoding="utf-8")
    styles += "".join(f".{name} {{ --outcome: {hue.css}; }}" for name, hue in OUTCOME_COLORS.items())
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>Diagnosis: {escape(name)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><style>{styles}</style></head>'
        f"<body><main>{body}<footer>Written by cnnviz {escape(__version__)}.</footer></main></body></html>\n"
    )


def _finding(number: int, finding: Finding, evidence: Evidence) -> str:
    place = where(finding)
    about = " · ".join([sureness(finding.confidence), *([place] if place else [])])
    facts = "".join(
        f"<div><b>{escape(fact.text)}</b><span>{escape(fact.label)}</span></div>" for fact in finding.facts
    )
    told = "".join(f"<p>{escape(part)}</p>" for part in finding.explanation.split("\n\n"))
    out = "".join(f"<li>{escape(one)}</li>" for one in finding.ruled_out)
    return "".join(
        (
            f'<h2>{number} · {escape(rules()[finding.cause].title)}</h2><p class="about">{escape(about)}</p>',
            f"<p><b>{escape(finding.verdict)}</b></p>" if number > 1 else "",
            f'<div class="figures">{facts}</div>' if facts else "",
            f'<div class="charts">{"".join(map(_picture, finding.pictures))}</div>',
            told,
            f"<p>What else it could have been, and why not:</p><ul>{out}</ul>" if out else "",
            *(_change(one, evidence) for one in finding.changes),
        )
    )


def _picture(picture: Picture) -> str:
    if isinstance(picture, Images):
        return f"<figure><figcaption>{escape(picture.title)}</figcaption>{strip(picture)}</figure>"
    return bars_svg(picture) if isinstance(picture, Bars) else lines_svg(picture)


def _change(change: Change, evidence: Evidence) -> str:
    try:
        differs = evidence.recipe.difference(change.recipe(evidence.recipe)).items()
    except ValueError:
        return ""
    settings = "".join(
        f"<li>{escape(field)}: {escape(value_text(ours))} → <b>{escape(value_text(theirs))}</b></li>"
        for field, (ours, theirs) in differs
    )
    return f'<div class="change"><b>What would mend it.</b> {escape(change.why)}<ul>{settings}</ul></div>'


def _outcome(found: Diagnosis) -> str:
    return f"{MARKS[found.outcome]} {OUTCOMES[found.outcome]}"


def _listed(title: str, sentences: Sequence[str], tag: str) -> str:
    lines = "".join(f"<li>{escape(one)}</li>" for one in sentences)
    return f"<h2>{title}</h2><{tag}>{lines}</{tag}>" if lines else ""


def _compared(found: Diagnosis) -> str:
    rows = "".join(
        f"<tr><td>{SIGNS[one.passed]} {COMPARISONS[one.name]}</td><td>{escape(one.text)}</td></tr>"
        for one in found.comparisons
    )
    table = f'<div class="wide"><table><tbody>{rows}</tbody></table></div>'
    return f"<h2>What it was compared with</h2>{table}" if rows else ""


def _checked(found: Diagnosis) -> str:
    parts = []
    for outcome, title in CHECKED.items():
        rows = "".join(
            f"<tr><td>{escape(one.title)}</td><td>{escape(one.because)}</td></tr>"
            for one in found.checked
            if one.outcome == outcome
        )
        if rows:
            parts.append(f'<h2>{title}</h2><div class="wide"><table><tbody>{rows}</tbody></table></div>')
    return "".join(parts)
