"""`cnnviz models`, `summary` and `check`: architectures, layer tables, differences, and static checks."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
import typer

from cnnviz import models
from cnnviz.analysis import Analysis, analyze, diff, export, overview
from cnnviz.analysis.checks import Problem, check_analysis, check_layers, checks
from cnnviz.analysis.types import MIB
from cnnviz.cli import output
from cnnviz.cli.options import MODEL_HELP, pairs, parse_size, problem_lines, resolve_model
from cnnviz.cli.output import short, table
from cnnviz.formats import csv_text
from cnnviz.models import ModelSpec
from cnnviz.models.layers import LayerList
from cnnviz.models.spec import choices
from cnnviz.sentences import percent

_RIGHT = frozenset(("parameters", "trainable", "multiply-adds", "element-wise", "MiB"))


def register(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("models", help="List every architecture, with its parameters and multiply-adds.")(list_models)
    app.command("summary", help="The layer table of a model; with two models, their difference.")(summary)
    app.command("check", help=_CHECK_HELP)(check)


def summary(
    model: Annotated[list[str] | None, typer.Argument(metavar="MODEL [OTHER]", help=MODEL_HELP)] = None,
    named: Annotated[list[str] | None, typer.Option("--model", help="The same as MODEL.")] = None,
    classes: Annotated[int | None, typer.Option(help="Number of classes.")] = None,
    input_size: Annotated[str | None, typer.Option(metavar="[Cx]H[xW]", help="Input size in pixels.")] = None,
    batch: Annotated[int, typer.Option(help="Images at once, for the memory.")] = 1,
    option: Annotated[list[str] | None, typer.Option(metavar="K=V", help="An option of the model.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="As a Markdown table.")] = False,
    as_torchinfo: Annotated[
        bool, typer.Option("--torchinfo", help="As torchinfo prints it, and where that differs.")
    ] = False,
) -> None:
    """Print the layer table of a model, or the difference of two."""
    chosen = [*(model or []), *(named or [])]
    if not 1 <= len(chosen) <= 2:
        raise ValueError("Give one model, or two for their difference; `cnnviz models` lists them.")
    if as_json + as_csv + as_markdown + as_torchinfo > 1:
        raise ValueError("Choose one of --json, --csv, --markdown and --torchinfo.")
    if as_torchinfo and len(chosen) > 1:
        raise ValueError("--torchinfo prints one model; two are compared without it.")
    if batch < 1:
        raise ValueError(f"A batch holds at least one image, not {batch}.")
    size, options = parse_size(input_size), pairs(option or [], "activation=tanh")
    if as_torchinfo:
        typer.echo(_torchinfo(chosen[0], size, classes, options, batch), nl=False)
        return
    analyses = [_analyzed(name, size, classes, options) for name in chosen]
    form = "json" if as_json else "csv" if as_csv else "markdown" if as_markdown else "text"
    typer.echo(
        _analysis_text(analyses[0], batch, form, chosen[0])
        if len(analyses) == 1
        else _difference_text(analyses[0], analyses[1], form),
        nl=False,
    )


def _analyzed(name: str, size: Any, classes: int | None, options: dict[str, str]) -> Analysis:
    """Analyze a model argument; the options of a user's own network are applied when it is resolved."""
    model = resolve_model(name, options)
    return analyze(model, size, classes, None if isinstance(model, ModelSpec) else options)


def _torchinfo(name: str, size: Any, classes: int | None, options: dict[str, str], batch: int) -> str:
    """Return torchinfo's table, followed by the reasons why it differs from ours."""
    from cnnviz.analysis.export import torchinfo_table

    model = resolve_model(name, options)
    given = None if isinstance(model, ModelSpec) else options
    table_of_theirs = torchinfo_table(model, analyze(model, size, classes, given), given, batch)
    return "\n".join([table_of_theirs.text, "", *table_of_theirs.differences]) + "\n"


def _analysis_text(analysis: Analysis, batch: int, form: str, name: str) -> str:
    if form == "json":
        return orjson.dumps(export.to_json(analysis, batch), option=orjson.OPT_INDENT_2).decode() + "\n"
    if form == "csv":
        return export.to_csv(analysis, batch)
    if form == "markdown":
        return export.to_markdown(analysis, batch)
    lines = export.to_table(analysis, batch)
    return f"{table(export.COLUMNS, lines, _RIGHT)}\n\n{_headline(analysis, batch, name)}\n"


