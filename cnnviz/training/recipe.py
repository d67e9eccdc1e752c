"""Recipe: the complete, validated configuration of a run, as a file to share, edit, compare and rerun.

Importing this module does not import torch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo

from cnnviz import datasets, device_class, models
from cnnviz.analysis import Analysis, analyze
from cnnviz.models.layers import LayerList
from cnnviz.models.library import spec_of
from cnnviz.models.user_code import registration
from cnnviz.sentences import american, full_stop, key_words

Scale = Literal["unit", "standardised", "raw", "raw-minus-mean"]
Optimiser = Literal["sgd", "nesterov", "adam", "adamw", "rmsprop"]
ADAPTIVE = frozenset(("adam", "adamw", "rmsprop"))
"""Optimizers that scale each weight's step by the magnitude of its own gradients."""
ClassWeights = Literal["none", "balanced"]
StopMetric = Literal["loss", "accuracy"]
Schedule = Literal["constant", "step", "plateau", "cosine", "one-cycle"]
MAX_BYTES = 1_000_000
"""Maximum size of a recipe's JSON; one with the longest layer list needs a fifth of it."""


class Recipe(BaseModel):
    """Configuration of one run. Each field's description is the help text that pages show."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["cnnviz-recipe/1"] = "cnnviz-recipe/1"
    name: str = Field("untitled", max_length=80, description="What it is called.")
    description: str = Field("", max_length=2_000, description="What it is for.")

    model: str = Field("lenet5", description="A registered model.")
    options: dict[str, str | int | float | bool] = Field({}, description="The model's options.")
    layers: LayerList | None = Field(None, description="A layer list, in place of a registered model.")
    code: str = Field(
        "", pattern="^([0-9a-f]{64})?$",
        description="SHA-256 of the files of a network of one's own; set when its run is queued.",
    )  # fmt: skip

    start_from: str = Field(
        "", max_length=300, pattern=r"^(torchvision|(run:\d+(/(last|best))?|file:[^@]+)(@[0-9a-f]{64})?)?$",
        description="Weights to begin with: torchvision, run:12 or run:12/best; fresh ones where empty.",
    )  # fmt: skip
    freeze_until: str = Field(
        "", max_length=200, description="The last layer that is not trained; all are where empty."
    )
    trunk_lr: float = Field(
        1.0, gt=0, le=1, description="What the learning rate is multiplied by for all but the last layer."
    )

    dataset: str = Field(
        "digits", description="A registered data set, or a folder, zip or Parquet of one's own."
    )
    limit: int | None = Field(None, ge=1, description="How many training images are used; all where empty.")
    validation: float = Field(0.1, ge=0, le=0.5, description="Part of the training images kept for choices.")

    epochs: int = Field(10, ge=1, le=100_000, description="How often every training image is seen.")
    batch_size: int = Field(128, ge=1, le=65_536, description="Images in one step.")
    optimiser: Optimiser = Field("nesterov", description="The rule that turns gradients into steps.")
    lr: float = Field(0.05, gt=0, le=1_000, description="Learning rate: the largest, where it changes.")
    momentum: float = Field(
        0.9, ge=0, lt=1, description="Part of the last step that is taken again; Adam's β₁."
    )
    beta2: float = Field(0.999, ge=0, lt=1, description="Adam's memory of squared gradients.")
    alpha: float = Field(0.99, ge=0, lt=1, description="RMSprop's memory of squared gradients.")
    weight_decay: float = Field(0.0, ge=0, le=10, description="How strongly weights are pulled to zero.")
    clip_norm: float = Field(
        0.0, ge=0, le=1e6,
        description="Gradient clipping: the largest norm of all gradients together; longer ones are "
        "shortened to it. 0: no clipping.",
    )  # fmt: skip
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Part of the truth shared among all classes.")
    class_weights: ClassWeights = Field(
        "none",
        description="What an image's loss counts: alike, or (balanced) the more the rarer its class is among "
        "the training images.",
    )
    aux_weight: float = Field(0.3, ge=0, le=10, description="Weight of each auxiliary classifier's loss.")

    schedule: Schedule = Field("constant", description="How the learning rate changes.")
    warmup_epochs: float = Field(0.0, ge=0, description="Epochs in which it grows from nothing.")
    step_epochs: int = Field(30, ge=1, description="Epochs between the steps of a step schedule.")
    step_factor: float = Field(0.1, gt=0, le=1, description="What a step or a plateau multiplies it by.")
    patience: int = Field(5, ge=1, description="Epochs without a lower validation loss that make a plateau.")

    early_stopping: int = Field(
        0, ge=0, le=100_000,
        description="Epochs without a better validation result after which the run ends; 0: it never ends "
        "early.",
    )  # fmt: skip
    stop_metric: StopMetric = Field("loss", description="The validation result that early stopping watches.")
    restore_best: bool = Field(
        False, description="At the end, go back to the weights of the best epoch, as early stopping sees it."
    )

    scale: Scale = Field("standardised", description="How pixels become numbers.")
    size: int | None = Field(
        None, ge=1, le=1_024, description="Side of the model's input; its own where empty."
    )
    crop_from: int | None = Field(
        None, ge=1, le=2_048, description="Side to enlarge to before a random crop."
    )
    pad_crop: int = Field(0, ge=0, le=64, description="Zeros around the image before a random crop.")
    flip: Literal["none", "random", "alternating"] = Field("none", description="Mirroring left to right.")
    cutout: int = Field(0, ge=0, le=512, description="Side of a square that is blanked.")
    colour_jitter: float = Field(0.0, ge=0, le=1, description="Strength of random brightness and contrast.")
    pca_jitter: float = Field(
        0.0, ge=0, le=10, description="Standard deviation of the AlexNet paper's color shift; 0.1 there."
    )
    mixup: float = Field(
        0.0, ge=0, le=100,
        description="Mixup's α: each image and its label are mixed with another's, λ to 1 − λ, λ drawn from "
        "Beta(α, α). 0: no mixing; 0.2 is usual.",
    )  # fmt: skip
    ten_crop: bool = Field(False, description="Average ten crops of every image at test time.")

    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="Numbers that arithmetic is done in; fp32 on a processor without bf16."
    )
    compile: bool = Field(False, description="Let torch compile the model first: minutes of warm-up.")
    seed: int = Field(0, ge=0, lt=2**63, description="What every random choice follows from.")
    device: str = Field(
        "auto", description="Where it runs: auto, cpu, gpu, several of them (gpu:2, cpu:2), mps or cuda:0."
    )

    assumed: dict[str, str] = Field(
        {}, description="Fields that the source does not give, and why they are so."
    )

    @field_validator("device")
    @classmethod
    def _device_can_be(cls, device: str) -> str:
        known = re.fullmatch(r"auto|mps|cuda(:[0-9]{1,3})?|(cpu|gpu)(:[1-9][0-9]?)?", device)
        if known is None or device_class.ranks(device) > device_class.MAX_RANKS:
            short = device if len(device) <= 40 else f"{device[:39]}…"
            raise ValueError(
                f"{short!r} is no device; a device is auto, cpu, gpu, up to {device_class.MAX_RANKS} of one "
                "kind (gpu:2), mps, cuda, or cuda:0 and so on"
            )
        return device

    @model_validator(mode="after")
    def _fields_fit_together(self) -> Recipe:
        unknown = sorted(set(self.assumed) - set(type(self).model_fields))
        if unknown:
            raise ValueError(f"'assumed' names {unknown[0]!r}, which is no field of a recipe")
        if self.warmup_epochs > self.epochs:
            raise ValueError(f"warm-up takes {self.warmup_epochs:g} epochs, but the run has {self.epochs}")
        if self.schedule == "plateau" and self.validation == 0:
            raise ValueError("a plateau is seen on validation images: 'validation' must be above 0")
        if self.early_stopping and self.validation == 0:
            raise ValueError(
                "early stopping watches validation images: 'validation' must be above 0, 0.1 for a tenth"
            )
        if self.restore_best and not self.early_stopping:
            raise ValueError(
                "'restore_best' is a part of early stopping: give 'early_stopping' a number of epochs too"
            )
        if self.crop_from is not None and self.pad_crop:
            raise ValueError("'crop_from' and 'pad_crop' are two ways to crop: give one of them")
        return self

    @classmethod
    def read(cls, text: str | bytes) -> Recipe:
        """Parse a JSON document; raise `ValueError` with a message that names the location of the error."""
        if len(text) > MAX_BYTES:
            raise ValueError(f"A recipe is at most {MAX_BYTES // 1000:,} kB long, and this is longer.")
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise RecipeError(error) from None

    def write(self) -> str:
        """Serialize the recipe as indented JSON without default values."""
        values = self.model_dump(mode="json", exclude_defaults=True)
        if self.layers is not None:
            values["layers"] = json.loads(self.layers.write())
        return json.dumps({"format": self.format, **values}, indent=2, ensure_ascii=False) + "\n"

    def changed(self, values: Mapping[str, Any]) -> Recipe:
        """Return a copy with other values, possibly as text.

        A changed field is removed from `assumed`, which lists the choices that the source leaves open.

        Raises:
            RecipeError: The values are invalid; the message is one sentence, `allowed` names the fields.
        """
        assumed = {field: reason for field, reason in self.assumed.items() if field not in values}
        merged = self.model_dump() | {"assumed": assumed} | {k: _native(k, v) for k, v in values.items()}
        try:
            return type(self).model_validate(merged)
        except ValidationError as error:
            raise RecipeError(error) from None

    def difference(self, other: Recipe) -> dict[str, tuple[Any, Any]]:
        """Return differing fields as `{field: (self, other)}`, except names and descriptions."""
        own_values, other_values = self.model_dump(mode="json"), other.model_dump(mode="json")
        words = {"name", "description", "assumed", "format"}
        return {
            k: (v, other_values[k]) for k, v in own_values.items() if k not in words and v != other_values[k]
        }


def _native(field: str, value: Any) -> Any:
    """Convert a command-line value: `none` clears a field, `{…}` is JSON."""
    if not isinstance(value, str):
        return value
    info = Recipe.model_fields.get(field)
    if info is not None and value.lower() == "none" and type(None) in get_args(info.annotation):
        return None
    if value.startswith("{"):
        try:
            return json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f"'{field}' is not JSON: {error.msg}.") from None
    return value


class RecipeError(ValueError):
    """Invalid values of a recipe; the message is one sentence about the first of them.

    Attributes:
        allowed: What each invalid field accepts, such as `a whole number from 1 to 100,000`, by field.
    """

    def __init__(self, error: ValidationError) -> None:
        """Describe pydantic's error."""
        super().__init__(_message(error))
        at = [str(each["loc"][0]) for each in error.errors() if len(each["loc"]) == 1]
        self.allowed = {field: text for field in at if (text := allowed_text(field))}


