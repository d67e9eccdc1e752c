"""Packaging of a finished run as a recorded run that ships.

    python -m cnnviz.diagnosis.recorded.record RUN NAME --dataset NAME --title TEXT --data TEXT --command TEXT

The recipe names `--dataset` in place of the folder that was read, so that anybody can run it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cnnviz import tracking
from cnnviz.diagnosis import Evidence, gather
from cnnviz.diagnosis.recorded import CARD_SUFFIX, FOLDER, SUFFIX, Card
from cnnviz.tracking import Database, Status

MAX_BYTES = 100_000


def package_run(
    database: Database, run_id: int, *, title: str, dataset: str, data: str, command: str
) -> tuple[Evidence, Card]:
    """Build the evidence and the card of a run.

    Args:
        database: Run database.
        run_id: A finished run.
        title: Title of the recording.
        dataset: Registered data set that its recipe names.
        data: Name of the actual training data.
        command: Command that reproduces it.

    Raises:
        ValueError: For a run that is not finished.
        NoSuchRunError: For an unknown run.
    """
    run = tracking.get_run(database, run_id)
    if run.status is not Status.FINISHED:
        raise ValueError(f"Run {run_id} is {run.status}; a recording is of a finished run.")
    gathered = gather(database, run_id)
    recipe = gathered.recipe.model_copy(update={"dataset": dataset})
    evidence = gathered.model_copy(update={"run": None, "title": title, "recipe": recipe})
    card = Card(
        data=data,
        command=command,
        steps=run.step,
        epochs=run.epoch,
        seconds=round(run.seconds, 1),
        hardware=run.hardware or "",
        versions=run.versions or {},
        fingerprint=run.fingerprint or "",
    )
    return evidence, card


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the recording and its card."""
    parser = argparse.ArgumentParser(prog="python -m cnnviz.diagnosis.recorded.record")
    parser.add_argument("run", type=int)
    parser.add_argument("name")
    for option in ("--title", "--dataset", "--data", "--command"):
        parser.add_argument(option, required=True)
    options = vars(parser.parse_args(arguments))
    run_id, name = options.pop("run"), options.pop("name")
    with tracking.connect() as database:
        evidence, card = package_run(database, run_id, **options)
    path = FOLDER / f"{name}{SUFFIX}"
    evidence.write(path)
    (FOLDER / f"{name}{CARD_SUFFIX}").write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    size = path.stat().st_size
    print(f"{path.name}: {size / 1000:,.1f} kB")
    if size > MAX_BYTES:
        raise SystemExit(f"That is more than {MAX_BYTES / 1000:,.0f} kB, too much to ship.")


if __name__ == "__main__":
    main()
