"""The weights alone, out of a run's checkpoint, with a card that says how to use them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cnnviz.inference import InferenceError

if TYPE_CHECKING:
    from cnnviz.tracking import Database, Run


def weights_name(run: Run, kind: str) -> str:
    """What the file is called: `run-7-lenet5.safetensors`."""
    return f"run-{run.id}-{run.model.replace('/', '-')}{'' if kind == 'last' else f'-{kind}'}.safetensors"


def take_weights(database: Database, run_id: int, kind: str = "last") -> bytes:
    """A safetensors file of the model's weights, without the optimiser's state; its metadata hold a `Card`.

    The accuracy on the card is the last one measured up to the checkpoint, with these weights where the
    checkpoint is an epoch's end. Data from a path are called by the path's last part.

    Raises `NoSuchRunError`, and `InferenceError` where there is no checkpoint here or nothing was measured.
    """
    from safetensors.torch import save

    from cnnviz import tracking
    from cnnviz.inference.weights.loaders import from_run
    from cnnviz.inference.weights.model_card import FORMAT, KEY, Card

    run = tracking.get_run(database, run_id)
    loaded = from_run(database, run_id, kind)
    if loaded.accuracy is None or loaded.recipe is None:
        raise InferenceError(
            f"Run {run_id} has not been tested yet; its weights can be taken after its first epoch."
        )
    card = Card(
        name=f"run-{run_id}",
        recipe=loaded.recipe.changed({"dataset": Path(loaded.dataset).name}),
        classes=loaded.classes,
        preprocessing=loaded.preprocessing,
        accuracy=loaded.accuracy,
        before_rounding=loaded.accuracy,
        test_images=_tested(database, run_id),
        half=False,
        params=sum(parameter.numel() for parameter in loaded.model.parameters()),
        steps=tracking.checkpoints(database, run_id)[kind].step,
        seconds=run.seconds,
        fingerprint=run.fingerprint or "",
        hardware=run.hardware or "",
        versions={name: str(version) for name, version in (run.versions or {}).items()},
    )
    weights = {name: value.contiguous() for name, value in loaded.model.state_dict().items()}
    return save(weights, {"format": FORMAT, KEY: card.model_dump_json()})


def _tested(database: Database, run_id: int) -> int:
    from cnnviz import tracking

    record = tracking.latest_record(database, run_id, "test/confusion")
    return 0 if record is None else sum(map(sum, record.body))
