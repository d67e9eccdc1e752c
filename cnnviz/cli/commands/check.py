"""`cnnviz check`: static checks of a model's structure, before any training."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
import typer

from cnnviz.analysis import Analysis, analyze
from cnnviz.analysis.checks import Problem, check_analysis, check_layers, checks
from cnnviz.cli import output
from cnnviz.cli.options import MODEL_HELP, pairs, parse_size, resolve_model
from cnnviz.models import ModelSpec
from cnnviz.models.layers import LayerList

ERRORS, WARNINGS = 1, 3
"""Exit codes; 0 means no errors and no warnings, 2 is a usage error."""
_HELP = (
    "Look for faults in a model's structure, before any training: an activation on the outputs, none between "
    "two layers, windows that do not fit, and others. Exit code 0: no error and no warning (there may be "
    "notes); 1: an error, which keeps it from learning as it should; 3: warnings, but no error; 2: the model "
    "cannot be read."
)


def register(app: typer.Typer) -> None:
    """Register the command."""
    app.command("check", help=_HELP)(check)


def check(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help=MODEL_HELP)] = None,
    named: Annotated[str | None, typer.Option("--model", help="The same as MODEL.")] = None,
    classes: Annotated[int | None, typer.Option(help="Number of classes.")] = None,
    size: Annotated[
        str | None, typer.Option("--input-size", metavar="[Cx]H[xW]", help="Input size in pixels.")
    ] = None,
    option: Annotated[list[str] | None, typer.Option(metavar="K=V", help="An option of the model.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the checks, and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print the problems; the most severe one decides the exit code."""
    if listed:
        typer.echo(_all_checks(as_json), nl=False)
        return
    if model is not None and named is not None:
        raise ValueError("One model is checked at a time; give it once, as MODEL or as --model.")
    model = model or named
    if model is None:
        raise ValueError("Give a model; `cnnviz models` lists them, and `cnnviz check --list` the checks.")
    title, problems = _checked(model, classes, parse_size(size), pairs(option or [], "activation=tanh"))
    counts = {
        severity: sum(problem.severity == severity for problem in problems)
        for severity in ("error", "warning")
    }
    if as_json:
        whole = {
            "model": title,
            "checks": len(checks()),
            "problems": [problem.as_json() for problem in problems],
        }
        typer.echo(orjson.dumps(whole, option=orjson.OPT_INDENT_2).decode())
    else:
        typer.echo(_text(title, problems), nl=False)
    if counts["error"]:
        raise typer.Exit(ERRORS)
    if counts["warning"]:
        raise typer.Exit(WARNINGS)


def _checked(
    name: str, classes: int | None, size: Any, options: dict[str, str]
) -> tuple[str, tuple[Problem, ...]]:
    model = resolve_model(name, options)
    if isinstance(model, LayerList):
        if classes is not None:
            model = model.model_copy(update={"classes": classes})
        if model.problem():
            # A layer list that does not fit cannot be analyzed, but its problems can be reported.
            return model.name, check_layers(model)
    analysis: Analysis = analyze(model, size, classes, None if isinstance(model, ModelSpec) else options)
    return analysis.title, check_analysis(analysis)


def _text(title: str, problems: tuple[Problem, ...]) -> str:
    if not problems:
        return f"{title}: nothing found by {len(checks())} checks.\n"
    parts = [f"{title}: {_counts(problems)} by {len(checks())} checks."]
    for problem in problems:
        head = f"{problem.severity}: {problem.title} ({problem.check})"
        lines = [(head, ""), ("", problem.message), ("fix", problem.fix)]
        lines += [("source", problem.reference)] if problem.reference else []
        body = output.definition_list([(f"  {name}", words) for name, words in lines[1:]], output.width())
        parts += [f"{head}\n{body}"]
    return "\n\n".join(parts) + "\n"


def _counts(problems: tuple[Problem, ...]) -> str:
    counted = []
    for severity in ("error", "warning", "note"):
        number = sum(problem.severity == severity for problem in problems)
        counted += [f"{number} {severity}{'' if number == 1 else 's'}"] if number else []
    return ", ".join(counted)


def _all_checks(as_json: bool) -> str:
    rows = [(entry.identifier, entry.title, entry.reference) for entry in checks().values()]
    if as_json:
        keys = ("check", "title", "reference")
        entries = [dict(zip(keys, row, strict=True)) for row in rows]
        return orjson.dumps(entries, option=orjson.OPT_INDENT_2).decode() + "\n"
    return output.wrapped_table(("check", "title", "source"), rows, frozenset(), output.width()) + "\n"
