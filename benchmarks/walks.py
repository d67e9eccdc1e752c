"""How many files of cnnviz a reader passes on three walks through the code, by a trace of the calls.

Recipe to weights: a queued run of LeNet-5 on digits is claimed, trained for an epoch and saved. Image to
mosaic: an uploaded PNG is read, preprocessed and sent through LeNet-5, and the maps of a layer are packed for
the page. Metric to point: a value is logged, read back by the page's live run, and put into the figure of the
curves. Each walk is made once before it is traced, so that imports and caches of facts do not count; nor does
what a page does by the clock (every few seconds it looks whether workers live).

    python -m benchmarks.walks [--files]
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import numpy as np
from PIL import Image

import cnnviz
from benchmarks.machine import describe
from cnnviz import tracking
from cnnviz.tracking import Database, MetricWriter, RunFacts
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from cnnviz.training.workers.worker import work

PACKAGE = Path(cnnviz.__file__).parent
NOWHERE = "cuda:99"
"""A device that no supervisor has."""


def files_called(walk: Callable[[], object]) -> list[str]:
    """Trace `walk` and return the files, relative to cnnviz's folder, in which a function was called."""
    seen: dict[str, None] = {}

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_name != "<module>":
            seen.setdefault(frame.f_code.co_filename)

    sys.setprofile(note)
    try:
        walk()
    finally:
        sys.setprofile(None)
    paths = (Path(name) for name in seen)
    return [str(path.relative_to(PACKAGE)) for path in paths if path.is_relative_to(PACKAGE)]


def recipe_to_weights(database: Database) -> None:
    """Train a run from its recipe to its last checkpoint."""
    recipe = Recipe(dataset="digits", limit=100, epochs=1, batch_size=50, device="cpu")
    run = enqueue(database, recipe)
    lease = tracking.claim(database, "cpu", only=run.id)
    assert lease is not None
    assert work(database, lease, lambda _: None, lambda: False) is tracking.Status.FINISHED


def image_to_mosaic(seed: int) -> bytes:
    """Read an image that nobody has read before, and pack the maps of a layer for it."""
    from cnnviz.inference.images.read_image import Upload, read
    from cnnviz.interpret.layer_names import selectable_layers
    from cnnviz.ui.pages.features import maps
    from cnnviz.ui.shared.inspection.model_input import network
    from cnnviz.ui.shared.inspection.predictions import prepared

    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (28, 28), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    current = network(["lenet5"])
    picture = read(Upload(f"{seed}.png", buffer.getvalue()))
    ready = prepared(picture, current.loaded.preprocessing)  # type: ignore[arg-type] # it is no refusal
    return maps.view_packet(
        current, ready, selectable_layers(current.analysis)["conv2"], "index", "layer", None
    )


def metric_to_point(database: Database, writer: MetricWriter, run: int, step: int) -> None:
    """Log a value, and draw the curves that hold it."""
    from cnnviz.ui.pages.train import charts
    from cnnviz.ui.shared.runs.live_run import live_run

    writer.log_all({"train/loss": 1 / (1 + step), "train/accuracy": 0.5}, step, step / 100)
    writer.flush()
    _, run_log = live_run(database, run).refresh()
    charts.charts(run_log, None, "run")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--files", action="store_true", help="name the files of each walk")
    given = parser.parse_args()
    from cnnviz.ui.shared.runs import run_data

    walks: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as home, tracking.connect(f"sqlite:///{home}/runs.sqlite") as database:
        recipe_to_weights(database)
        walks["recipe → weights"] = files_called(lambda: recipe_to_weights(database))
        image_to_mosaic(0)
        run_data.database()
        walks["image → mosaic"] = files_called(lambda: image_to_mosaic(1))
        recipe = Recipe().model_dump(mode="json")
        run = tracking.create_run(database, recipe, model="lenet5", dataset="digits", seed=0, device=NOWHERE)
        lease = tracking.claim(database, NOWHERE, only=run.id)
        assert lease is not None
        tracking.begin(database, lease, facts=RunFacts(total_steps=1000, total_epochs=10.0))
        with MetricWriter(database, lease) as writer:
            metric_to_point(database, writer, run.id, 1)
            walks["metric → point"] = files_called(lambda: metric_to_point(database, writer, run.id, 2))
    print(describe("torch", "streamlit"), "\n")
    for name, files in walks.items():
        training = sum(file.startswith("training/") for file in files)
        print(f"{name:18} {len(files):3} files" + (f", {training} of training" if training else ""))
        if given.files:
            print("\n".join(f"    {file}" for file in files))
    modules = [path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts]
    lengths = [len(path.read_text(encoding="utf-8").splitlines()) for path in modules]
    code = [length for length in lengths if length > 1]
    print(
        f"\n{len(modules)} modules ({len(modules) - len(code)} of them a package's one line), "
        f"median of the others {statistics.median(code):.0f} lines, longest {max(code)}"
    )


if __name__ == "__main__":
    main()
