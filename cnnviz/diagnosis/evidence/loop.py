"""What was seen of somebody's own training loop: the record `loop` of a watched run."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

OTHER_SCALE, OTHER_MEAN = 4.0, 1.5
"""Between two batches: times the spread, and of the larger spread the distance of the means, beyond which
they were prepared otherwise. Batches of one data set differ by percents, augmented ones less than twofold."""


class _Loose(BaseModel):
    # A newer watcher may record more than this version reads.
    model_config = ConfigDict(frozen=True, extra="ignore")


class LoopLook(_Loose):
    """One step that was looked at."""

    step: int
    function: str | None = None
    """Of the loss, as `torch.nn.functional` calls it."""
    shape: tuple[int, ...] = ()
    """Of what the loss was given."""
    target: tuple[int, ...] = ()
    low: float | None = None
    high: float | None = None
    """Bounds of what the loss was given."""
    row_low: float | None = None
    row_high: float | None = None
    """Bounds of the sums of its rows: 1 for probabilities."""
    log_low: float | None = None
    log_high: float | None = None
    """Bounds of the rows' logsumexp: 0 for log-probabilities."""
    loss: float | None = None
    scale: float | None = None
    """The gradient that came back to the loss: 1 unless it was divided or scaled."""
    passes: int = 0
    backwards: int = 0
    kept: float | None = None
    """Norm of what gradient buffers held before the step's first gradient came: 0 after `zero_grad`."""
    fresh: float | None = None
    """Norm of that gradient."""
    cosine: float | None = None
    """Between that gradient and what was in the buffers after it."""
    cleared: bool = False
    """Whether gradients had come, and were gone when the optimizer stepped."""


class Rates(_Loose):
    """The learning rate over all steps."""

    first: float = 0.0
    last: float = 0.0
    largest: float = 0.0
    smallest: float = 0.0
    changes: int = 0
    changes_in_epoch: int = 0
    """Changes that are not at an epoch's end, as far as these were seen."""
    reversals: int = 0
    negligible: float = 0.0
    """The part of the steps with less than a hundredth of the largest rate."""
    fell_at: int = 0
    """The first step with the largest rate."""


class LoopParameters(_Loose):
    """Who learns: numbers of parameters, and layers by name."""

    all: int = 0
    trainable: int = 0
    missing: tuple[str, ...] = ()
    """Layers with trainable parameters that no optimizer has."""
    missing_numbers: int = 0
    held_trainable: int = 0
    own_in_optimizer: int = 0
    foreign_in_optimizer: int = 0
    """Parameters that an optimizer has and the network has not."""
    frozen: tuple[str, ...] = ()
    untrained: tuple[str, ...] = ()
    """Frozen layers whose weights are those that torch draws for a new layer."""
    untrained_numbers: int = 0
    unregistered: tuple[str, ...] = ()
    """Layers that stand in a plain list or dictionary."""
    last: str = ""
    """The last layer with trainable parameters."""


class LoopInput(_Loose):
    """Figures over all values of a batch that the network read."""

    mean: float
    spread: float
    low: float
    high: float


class Loop(_Loose):
    """All that was counted."""

    counts: dict[str, int] = {}
    notes: tuple[str, ...] = ()
    looks: tuple[LoopLook, ...] = ()
    forwards_per_step: dict[int, int] = {}
    closure: bool = False
    amp: bool = False
    modes: tuple[str, ...] = ()
    """Layers that act differently in training and in evaluation."""
    classes: int = 0
    labels: tuple[int, ...] = ()
    label_low: int | None = None
    label_high: int | None = None
    label_error: str = ""
    batch_size: int = 0
    commonest: float | None = None
    """Mean part of a batch that its commonest class has."""
    neighbours_alike: float | None = None
    """How often two images that follow each other in a batch are of one class."""
    batches: int = 0
    distinct_batches: int = 0
    most_repeated: int = 0
    marks: tuple[int, ...] = ()
    """Steps at which epochs seem to have ended."""
    rates: Rates = Rates()
    parameters: LoopParameters = LoopParameters()
    reset: dict[str, int] = {}
    """How often each parameter was made anew between steps."""
    without_gradient: dict[str, int] = {}
    optimizers: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    imported_by_name: str | None = None
    inputs: dict[str, LoopInput] = {}
    """Of the first training batch (`train`), and of the first batch of the newest pass without gradients
    (`judged`)."""

    def count(self, name: str) -> int:
        """How often something happened."""
        return self.counts.get(name, 0)

    @property
    def steps(self) -> int:
        """Steps of the optimizers."""
        return self.count("steps")

    @property
    def judged_otherwise(self) -> tuple[LoopInput, LoopInput] | None:
        """The inputs that are learned from and judged, where one preparation cannot have made both."""
        train, judged = self.inputs.get("train"), self.inputs.get("judged")
        if train is None or judged is None or min(train.spread, judged.spread) <= 0:
            return None
        wider = max(train.spread, judged.spread) / min(train.spread, judged.spread)
        moved = abs(train.mean - judged.mean) / max(train.spread, judged.spread)
        return (train, judged) if wider > OTHER_SCALE or moved > OTHER_MEAN else None

    @property
    def losses(self) -> tuple[LoopLook, ...]:
        """The looked-at steps whose loss was seen."""
        return tuple(look for look in self.looks if look.function is not None)
