"""Preprocessing of an image to a model's input: settings that can be stored, displayed and changed."""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cnnviz.inference import InferenceError
from cnnviz.training.recipe import Recipe, Scale

if TYPE_CHECKING:
    from torch import Tensor

    from cnnviz.training.checkpoint import ModelSignature
    from cnnviz.training.data.transforms import Transform

Background = Literal["white", "black", "grey"]
Fit = Literal["crop", "pad", "stretch", "shorter"]
Resample = Literal["nearest", "bilinear", "bicubic", "lanczos"]
InputScale = Literal[Scale, "unit-standardised"]
Size = tuple[int, int]
MAX_SIDE = 2_048


class Preprocessing(BaseModel):
    """Preprocessing of one image. Each field's description is shown beside it on pages.

    `mean` and `spread` (standard deviation) have a value per channel, in pixels from 0 to 255; for the scale
    `unit-standardised`, which is torchvision's, from 0 to 1. `mean_image` is base64 of little-endian float32
    `(C, *side)`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    background: Background = Field("white", description="What shows through where an image is transparent.")
    oriented: bool = Field(True, description="Turn the image upright as its camera noted (EXIF).")
    channels: Literal[1, 3] = Field(3, description="1 for gray (BT.601), 3 for color.")
    invert: bool = Field(False, description="Exchange light and dark, as for ink on paper.")
    centre: bool = Field(
        False, description="Cut to what is light and center it in a frame, as MNIST's digits were."
    )
    fit: Fit = Field(
        "crop",
        description="Other proportions: cut the middle, pad, stretch, or resize the shorter side and cut.",
    )
    resample: Resample = Field("bilinear", description="The filter that resizes.")
    stored: Size = Field(description="Height and width first made: those of the training images.")
    crop_from: int | None = Field(
        None, ge=1, le=MAX_SIDE, description="Side enlarged to before the middle is cut."
    )
    side: Size = Field(description="Height and width of the model's input.")
    ten_crop: bool = Field(False, description="Predict from corners, middle and their mirrors, averaged.")
    scale: InputScale = Field("unit", description="How pixels become numbers.")
    mean: tuple[float, ...] = Field((), description="Mean of each channel.")
    spread: tuple[float, ...] = Field((), description="Standard deviation of each channel.")
    mean_image: str | None = Field(None, description="Mean image, where that is taken off.", repr=False)

    @model_validator(mode="after")
    def _fields_fit_together(self) -> Preprocessing:
        if not all(1 <= length <= MAX_SIDE for length in (*self.stored, *self.side)):
            raise ValueError(f"sizes are from 1 to {MAX_SIDE:,} pixels")
        if self.scale not in ("unit", "raw") and len(self.mean) != self.channels:
            raise ValueError(f"'{self.scale}' needs a mean for each of {self.channels} channels")
        if self.scale.endswith("standardised") and len(self.spread) != self.channels:
            raise ValueError(
                f"'{self.scale}' needs a standard deviation for each of {self.channels} channels"
            )
        if self.mean_image is not None and len(self.mean_image) != _encoded_length(self.channels, self.side):
            raise ValueError("the mean image is of another size than the input")
        if self.fit == "shorter" and (min(self.stored) < max(self.side) or self.crop_from is not None):
            raise ValueError("'shorter' resizes to at least the input's side and cuts the middle out of that")
        return self

    @classmethod
    def plain(cls, channels: int, side: Size) -> Preprocessing:
        """Return the default for weights without metadata: pixels from 0 to 1 at the model's input size."""
        return cls.made(channels=channels, stored=side, side=side)

    @classmethod
    def of_training(cls, recipe: Recipe, signature: ModelSignature) -> Preprocessing:
        """Return the evaluation preprocessing of a run with this recipe, exact to the bit."""
        statistics = signature.statistics
        channels, height, width = statistics.mean_image.shape
        uses_mean_image = recipe.scale == "raw-minus-mean" and signature.side == (height, width)
        return cls.made(
            channels=channels,
            stored=(height, width),
            crop_from=recipe.crop_from,
            side=signature.side,
            ten_crop=recipe.ten_crop,
            scale=recipe.scale,
            mean=tuple(statistics.mean.tolist()),
            spread=tuple(statistics.spread.tolist()),
            mean_image=_encoded(statistics.mean_image) if uses_mean_image else None,
        )

    @classmethod
    def of_torchvision(cls, transforms: Any) -> Preprocessing:
        """Return the preprocessing of torchvision's weights; `transforms` is their `ImageClassification`."""
        resize, crop = transforms.resize_size[0], transforms.crop_size[0]
        return cls.made(
            channels=3,
            fit="shorter",
            resample=transforms.interpolation.value,
            stored=(resize, resize),
            side=(crop, crop),
            scale="unit-standardised",
            mean=tuple(transforms.mean),
            spread=tuple(transforms.std),
        )

    @classmethod
    def made(cls, **values: Any) -> Preprocessing:
        """Validate the values; raise `InferenceError` with one sentence."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise InferenceError(_message(error)) from None

    def changed(self, **values: Any) -> Preprocessing:
        """Return a copy with other values; raise `InferenceError` for invalid ones."""
        return self.made(**(self.model_dump() | values))

    def inputs(self, images: Tensor) -> Tensor:
        """Convert images uint8 `(N, C, H, W)` to float input `(N, C, *side)`, or `(10·N, …)` with ten crops.

        H and W are those of `stored`, or of `side` after `shorter`. Ten crops are ordered crop by crop.
        """
        if self.scale == "unit-standardised":
            return self._standardised(self._preparation("raw").test(images))
        return self._preparation(self.scale).test(images)

    def centred(self, images: Tensor) -> Tensor:
        """Crop and resize as `inputs`, with one view per image and pixels from 0 to 255."""
        return self.changed(ten_crop=False)._preparation("raw").test(images)

    def normalised(self, pixels: Tensor) -> Tensor:
        """Scale pixels `(N, C, *side)` from 0 to 255 to the model's scale."""
        if self.scale == "unit-standardised":
            return self._standardised(pixels)
        return self._preparation(self.scale).scaled(pixels)

    def _standardised(self, pixels: Tensor) -> Tensor:
        """Standardize in torchvision's order of operations, for identical bits."""
        mean, spread = (pixels.new_tensor(values)[:, None, None] for values in (self.mean, self.spread))
        return (pixels / 255 - mean) / spread

    def _preparation(self, scale: Scale) -> Transform:
        import torch

        from cnnviz.training.data.transforms import Statistics, Transform

        statistics = Statistics(
            torch.tensor(self.mean),
            torch.tensor(self.spread),
            _decoded(self.mean_image, (self.channels, *self.side)),
            torch.empty(0),
        )
        recipe = Recipe(scale=scale, crop_from=self.crop_from, ten_crop=self.ten_crop)
        return Transform(recipe, statistics, self.side)


def _encoded(values: Tensor) -> str:
    return base64.b64encode(values.cpu().numpy().astype("<f4").tobytes()).decode()


def _encoded_length(channels: int, side: Size) -> int:
    return 4 * math.ceil(4 * channels * side[0] * side[1] / 3)


def _decoded(text: str | None, shape: tuple[int, int, int]) -> Tensor:
    import torch

    if text is None:
        return torch.empty(shape[0], 0, 0)
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), "<f4").astype(np.float32).reshape(shape))


def _message(error: ValidationError) -> str:
    first = error.errors()[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    field_info = Preprocessing.model_fields.get(field)
    accepted = (
        " or ".join(map(str, get_args(field_info.annotation)))
        if first["type"] == "literal_error" and field_info
        else ""
    )
    detail = first["msg"].removeprefix("Value error, ")
    return f"This preprocessing cannot be{f' at {field}' if field else ''}: {accepted or detail}."
