"""`cnnviz diagnose`: why a run does not learn, with evidence, and what would mend it."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from cnnviz.cli.progress import Bar
from cnnviz.cli.text import notes

if TYPE_CHECKING:
    from cnnviz.diagnosis import Diagnosis, Evidence, Finding

FOUND = 1
"""Exit code where something was found; 0 for a healthy run."""
WIDEST = 100
"""Characters of a line, in a terminal that has as many."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    about = "Why a run does not learn, and what would mend it. Exit code 0: healthy; 1: something was found."
    app.command("diagnose", help=about)(diagnose)


def diagnose(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN", help="A run's number (see `cnnviz runs list`), or a recorded run's name."
        ),
    ] = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Also try the run's checkpoint and data out: seconds.")
    ] = False,
    causes: Annotated[
        bool, typer.Option("--causes", help="List every cause that is looked for, and recorded runs.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print the diagnosis of one run, or what can be diagnosed."""
    if causes == (run is not None):
        raise ValueError("Name one run, as `cnnviz diagnose 3`, or ask for the list with --causes.")
    if run is None:
        _causes(as_json)
        return
    from cnnviz import diagnosis
    from cnnviz.diagnosis.words import nothing_to_judge

    evidence = _evidence(run, probe)
    found = diagnosis.diagnose(evidence)
    if nothing_to_judge(evidence, found):
        error = f" It ended with: {evidence.error}" if evidence.error else ""
        raise ValueError(f"{_name(evidence)} has recorded nothing that it could be judged by.{error}")
    typer.echo(_json(found.as_json()) if as_json else _text(evidence, found))
    if found.findings:
        raise typer.Exit(FOUND)


def _evidence(run: str, probed: bool) -> Evidence:
    from cnnviz import tracking
    from cnnviz.diagnosis import gather, recorded

    if not run.isdigit():
        if probed:
            raise ValueError("A recorded run has no checkpoint here that could be probed.")
        return recorded.recorded(run)
    with tracking.connect() as database:
        if not probed:
            return gather(database, int(run))
        from cnnviz import threads
        from cnnviz.diagnosis import probing

        threads.share()
        with Bar() as bar:
            return probing.probe(database, int(run), progress=bar)


def _causes(as_json: bool) -> None:
    from cnnviz.diagnosis import recorded, rules

    found = rules().values()
    if as_json:
        plain = [
            {"cause": one.cause, "title": one.title, "what": one.summary, "live": one.live} for one in found
        ]
        typer.echo(_json(plain))
        return
    typer.echo(notes([(one.cause, one.summary) for one in found], _width()))
    if recorded.names():
        typer.echo(f"\nRecorded runs: {', '.join(recorded.names())}")


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _name(evidence: Evidence) -> str:
    return evidence.title if evidence.run is None else f"Run {evidence.run}"


def _text(evidence: Evidence, found: Diagnosis) -> str:
    from cnnviz.diagnosis.words import state

    name = evidence.title if evidence.run is None else f"Run {evidence.run}, {evidence.title}"
    parts = [f"{name}: {state(evidence)}", _wrapped(found.verdict)]
    parts += [_finding(number, one, evidence) for number, one in enumerate(found.findings, 1)]
    if evidence.probes:
        from cnnviz.diagnosis.told import told

        parts.append(f"Probes\n{notes(told(evidence.probes), _width())}")
    for outcome, title in (("clear", "Ruled out"), ("not checked", "Could not be checked")):
        rest = [(one.cause, one.because) for one in found.checked if one.outcome == outcome]
        if rest:
            parts.append(f"{title}\n{notes(rest, _width())}")
    return "\n\n".join(parts)


def _finding(number: int, finding: Finding, evidence: Evidence) -> str:
    from cnnviz.diagnosis import rules
    from cnnviz.diagnosis.words import sureness, where

    head = f"{number}. {rules()[finding.cause].title} ({finding.cause}), {sureness(finding.confidence)}"
    lines = [head, *([_wrapped(finding.verdict, "   ")] if number > 1 else [])]
    lines += [f"   {fact.label}: {fact.text}" for fact in finding.facts]
    if where(finding):
        lines.append(f"   where: {where(finding)}")
    lines += ["", *(_wrapped(part, "   ") for part in finding.explanation.split("\n\n"))]
    lines += [_wrapped(f"Not this: {out}", "   ") for out in finding.ruled_out]
    lines += [_change(one.values, one.why) for one in finding.changes]
    return "\n".join(lines)


def _change(values: Mapping[str, Any], why: str) -> str:
    settings = " ".join(f"--set {field}={_typed(value)}" for field, value in values.items())
    return f"   Change: {settings}\n{_wrapped(why, '           ')}"


def _typed(value: Any) -> str:
    if isinstance(value, dict):
        return f"'{orjson.dumps(value).decode()}'"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(" ".join(text.split()), _width(), initial_indent=indent, subsequent_indent=indent)


def _width() -> int:
    return min(WIDEST, shutil.get_terminal_size().columns)
