"""`cnnviz recipes`: the named recipes."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer

from cnnviz.cli.output import table
from cnnviz.training import Recipe, all_recipes, get


def register(app: typer.Typer) -> None:
    """Add the commands."""
    recipes = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List and show recipes.")
    recipes.command("list", help="Every named recipe.")(list_recipes)
    recipes.command("show", help="One recipe as a file that can be changed and run.")(show)
    app.add_typer(recipes, name="recipes")


def list_recipes(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Print the list."""
    recipes = all_recipes().values()
    if as_json:
        typer.echo(
            orjson.dumps([r.model_dump(mode="json") for r in recipes], option=orjson.OPT_INDENT_2).decode()
        )
        return
    lines = [(r.name, r.model, r.dataset, r.epochs, r.description) for r in recipes]
    typer.echo(table(("name", "model", "dataset", "epochs", "what it is"), lines, frozenset(("epochs",))))


def show(
    name: Annotated[str, typer.Argument(help="A name (see `cnnviz recipes list`).")],
    as_json: Annotated[bool, typer.Option("--json", help="With every default written out.")] = False,
) -> None:
    """Print one recipe."""
    recipe: Recipe = get(name)
    if as_json:
        typer.echo(orjson.dumps(recipe.model_dump(mode="json"), option=orjson.OPT_INDENT_2).decode())
    else:
        typer.echo(recipe.write(), nl=False)
