"""`cnnviz experiment`: run experiments of paired runs, and print their results."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from cnnviz.cli.foreground import NO_SUPERVISOR, train_experiment
from cnnviz.cli.output import table, width, wrapped_table

if TYPE_CHECKING:
    from cnnviz.experiments import Experiment, Result
    from cnnviz.experiments.demos import Demo
    from cnnviz.experiments.presets import Form
    from cnnviz.tracking import Database

STOPPED, INCOMPLETE = 130, 1
"""Exit codes of a stopped experiment and of one with a failed run; 0 if every run finished."""
_Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
_Large = Annotated[bool, typer.Option("--large", help="The form for a GPU, with the articles' data.")]
_RIGHT = frozenset(
    (
        *("n", "test accuracy", "in training", "difference", "parameters", "seconds a run", "runs"),
        *("weights to learn", "buffers"),
    )
)


def register(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Questions put to several runs.")
    group.command("list", help="The ready-made experiments, and those that were started.")(list_experiments)
    group.command("run", help="Run one in the foreground. Ctrl-C stops it; its number goes on with it.")(run)
    group.command("show", help="What one asks, or what came of it.")(show)
    app.add_typer(group, name="experiment")


def list_experiments(as_json: _Json = False) -> None:
    """Print presets, demonstrations and started experiments."""
    from cnnviz import tracking
    from cnnviz.experiments import list_all
    from cnnviz.experiments.demos import list_demos
    from cnnviz.experiments.presets import list_presets
    from cnnviz.experiments.running import progress

    ready, shown = list(list_presets().values()), list(list_demos().values())
    with tracking.connect() as database:
        own = [(stored, progress(database, stored)) for stored in list_all(database)]
    if as_json:
        result = {
            "ready": [
                {"name": r.name, "question": r.small.question, "arms": r.small.names, "asked_by": r.asked_by}
                for r in ready
            ],
            "demonstrations": [{"name": d.name, "question": d.question} for d in shown],
            "started": [
                {"id": s.id, "name": s.experiment.name, "question": s.experiment.question,
                 "done": p.done, "waiting": p.waiting, "broken": p.broken, "total": p.total}
                for s, p in own
            ],
        }  # fmt: skip
        typer.echo(orjson.dumps(result, option=orjson.OPT_INDENT_2).decode())
        return
    lines = [(r.name, len(list(r.small.cells())), r.small.question) for r in ready]
    typer.echo(wrapped_table(("ready-made", "runs", "question"), lines, _RIGHT, width()))
    shown_lines = [(d.name, d.question) for d in shown]
    typer.echo("\n" + wrapped_table(("demonstration", "question"), shown_lines, _RIGHT, width()))
    if own:
        started = [(s.id, s.experiment.name, f"{p.done} of {p.total}", s.experiment.question) for s, p in own]
        head = ("id", "started", "runs", "question")
        typer.echo("\n" + wrapped_table(head, started, frozenset(("id",)), width()))


def run(
    what: Annotated[
        str, typer.Argument(help="A ready-made one's name, a JSON file, or the number of one to go on with.")
    ],
    large: _Large = False,
    seeds: Annotated[int | None, typer.Option(min=1, max=50, help="Seeds of each condition.")] = None,
    queue: Annotated[bool, typer.Option("--queue", help="Only queue the runs, for a supervisor.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Queue many or long runs without asking again.")] = False,
    as_json: _Json = False,
) -> None:
    """Run an experiment and print its result."""
    from cnnviz import experiments, threads, tracking
    from cnnviz.experiments.demos import list_demos
    from cnnviz.experiments.running import save

    if what in list_demos():
        _demonstrate(list_demos()[what], as_json)
        return
    threads.set_passive_wait()
    with tracking.connect() as database:
        if what.isdigit():
            if large or seeds:
                raise ValueError("An experiment goes on as it was begun; give its number alone.")
            number = experiments.get(database, int(what)).id
            if queue:
                missing = experiments.get(database, number)
                _check_amount(database, missing.experiment, len(missing.broken()), yes)
        else:
            chosen = _chosen(what, large, seeds)
            if queue:
                _check_amount(database, chosen, len(list(chosen.cells())), yes)
            number = save(database, chosen)
        if queue:
            runs = experiments.queue(database, number)
            _print_queued(database, number, runs, as_json)
            return
        stopped = train_experiment(database, number)
        result = experiments.result(database, number)
    typer.echo(result.write() if as_json else as_text(result))
    if stopped:
        typer.echo(f"Stopped: `cnnviz experiment run {number}` goes on.", err=True)
        raise typer.Exit(STOPPED)
    if not result.complete:
        raise typer.Exit(INCOMPLETE)


def _check_amount(database: Database, experiment: Experiment, runs: int, yes: bool) -> None:
    """Raise `ValueError` if many or long runs would be queued without --yes, or more than may wait.

    Nothing is written before.
    """
    from cnnviz import tracking
    from cnnviz.experiments.running import expected, needs_confirmation
    from cnnviz.figures.numbers import duration

    tracking.require_queue_capacity(database, runs)
    seconds, _ = expected(database, experiment)
    if seconds is not None:
        seconds *= runs / len(list(experiment.cells()))
    if needs_confirmation(runs, seconds) and not yes:
        long = "" if seconds is None else f", about {duration(seconds)} on this machine"
        raise ValueError(f"This would queue {runs:,} runs{long}; give --yes too to queue them all.")


def show(
    what: Annotated[str, typer.Argument(help="A ready-made one's name, or the number of a started one.")],
    large: _Large = False,
    as_json: _Json = False,
) -> None:
    """Print an experiment's question and conditions, or its result if it was started."""
    from cnnviz import experiments, tracking
    from cnnviz.experiments.demos import list_demos

    if what in list_demos():
        _demonstrate(list_demos()[what], as_json)
        return

    if not what.isdigit():
        experiment = _chosen(what, large, None)
        typer.echo(experiment.write() if as_json else _plan_text(what, experiment) + _recorded(what, large))
        return
    with tracking.connect() as database:
        result = experiments.result(database, int(what))
    typer.echo(result.write() if as_json else as_text(result))