def _headline(analysis: Analysis, batch: int, name: str) -> str:
    total = max(analysis.total_params, 1)
    kinds = {
        "convolutional": analysis.conv_params,
        "fully connected": analysis.fc_params,
        "normalization": analysis.norm_params,
        "other": analysis.other_params,
    }
    if recurrent := analysis.params_of("recurrent"):
        kinds |= {"recurrent": recurrent, "other": analysis.other_params - recurrent}
    parameters = f"{analysis.total_params:,} parameters ({analysis.trainable_params:,} trainable)"
    stored, written = analysis.parameter_bytes / MIB, analysis.training_bytes(batch) / MIB
    lines = [
        f"{analysis.title}: {parameters}, {short(analysis.macs, 'MAC')}",
        f"parameters: {', '.join(f'{percent(count / total, 1)} {kind}' for kind, count in kinds.items())}",
        f"memory at batch {batch}: parameters {stored:.2f} MiB, activations (forward and backward) "
        f"{written:.2f} MiB",
        *analysis.notes,
        *problem_lines(check_analysis(analysis), name),
    ]
    return "\n".join(lines)


def _difference_text(first: Analysis, second: Analysis, form: str) -> str:
    changes = diff(first, second).changes
    if form == "json":
        listed: list[dict[str, Any]] = [
            {"status": c.status, "a": c.a and c.a.name, "b": c.b and c.b.name, "details": list(c.details)}
            for c in changes
        ]
        totals = {a.model: {"total_params": a.total_params, "macs": a.macs} for a in (first, second)}
        return orjson.dumps({"models": totals, "changes": listed}, option=orjson.OPT_INDENT_2).decode() + "\n"
    head = ("change", first.title, second.title, "what", "parameters", "multiply-adds")
    lines: list[tuple[str, ...]] = [
        (
            c.status,
            f"{c.a.name} {export.by_size(c.a.output_shape)}" if c.a else "",
            f"{c.b.name} {export.by_size(c.b.output_shape)}" if c.b else "",
            "; ".join(c.details),
            _change(c.a.params if c.a else 0, c.b.params if c.b else 0),
            _change(c.a.macs if c.a else 0, c.b.macs if c.b else 0),
        )
        for c in changes
    ]
    totals_line = (
        "total", first.title, second.title, "",
        _change(first.total_params, second.total_params), _change(first.macs, second.macs),
    )  # fmt: skip
    lines.append(totals_line)
    if form == "csv":
        return csv_text(head, lines)
    if form == "markdown":
        return export.markdown_text(head, lines, _RIGHT)
    return table(head, lines, _RIGHT) + "\n"


def _change(before: int, after: int) -> str:
    return f"{after - before:+,}" if after != before else "0"


# `cnnviz models`: every registered architecture.


def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print the models."""
    entries = [_entry(spec) for spec in models.specs().values()]
    if as_json:
        typer.echo(orjson.dumps(entries, option=orjson.OPT_INDENT_2).decode())
        return
    lines = [
        (
            e["name"],
            e["title"],
            str(e["year"] or ""),
            "×".join(map(str, e["input_shape"])),
            e["classes"],
            *_costs(e),
        )
        for e in entries
    ]
    head = ("name", "title", "year", "input", "classes", "parameters", "multiply-adds")
    typer.echo(table(head, lines, right=frozenset(("classes", "parameters", "multiply-adds"))))


def _costs(entry: dict[str, Any]) -> tuple[str, str]:
    params, macs = entry["params"], entry["macs"]
    return "" if params is None else short(params), "" if macs is None else short(macs)


def _entry(spec: models.ModelSpec) -> dict[str, Any]:
    known = {line.name: line for line in overview()}.get(spec.name)
    return {
        "name": spec.name,
        "title": spec.title,
        "family": spec.family,
        "year": spec.year,
        "source": spec.source,
        "summary": spec.summary,
        "paper": spec.paper,
        "input_shape": list(spec.input_shape),
        "classes": spec.classes,
        "options": {
            name: {"default": info.default, "accepts": list(choices(info)), "what": info.description}
            for name, info in spec.options.model_fields.items()
        },
        "params": known.params if known else None,
        "macs": known.macs if known else None,
    }


# Static checks of a model's structure, before any training.

ERRORS, WARNINGS = 1, 3
"""Exit codes; 0 means no errors and no warnings, 2 is a usage error."""
_CHECK_HELP = (
    "Look for faults in a model's structure, before any training: an activation on the outputs, none between "
    "two layers, windows that do not fit, and others. Exit code 0: no error and no warning (there may be "
    "notes); 1: an error, which keeps it from learning as it should; 3: warnings, but no error; 2: the model "
    "cannot be read."
)


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
