"""`cnnviz models`: every architecture the product knows."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
import typer

from cnnviz import models
from cnnviz.analysis import overview
from cnnviz.cli.output import short, table
from cnnviz.models.spec import choices


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("models", help="List every architecture, with its parameters and multiply-adds.")(list_models)


def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print the list."""
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
