"""What a run recorded, as plain values: all that a rule may look at, and a file that can be kept."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_serializer, model_validator

from cnnviz.diagnosis.evidence.loop import Loop
from cnnviz.training.recipe import Recipe


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Points(_Plain):
    """A curve: values at steps that rise."""

    steps: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def first(self) -> float | None:
        """The first value, None where there is none."""
        return self.values[0] if self.values else None

    @property
    def last(self) -> float | None:
        """The newest value, None where there is none."""
        return self.values[-1] if self.values else None

    def finite(self) -> Points:
        """Without the values that are not numbers."""
        kept = [(s, v) for s, v in zip(self.steps, self.values, strict=True) if math.isfinite(v)]
        return Points(steps=tuple(s for s, _ in kept), values=tuple(v for _, v in kept))


class LayerFact(_Plain):
    """One layer of the network, from its analysis; `kind` is one of `cnnviz.analysis.KINDS`."""

    name: str
    type: str
    """Its module's class, as `Conv2d`, `ReLU`, `Dropout`."""
    kind: str
    params: int
    out: tuple[int, ...]
    """Its output's shape, without the batch."""
    fan_in: int = 0
    """Of a layer with weights: products that make one value of its output; 0 where it is not known."""


class OutputActivationFact(_Plain):
    """Record an activation that the logits pass through; see `cnnviz.analysis.checks.OutputActivation`."""

    function: str
    """As `torch.nn.functional` calls it; empty where the layer's type is not known."""
    layer: str = ""
    """Empty where the model itself calls the function."""
    pooled: bool = False
    """Whether the mean over positions is taken after it, as in SqueezeNet."""


class LayerAt(_Plain):
    """What a layer did in one step; the fields are those of `cnnviz.training.layer_stats.LayerLook`."""

    name: str
    mean: float | None = None
    spread: float | None = None
    zeros: float | None = None
    dead: float | None = None
    signal: float | None = None
    gradient: float | None = None
    update: float | None = None


class Look(_Plain):
    """Every layer at one step, in the order of the network."""

    step: int
    layers: tuple[LayerAt, ...]

    def of(self, name: str) -> LayerAt | None:
        """The layer of this name."""
        return next((layer for layer in self.layers if layer.name == name), None)


class Histogram(_Plain):
    """How many images were given each class, at a step."""

    step: int
    counts: tuple[int, ...]

    @property
    def largest_share(self) -> float:
        """The part of all images that the commonest answer got, in [0, 1]."""
        return max(self.counts, default=0) / max(sum(self.counts), 1)


class Data(_Plain):
    """What the run read: the record `data`."""

    classes: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    """Training images of each class."""
    train: int = 0
    available: int | None = None
    """Training images that there are without `limit`; None where it was not recorded."""
    validation: int = 0
    test: int = 0
    shape: tuple[int, ...] = ()
    """Of a stored image as the model is handed it, `(C, H, W)` before it is resized."""
    notes: tuple[str, ...] = ()


class Input(_Plain):
    """The first batch as the model read it: the record `input`."""

    mean: float
    spread: float
    low: float
    high: float


class Repeats(_Plain):
    """Images that occur twice, pixel by pixel; as `cnnviz.training.data.quality.repeats` counts them."""

    test: int
    validation: int
    train: int
    conflicting: int
    pairs: tuple[dict[str, Any], ...] = ()


class Neighbours(_Plain):
    """How often neighbours share a label; as `cnnviz.training.data.quality.neighbours` counts it."""

    share: float
    chance: float
    images: int
    each: int

    @property
    def pairs(self) -> int:
        """How many say something of their own: a pair is often counted from both of its sides."""
        return self.images * self.each // 2

    @property
    def excess(self) -> float:
        """How much oftener than chance, 1 where neighbours always share their label."""
        return (self.share - self.chance) / max(1 - self.chance, 1e-9)


