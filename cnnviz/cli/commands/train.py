"""`cnnviz train`, `find-rate`, `recipes`, `work`: train a recipe in the foreground, or what is queued."""

from __future__ import annotations

import logging
import signal
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from cnnviz import models
from cnnviz.cli.foreground import interruptible, train_in_turn
from cnnviz.cli.options import ModelOptions, named_model, pairs
from cnnviz.cli.output import Bar, table
from cnnviz.device_class import ANY, CPU, class_of
from cnnviz.sentences import full_stop
from cnnviz.training import Recipe, all_recipes, get
from cnnviz.training.recipe import MAX_BYTES
from cnnviz.training.recipes import default_recipe

if TYPE_CHECKING:
    from cnnviz.tracking import Database, Run
    from cnnviz.tracking.store import Store
    from cnnviz.training.workers import Launcher


PLAIN = "plain"
"""Name of the recipe in which every field has its default."""
FAILED, STOPPED = 1, 130
"""Exit codes of a failed run, and of one that was stopped or paused; 0 for a finished one."""

_HELP = (
    "Follow a recipe in the foreground. Ctrl-C stops it cleanly. Where another run has its device it "
    "waits its turn; Ctrl-C then leaves it queued."
)


RecipeName = Annotated[
    str | None, typer.Argument(help="A named recipe, or a file; none for the model's default.")
]
TrainedModel = Annotated[str | None, typer.Option(help="The model: a name, or FILE.py:CLASS.")]
DatasetName = Annotated[str | None, typer.Option(help="A data set's name, or a path.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="K=V", help="Any field.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def register(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("train", help=_HELP)(train)
    app.command("find-rate", help=_FIND_RATE_HELP)(find_rate)
    recipes = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List and show recipes.")
    recipes.command("list", help="Every named recipe.")(list_recipes)
    recipes.command("show", help="One recipe as a file that can be changed and run.")(show)
    app.add_typer(recipes, name="recipes")
    app.command("work", help="Train what is queued, without the app, until Ctrl-C.")(work)


def train(
    recipe: RecipeName = None,
    model: TrainedModel = None,
    option: ModelOptions = None,
    start_from: Annotated[
        str | None,
        typer.Option(metavar="W", help="Weights to begin with: torchvision, run:12, or a file of weights."),
    ] = None,
    dataset: DatasetName = None,
    epochs: Annotated[str | None, typer.Option(help="Number of epochs.")] = None,
    batch_size: Annotated[str | None, typer.Option(help="Images a step.")] = None,
    lr: Annotated[str | None, typer.Option(help="Learning rate.")] = None,
    seed: Annotated[str | None, typer.Option(help="Random seed.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda:0, …")] = None,
    settings: Settings = None,
    resume: Annotated[int | None, typer.Option(metavar="RUN", help="Go on with a run instead.")] = None,
    now: Annotated[
        bool, typer.Option("--now", help="Do not wait: train on the CPU beside the run that is on it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train, and print the result."""
    from cnnviz import threads, tracking
    from cnnviz.training.queue import enqueue

    threads.set_passive_wait()

    named = {"model": model, "dataset": dataset, "epochs": epochs, "batch_size": batch_size, "lr": lr}
    given = {k: v for k, v in (named | {"seed": seed, "device": device}).items() if v is not None}
    given |= pairs(settings or [], "epochs=5")
    given |= model_fields(model, option)
    with tracking.connect() as database:
        if resume is not None:
            if recipe or given or start_from:
                raise ValueError("A run goes on with its own recipe; give --resume alone.")
            run = _request_resume(database, resume)
        else:
            chosen = named_recipe(recipe, given.get("model"), dataset).changed(given)
            chosen = _with_initial_weights(chosen, start_from or chosen.start_from)
            _check_device(chosen)
            run = enqueue(database, chosen)
            _print_problems(chosen)
        try:
            with interruptible() as interrupted, Bar() as bar:
                status = train_in_turn(database, run, bar, interrupted, now)
            report = tracking.report(database, run.id)
            early = tracking.latest_record(database, run.id, "early_stopping")
        except tracking.DatabaseUnavailableError as error:
            raise ValueError(f"{error} {_checkpoint_text(run)}") from error
        left = _queued_text(database, run.id) if status is tracking.Status.QUEUED else None
    typer.echo(
        orjson.dumps(report, option=orjson.OPT_INDENT_2).decode() if as_json else left or _result(report)
    )
    if early is not None and not as_json:
        typer.echo(early.body["note"])
    if status is tracking.Status.FAILED:
        raise typer.Exit(FAILED)
    if status is not tracking.Status.FINISHED:
        raise typer.Exit(STOPPED)


def _check_device(recipe: Recipe) -> None:
    """Raise `ValueError` for a device that this machine, on which the command trains, does not have."""
    if class_of(recipe.device).partition(":")[0] not in (ANY, CPU):
        from cnnviz.training.setup import device_of

        device_of(recipe)


def _with_initial_weights(recipe: Recipe, start: str) -> Recipe:
    """Return the recipe with its initial weights; only a command line may name a file of weights."""
    path = start.removeprefix("file:")
    if not start or "@" in start or start == "torchvision" or start.startswith("run:"):
        return recipe.changed({"start_from": start})
    from cnnviz.inference.weights import weights_facts
    from cnnviz.inference.weights.weights_file import store_start_file

    if not Path(path).exists():
        raise ValueError(
            f"There is no file '{path}'; weights to begin with are torchvision, run:12, or a file."
        )
    stored, notes = store_start_file(weights_facts.locate_weights(Path(path)), Path(path).name, recipe)
    for note in notes:
        typer.echo(f"cnnviz: {note}", err=True)
    return recipe.changed({"start_from": stored})


def model_fields(model: str | None, option: list[str] | None) -> dict[str, str]:
    """Return the recipe fields that `--model` and `--option` set."""
    if model is None and not option:
        return {}
    from cnnviz.training.queue import check_classifier

    if model is None:
        name, options = "", pairs(option or [], "activation=tanh")
    else:
        name, options = named_model(model, option, check_classifier)
    fields = {"model": name} if name else {}
    return fields | ({"options": orjson.dumps(options).decode()} if options else {})


def named_recipe(name: str | None, model: str | None, dataset: str | None) -> Recipe:
    """Return a recipe by its name or file; without a name, the default recipe of the model and data."""
    if name == PLAIN:
        return Recipe()
    if name is None:
        return default_recipe(models.get(model or Recipe().model), dataset)
    if not name.endswith(".json"):
        return get(name)
    with Path(name).open("rb") as file:  # one byte more than the limit, which shows that it is too long
        return Recipe.read(file.read(MAX_BYTES + 1))


def _print_problems(recipe: Recipe) -> None:
    """Print structural problems of the network once, on stderr; training continues."""
    from cnnviz.training.estimate import structural_problems

    try:
        problems = structural_problems(recipe)
    except ValueError:
        return  # the run itself reports the error
    for problem in problems:
        if problem.severity != "note":
            typer.echo(f"cnnviz: {problem.severity}: {problem.message} {problem.fix}", err=True)


def _request_resume(database: Database, run_id: int) -> Run:
    """Request to resume a run unless it is queued; a run whose process is gone is marked as such first."""
    from cnnviz import tracking
    from cnnviz.training.workers import reconcile

    reconcile(database)
    run = tracking.get_run(database, run_id)
    if run.status is not tracking.Status.QUEUED or run.deleted_at is not None:
        tracking.request(database, run_id, tracking.Command.RESUME)
    return tracking.get_run(database, run_id)


def _checkpoint_text(run: Run) -> str:
    """Describe the run's checkpoint, which is read to be sure, for when the database is unavailable."""
    from cnnviz import tracking
    from cnnviz.training import checkpoint
    from cnnviz.training.trainer import LAST

    path = tracking.run_folder(run.id, run.key) / LAST
    try:
        step = checkpoint.position_of(path).step
    except ValueError:
        return f"Run {run.id} has no checkpoint yet."
    return f"The checkpoint of run {run.id} after step {step:,} is whole: {path}."


def _queued_text(database: Database, run_id: int) -> str:
    """Describe what happens to a run that Ctrl-C left in the queue."""
    from cnnviz.training.workers import is_supervised

    begins = (
        "the app or `cnnviz work` begins it when it is its turn"
        if is_supervised(database)
        else f"`cnnviz train --resume {run_id}` begins it, as do the app and `cnnviz work`"
    )
    return f"Run {run_id} stays queued: {begins}. `cnnviz runs stop {run_id}` takes it out."


def _result(report: dict[str, Any]) -> str:
    metrics = report["metrics"]
    named = ("train/epoch_accuracy", "val/accuracy", "test/accuracy", "test/loss")
    shown = ", ".join(f"{name} {metrics[name]['last']:.4g}" for name in named if name in metrics)
    line = f"Run {report['id']} {report['status']} after {report['seconds']:.1f} s"
    return full_stop(f"{line}: {shown or report['error'] or 'nothing was measured yet'}")


# `cnnviz find-rate`: learning-rate range test.

_FIND_RATE_HELP = (
    "Learning-rate range test (Smith, 2017): one short training at growing rates, and a suggestion. No run "
    "is recorded. Takes the options of `train`."
)
_SHOWN = 24
"""Maximum lines of the table."""


def find_rate(
    recipe: RecipeName = None,
    model: TrainedModel = None,
    option: ModelOptions = None,
    dataset: DatasetName = None,
    settings: Settings = None,
    seconds: Annotated[float, typer.Option(min=1, max=3_600, help="What it takes at most.")] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Run the range test, and print losses and the suggested rate."""
    from cnnviz import datasets, threads

    threads.set_passive_wait()
    from cnnviz.training import rate_finder

    given = {k: v for k, v in (("model", model), ("dataset", dataset)) if v is not None}
    given |= pairs(settings or [], "batch_size=32") | model_fields(model, option)
    chosen = named_recipe(recipe, given.get("model"), dataset).changed(given)
    if chosen.start_from:
        from cnnviz import tracking
        from cnnviz.training.fine_tuning import resolve_start_weights

        with tracking.connect() as database:
            chosen = resolve_start_weights(chosen, database)
    with Bar() as bar:
        data = datasets.load(chosen.dataset, progress=bar)
        result = rate_finder.find_rate(chosen, data, bar, seconds)
    if as_json:
        typer.echo(orjson.dumps(asdict(result), option=orjson.OPT_INDENT_2).decode())
        return
    every = max(1, -(-len(result.rates) // _SHOWN))
    lines = [
        (f"{rate:.2e}", f"{loss:.3f}", f"{mean:.3f}")
        for rate, loss, mean in zip(result.rates, result.losses, result.smoothed, strict=True)
    ][::every]
    typer.echo(table(("rate", "loss", "smoothed"), lines, frozenset(("rate", "loss", "smoothed"))))
    typer.echo(f"{result.sentence} ({len(result.rates)} steps, {result.seconds:.1f} s.)")
    if result.suggestion is not None:
        typer.echo(rate_finder.RULE)


# `cnnviz recipes`: named recipes.


def list_recipes(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Print the recipes."""
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


# Supervision of queued runs without the app.


def work(
    device: Annotated[
        list[str] | None,
        typer.Option(help="A device that it may use, such as cpu or cuda:1; all of the machine by default."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="A network of your own whose runs it trains too, such as net.py:Net."),
    ] = None,
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Train networks of others' own code, whatever it does.")
    ] = False,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Train on a Ray cluster: auto on one of its nodes, or HOST:6379."
        ),
    ] = None,
    ray_cores: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Cores of the cluster that a run on the CPU gets."),
    ] = None,
) -> None:
    """Supervise until Ctrl-C; runs in progress continue."""
    from cnnviz import tracking
    from cnnviz.tracking.store import open_store
    from cnnviz.training.workers import Supervisor

    _check_devices(device, here=ray is None)
    store = open_store()
    launcher = _cluster(ray, ray_cores)
    for name in model or []:
        _register_code(name)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("cnnviz").setLevel(logging.INFO)
    with tracking.connect() as database:
        where = f" on the Ray cluster {ray}" if ray else ""
        typer.echo(f"Training what is queued in {database.where}{where}; Ctrl-C ends this, not the runs.")
    if store is not None:
        _check_store(store)
    ended = threading.Event()

    def end(number: int, frame: Any) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    supervisor = Supervisor(launcher=launcher, devices=device or None, allow_code=allow_code)
    supervisor.start()
    ended.wait()
    supervisor.stop()


def _check_store(store: Store) -> None:
    """Say at the start if the store cannot be written; it may be back before it is needed."""
    from cnnviz.tracking.store import StoreError

    try:
        store.check()
    except StoreError as error:
        typer.echo(f"cnnviz: {error} Until it can be, runs go on with this machine's own disk.", err=True)


def _cluster(address: str | None, cores: int | None) -> Launcher | None:
    """Return the launcher of a Ray cluster, or None if no address is given.

    Raises:
        ValueError: `cores` is given without `address`.
    """
    if address is None:
        if cores is not None:
            raise ValueError("--ray-cores says what a run gets of a Ray cluster; add --ray ADDRESS.")
        return None
    from cnnviz.training.workers.ray_cluster import RayLauncher

    return RayLauncher(address, cores)


def _check_devices(names: list[str] | None, here: bool) -> None:
    """Raise `ValueError` for a string that is not a device name, or a device that is certainly not here."""
    import re

    from cnnviz.training.estimate import may_have_gpu

    for name in names or []:
        if re.fullmatch(r"cpu|mps|cuda:[0-9]{1,3}", name) is None:
            raise ValueError(f"'{name[:40]}' is no device; a device is cpu, mps, or cuda:0 and so on.")
        if here and name != "cpu" and not may_have_gpu():
            raise ValueError(f"This machine has no GPU: with --device {name} it would train nothing.")


def _register_code(name: str) -> None:
    """Register a user's model file, as `cnnviz app --model` does, and keep a copy of it for the workers."""
    from cnnviz.models.user_code import registration

    registration.save_copy(registration.add(name).name)