def allowed_text(field: str) -> str:
    """Describe the values that a field accepts; empty where that is no number in a range and no choice."""
    info = Recipe.model_fields.get(field)
    if info is None:
        return ""
    kinds = {info.annotation, *get_args(info.annotation)}
    if bool in kinds:
        return "true or false"
    if not kinds & {int, float}:
        values = get_args(info.annotation)
        choices = values and all(isinstance(value, str) for value in values)
        return f"{', '.join(values[:-1])} or {values[-1]}" if choices else ""
    or_none = ", or none" if type(None) in kinds else ""
    return f"{'a whole number' if int in kinds else 'a number'}{_range_text(info)}{or_none}"


def _range_text(info: FieldInfo) -> str:
    bounds = {name: getattr(m, name) for m in info.metadata for name in _BOUNDS if hasattr(m, name)}
    text = "".join(words.format(_number(bounds[name])) for name, words in _BOUNDS.items() if name in bounds)
    return (
        f"{text} on" if [*bounds] == ["ge"] else text.replace(" to", " and up to") if "gt" in bounds else text
    )


def _number(value: float) -> str:
    return f"{value:,.10g}" if value < 2**53 else f"2^{int(value).bit_length() - 1}"


_BOUNDS = {"gt": " above {}", "ge": " from {}", "le": " to {}", "lt": " to below {}"}


