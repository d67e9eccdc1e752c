"""Release of a finished run's checkpoint: `python -m cnnviz.inference.weights.release RUN NAME [--half]`.

With `--half` the weights are rounded first, and the test accuracy is measured again with the written weights;
the card states both.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from cnnviz import datasets, tracking
from cnnviz.inference import InferenceError
from cnnviz.inference.predict import accuracy
from cnnviz.inference.weights import bundled
from cnnviz.inference.weights.bundled import FORMAT, KEY, Card, text
from cnnviz.inference.weights.loaded_model import Loaded
from cnnviz.inference.weights.loaders import from_run
from cnnviz.inference.weights.weights_file import load_state_dict
from cnnviz.sentences import percent
from cnnviz.tracking import Database, Run, Status
from cnnviz.training.data import DataModule


def release_checkpoint(
    database: Database, run_id: int, name: str, *, half: bool, folder: Path, data_name: str = ""
) -> Card:
    """Write `folder/name/weights.safetensors` and `card.md` from a finished run, and return the card.

    Args:
        database: Run database.
        run_id: Finished run on this machine; its last checkpoint is released, for an honest accuracy.
        name: Lower-case letters, digits and . _ -
        half: Whether to store the weights in 16 bits.
        folder: Folder of the bundled checkpoints.
        data_name: Name of the data in the card, where the run read them from a path.

    Returns:
        The card.

    Raises:
        InferenceError: For a run that is not finished, data that differ from the run's, or an invalid name.
    """
    if not bundled.is_name(name):
        raise InferenceError(f"'{name[:80]}' cannot be a name; lower-case letters, digits and . _ - can.")
    run = tracking.get_run(database, run_id)
    if run.status is not Status.FINISHED:
        raise InferenceError(f"Run {run_id} is {run.status}; a run ships when it is finished.")
    loaded = from_run(database, run_id)
    weights = rounded(loaded.model, half)
    card = _card(run, loaded, weights, name, half, data_name)
    write_release(folder / name, weights, card)
    return card


def rounded(model: nn.Module, half: bool) -> dict[str, Tensor]:
    """Return the model's weights; with `half`, floating-point tensors are converted to 16 bits."""
    return {
        name: (value.half() if half and value.is_floating_point() else value).contiguous()
        for name, value in model.state_dict().items()
    }


def write_release(folder: Path, weights: Mapping[str, Tensor], card: Card) -> None:
    """Write weights and card, each atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{bundled.WEIGHTS}"
    save_file(dict(weights), temporary, {"format": FORMAT, KEY: card.model_dump_json()})
    temporary.chmod(0o644)
    temporary.replace(folder / bundled.WEIGHTS)
    (folder / bundled.CARD).write_text(text(card), encoding="utf-8")


def _card(
    run: Run, loaded: Loaded, weights: Mapping[str, Tensor], name: str, half: bool, data_name: str
) -> Card:
    assert loaded.recipe is not None
    channels = loaded.preprocessing.channels
    data_module = DataModule.of(datasets.load(loaded.dataset), loaded.recipe, channels, torch.device("cpu"))
    if data_module.fingerprint != run.fingerprint:
        raise InferenceError(f"'{loaded.dataset}' holds other images now than run {run.id} was trained on.")
    rounded_model = copy.deepcopy(loaded.model)
    load_state_dict(rounded_model, weights, loaded.spec.title)
    return Card(
        name=name,
        recipe=loaded.recipe.changed({"dataset": data_name or Path(loaded.dataset).name}),
        classes=loaded.classes,
        preprocessing=loaded.preprocessing,
        accuracy=accuracy(rounded_model, loaded.preprocessing, data_module.test),
        before_rounding=accuracy(loaded.model, loaded.preprocessing, data_module.test),
        test_images=len(data_module.test),
        half=half,
        params=sum(parameter.numel() for parameter in rounded_model.parameters()),
        steps=run.step,
        seconds=run.seconds,
        fingerprint=data_module.fingerprint,
        hardware=run.hardware or "",
        versions={key: str(value) for key, value in (run.versions or {}).items()},
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m cnnviz.inference.weights.release", description=__doc__)
    parser.add_argument("run", type=int, help="a finished run's number")
    parser.add_argument("name", help="what the checkpoint will be called, as lenet5-mnist")
    parser.add_argument("--half", action="store_true", help="store weights in 16 bits")
    parser.add_argument(
        "--data-name", default="", help="what the card calls the data (default: the path's end)"
    )
    parser.add_argument("--folder", type=Path, default=bundled.FOLDER, help="where checkpoints lie")
    args = parser.parse_args(arguments)
    try:
        with tracking.connect() as database:
            card = release_checkpoint(
                database, args.run, args.name,
                half=args.half, folder=args.folder, data_name=args.data_name,
            )  # fmt: skip
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    size = (args.folder / args.name / bundled.WEIGHTS).stat().st_size
    print(
        f"{args.name}: {percent(card.accuracy, 2)} of {card.test_images:,} test images, {size / 1e6:.1f} MB."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
