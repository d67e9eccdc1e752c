"""`cnnviz runs`: list, show, control, export, import and delete runs of the run database."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from cnnviz.cli import foreground
from cnnviz.cli.foreground import reconcile_runs
from cnnviz.cli.output import short, table

if TYPE_CHECKING:
    from cnnviz.tracking import Database, MetricSummary, RunSummary, Status

# `cnnviz runs export`: a run as JSON, CSV, one HTML file, or its weights alone.

_HELP = (
    "A run to keep or hand on: everything (json), its metric rows (csv), a report that opens in any browser "
    "(html), or the model's weights alone (weights, a safetensors file)."
)


class Format(StrEnum):
    """Export formats of a run."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"
    WEIGHTS = "weights"


class Kind(StrEnum):
    """Checkpoint whose weights are exported."""

    LAST = "last"
    BEST = "best"


def register_export(runs: typer.Typer) -> None:
    """Register the command."""
    runs.command("export", help=_HELP)(export)


def export(
    run: Annotated[int, typer.Argument(metavar="RUN", help="The run's number (see `cnnviz runs list`).")],
    wanted: Annotated[Format, typer.Option("--format", help="What it is written as.")] = Format.JSON,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    checkpoint: Annotated[
        Kind, typer.Option(help="Which weights: the last, or the best by validation.")
    ] = Kind.LAST,
    output: Annotated[
        Path | None,
        typer.Option(help="A file instead of the terminal; weights go to a file named by the run."),
    ] = None,
) -> None:
    """Export a run."""
    from cnnviz import tracking

    if as_json and wanted is not Format.JSON:
        raise ValueError(f"Choose one of --json and --format {wanted.value}.")
    with tracking.connect() as database:
        record = tracking.get_run(database, run)
        if wanted is Format.WEIGHTS:
            from cnnviz.inference.export import export_weights, weights_name

            path = output or Path(weights_name(record, checkpoint.value))
            path.write_bytes(export_weights(database, run, checkpoint.value))
            typer.echo(str(path))
            return
        pieces = _pieces(database, run, wanted)
        if output is None:
            # The exact content of the file, whatever the terminal's encoding.
            sys.stdout.flush()
            sys.stdout.buffer.writelines(piece.encode() for piece in pieces)
            return
        with output.open("w", encoding="utf-8", newline="") as file:
            file.writelines(pieces)


def _pieces(database: Database, run: int, form: Format) -> Iterator[str]:
    from cnnviz import tracking

    if form is Format.HTML:
        from cnnviz.figures.report.run import html_report

        return iter([html_report(database, run)])
    return (tracking.to_csv if form is Format.CSV else tracking.to_json)(database, run)


SPEED = "images_per_second"
SHOWN = (*(f"{part}/{what}" for part in ("test", "val", "train") for what in ("loss", "accuracy")), SPEED)
"""Metrics of the list."""
_HEAD = (
    *("id", "name", "status", "model", "dataset", "epoch", "loss", "accuracy", "best", "time"),
    *("images/s", "parameters", "disk", "begun"),
)
_RIGHT = frozenset((*_HEAD[5:-1], "id", "last", "step"))
_Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
_Id = Annotated[int, typer.Argument(metavar="RUN", help="The run's number (see `cnnviz runs list`).")]
_Ids = Annotated[list[int], typer.Argument(metavar="RUN…", help="Numbers of runs.")]

_RECOVER = (
    "Set a damaged run database aside and begin a new one from the runs' folders: recipes, checkpoints, the "
    "last and best values of metrics. Runs that have a folder and no row are added; nothing else is changed."
)


_IMPORT = (
    "Import the history of a run that was trained elsewhere, from CSV: as Lightning's or Keras's CSVLogger "
    "writes it, or with columns such as step, loss, accuracy, val_loss; or the scalars of TensorBoard's "
    "event file or folder. It is shown, compared and diagnosed by its curves."
)


