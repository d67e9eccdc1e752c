"""`cnnviz data`: list, prepare, describe and remove data sets."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from cnnviz import datasets
from cnnviz.cli.options import pairs
from cnnviz.cli.output import Bar, table
from cnnviz.datasets import Dataset, DatasetSpec
from cnnviz.datasets.library import PREFIX
from cnnviz.datasets.summary import summary

_NAME_HELP = "A name (see `cnnviz data list`), the path of your own, or OWNER/NAME at Hugging Face."
_Name = Annotated[str, typer.Argument(metavar="NAME_OR_PATH", help=_NAME_HELP)]
_Choices = Annotated[
    list[str] | None, typer.Option("--option", metavar="K=V", help="A choice the source offers, as size=64.")
]
_AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def register(app: typer.Typer) -> None:
    """Register the commands."""
    data = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    data.command("list", help="List every data set that has a name.")(list_datasets)
    data.command("prepare", help="Download, decode and cache a data set.")(prepare)
    data.command("info", help="What is in a data set.")(info)
    data.command("remove", help="Take a data set of your own out of the list, with its cached copy.")(remove)
    app.add_typer(data, name="data", help="Data sets: list, prepare, info, remove.")


def list_datasets(as_json: _AsJson = False) -> None:
    """Print the data sets."""
    entries = [_entry(spec) for spec in datasets.specs().values()]
    if as_json:
        _print_json(entries)
        return
    lines = [
        (e["name"], e["title"], _by(e["shape"]), len(e["classes"]), e["train"], e["test"], _where(e))
        for e in entries
    ]
    head = ("name", "title", "image", "classes", "train", "test", "comes from")
    typer.echo(table(head, lines, right=frozenset(("classes", "train", "test"))))


def prepare(
    name: _Name,
    option: _Choices = None,
    called: Annotated[
        str | None, typer.Option("--name", help="What your own is called from now on, as mine/NAME.")
    ] = None,
    as_json: _AsJson = False,
) -> None:
    """Prepare a data set and print what it holds.

    One given as a path is registered by a name, for pages too.
    """
    began = time.perf_counter()
    if datasets.is_path(name):
        with Bar() as bar:
            ready = datasets.save_user_dataset(Path(name), called, pairs(option or [], "size=64"), bar)
    elif called is not None:
        raise ValueError(f"Only your own folder, zip or Parquet file can be given a name, not '{name}'.")
    else:
        ready = _load(name, option)
    seconds = time.perf_counter() - began
    if as_json:
        _print_json({**_known(ready), "folder": str(ready.folder), "seconds": round(seconds, 3)})
        return
    typer.echo(f"{_headline(ready)}\nready after {seconds:.2f} s in {ready.folder}")
    if ready.name.startswith(PREFIX):
        typer.echo(f"known as {ready.name}, on every page too")


def remove(name: Annotated[str, typer.Argument(metavar="mine/NAME", help="One of your own.")]) -> None:
    """Remove a user's data set and its cached copy; the files it was made from stay."""
    datasets.forget(name)
    typer.echo(f"{name} is taken out; the files it was made from are as they were.")


def info(name: _Name, option: _Choices = None, as_json: _AsJson = False) -> None:
    """Print facts, problems and class counts.

    A data set that must be downloaded first is not prepared for it.
    """
    spec = datasets.specs().get(name)
    choices = pairs(option or [], "size=64")
    waiting = spec is not None and not spec.offline and datasets.prepared(name, choices) is None
    if spec is not None and waiting:
        _print_waiting(spec, as_json)
        return
    ready = _load(name, option)
    from cnnviz.diagnosis.engine import data_report

    with Bar() as bar:
        facts, quality = summary(ready, bar), data_report(ready, bar)
    statistics = facts.channels
    counts = {"train": facts.train_counts, "test": facts.test_counts}
    if as_json:
        _print_json(
            {
                **({} if spec is None else _entry(spec)),
                **_known(ready),
                "folder": str(ready.folder),
                "prepared": True,
                "class_counts": {part: each.tolist() for part, each in counts.items()},
                "mean": statistics.mean.round(6).tolist(),
                "std": statistics.std.round(6).tolist(),
                "problems": [asdict(problem) for problem in quality.problems],
                "checked": list(quality.clear),
                "not_checked": list(quality.unknown),
            }
        )
        return
    lines = [(c, int(counts["train"][i]), int(counts["test"][i])) for i, c in enumerate(ready.classes)]
    mean, std = (" ".join(f"{value:.4f}" for value in values) for values in statistics)
    described = [] if spec is None else [spec.summary, *_provenance(spec)]
    head = [_headline(ready), *described, f"mean {mean}  spread {std} (training part, values in [0, 1])"]
    head += [f"PROBLEM ({problem.cause}): {problem.verdict}" for problem in quality.problems]
    head += [f"looked at: {sentence}" for sentence in quality.clear]
    typer.echo("\n".join(head) + "\n\n" + table(("class", *_PARTS), lines, frozenset(_PARTS)))


_PARTS = ("train", "test")


def _load(name: str, option: list[str] | None) -> Dataset:
    with Bar() as bar:
        return datasets.load(name, pairs(option or [], "size=64"), bar)


def _print_json(document: Any) -> None:
    typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())


def _print_waiting(spec: DatasetSpec, as_json: bool) -> None:
    if as_json:
        _print_json(_entry(spec))
        return
    sizes = f"{_by(spec.shape)}, {len(spec.classes)} classes, {spec.train:,} to train, {spec.test:,} to test"
    typer.echo(f"{spec.title}: {sizes}\n{spec.summary}\n" + "\n".join(_provenance(spec)))
    typer.echo(
        f"not here yet: `python -m cnnviz data prepare {spec.name}` downloads about "
        f"{spec.download_bytes / 1e6:,.0f} MB."
    )


def _provenance(spec: DatasetSpec) -> list[str]:
    return [text for text in (spec.origin, spec.citation, f"license: {spec.licence}") if text]


def _headline(ready: Dataset) -> str:
    sizes = f"{len(ready.train):,} to train, {len(ready.test):,} to test"
    lines = [f"{ready.title}: {_by(ready.shape)}, {len(ready.classes)} classes, {sizes}", *ready.notes]
    return "\n".join([*lines, f"fingerprint {ready.fingerprint}"])


def _by(shape: Any) -> str:
    return "×".join(map(str, shape))


def _where(entry: dict[str, Any]) -> str:
    if entry["prepared"]:
        return "here"
    return "here, no network" if entry["offline"] else f"download, {entry['download_bytes'] / 1e6:,.0f} MB"


def _known(ready: Dataset) -> dict[str, Any]:
    return {
        "name": ready.name,
        "title": ready.title,
        "shape": list(ready.shape),
        "classes": list(ready.classes),
        "train": len(ready.train),
        "test": len(ready.test),
        "fingerprint": ready.fingerprint,
        "notes": list(ready.notes),
    }


def _entry(spec: DatasetSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "title": spec.title,
        "summary": spec.summary,
        "shape": list(spec.shape),
        "classes": list(spec.classes),
        "train": spec.train,
        "test": spec.test,
        "origin": spec.origin,
        "licence": spec.licence,
        "citation": spec.citation,
        "offline": spec.offline,
        "download_bytes": spec.download_bytes,
        "prepared": datasets.prepared(spec.name) is not None,
        "options": {
            key: {"default": field.default, "what": field.description}
            for key, field in spec.options.model_fields.items()
        },
    }