def _message(error: ValidationError) -> str:
    first = error.errors()[0]
    location = ".".join(str(part) for part in first["loc"])
    detail = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return f"A recipe has no field '{location}'; its fields are {', '.join(Recipe.model_fields)}."
    if first["type"] == "json_invalid":
        return f"This is not JSON ({detail}); a recipe is a JSON document."
    if len(first["loc"]) == 1 and (allowed := allowed_text(location)):
        given = str(first["input"])
        short = given if len(given) <= 40 else f"{given[:39]}…"
        return f"'{location}' cannot be '{short}', only {allowed}."
    if first["type"] == "value_error":  # ours, and a sentence
        return full_stop(detail[:1].upper() + detail[1:])
    return full_stop(f"The recipe cannot be read{f' at {location}' if location else ''}: {detail}")


def state_tensors(recipe: Recipe) -> int:
    """Return the number of tensors that the optimizer stores per weight."""
    if recipe.optimiser in ("adam", "adamw"):
        return 2
    return int(recipe.momentum > 0) + int(recipe.optimiser == "rmsprop")


# Comparison of recipes.

WORDS = frozenset(("format", "name", "description", "assumed"))
"""Fields without influence on training."""


class Differing(NamedTuple):
    """A field in which recipes differ: its description, and its value in each recipe."""

    field: str
    description: str
    values: tuple[Any, ...]


def differing(recipes: Sequence[Mapping[str, Any]]) -> list[Differing]:
    """List the fields in which at least two recipes differ, in the order of a recipe's fields.

    A field missing from a recipe (of an earlier version) has its default value. Fields unknown to this
    version come last.
    """
    model_fields = Recipe.model_fields
    defaults = Recipe().model_dump(mode="json")
    names = [
        *model_fields,
        *dict.fromkeys(name for recipe in recipes for name in recipe if name not in model_fields),
    ]
    differences = []
    for name in names:
        values = tuple(recipe.get(name, defaults.get(name)) for recipe in recipes)
        if name not in WORDS and any(value != values[0] for value in values[1:]):
            info = model_fields.get(name)
            differences.append(Differing(name, (info and info.description) or "", values))
    return differences