class NeighboursOfTest(Neighbours):
    """The same of test images and training images; `training.data.quality` counts them."""

    nearer: float
    """The part of the test images that have a nearer neighbour than half of the training images have."""
    confusion: tuple[tuple[int, ...], ...] = ()
    """Counts of neighbors: row the test image's label, column the neighbor's; empty where not recorded."""


class Detail(_Plain):
    """The part of the pixels' variance that reducing the images would cost; `training.data.quality`."""

    halved: float
    quartered: float


class View(_Plain):
    """How much images differ, as they are seen in one place; `training.data.quality` measures it."""

    images: int
    distinct: int
    within: float
    """Median standard deviation within an image."""
    between: float
    """Deviation of a pixel from image to image."""
    flat: float
    """Share of the images that show nothing."""


class Variation(_Plain):
    """Whether training images differ from each other; as `cnnviz.training.data.quality` measures it."""

    stored: View
    """In shades of 255."""
    plain: View | None = None
    """As the network reads them without augmentation, in its units."""
    augmented: View | None = None
    blanked: float | None = None
    """Share of the images that augmentation leaves blank."""
    kept: float | None = None
    """Median share of an image's variance that augmentation leaves."""


class NearDuplicates(_Plain):
    """Test images that are training images saved again; `training.data.near_duplicates` counts them."""

    copies: int
    images: int
    known: int
    pairs: tuple[dict[str, Any], ...] = ()


class Resembled(_Plain):
    """The training class that test images of one class look like; `training.data.quality` finds it."""

    label: int
    images: int
    like: int
    share: float


class DataQuality(_Plain):
    """Data-quality report of the images, stored as the record `census`; None for what was not looked at."""

    test_counts: tuple[int, ...] = ()
    repeats: Repeats | None = None
    neighbours: Neighbours | None = None
    neighbours_in_colour: Neighbours | None = None
    """Only where colour was turned to grey."""
    neighbours_of_test: NeighboursOfTest | None = None
    detail: Detail | None = None
    validation_counts: tuple[int, ...] = ()
    variation: Variation | None = None
    near_duplicates: NearDuplicates | None = None
    resembled: tuple[Resembled, ...] | None = None


class BatchNormLayer(_Plain):
    """A layer of the model that keeps running statistics."""

    name: str
    momentum: float | None
    """Weight of each new batch; None for a plain mean over all batches."""
    updates: int = 0
    """Batches that have entered the statistics; 0 before the first step."""


class Accuracy(_Plain):
    """How good the model was on some images."""

    loss: float
    accuracy: float


class BatchNorm(_Plain):
    """Batch normalization as the model really has it: the record `batch_norm`."""

    layers: tuple[BatchNormLayer, ...] = ()
    images: int = 0
    """Test images that were evaluated both ways after the last step; 0 before."""
    running: Accuracy | None = None
    """With running statistics, as everywhere."""
    batch: Accuracy | None = None
    """With each batch's own."""


class TrainEvaluated(Accuracy):
    """How well training images are known without dropout and augmentation: the record `train/evaluated`."""

    images: int


class BaselineScore(_Plain):
    """Of one part of the images; shares in [0, 1]."""

    images: int
    """How many were scored: a sample of the part."""
    accuracy: float
    constant: float
    """Accuracy of always answering the commonest training class, on the same images."""


class Baseline(_Plain):
    """What a classifier without training reaches on the run's images: the record `baseline`.

    As `cnnviz.training.data.patch_classifier.baseline` measures it.
    """

    learned_from: int = 0
    """Training images, a sample."""
    test: BaselineScore | None = None
    validation: BaselineScore | None = None
    skipped: str | None = None
    """Why it was not measured."""


class NonFinite(_Plain):
    """Where numbers first stopped being numbers: the record `nonfinite`."""

    step: int
    layer: str | None
    what: str
    """`output`, `gradient`, `weights` or `loss`."""


