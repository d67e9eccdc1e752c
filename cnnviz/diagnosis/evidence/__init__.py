"""Evidence: what is known of a run from its database, and statistics derived from it."""

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
    """Curve: values at ascending steps."""

    steps: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def first(self) -> float | None:
        """First value; None for an empty curve."""
        return self.values[0] if self.values else None

    @property
    def last(self) -> float | None:
        """Newest value; None for an empty curve."""
        return self.values[-1] if self.values else None

    def finite(self) -> Points:
        """Return the curve without NaN and Inf."""
        points = [(s, v) for s, v in zip(self.steps, self.values, strict=True) if math.isfinite(v)]
        return Points(steps=tuple(s for s, _ in points), values=tuple(v for _, v in points))


class LayerFact(_Plain):
    """One layer of the network's analysis; `kind` is one of `cnnviz.analysis.KINDS`."""

    name: str
    type: str
    """Class of its module: `Conv2d`, `ReLU`, `Dropout` …"""
    kind: str
    params: int
    out: tuple[int, ...]
    """Output shape, without the batch."""
    fan_in: int = 0
    """Products summed per output value, for a layer with weights; 0 where unknown."""


class OutputActivationFact(_Plain):
    """Activation applied to the logits; see `cnnviz.analysis.checks.OutputActivation`."""

    function: str
    """Name in `torch.nn.functional`; empty for an unknown layer type."""
    layer: str = ""
    """Empty where the model itself calls the function."""
    pooled: bool = False
    """Whether global average pooling follows it, as in SqueezeNet."""


class LayerAt(_Plain):
    """Statistics of a layer in one step; the fields are those of `cnnviz.training.layer_stats.LayerStats`."""

    name: str
    mean: float | None = None
    spread: float | None = None
    zeros: float | None = None
    dead: float | None = None
    signal: float | None = None
    gradient: float | None = None
    update: float | None = None


class Look(_Plain):
    """Statistics of all layers at one step, in the order of the network."""

    step: int
    layers: tuple[LayerAt, ...]

    def of(self, name: str) -> LayerAt | None:
        """Return the statistics of the layer `name`; None where there are none."""
        return next((layer for layer in self.layers if layer.name == name), None)


class Histogram(_Plain):
    """Number of images predicted as each class, at a step."""

    step: int
    counts: tuple[int, ...]

    @property
    def largest_share(self) -> float:
        """Fraction of the images predicted as the most frequent class, in [0, 1]."""
        return max(self.counts, default=0) / max(sum(self.counts), 1)


class Data(_Plain):
    """Data of the run: the record `data`."""

    classes: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    """Training images by class."""
    train: int = 0
    available: int | None = None
    """Training images without `limit`; None where not recorded."""
    validation: int = 0
    test: int = 0
    shape: tuple[int, ...] = ()
    """Shape of a stored image `(C, H, W)`, before it is resized."""
    counted_in: str = "steps"
    """`epochs` for an imported history without steps, whose rows are epochs."""
    notes: tuple[str, ...] = ()


class Input(_Plain):
    """Statistics of the first batch of model input: the record `input`."""

    mean: float
    spread: float
    low: float
    high: float


class Repeats(_Plain):
    """Exact duplicates between parts, counted by `cnnviz.training.data.quality.repeats`."""

    test: int
    validation: int
    train: int
    conflicting: int
    pairs: tuple[dict[str, Any], ...] = ()


class Neighbours(_Plain):
    """Label agreement of nearest neighbors, measured by `cnnviz.training.data.label_agreement.neighbours`."""

    share: float
    chance: float
    images: int
    each: int

    @property
    def pairs(self) -> int:
        """Number of independent pairs: a pair is often counted from both sides."""
        return self.images * self.each // 2

    @property
    def excess(self) -> float:
        """Agreement beyond chance; 1 where neighbors always share their label."""
        return (self.share - self.chance) / max(1 - self.chance, 1e-9)


class NeighboursOfTest(Neighbours):
    """Label agreement of test images with their neighbors among the training images."""

    nearer: float
    """Fraction of the test images with a nearer neighbor than the training images' median."""
    confusion: tuple[tuple[int, ...], ...] = ()
    """Counts of neighbors: row the test image's label, column the neighbor's; empty where not recorded."""


