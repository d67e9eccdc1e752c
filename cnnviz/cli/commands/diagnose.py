"""`cnnviz diagnose`: diagnose why a run does not learn, with evidence and suggested fixes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from cnnviz.cli.output import Bar, definition_list, width

if TYPE_CHECKING:
    from cnnviz.diagnosis import Change, Diagnosis, Evidence, Finding, Outcome
    from cnnviz.training.recipe import Recipe

EXIT_CODES: dict[Outcome, int] = {"healthy": 0, "cause-found": 1, "unexplained": 3, "not-judged": 4}
"""Exit code by outcome; 2 is a usage error."""
TO_RUN = """To run a change, as {place}:
   cnnviz diagnose {run} --change {place} > fixed.json
   cnnviz train fixed.json"""


def register(app: typer.Typer) -> None:
    """Register the command."""
    about = (
        "Why a run does not learn, and what would fix it. Exit code 0: healthy; 1: a cause was found; "
        "3: not healthy, cause unknown; 4: not judged, too little was recorded; 2: wrong use."
    )
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
    change: Annotated[
        str | None,
        typer.Option(metavar="N.M", help="Print the recipe with that change, for `cnnviz train FILE`."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print the diagnosis of a run, or the list of causes that are checked."""
    if causes == (run is not None):
        raise ValueError("Name one run, as `cnnviz diagnose 3`, or ask for the list with --causes.")
    if run is None:
        _causes(as_json)
        return
    from cnnviz import diagnosis

    evidence = _evidence(run, probe)
    result = diagnosis.diagnose(evidence)
    if change is not None:
        typer.echo(_changed(evidence, result, change).write())
        return
    typer.echo(_json(result.as_json()) if as_json else _text(run, evidence, result))
    if code := EXIT_CODES[result.outcome]:
        raise typer.Exit(code)


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
        from cnnviz.diagnosis.probes import probe

        threads.set_passive_wait()
        with Bar() as bar:
            return probe(database, int(run), progress=bar)


def _causes(as_json: bool) -> None:
    from cnnviz.diagnosis import recorded, rules

    known = rules().values()
    if as_json:
        plain = [
            {"cause": rule.cause, "title": rule.title, "what": rule.summary, "live": rule.live}
            for rule in known
        ]
        typer.echo(_json(plain))
        return
    typer.echo(definition_list([(rule.cause, rule.summary) for rule in known], width()))
    if recorded.names():
        typer.echo(f"\nRecorded runs: {', '.join(recorded.names())}")


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _changed(evidence: Evidence, diagnosis: Diagnosis, number: str) -> Recipe:
    """Return the recipe with the suggested change `number`, such as `1.2`.

    Raises:
        ValueError: No such change is suggested.
    """
    offered = _offered(diagnosis)
    if number not in offered:
        known = f"it can be {', '.join(offered)}" if offered else "nothing is proposed for this run"
        raise ValueError(f"There is no change '{number}'; {known}.")
    from cnnviz.training.queue import UNNAMED

    return offered[number].recipe(evidence.recipe).model_copy(update={"name": UNNAMED, "description": ""})


def _offered(diagnosis: Diagnosis) -> dict[str, Change]:
    """Return every suggested change by the number of its finding and its own, such as `1.2`."""
    return {
        f"{number}.{change_number}": change
        for number, finding in enumerate(diagnosis.findings, 1)
        for change_number, change in enumerate(finding.changes, 1)
    }


def _text(run: str, evidence: Evidence, diagnosis: Diagnosis) -> str:
    from cnnviz.diagnosis.outcome import OUTCOMES, status_text

    name = evidence.title if evidence.run is None else f"Run {evidence.run}, {evidence.title}"
    parts = [
        f"{name}: {status_text(evidence)}",
        _wrapped(f"{OUTCOMES[diagnosis.outcome]}. {diagnosis.verdict}"),
    ]
    parts += [_finding(number, one, evidence, diagnosis) for number, one in enumerate(diagnosis.findings, 1)]
    parts += _listed("What is missing", diagnosis.missing)
    parts += _listed("What to try next, in this order", diagnosis.next_steps, numbered=True)
    parts += _listed("Notes", [note.text for note in diagnosis.notes])
    if offered := _offered(diagnosis):
        parts.append(TO_RUN.format(run=run, place=next(iter(offered))))
    if evidence.probes:
        from cnnviz.diagnosis.outcome import describe_probes

        parts.append(f"Probes\n{definition_list(describe_probes(evidence.probes), width())}")
    if diagnosis.comparisons:
        compared = [(comparison.name, comparison.text) for comparison in diagnosis.comparisons]
        parts.append(f"Compared with\n{definition_list(compared, width())}")
    for outcome, title in (("clear", "Ruled out"), ("not checked", "Could not be checked")):
        entries = [(entry.cause, entry.because) for entry in diagnosis.checked if entry.outcome == outcome]
        if entries:
            parts.append(f"{title}\n{definition_list(entries, width())}")
    return "\n\n".join(parts)


def _listed(title: str, sentences: Sequence[str], *, numbered: bool = False) -> list[str]:
    """Format sentences as a list below a title; empty if there are none."""
    if not sentences:
        return []
    marks = [f"{number}." if numbered else "-" for number in range(1, len(sentences) + 1)]
    lines = [
        textwrap.fill(
            text, width(), initial_indent=f"  {mark} ", subsequent_indent="    " + " " * (len(mark) - 1)
        )
        for mark, text in zip(marks, sentences, strict=True)
    ]
    return ["\n".join([title, *lines])]


def _finding(number: int, finding: Finding, evidence: Evidence, diagnosis: Diagnosis) -> str:
    from cnnviz.diagnosis import rules
    from cnnviz.diagnosis.outcome import sureness, where

    head = f"{number}. {rules()[finding.cause].title} ({finding.cause}), {sureness(finding.confidence)}"
    if root := diagnosis.explained_by(finding):
        head += f"; follows from {diagnosis.findings.index(root) + 1}"
    lines = [head, *([_wrapped(finding.verdict, "   ")] if number > 1 else [])]
    lines += [f"   {fact.label}: {fact.text}" for fact in finding.facts]
    if where(finding):
        lines.append(f"   where: {where(finding)}")
    lines += ["", *(_wrapped(part, "   ") for part in finding.explanation.split("\n\n"))]
    lines += [_wrapped(f"Not this: {out}", "   ") for out in finding.ruled_out]
    if finding.fix is not None:
        lines.append(_wrapped(f"Fix, in your own loop: {finding.fix.text}", "   "))
        lines += [f"      {line}" for line in finding.fix.code.splitlines()]
    lines += [
        _change(f"{number}.{change_number}", change, evidence.recipe)
        for change_number, change in enumerate(finding.changes, 1)
    ]
    return "\n".join(lines)


def _change(number: str, change: Change, old: Recipe) -> str:
    from cnnviz.experiments.experiment import list_changes as changed

    settings = "; ".join(
        f"{field.replace('_', ' ')} {words}" for field, words in changed(old, change.recipe(old))
    )
    return "\n".join([_wrapped(f"Change {number}: {settings}", "   "), _wrapped(change.why, "      ")])


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(" ".join(text.split()), width(), initial_indent=indent, subsequent_indent=indent)