class Evidence(_Plain):
    """What there is to judge a run by. Curves are named as `cnnviz.training.run_logger` names them."""

    run: int | None = None
    """Its number in the database; None for what ships."""
    title: str = ""
    status: str = "finished"
    error: str | None = None
    recipe: Recipe
    kind: str = "trained"
    """Where the run comes from; see `cnnviz.tracking.Kind`."""
    unknown: tuple[str, ...] = ()
    """Fields of the recipe that are not known: of a run that is not ours, whose recipe is what was seen."""
    loop: Loop | None = None
    """What was seen of a watched loop."""
    dropout: dict[str, float] | None = None
    """Of a watched network, what each dropout layer drops; of others the recipe says so."""
    step: int = 0
    total_steps: int = 0
    stopped_early: bool = False
    """Whether early stopping ended it, with its validation part no longer better."""
    params: int = 0
    side: tuple[int, int] = (0, 0)
    """The model's input."""
    layers: tuple[LayerFact, ...] = ()
    output_activations: tuple[OutputActivationFact, ...] | None = None
    """Between the last layer with weights and the output, in order; None where it was not recorded."""
    data: Data = Data()
    quality: DataQuality = DataQuality()
    baseline: Baseline | None = None
    """None where it was not recorded: by earlier versions, and before the first epoch's end."""
    input: Input | None = None
    in_training_mode: tuple[str, ...] | None = None
    """Layers that were in training mode while the test images were judged; None where it was not recorded."""
    batch_norm: BatchNorm | None = None
    """None where the model has none, and where it was not recorded."""
    train_evaluated: TrainEvaluated | None = None
    """After the last step; None before, and where it was not recorded."""
    curves: dict[str, Points] = {}
    looks: tuple[Look, ...] = ()
    predicted: dict[str, tuple[Histogram, ...]] = {}
    """Of `train` and `test`, one an epoch."""
    confusion: tuple[tuple[int, ...], ...] = ()
    """The newest of the test images: row the truth, column the answer."""
    nonfinite: NonFinite | None = None
    probes: dict[str, dict[str, Any]] = Field({}, description="What each probe found, by its name.")

    @model_validator(mode="before")
    @classmethod
    def _read_former_names(cls, values: Any) -> Any:
        # Evidence written before the report had its standard name still opens.
        if isinstance(values, dict) and "census" in values:
            return {"quality" if name == "census" else name: value for name, value in values.items()}
        return values

    @property
    def classes(self) -> int:
        """How many there are to choose from."""
        return len(self.data.classes)

    @property
    def chance_loss(self) -> float:
        """Cross-entropy at chance level: ln(classes)."""
        return math.log(max(self.classes, 1))

    @property
    def chance(self) -> float:
        """Accuracy of the best constant answer: the commonest class's share of the training images."""
        return max(self.data.counts, default=0) / max(sum(self.data.counts), 1) or 1 / max(self.classes, 1)

    @property
    def steps_per_epoch(self) -> int:
        """At least 1."""
        return max(1, round(self.total_steps / self.recipe.epochs))

    def curve(self, name: str) -> Points:
        """A curve, empty where there is none; finite values only."""
        return self.curves.get(name, Points()).finite()

    def held_out(self, measure: str) -> Points:
        """`loss` or `accuracy` on images not learned from: validation where there is any, else test."""
        return (
            self.curve(f"val/{measure}")
            if self.curve(f"val/{measure}").steps
            else self.curve(f"test/{measure}")
        )

    def weighted(self, kinds: Sequence[str] = ("conv", "fc")) -> tuple[LayerFact, ...]:
        """The layers of these kinds that have weights, in order."""
        return tuple(layer for layer in self.layers if layer.kind in kinds and layer.params)

    @field_serializer("recipe", when_used="json")
    def _as_file(self, recipe: Recipe) -> Any:
        # A layer list without defaults loses its layers' kinds; a recipe knows how to write itself.
        return json.loads(recipe.write())

    def write(self, path: Path) -> None:
        """Keep it as gzipped JSON."""
        path.write_bytes(gzip.compress(self.model_dump_json(exclude_defaults=True).encode(), mtime=0))

    @classmethod
    def read(cls, path: Path) -> Evidence:
        """What `write` kept."""
        return cls.model_validate_json(gzip.decompress(path.read_bytes()))
