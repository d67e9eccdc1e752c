"""HTML report of a diagnosis: one self-contained file. Every string that a user supplied is escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path

from cnnviz import __version__
from cnnviz.diagnosis import Bars, Change, Diagnosis, Evidence, Finding, Images, Lines, rules
from cnnviz.diagnosis.finding import Picture
from cnnviz.diagnosis.outcome import (
    COMPARISONS,
    MARKS,
    OUTCOMES,
    SIGNS,
    status_text,
    sureness,
    where,
)
from cnnviz.figures.architecture import shortened
from cnnviz.figures.finding import alt, hues, images_html
from cnnviz.figures.plotly_theme import OUTCOME_COLORS, Color
from cnnviz.figures.report import BOTTOM, CSS, HEIGHT, LEFT, POLICY, RIGHT, TOP, WIDTH, ticks
from cnnviz.training.recipe import value_text

# Curves and bars of a finding as inline SVG.

MAX_LABELS = 12
FAINT = 0.35
Value = float | None


@dataclass(frozen=True)
class VerticalAxis:
    """Vertical axis: ticks from bottom to top, as base-10 logarithms on a logarithmic axis."""

    marks: Sequence[float]
    logarithmic: bool
    percent: bool

    def to_y(self, value: Value) -> float | None:
        """Return a value's y in pixels from the top; None if it cannot be drawn on this axis."""
        if value is None or not math.isfinite(value) or (self.logarithmic and value <= 0):
            return None
        return self.tick_y(math.log10(value) if self.logarithmic else value)

    def tick_y(self, height: float) -> float:
        """Return the y of an axis coordinate, such as a tick."""
        share = (height - self.marks[0]) / (self.marks[-1] - self.marks[0])
        return HEIGHT - BOTTOM - min(1.0, max(0.0, share)) * (HEIGHT - TOP - BOTTOM)

    def text(self, mark: float) -> str:
        """Format a tick label."""
        value = 10.0**mark if self.logarithmic else mark
        return f"{round(100 * value, 6):g} %" if self.percent else f"{value:.3g}"


def lines_svg(picture: Lines) -> str:
    """Draw curves as an HTML figure with heading and legend; empty if there is no point."""
    values = [value for series in picture.series for value in series.y]
    up = _vertical_axis(picture, values)
    xs = [x for series in picture.series for x in series.x]
    if up is None or not xs:
        return ""
    across = ticks(min(xs), max(xs))
    colours = hues([series.dashed for series in picture.series])

    def x(value: float) -> float:
        return LEFT + (value - across[0]) / (across[-1] - across[0]) * (WIDTH - LEFT - RIGHT)

    body = _grid(up) + "".join(_under(x(mark), f"{mark:g}") for mark in across)
    for series, colour in zip(picture.series, colours, strict=True):
        body += _path(
            [x(value_x) for value_x in series.x],
            [up.to_y(value) for value in series.y],
            colour,
            series.dashed,
        )
    names = [series.name for series in picture.series]
    return _figure(picture, body + _level(picture, up), _key(names, colours))