class Detail(_Plain):
    """Fraction of the pixel variance lost by downsampling the images; from `training.data.quality`."""

    halved: float
    quartered: float


class View(_Plain):
    """Variation of the images at one stage of preprocessing; from `training.data.quality`."""

    images: int
    distinct: int
    within: float
    """Median standard deviation within an image."""
    between: float
    """Standard deviation of a pixel over images."""
    flat: float
    """Fraction of the images that are uniform."""


class Variation(_Plain):
    """Variation of the training images; from `cnnviz.training.data.quality`."""

    stored: View
    """As stored, in shades of 255."""
    plain: View | None = None
    """As model input without augmentation, in its units."""
    augmented: View | None = None
    blanked: float | None = None
    """Fraction of the images that augmentation leaves blank."""
    kept: float | None = None
    """Median fraction of an image's variance that augmentation preserves."""


class NearDuplicates(_Plain):
    """Test images that are re-encoded training images; from `training.data.quality`."""

    copies: int
    images: int
    known: int
    pairs: tuple[dict[str, Any], ...] = ()


class Resembled(_Plain):
    """Training class that test images of one class resemble; from `training.data.label_agreement`."""

    label: int
    images: int
    like: int
    share: float


class DataQuality(_Plain):
    """Data-quality report, stored as the record `census`; None for what was not measured."""

    test_counts: tuple[int, ...] = ()
    repeats: Repeats | None = None
    neighbours: Neighbours | None = None
    neighbours_in_colour: Neighbours | None = None
    """Only where color images are converted to grayscale."""
    neighbours_of_test: NeighboursOfTest | None = None
    neighbours_among_test: Neighbours | None = None
    """Of a watched run: between judged images."""
    detail: Detail | None = None
    validation_counts: tuple[int, ...] = ()
    variation: Variation | None = None
    near_duplicates: NearDuplicates | None = None
    resembled: tuple[Resembled, ...] | None = None


class BatchNormLayer(_Plain):
    """A layer with running statistics."""

    name: str
    momentum: float | None
    """Weight of each new batch; None for a cumulative mean."""
    updates: int = 0
    """Batches included in the statistics; 0 before the first step."""


class Accuracy(_Plain):
    """Loss and accuracy on some images."""

    loss: float
    accuracy: float


class BatchNorm(_Plain):
    """Batch normalization of the actual model: the record `batch_norm`."""

    layers: tuple[BatchNormLayer, ...] = ()
    images: int = 0
    """Test images evaluated in both ways after the last step; 0 before."""
    running: Accuracy | None = None
    """With running statistics, as in inference."""
    batch: Accuracy | None = None
    """With each batch's own statistics."""


class TrainEvaluated(Accuracy):
    """Training images evaluated without dropout and augmentation: the record `train/evaluated`."""

    images: int


class BaselineScore(_Plain):
    """Score on one part of the images; fractions in [0, 1]."""

    images: int
    """Number of images scored: a sample of the part."""
    accuracy: float
    constant: float
    """Accuracy of always predicting the most common training class, on the same images."""


class Baseline(_Plain):
    """Accuracy of the untrained patch classifier on the run's images: the record `baseline`.

    Measured by `cnnviz.training.data.label_agreement.baseline`.
    """

    learned_from: int = 0
    """Number of training images it is fitted on, a sample."""
    test: BaselineScore | None = None
    validation: BaselineScore | None = None
    skipped: str | None = None
    """Reason why it was not measured."""


class NonFinite(_Plain):
    """Origin of the first NaN or Inf: the record `nonfinite`."""

    step: int
    layer: str | None
    what: str
    """`output`, `gradient`, `weights` or `loss`."""


