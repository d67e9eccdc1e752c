"""Facts of a user's own training loop: the record `loop` of a watched run."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

OTHER_SCALE, OTHER_MEAN = 4.0, 1.5
"""Ratio of standard deviations, and distance of means in standard deviations, beyond which two batches had
different preprocessing. Batches of one data set differ by percents, augmented ones less than twofold.
"""


class _Loose(BaseModel):
    # A newer version may record more than this one reads.
    model_config = ConfigDict(frozen=True, extra="ignore")


class LoopLook(_Loose):
    """Measurements of one sampled step."""

    step: int
    function: str | None = None
    """Name of the loss in `torch.nn.functional`."""
    activation: str | None = None
    """Activation whose result is the loss function's input, by the graph: `linear` for a layer's sums, empty
    for another operation.
    """
    shape: tuple[int, ...] = ()
    """Shape of the loss function's input."""
    target: tuple[int, ...] = ()
    """Shape of its target."""
    target_low: float | None = None
    target_high: float | None = None
    """Range of the target."""
    low: float | None = None
    high: float | None = None
    """Range of the loss function's input."""
    row_low: float | None = None
    row_high: float | None = None
    """Range of its row sums: 1 for probabilities."""
    log_low: float | None = None
    log_high: float | None = None
    """Range of its rows' logsumexp: 0 for log-probabilities."""
    loss: float | None = None
    scale: float | None = None
    """Gradient with respect to the loss: 1 unless it was divided or scaled."""
    passes: int = 0
    backwards: int = 0
    kept: float | None = None
    """Norm of the `.grad` buffers before the step's first gradient: 0 after `zero_grad`."""
    fresh: float | None = None
    """Norm of that gradient."""
    cosine: float | None = None
    """Cosine between that gradient and the buffers after it."""
    together: bool = False
    """Whether a forward pass began before the gradient of the one before had come: both have one loss."""
    fresh_in_step: float | None = None
    """Factor of the step's new gradients in the gradient that the optimizer got: 1 unless it was divided."""
    along_weights: float | None = None
    """Median over weights of the cosine between a weight and its gradient: 1 for a penalty alone."""
    stale_in_step: float | None = None
    """The same of what the buffers held before: 0 if it was cleared or replaced in between."""
    cleared: bool = False
    """Whether gradients had been computed, and were zero when the optimizer stepped."""
    cleared_between: bool = False
    """Whether gradients were cleared between the step's backward passes."""


class Rates(_Loose):
    """Learning rate over all steps."""

    first: float = 0.0
    last: float = 0.0
    largest: float = 0.0
    smallest: float = 0.0
    changes: int = 0
    changes_in_epoch: int = 0
    """Changes other than at an epoch's end, as far as those were detected."""
    reversals: int = 0
    negligible: float = 0.0
    """Fraction of the steps with less than a hundredth of the largest rate."""
    settled_at: int = 0
    """Step from which it stayed as it was at the end."""
    fell_at: int = 0
    """First step with the largest rate."""

    @model_validator(mode="before")
    @classmethod
    def _finite(cls, values: Any) -> Any:
        # JSON has neither NaN nor infinity, and writes null.
        return {k: v for k, v in values.items() if v is not None} if isinstance(values, dict) else values


MOST_STEPS = 0.7
"""Fraction of the steps that have as many forward passes as is said of all."""


class LoopParameters(_Loose):
    """Trainable parameters: counts, and layers by name."""

    all: int = 0
    trainable: int = 0
    missing: tuple[str, ...] = ()
    """Layers with trainable parameters that are in no optimizer."""
    missing_numbers: int = 0
    missing_untrained_numbers: int = 0
    """Those of them with torch's default initialization."""
    missing_behind_numbers: int = 0
    """Those of these that are behind the first layer in the optimizer."""
    missing_are_replaced: bool = False
    """Whether the optimizer holds foreign parameters in their place: what the layers were before."""
    held_trainable: int = 0
    own_in_optimizer: int = 0
    foreign_in_optimizer: int = 0
    """Parameters in an optimizer that are not the network's."""
    frozen: tuple[str, ...] = ()
    untrained: tuple[str, ...] = ()
    """Frozen layers with torch's default initialization."""
    untrained_numbers: int = 0
    default: int = 0
    """Number of weight tensors with torch's default initialization when watching began."""
    constant: tuple[str, ...] = ()
    """Layers whose weights were all equal when watching began."""
    gains: dict[str, float] = {}
    """Standard deviation of the first weights times √fan_in, by layer."""
    without_step: tuple[str, ...] = ()
    """Layers that get gradients, as torch draws them, held only by optimizers that never stepped."""
    without_step_numbers: int = 0
    cut_off: tuple[str, ...] = ()
    """Layers in the optimizer that ran, never got a gradient, and have torch's default initialization."""
    cut_off_numbers: int = 0
    weights: int = 0
    """Number of weight tensors `(out, in, …)`."""
    unregistered: tuple[str, ...] = ()
    """Layers in a plain list or dictionary."""
    last: str = ""
    """The last layer with trainable parameters."""


class LoopInput(_Loose):
    """Statistics over all values of a batch of model input."""

    mean: float
    spread: float
    low: float
    high: float


MIN_AGAIN = 50
"""Least images that came again, or were judged, for their part to say something."""
UNCHANGED = 0.9
"""Part of the later epochs' images that equal an earlier one where images are not augmented."""