_STORED = re.compile(r"@[0-9a-f]{64}$")


def value_text(value: Any) -> str:
    """Format a recipe's value for a table cell: `yes`, `0.05`, `activation tanh`; a dash for none."""
    if value is None or value == "" or value == {}:
        return "—"
    match value:
        case bool():
            return "yes" if value else "no"
        case {"layers": list(layers)}:
            return f"a list of {len(layers)} layers"
        case dict():
            return ", ".join(f"{key_words(key)} {value_text(part)}" for key, part in value.items())
        case float():
            return f"{value:g}"
        case int():
            return f"{value:,}" if value >= 10_000 else str(value)
        case str() if _STORED.search(value):  # initial weights: the digest of their copy says nothing
            return value.partition("@")[0]
        case str() if " " not in value and "/" not in value:  # a choice, and not a title or a path
            return american(value)
        case _:
            return str(value)


# Model and data that a recipe refers to, resolved without building anything.

LONGEST_NAME = 60
"""Maximum number of characters of an unknown name that an error message repeats."""


def spec_for(recipe: Recipe) -> models.ModelSpec:
    """Return the registered model, the recipe's layer list, or the user's network as stored with the run.

    Raises:
        UnknownModelError: There is no such model.
        ValueError: The user's code is not on this machine.
    """
    if recipe.layers:
        return spec_of(recipe.layers, recipe.layers.name)
    if recipe.code:
        return registration.from_copy(recipe.model, recipe.code, recipe.options)
    return models.get(recipe.model)


def network_key(recipe: Recipe) -> str:
    """Return what of the recipe determines its network, as JSON."""
    return recipe.model_dump_json(include={"model", "layers", "options", "size", "code"})


def edition_of(recipe: Recipe) -> str:
    """Return the digest of the user's code, which distinguishes networks of the same name; else empty."""
    return recipe.code or ("" if recipe.layers else models.get(recipe.model).edition)


def with_code(recipe: Recipe) -> Recipe:
    """Return the recipe with the digest of a stored copy of the user's network, and its arguments.

    Raises:
        ValueError: An option may only be set by whoever started the program.
    """
    if recipe.layers or recipe.code or not recipe.model.startswith(registration.PREFIX):
        return recipe
    models.get(recipe.model).options.parse(
        recipe.options
    )  # Checked against the registered options, before the copy is loaded.
    code, arguments = registration.save_copy(recipe.model), registration.arguments_of(recipe.model)
    return recipe.model_copy(update={"code": code, "options": {**arguments, **recipe.options}})


def side_for(recipe: Recipe) -> tuple[int, int]:
    """Return height and width of the model's input."""
    _, height, width = spec_for(recipe).input_shape
    return (recipe.size, recipe.size) if recipe.size else (height, width)


def analysis_for(recipe: Recipe, classes: int) -> Analysis:
    """Return the analysis of the network for `classes` classes; imports torch unless it is precomputed.

    Raises:
        UnknownModelError: There is no such model.
        ValueError: The network cannot be built with these options or this size.
    """
    options = None if recipe.layers else recipe.options
    return analyze(spec_for(recipe), side_for(recipe), classes, options)


def require_registered(recipe: Recipe, what: str, allowed: str | None = None) -> None:
    """Reject a recipe whose data or model is not registered; pages and links may use only these.

    Nothing is looked up on disk or elsewhere.

    Args:
        recipe: The recipe, from an untrusted source.
        what: Where it comes from, as the beginning of a sentence: `The recipe file`.
        allowed: Data of a run in the run database, which its clone may name.

    Raises:
        ValueError: The data are not registered, or the code is of another version.
        UnknownModelError: There is no such model.
    """
    if recipe.layers is None:
        spec = models.get(recipe.model)
        if recipe.code and recipe.code != spec.edition:
            raise ValueError(
                f"{what} is of another version of {spec.title} than this program was started with, and code "
                "runs only where whoever started the program named it."
            )
        if spec.edition:
            spec.options.parse(recipe.options)
    registered = datasets.names()
    if recipe.dataset not in registered and (allowed is None or recipe.dataset != allowed):
        raise ValueError(unregistered_text(what, recipe.dataset))


def unregistered_text(what: str, name: str) -> str:
    """Return the message for data that are not registered, with the command that registers data."""
    short = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
    return (
        f"{what} names '{short}' as data, which is no registered data set; pages take the name of one "
        f"({', '.join(datasets.names())}), and `python -m cnnviz data prepare PATH` on the command line "
        "gives your own a name."
    )