class Evidence(_Plain):
    """All that is known of a run. Curves have the names of `cnnviz.training.run_logger`."""

    run: int | None = None
    """Run id in the database; None for a recorded run that ships."""
    title: str = ""
    status: str = "finished"
    error: str | None = None
    recipe: Recipe
    kind: str = "trained"
    """Origin of the run; see `cnnviz.tracking.Kind`."""
    unknown: tuple[str, ...] = ()
    """Recipe fields that are unknown: of a run not trained here, whose recipe is inferred from observation.
    """
    loop: Loop | None = None
    """Facts of a watched loop."""
    dropout: dict[str, float] | None = None
    """Rates of the dropout layers of a watched network; of other runs the recipe has them."""
    framework: str = "torch"
    """What runs a watched loop: `torch`, `lightning`, `transformers` or `keras`; fixes are code for it."""
    step: int = 0
    total_steps: int = 0
    stopped_early: bool = False
    """Whether early stopping ended the run."""
    params: int = 0
    side: tuple[int, int] = (0, 0)
    """Height and width of the model's input."""
    layers: tuple[LayerFact, ...] = ()
    output_activations: tuple[OutputActivationFact, ...] | None = None
    """Between the last layer with weights and the output, in order; None where not recorded."""
    data: Data = Data()
    quality: DataQuality = DataQuality()
    baseline: Baseline | None = None
    """None where not recorded: by earlier versions, and before the first epoch's end."""
    input: Input | None = None
    in_training_mode: tuple[str, ...] | None = None
    """Layers in training mode during evaluation on the test images; None where not recorded."""
    batch_norm: BatchNorm | None = None
    """None for a model without batch normalization, and where not recorded."""
    train_evaluated: TrainEvaluated | None = None
    """After the last step; None before, and where not recorded."""
    curves: dict[str, Points] = {}
    looks: tuple[Look, ...] = ()
    predicted: dict[str, tuple[Histogram, ...]] = {}
    """Of `train` and `test`, one per epoch."""
    confusion: tuple[tuple[int, ...], ...] = ()
    """Newest confusion matrix on the test images: rows true, columns predicted."""
    nonfinite: NonFinite | None = None
    nonfinite_input: bool = False
    """Whether the first batch of model input held NaN or infinite values; `input` is None then."""
    probes: dict[str, dict[str, Any]] = Field({}, description="What each probe found, by its name.")

    @model_validator(mode="before")
    @classmethod
    def _read_former_names(cls, values: Any) -> Any:
        # Older files call the data-quality report `census`.
        if isinstance(values, dict) and "census" in values:
            return {"quality" if name == "census" else name: value for name, value in values.items()}
        return values

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.data.classes)

    @property
    def chance_loss(self) -> float:
        """Cross-entropy at chance level: ln(classes)."""
        return math.log(max(self.classes, 1))

    @property
    def chance(self) -> float:
        """Accuracy of the best constant prediction: share of the most common class in the training images."""
        return max(self.data.counts, default=0) / max(sum(self.data.counts), 1) or 1 / max(self.classes, 1)

    @property
    def steps_per_epoch(self) -> int:
        """Steps per epoch, at least 1."""
        return max(1, round(self.total_steps / self.recipe.epochs))

    def curve(self, name: str) -> Points:
        """Return a curve without NaN and Inf; empty where there is none."""
        return self.curves.get(name, Points()).finite()

    def held_out(self, measure: str) -> Points:
        """Return the curve of `loss` or `accuracy` on validation images; on test images without any."""
        return (
            self.curve(f"val/{measure}")
            if self.curve(f"val/{measure}").steps
            else self.curve(f"test/{measure}")
        )

    def weighted(self, kinds: Sequence[str] = ("conv", "fc")) -> tuple[LayerFact, ...]:
        """Return the layers of these kinds that have weights, in order."""
        return tuple(layer for layer in self.layers if layer.kind in kinds and layer.params)

    @field_serializer("recipe", when_used="json")
    def _as_file(self, recipe: Recipe) -> Any:
        # Dumped without defaults, a layer list would lose its layers' kinds: use the recipe's own writer.
        return json.loads(recipe.write())

    def write(self, path: Path) -> None:
        """Write the evidence as gzipped JSON."""
        path.write_bytes(gzip.compress(self.model_dump_json(exclude_defaults=True).encode(), mtime=0))

    @classmethod
    def read(cls, path: Path) -> Evidence:
        """Read a file written by `write`."""
        return cls.model_validate_json(gzip.decompress(path.read_bytes()))