NATURAL = 0.2
"""Part of an epoch's training images that equal another one of it, relative to the part of judged images
that equal a training image, above which that is no leakage.
"""


class LoopImages(_Loose):
    """Counts of equal images, by checksums of the first epochs."""

    seen: int = 0
    """Training images that were marked, each time that it came."""
    distinct: int = 0
    first: int = 0
    """Those of the first epoch."""
    first_distinct: int = 0
    after: int = 0
    """Those of later epochs."""
    again: int = 0
    """Those of later epochs that equal an earlier one."""
    relabelled: int = 0
    """Those of `again` with another label than the image had at first."""
    judged: int = 0
    """Images of the newest evaluation pass."""
    known: int = 0
    """Those of them that equal a training image from before the pass."""
    boundaries: int = 0
    """Changes between known and new ones in the order in which they were judged."""
    fresh_passes: int = 0
    """Passes with hardly an image that had been learned from."""
    gray: float | None = None
    """Fraction of the training images with three equal channels; None for other numbers of channels."""
    uniform: dict[str, float] = {}
    """Of `train` and `judged`: median fraction of an image's values that equal its commonest one."""

    @property
    def unchanged(self) -> bool:
        """Whether training images come again as they were, so that `distinct` is their number."""
        return self.after >= MIN_AGAIN and self.again >= UNCHANGED * self.after

    @property
    def repeated_by_nature(self) -> float:
        """Fraction of the first epoch's images that equal another one of it."""
        return 1 - self.first_distinct / max(self.first, 1)

    @property
    def leaked(self) -> float:
        """Fraction of the judged images that were learned from.

        0 where images are alike by nature, as rows of a few categories, and where known and new images are
        two parts that are judged one after the other: training images are often evaluated too.
        """
        if self.judged < MIN_AGAIN or not self.known:
            return 0.0
        share = self.known / self.judged
        if self.repeated_by_nature > NATURAL * share:
            return 0.0
        if share == 1:
            return 0.0 if self.fresh_passes else 1.0
        mixed = 2 * share * (1 - share) * (self.judged - 1)
        return share if self.boundaries > mixed / 2 else 0.0


class Loop(_Loose):
    """Facts of the whole loop."""

    counts: dict[str, int] = {}
    notes: tuple[str, ...] = ()
    looks: tuple[LoopLook, ...] = ()
    forwards_per_step: dict[int, int] = {}
    closure: bool = False
    amp: bool = False
    modes: tuple[str, ...] = ()
    """Layers that behave differently in training and evaluation mode."""
    classes: int = 0
    labels: tuple[int, ...] = ()
    label_low: int | None = None
    label_high: int | None = None
    label_error: str = ""
    batch_size: int = 0
    commonest: float | None = None
    """Mean fraction of a batch that is of its most common class."""
    neighbours_alike: float | None = None
    """Fraction of consecutive images of a batch that are of one class."""
    labels_again: float = 0.0
    """Fraction of batches whose labels are those of the batch before, in the same order, which is none."""
    batches: int = 0
    distinct_batches: int = 0
    most_repeated: int = 0
    repeated_in_a_row: float = 0.0
    """Fraction of batches that equal the one before."""
    marks: tuple[int, ...] = ()
    """Steps at which epochs presumably ended."""
    rates: Rates = Rates()
    parameters: LoopParameters = LoopParameters()
    reset: dict[str, int] = {}
    """How often each parameter was re-initialized between steps."""
    without_gradient: dict[str, int] = {}
    optimizers: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    images: LoopImages = LoopImages()
    inputs: dict[str, LoopInput] = {}
    """Of the first training batch (`train`), and of the first batch of the newest pass without gradients
    (`judged`).
    """

    @property
    def labels_are_mixed(self) -> bool:
        """Whether losses of one output with different labels were added, as mixup and CutMix do."""
        return self.counts.get("losses_mixed", 0) > 0

    @property
    def passes_per_step(self) -> int:
        """Forward passes of most steps; 1 where steps differ."""
        if not self.forwards_per_step:
            return 1
        passes = max(self.forwards_per_step, key=lambda k: self.forwards_per_step[k])
        alike = self.forwards_per_step[passes]
        return passes if alike >= MOST_STEPS * sum(self.forwards_per_step.values()) else 1

    @property
    def is_weighted(self) -> bool:
        """Whether classes have weights in the loss."""
        return 2 * self.counts.get("losses_weighted", 0) > self.counts.get("losses", 0)

    def count(self, name: str) -> int:
        """Return how often an event occurred."""
        return self.counts.get(name, 0)

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return self.count("steps")

    @property
    def preprocessing_mismatch(self) -> tuple[LoopInput, LoopInput] | None:
        """Training and evaluation input, where they had different preprocessing; else None."""
        train, judged = self.inputs.get("train"), self.inputs.get("judged")
        if train is None or judged is None or min(train.spread, judged.spread) <= 0:
            return None
        wider = max(train.spread, judged.spread) / min(train.spread, judged.spread)
        moved = abs(train.mean - judged.mean) / max(train.spread, judged.spread)
        return (train, judged) if wider > OTHER_SCALE or moved > OTHER_MEAN else None

    @property
    def losses(self) -> tuple[LoopLook, ...]:
        """Sampled steps with a recorded loss."""
        return tuple(look for look in self.looks if look.function is not None)