def as_text(result: Result) -> str:
    """Format a result: the question, a table of the conditions, the verdict, and notes."""
    return f"{result.question}\n\n{_answer(result)}"


def _answer(result: Result) -> str:
    from cnnviz.experiments.results import cells, verdict_lines

    head, lines = cells(result)
    notes = (f"· {note}" for note in result.notes)
    paragraphs = (_wrapped(line) for line in (*verdict_lines(result), *notes))
    return "\n".join([table(head, lines, _RIGHT), "", *paragraphs])


def _wrapped(text: str) -> str:
    return textwrap.fill(text, width())


def _chosen(what: str, large: bool, seeds: int | None) -> Experiment:
    from cnnviz.experiments import Experiment
    from cnnviz.experiments.presets import get_preset
    from cnnviz.training.recipe import MAX_BYTES

    form: Form = "large" if large else "small"
    if what.endswith(".json"):
        with Path(what).open("rb") as file:  # one byte more than the limit, which shows that it is too long
            result = Experiment.read(file.read(MAX_BYTES + 1))
    else:
        result = get_preset(what).form(form)
    return result if seeds is None else result.with_seeds(seeds)


def _plan_text(name: str, experiment: Experiment) -> str:
    from cnnviz.experiments.experiment import changes_text
    from cnnviz.experiments.presets import current_name, list_presets

    ready = list_presets().get(current_name(name))
    lines = [(condition, changes_text(experiment, condition)) for condition in experiment.names[1:]]
    paragraphs = [experiment.question, *([ready.about, f"Asked by {ready.asked_by}."] if ready else [])]
    head, lines = ("condition", "what it changes"), [(experiment.base_name, "nothing: the baseline"), *lines]
    conditions = wrapped_table(head, lines, frozenset(), width())
    seeds = f"Seeds {', '.join(map(str, experiment.seeds))}; {len(list(experiment.cells()))} runs."
    parts = [*map(_wrapped, paragraphs), "", conditions, "", seeds]
    return "\n".join([*parts, *([_wrapped(f"Limits: {ready.limits}")] if ready else [])])


def _recorded(name: str, large: bool) -> str:
    """Format the recorded result of the small form; empty if none ships."""
    from cnnviz.experiments.presets import current_name
    from cnnviz.experiments.recordings import names, recording

    name = current_name(name)

    if large or name not in names():
        return ""
    result = recording(name)
    where = _wrapped(f"Recorded on {result.result.hardware} with torch {result.torch}:")
    return "\n\n".join(["", where, _answer(result.result)])


def _demonstrate(demonstration: Demo, as_json: bool) -> None:
    """Run a demonstration and print its result."""
    shown = demonstration.run()
    if as_json:
        document = {"name": demonstration.name, "question": demonstration.question, **asdict(shown)}
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
        return
    code = [demonstration.code, *([_wrapped(f"torch says: {shown.message}")] if shown.message else [])]
    fixed = [f"Fixed: {demonstration.mended}"] if demonstration.mended else []
    parts = [
        [demonstration.question],
        code,
        [table(shown.head, shown.lines, _RIGHT)],
        [_wrapped(shown.conclusion)],
        fixed,
    ]
    prose = [[_wrapped(part)] for part in demonstration.explanation.split("\n\n")]
    typer.echo("\n\n".join("\n".join(part) for part in [*parts, *prose] if part))


def _print_queued(database: Database, number: int, runs: list[int], as_json: bool) -> None:
    from cnnviz.training.workers import is_supervised

    at_work = is_supervised(database)
    if as_json:
        typer.echo(orjson.dumps({"id": number, "queued": runs, "supervised": at_work}).decode())
        return
    typer.echo(f"Experiment {number}: {len(runs)} runs queued; `cnnviz experiment show {number}` tells more.")
    if not at_work:
        typer.echo(NO_SUPERVISOR)