def bars_svg(picture: Bars) -> str:
    """Draw bars (points on a logarithmic axis) as an HTML figure with legend; empty if there is no value."""
    up = _vertical_axis(picture, [value for values in picture.values.values() for value in values])
    if up is None:
        return ""
    slot = (WIDTH - LEFT - RIGHT) / len(picture.names)
    colours = hues([False] * len(picture.values))
    every = -(-len(picture.names) // MAX_LABELS)
    body = _grid(up) + "".join(
        _under(LEFT + (index + 0.5) * slot, shortened(name, 10))
        for index, name in enumerate(picture.names)
        if index % every == 0
    )
    for number, (values, colour) in enumerate(zip(picture.values.values(), colours, strict=True)):
        if picture.logarithmic:
            middles = [LEFT + (index + 0.5) * slot for index in range(len(values))]
            body += _path(middles, [up.to_y(value) for value in values], colour, dashed=False, dots=True)
        else:
            body += _columns(picture, values, up, colour, slot, number)
    return _figure(picture, body + _level(picture, up), _key(list(picture.values), colours))


def _columns(
    picture: Bars, values: Sequence[Value], up: VerticalAxis, colour: Color, slot: float, number: int
) -> str:
    width = 0.75 * slot / len(picture.values)
    drawn = []
    for index, (name, value) in enumerate(zip(picture.names, values, strict=True)):
        top, ground = up.to_y(value), up.tick_y(max(0.0, up.marks[0]))
        if top is None:
            continue
        faint = FAINT if picture.marked and name not in picture.marked else 1
        left = LEFT + (index + 0.125) * slot + number * width
        drawn.append(
            f'<rect x="{left:.1f}" y="{min(top, ground):.1f}" width="{width:.1f}" '
            f'height="{abs(ground - top):.1f}" style="fill:{colour.css};opacity:{faint}"/>'
        )
    return "".join(drawn)


def _vertical_axis(picture: Lines | Bars, values: Sequence[Value]) -> VerticalAxis | None:
    """Build the axis that spans all values and the reference; for bars it includes zero."""
    known = _usable(picture, values)
    if not known:
        return None
    known += _usable(picture, [picture.reference[1]] if picture.reference else [])
    if picture.logarithmic:
        low, high = math.floor(math.log10(min(known))), math.ceil(math.log10(max(known)))
        step = max(1, -(-(high - low) // 5))
        marks = [float(mark) for mark in range(low, max(high, low + 1) + step, step)]
    else:
        marks = ticks(min(0.0, *known) if isinstance(picture, Bars) else min(known), max(known))
    return VerticalAxis(marks, picture.logarithmic, picture.percent)


def _usable(picture: Lines | Bars, values: Sequence[Value]) -> list[float]:
    """Return the values that can be drawn on the axis."""
    return [
        value
        for value in values
        if value is not None and math.isfinite(value) and (value > 0 or not picture.logarithmic)
    ]


def _grid(up: VerticalAxis) -> str:
    drawn = []
    for mark in up.marks:
        y = up.tick_y(mark)
        drawn.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        drawn.append(f'<text x="{LEFT - 7}" y="{y + 4:.1f}" class="end">{up.text(mark)}</text>')
    return "".join(drawn)


def _under(x: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" class="mid">{escape(text)}</text>'


def _path(
    xs: Sequence[float], ys: Sequence[float | None], colour: Color, dashed: bool, dots: bool = False
) -> str:
    points = [None if y is None else (x, y) for x, y in zip(xs, ys, strict=True)]
    moves = "".join(
        f"{'L' if before is not None else 'M'}{point[0]:.1f} {point[1]:.1f}"
        for before, point in pairwise([None, *points])
        if point is not None
    )
    marked = dots or len(points) < 30
    circles = "".join(
        f'<circle cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="2.6" style="fill:{colour.css}"/>'
        for point in (points if marked else [])
        if point is not None
    )
    dash = ";stroke-dasharray:7 4" if dashed else ""
    return f'<path class="line" d="{moves}" style="stroke:{colour.css}{dash}"/>{circles}'


def _level(picture: Lines | Bars, up: VerticalAxis) -> str:
    if picture.reference is None:
        return ""
    name, value = picture.reference
    y = up.to_y(value)
    if y is None:
        return ""
    return (
        f'<path class="level" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        f'<text x="{WIDTH - RIGHT}" y="{y - 4:.1f}" class="end">{escape(name)}</text>'
    )


def _key(names: Sequence[str], colours: Sequence[Color]) -> str:
    if len(names) < 2:
        return ""
    return "".join(
        f'<span class="hue"><i style="background:{colour.css}"></i>{escape(name)}</span>'
        for name, colour in zip(names, colours, strict=True)
    )


def _figure(picture: Lines | Bars, body: str, key: str) -> str:
    across = f"{picture.x_label} →" if isinstance(picture, Lines) else ""
    titles = (
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 3}" class="end">{escape(across)}</text>'
        f'<text x="{LEFT}" y="{HEIGHT - 3}">{escape(picture.y_label)}</text>'
    )
    return (
        f'<figure><figcaption>{escape(picture.title)} {key}</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img" aria-label="{escape(alt(picture))}">{body}{titles}</svg></figure>'
    )


OWN_CSS = Path(__file__).with_name("diagnosis.css")
CHECKED = {"clear": "Ruled out", "not checked": "Could not be checked"}


def html_report(evidence: Evidence, diagnosis: Diagnosis) -> str:
    """Build an HTML document: verdict, findings with figures and suggested fixes, causes ruled out."""
    name = evidence.title if evidence.run is None else f"Run {evidence.run}, {evidence.title}"
    body = "".join(
        (
            f'<h1>{escape(name)}</h1><p class="about">{escape(status_text(evidence))}</p>',
            f'<p class="outcome {diagnosis.outcome}">{escape(_outcome(diagnosis))}</p>',
            f'<p class="verdict {diagnosis.outcome}">{escape(diagnosis.verdict)}</p>',
            f'<p class="error">It ended with: {escape(evidence.error)}</p>' if evidence.error else "",
            *(_finding(number, finding, evidence) for number, finding in enumerate(diagnosis.findings, 1)),
            _listed("What is missing", diagnosis.missing, "ul"),
            _listed("What to try next, in this order", diagnosis.next_steps, "ol"),
            _listed("Notes", [note.text for note in diagnosis.notes], "ul"),
            _compared(diagnosis),
            _checked(diagnosis),
            f"<details><summary>Recipe</summary><pre>{escape(evidence.recipe.write())}</pre></details>"
            if evidence.kind == "trained"
            else "",
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
    location = where(finding)
    about = " · ".join([sureness(finding.confidence), *([location] if location else [])])
    facts = "".join(
        f"<div><b>{escape(fact.text)}</b><span>{escape(fact.label)}</span></div>" for fact in finding.facts
    )
    text = "".join(f"<p>{escape(part)}</p>" for part in finding.explanation.split("\n\n"))
    out = "".join(f"<li>{escape(sentence)}</li>" for sentence in finding.ruled_out)
    return "".join(
        (
            f'<h2>{number} · {escape(rules()[finding.cause].title)}</h2><p class="about">{escape(about)}</p>',
            f"<p><b>{escape(finding.verdict)}</b></p>" if number > 1 else "",
            f'<div class="figures">{facts}</div>' if facts else "",
            f'<div class="charts">{"".join(map(_picture, finding.pictures))}</div>',
            text,
            f"<p>What else it could have been, and why not:</p><ul>{out}</ul>" if out else "",
            _fix(finding),
            *(_change(change, evidence) for change in finding.changes),
        )
    )


def _fix(finding: Finding) -> str:
    """Return the suggested change to a user's own training loop, as HTML."""
    if finding.fix is None:
        return ""
    code = f"<pre>{escape(finding.fix.code)}</pre>" if finding.fix.code else ""
    return f'<div class="change"><b>Fix, in your own loop.</b> {escape(finding.fix.text)}{code}</div>'


def _picture(picture: Picture) -> str:
    if isinstance(picture, Images):
        return f"<figure><figcaption>{escape(picture.title)}</figcaption>{images_html(picture)}</figure>"
    return bars_svg(picture) if isinstance(picture, Bars) else lines_svg(picture)


def _change(change: Change, evidence: Evidence) -> str:
    try:
        differs = evidence.recipe.difference(change.recipe(evidence.recipe)).items()
    except ValueError:
        return ""
    settings = "".join(
        f"<li>{escape(field)}: {escape(value_text(old))} → <b>{escape(value_text(new))}</b></li>"
        for field, (old, new) in differs
    )
    return f'<div class="change"><b>What would fix it.</b> {escape(change.why)}<ul>{settings}</ul></div>'


def _outcome(diagnosis: Diagnosis) -> str:
    return f"{MARKS[diagnosis.outcome]} {OUTCOMES[diagnosis.outcome]}"


def _listed(title: str, sentences: Sequence[str], tag: str) -> str:
    lines = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<h2>{title}</h2><{tag}>{lines}</{tag}>" if lines else ""


def _compared(diagnosis: Diagnosis) -> str:
    rows = "".join(
        f"<tr><td>{SIGNS[comparison.passed]} {COMPARISONS[comparison.name]}</td>"
        f"<td>{escape(comparison.text)}</td></tr>"
        for comparison in diagnosis.comparisons
    )
    table = f'<div class="wide"><table><tbody>{rows}</tbody></table></div>'
    return f"<h2>What it was compared with</h2>{table}" if rows else ""


def _checked(diagnosis: Diagnosis) -> str:
    parts = []
    for outcome, title in CHECKED.items():
        rows = "".join(
            f"<tr><td>{escape(check.title)}</td><td>{escape(check.because)}</td></tr>"
            for check in diagnosis.checked
            if check.outcome == outcome
        )
        if rows:
            parts.append(f'<h2>{title}</h2><div class="wide"><table><tbody>{rows}</tbody></table></div>')
    return "".join(parts)