def import_run(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A CSV file, or TensorBoard's event file or folder.")
    ],
    name: Annotated[str, typer.Option(help="What the run is called; the file's name by default.")] = "",
    model: Annotated[str, typer.Option(help="What the network is called.")] = "",
    classes: Annotated[
        int | None, typer.Option(help="How many classes there were; a diagnosis needs to know.")
    ] = None,
    held_out: Annotated[
        int | None, typer.Option(help="How many images validation or test accuracies were measured on.")
    ] = None,
    steps_per_epoch: Annotated[
        int | None, typer.Option(help="Optimizer steps per epoch, for a file that counts epochs alone.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Import a training history and print its curves."""
    from cnnviz import tracking
    from cnnviz.tracking.import_history import import_history

    with tracking.connect() as database:
        made = import_history(
            database, file, name=name, model=model, classes=classes, held_out=held_out,
            steps_per_epoch=steps_per_epoch,
        )  # fmt: skip
    if as_json:
        _print_json({"run": made.run_id, "curves": made.curves, "rows": made.rows, "ignored": made.ignored})
        return
    typer.echo(f"Run {made.run_id}: {made.rows:,} rows, curves {', '.join(made.curves)}.")
    if made.note:
        typer.echo(made.note)
    if made.ignored:
        typer.echo(f"Not known, and left out: {', '.join(made.ignored)}.")
    if classes is None:
        typer.echo("With --classes N it can be diagnosed too.")


_RECORDED = "Recorded runs that ship with cnnviz: what there is, or put the named ones into the list."


def recorded(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]…", help="None: list them.")] = None,
    as_json: _Json = False,
) -> None:
    """List the recorded runs, or add some to the run database."""
    from dataclasses import asdict

    from cnnviz import tracking
    from cnnviz.tracking import recorded_runs

    if names:
        with tracking.connect() as database:
            added = {name: recorded_runs.add(database, name) for name in names}
        if as_json:
            _print_json(added)
        else:
            for name, run_id in added.items():
                typer.echo(f"Run {run_id}: {recorded_runs.describe(name).title}.")
        return
    available = [recorded_runs.describe(name) for name in recorded_runs.names()]
    if as_json:
        _print_json([asdict(run) for run in available])
        return
    rows = [(run.name, run.model, run.data, f"{100 * run.accuracy:.2f} %", run.hardware) for run in available]
    typer.echo(table(("name", "model", "data", "test accuracy", "hardware"), rows))


def register(app: typer.Typer) -> None:
    """Register the commands."""
    runs = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="What was trained, and what trains.")
    runs.command("list", help="Every run, newest first, with its last and best values.")(list_runs)
    runs.command("show", help="One run: its state, metrics, recipe and checkpoint.")(show)
    foreground.register(runs)
    runs.command("delete", help="Delete runs; --undo brings them back, --for-good frees the disk.")(delete)
    runs.command("recover", help=_RECOVER)(recover)
    register_export(runs)
    runs.command("import", help=_IMPORT)(import_run)
    runs.command("recorded", help=_RECORDED)(recorded)
    app.add_typer(runs, name="runs")


def list_runs(
    status: Annotated[
        list[str] | None, typer.Option(help="Only runs in this state; may be repeated.")
    ] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="The deleted ones.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 10_000,
    as_json: _Json = False,
) -> None:
    """Print the runs."""
    from cnnviz import tracking

    statuses = [_status(name) for name in status] if status else None
    with tracking.connect() as database:
        reconcile_runs(database)
        shown = None if as_json else SHOWN
        runs = tracking.list_runs(database, statuses=statuses, deleted=deleted, limit=limit, metrics=shown)
        disk = tracking.checkpoint_bytes(database)
    if as_json:
        _print_json([_entry(run) | {"checkpoint_bytes": disk.get(run.id, 0)} for run in runs])
    elif not runs:
        typer.echo("There are no runs here.")
    else:
        typer.echo(table(_HEAD, [_line(run, disk.get(run.id)) for run in runs], _RIGHT))


def show(run: _Id, as_json: _Json = False) -> None:
    """Print one run."""
    from cnnviz import tracking

    with tracking.connect() as database:
        reconcile_runs(database)
        report = tracking.report(database, run)
    if as_json:
        _print_json(report)
        return
    metrics = report["metrics"]
    lines = [
        (name, _digits(m["last"]), m["step"], _digits(m["best"]), m["best_step"])
        for name, m in metrics.items()
    ]
    recipe = orjson.dumps(report["recipe"], option=orjson.OPT_INDENT_2).decode()
    typer.echo(f"{report['name']}: run {report['id']}, {report['status']}, attempt {report['attempt']}")
    for label, value in _facts(report):
        typer.echo(f"{label}: {value}")
    if lines:
        typer.echo("\n" + table(("metric", "last", "step", "best", "at step"), lines, _RIGHT | {"at step"}))
    if report["recipe"]:
        typer.echo(f"\nrecipe: {recipe}")


def delete(
    runs: _Ids,
    undo: Annotated[bool, typer.Option("--undo", help="Bring deleted runs back.")] = False,
    for_good: Annotated[bool, typer.Option("--for-good", help="Remove rows and files; no undo.")] = False,
    as_json: _Json = False,
) -> None:
    """Delete runs, or restore them. All numbers are validated before anything is changed."""
    from cnnviz import tracking

    if undo and for_good:
        raise ValueError("Choose one of --undo and --for-good.")
    action = tracking.restore_run if undo else tracking.delete_run
    with tracking.connect() as database:
        for run in runs:
            tracking.get_run(database, run)
        reconcile_runs(database)
        for run in runs:
            action(database, run)
        purged, freed = tracking.purge_runs(database, ids=runs) if for_good else (0, 0)
        if for_good:
            from cnnviz.training.travel import prune_copies

            freed += prune_copies(database)[1]
    if as_json:
        _print_json({"runs": runs, "restored": undo, "purged": purged, "bytes": freed})
        return
    named = ", ".join(map(str, runs))
    if for_good:
        typer.echo(f"Removed {purged} of {len(runs)} for good; {short(freed, 'B')} freed.")
    elif undo:
        typer.echo(f"Brought back run {named}.")
    else:
        typer.echo(f"Deleted run {named}. `cnnviz runs delete {' '.join(map(str, runs))} --undo` undoes it.")


