"""`cnnviz find-rate`: try learning rates in one short training, and suggest one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import orjson
import typer

from cnnviz.cli.commands.train import model_fields, named_recipe
from cnnviz.cli.options import ModelOptions, pairs
from cnnviz.cli.output import table
from cnnviz.cli.progress import Bar

_HELP = (
    "Learning-rate range test (Smith, 2017): one short training at growing rates, and a suggestion. No run "
    "is recorded. Takes the options of `train`."
)
_SHOWN = 24
"""Lines of the table."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("find-rate", help=_HELP)(find_rate)


def find_rate(
    recipe: Annotated[
        str | None, typer.Argument(help="A named recipe, or a file; none for the model's default.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model: a name, or FILE.py:CLASS.")] = None,
    option: ModelOptions = None,
    dataset: Annotated[str | None, typer.Option(help="A data set's name, or a path.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="K=V", help="Any field.")] = None,
    seconds: Annotated[float, typer.Option(min=1, max=3_600, help="What it takes at most.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Try rates, and print losses and the suggestion."""
    from cnnviz import datasets, threads

    threads.share()
    from cnnviz.training import rate_finder

    given = {k: v for k, v in (("model", model), ("dataset", dataset)) if v is not None}
    given |= pairs(settings or [], "batch_size=32") | model_fields(model, option)
    chosen = named_recipe(recipe, given.get("model"), dataset).changed(given)
    with Bar() as bar:
        data = datasets.load(chosen.dataset, progress=bar)
        found = rate_finder.find_rate(chosen, data, bar, seconds)
    if as_json:
        typer.echo(orjson.dumps(asdict(found), option=orjson.OPT_INDENT_2).decode())
        return
    every = max(1, -(-len(found.rates) // _SHOWN))
    lines = [
        (f"{rate:.2e}", f"{loss:.3f}", f"{mean:.3f}")
        for rate, loss, mean in zip(found.rates, found.losses, found.smoothed, strict=True)
    ][::every]
    typer.echo(table(("rate", "loss", "smoothed"), lines, frozenset(("rate", "loss", "smoothed"))))
    typer.echo(f"{found.sentence} ({len(found.rates)} steps, {found.seconds:.1f} s.)")
    if found.suggestion is not None:
        typer.echo(rate_finder.RULE)
