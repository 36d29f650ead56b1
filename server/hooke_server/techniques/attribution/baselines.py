"""What stands for "nothing is there"; `hooke.v1.Baseline` explains each.

A baseline is a frozen value: called with what an input of the model says, or a layer, it gives
another value of the same shape. `begins_at` tells where baselines are made for a place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from hooke_server.errors import FailedPreconditionError, InvalidArgumentError, Reason
from hooke_server.models.layer import Layer, LayerKind
from hooke_server.models.model import Model
from hooke_server.models.preprocessing import Preprocessing
from hooke_server.techniques.parameters import AtMost, Range
from hooke_server.techniques.reach import upstream
from hooke_server.techniques.targets import Photograph


@dataclass(frozen=True, kw_only=True)
class ZeroBaseline:
    """Zeros in the numbers that the model takes."""

    def __call__(
        self, value: Tensor, layer: Layer, model: Model, generator: torch.Generator
    ) -> Tensor:
        """The baseline of a value of the layer."""
        return torch.zeros_like(value)

    def obstacle(self, model: Model, layer: Layer) -> str:
        """Why the layer has no such baseline; empty where it has."""
        return ""


@dataclass(frozen=True, kw_only=True)
class ConstantBaseline:
    """One brightness everywhere: 0 is black, 1 white."""

    value: Annotated[float, Range(0, 1), "The brightness."] = 0.0

    def __call__(
        self, value: Tensor, layer: Layer, model: Model, generator: torch.Generator
    ) -> Tensor:
        """The baseline of a value of the layer."""
        steps = prepared(model)
        mean, std = (
            torch.tensor(numbers, dtype=value.dtype, device=value.device)
            for numbers in (steps.mean, steps.std)
        )
        return ((self.value - mean) / std).reshape(1, -1, 1, 1).expand_as(value).clone()

    def obstacle(self, model: Model, layer: Layer) -> str:
        """Why the layer has no such baseline; empty where it has."""
        return prepared_obstacle(model, layer)


@dataclass(frozen=True, kw_only=True)
class MeanBaseline:
    """The mean of the sample itself over its positions, for each channel."""

    def __call__(
        self, value: Tensor, layer: Layer, model: Model, generator: torch.Generator
    ) -> Tensor:
        """The baseline of a value of the layer."""
        axes = layer.position_axes or (1,)
        return value.mean(axes, keepdim=True).expand_as(value).clone()

    def obstacle(self, model: Model, layer: Layer) -> str:
        """Why the layer has no such baseline; empty where it has."""
        return "" if len(layer.output.shape) > 1 else f"{layer.id!r} has one axis"


@dataclass(frozen=True, kw_only=True)
class BlurBaseline:
    """The sample without its detail."""

    deviation: Annotated[float, Range(0.1, 200), "Of the Gaussian, in pixels."] = 10.0

    def __call__(
        self, value: Tensor, layer: Layer, model: Model, generator: torch.Generator
    ) -> Tensor:
        """The baseline of a picture; the blur is cut at four deviations, or the picture's edge."""
        reach = min(round(4 * self.deviation), min(value.shape[2:]) - 1)
        blurred: Tensor = gaussian_blur(value, [2 * reach + 1] * 2, [self.deviation] * 2)
        return blurred

    def obstacle(self, model: Model, layer: Layer) -> str:
        """Why the layer has no such baseline; empty where it has."""
        return "" if is_picture(layer) else f"{layer.id!r} is no picture"


@dataclass(frozen=True, kw_only=True)
class NoiseBaseline:
    """Normal noise around the sample's own mean."""

    deviation: Annotated[float, Range(0, 10), "As a share of the sample's range of values."] = 0.2

    def __call__(
        self, value: Tensor, layer: Layer, model: Model, generator: torch.Generator
    ) -> Tensor:
        """The baseline of a value of the layer."""
        return MeanBaseline()(value, layer, model, generator) + noise(
            value, self.deviation, generator
        )

    def obstacle(self, model: Model, layer: Layer) -> str:
        """Why the layer has no such baseline; empty where it has."""
        return MeanBaseline().obstacle(model, layer)


@dataclass(frozen=True, kw_only=True)
class ImageBaseline:
    """Another picture, prepared as the model declares."""

    image: Annotated[Photograph, "The picture."]

    def __call__(
        self, value: Tensor, layer: Layer, model: Model, generator: torch.Generator
    ) -> Tensor:
        """The baseline of a value of the layer."""
        picture = prepared(model).decode(self.image.data, self.image.field)
        return picture.to(value).expand_as(value).clone()

    def obstacle(self, model: Model, layer: Layer) -> str:
        """Why the layer has no such baseline; empty where it has."""
        return prepared_obstacle(model, layer)


Baseline = (
    ZeroBaseline | ConstantBaseline | MeanBaseline | BlurBaseline | NoiseBaseline | ImageBaseline
)

Baselines = Annotated[
    tuple[Baseline, ...],
    AtMost(16),
    "What stands for nothing; several are averaged over. None: zeros.",
]


def prepared(model: Model) -> Preprocessing:
    """How the model's pictures are prepared; FailedPreconditionError where it takes none."""
    if model.preprocessing is None:
        message = "this model's input is no picture"
        raise FailedPreconditionError(Reason.TECHNIQUE_NOT_APPLICABLE, message)
    return model.preprocessing


def noise(value: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    """Normal noise whose deviation is a share of each sample's range of values.

    Drawn on the CPU, so that a seed means the same on every device.
    """
    flat = value.flatten(1)
    extent = (flat.amax(1) - flat.amin(1)).reshape(-1, *[1] * (value.ndim - 1))
    drawn = torch.randn(value.shape, generator=generator, dtype=value.dtype)
    return drawn.to(value.device) * extent * deviation


def is_picture(layer: Layer) -> bool:
    """Whether it is an input [batch, channels, height, width]."""
    picture = layer.kind is LayerKind.INPUT and len(layer.output.shape) == 4
    return picture and layer.unit_axis % 4 == 1


def prepared_obstacle(model: Model, layer: Layer) -> str:
    """Why no picture becomes what the layer says; empty where one does."""
    if model.preprocessing and layer.id == model.inputs[0].name and is_picture(layer):
        return ""
    return f"{layer.id!r} is no picture that Hooke can prepare"


def begins_at(model: Model, place: Layer) -> list[Layer]:
    """Where baselines are made: in all inputs of real numbers, or in the place itself.

    That is so where no such input leads to the place, as at the embedding of tokens.
    """
    way = upstream(model, [place.id])
    if not any(each.kind is LayerKind.INPUT for each in way):
        return [place]
    return [model.layer(each.name) for each in model.inputs if each.dtype.is_floating_point]


def check_baselines(
    model: Model, baselines: Sequence[Baseline], places: Sequence[str], field: str
) -> None:
    """Raise for a baseline that cannot be made where the places need it."""
    begins = {each.id: each for place in places for each in begins_at(model, model.layer(place))}
    for index, baseline in enumerate(baselines):
        for layer in begins.values():
            if reason := baseline.obstacle(model, layer):
                raise InvalidArgumentError(
                    Reason.INVALID_FIELD,
                    f"{type(baseline).__name__} cannot be made: {reason}",
                    field=f"{field}.baselines[{index}]",
                )