def recover(as_json: _Json = False) -> None:
    """Rebuild the run database from the runs' folders, and print the result."""
    from cnnviz.training.recover import recover as from_folders

    folders = from_folders()
    if as_json:
        aside = None if folders.set_aside is None else str(folders.set_aside)
        _print_json({"set_aside": aside, "runs": folders.runs, "skipped": folders.skipped})
        return
    if folders.set_aside is not None:
        typer.echo(f"The damaged database is kept as {folders.set_aside}; a new one was begun.")
    count = len(folders.runs)
    named = f": {', '.join(map(str, folders.runs))}" if count else ""
    typer.echo(f"{count} run{'' if count == 1 else 's'} recovered from the runs' folders{named}.")
    for sentence in folders.skipped:
        typer.echo(f"Left out: {sentence}")


def _status(name: str) -> Status:
    from cnnviz.tracking import Status

    if name not in set(Status):
        raise ValueError(f"A run is {', '.join(Status)}, not {name!r}.")
    return Status(name)


def _print_json(value: Any) -> None:
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def _entry(run: RunSummary) -> dict[str, Any]:
    """Return a run of the list as JSON; `metrics` as in `runs show`."""
    plain = (
        "id",
        "name",
        "model",
        "dataset",
        "seed",
        "device",
        "host",
        "params",
        "step",
        "epoch",
        "total_epochs",
    )
    return {
        **{name: getattr(run, name) for name in plain},
        "status": run.status.value,
        "metrics": {
            name: {"last": m.last, "best": m.best, "step": m.last_step, "best_step": m.best_step}
            for name, m in run.metrics.items()
        },
        "seconds": run.seconds if run.timed else None,
        "created": run.created,
        "error": run.error,
        "notes": run.notes,
        "tags": run.tags,
    }


def _line(run: RunSummary, disk: int | None) -> tuple[str, ...]:
    of = f"/{run.total_epochs:g}" if run.total_epochs else ""
    epochs = f"{run.epoch:.3g}{of}" if run.counts_epochs else ""
    loss, accuracy, speed = _measured(run, "loss"), _measured(run, "accuracy"), run.metrics.get(SPEED)
    return (
        str(run.id), run.name, run.status.value, run.model, run.data, epochs,
        "" if loss is None else _digits(loss.last), "" if accuracy is None else _digits(accuracy.last),
        "" if accuracy is None else _digits(accuracy.best), _duration(run.seconds) if run.timed else "",
        "" if speed is None else _digits(speed.last), "" if run.params is None else f"{run.params:,}",
        short(disk, "B") if disk else "", _moment(run.began),
    )  # fmt: skip


def _measured(run: RunSummary, what: str) -> MetricSummary | None:
    """Return a metric of the test set, else of the validation set, else of the training set."""
    return next((m for part in ("test", "val", "train") if (m := run.metrics.get(f"{part}/{what}"))), None)


def _facts(report: dict[str, Any]) -> list[tuple[str, str]]:
    imported = report["kind"] == "imported"
    device = " on ".join(filter(None, (report["device"], report["hardware"] or report["host"])))
    facts = [
        ("kind", "an imported history" if imported else ""),
        ("model", report["model"]),
        ("data", report["dataset"]),
        ("seed", str(report["seed"]) if report["recipe"].get("seed") is not None else ""),
        ("device", "" if imported else device),
        ("parameters", "" if report["params"] is None else f"{report['params']:,}"),
        ("progress", f"step {report['step']:,}, epoch {report['epoch']:.3g}"),
        ("time", "" if report["seconds"] is None else _duration(report["seconds"])),
        ("checkpoint", report["checkpoint"] or "none"),
        ("disk", short(report["disk_bytes"], "B")),
        ("tags", ", ".join(report["tags"])),
        ("notes", report["notes"]),
        ("error", report["error"] or ""),
    ]
    return [(label, value) for label, value in facts if value]


def _digits(value: float | None) -> str:
    return "NaN" if value is None else f"{value:.4g}"


def _duration(seconds: float) -> str:
    minutes, seconds_left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds_left:02}" if hours else f"{minutes}:{seconds_left:02}"


def _moment(when: float | None) -> str:
    return "" if when is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(when))
