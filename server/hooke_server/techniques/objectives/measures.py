"""Measures: what a place says, as a number for each picture; `hooke.v1.Measure` explains each.

A measure is a frozen value: a class with its parameters, called with a scene.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import torch
from torch import Tensor

from hooke_server.techniques.objectives.penalties import (
    Blur,
    BoundaryComplexity,
    MeanAlpha,
    PixelNorm,
    TotalVariation,
)
from hooke_server.techniques.objectives.scene import Scene
from hooke_server.techniques.parameters import AtMost, Range
from hooke_server.techniques.targets import Photograph, Site

NEIGHBOURS = 4
"""How far along the batch `Misalignment` looks, as Lucid does."""

Layer = Annotated[Site, "Which layer, whole."]
Picture = Annotated[Photograph, "The picture to compare with."]
CosinePower = Annotated[
    float, Range(0, 16), "0: how far; larger: rather in exactly this direction."
]


class ActivationComparison(StrEnum):
    """How activations are compared; as `hooke.v1.ActivationComparison`."""

    MEAN_ABSOLUTE = "mean_absolute"
    RELATIVE_SQUARED = "relative_squared"
    GRAM = "gram"


@dataclass(frozen=True, kw_only=True)
class Response:
    """What a location says."""

    location: Annotated[Site, "Where."]

    def __call__(self, scene: Scene) -> Tensor:
        """The mean over what the site does not fix."""
        site, value = self.location, scene.activations(self.location)
        if site.unit is not None:
            value = value[:, site.unit : site.unit + 1]
        return at_position(value, site).flatten(1).mean(1)


@dataclass(frozen=True, kw_only=True)
class LayerEnergy:
    """How strong a layer is: the mean of its squares."""

    location: Layer

    def __call__(self, scene: Scene) -> Tensor:
        """The mean of the squares."""
        return scene.activations(self.location).square().flatten(1).mean(1)


@dataclass(frozen=True, kw_only=True)
class Direction:
    """How far activations point into a direction, each position for itself."""

    location: Annotated[Site, "Which layer, and perhaps a position; no unit."]
    vector: Annotated[
        tuple[float, ...],
        Range(-1e9, 1e9),
        AtMost(1 << 16),
        "One number for each unit of the layer.",
    ]
    cosine_power: CosinePower = 0.0

    def __call__(self, scene: Scene) -> Tensor:
        """The mean over positions."""
        value = at_position(scene.activations(self.location), self.location)
        wanted = torch.tensor(self.vector, dtype=value.dtype, device=value.device)
        return along(value, wanted.reshape(1, -1, *[1] * (value.ndim - 2)), self.cosine_power)


@dataclass(frozen=True, kw_only=True)
class ImageDirection:
    """How much activations are like those of a picture, place by place."""

    location: Layer
    image: Picture
    cosine_power: CosinePower = 0.0

    def __call__(self, scene: Scene) -> Tensor:
        """The mean over positions."""
        value = scene.activations(self.location)
        value, wanted = centred(value, scene.reference(self.image, self.location))
        return along(value, wanted, self.cosine_power)


@dataclass(frozen=True, kw_only=True)
class Blend:
    """From one place to another along the batch."""

    first: Annotated[Site, "What the first picture is for."]
    second: Annotated[Site, "What the last picture is for."]

    def __call__(self, scene: Scene) -> Tensor:
        """The first's response and the second's, in shares that change along the batch."""
        first, second = (Response(location=each)(scene) for each in (self.first, self.second))
        return first.lerp(second, torch.linspace(0, 1, len(first), device=first.device))


@dataclass(frozen=True, kw_only=True)
class Misalignment:
    """How unlike neighbours in the batch are."""

    location: Layer
    decay_ratio: Annotated[float, Range(1, 100), "How much less each further neighbour counts."] = (
        2.0
    )

    def __call__(self, scene: Scene) -> Tensor:
        """For each picture half its differences, so that their sum is that of all pairs."""
        value = scene.activations(self.location).flatten(1)
        total = torch.zeros(len(value), dtype=value.dtype, device=value.device)
        for distance in range(1, min(NEIGHBOURS, len(value) - 1) + 1):
            apart = (value[distance:] - value[:-distance]).square().mean(1)
            half = apart / (2 * self.decay_ratio**distance)
            none = half.new_zeros(distance)
            total = total + torch.cat([half, none]) + torch.cat([none, half])
        return total


@dataclass(frozen=True, kw_only=True)
class Diversity:
    """How unlike each other the pictures of the batch are, by their textures."""

    location: Layer

    def __call__(self, scene: Scene) -> Tensor:
        """Less the mean cosine between Gram matrices."""
        alike = gram_cosines(scene.activations(self.location))
        return -(alike.sum(1) - alike.diagonal()) / max(len(alike) - 1, 1)


@dataclass(frozen=True, kw_only=True)
class ActivationDifference:
    """How far activations are from those of a picture."""

    location: Layer
    image: Picture
    comparison: Annotated[ActivationComparison, "How they are compared."] = (
        ActivationComparison.MEAN_ABSOLUTE
    )

    def __call__(self, scene: Scene) -> Tensor:
        """A distance from 0."""
        value = scene.activations(self.location)
        wanted = scene.reference(self.image, self.location)
        if self.comparison is ActivationComparison.GRAM:
            wanted = gram(wanted)
            apart = (gram(value) - wanted).abs().flatten(1).mean(1)
            return apart / wanted.abs().mean().clamp(min=1e-12)
        value, wanted = centred(value, wanted)
        apart = value - wanted
        if self.comparison is ActivationComparison.MEAN_ABSOLUTE:
            return apart.abs().flatten(1).mean(1)
        return apart.square().flatten(1).mean(1) / wanted.square().mean().clamp(min=1e-12)


Measure = (
    Response
    | LayerEnergy
    | Direction
    | ImageDirection
    | Blend
    | Misalignment
    | Diversity
    | ActivationDifference
    | PixelNorm
    | TotalVariation
    | Blur
    | BoundaryComplexity
    | MeanAlpha
)


def at_position(value: Tensor, site: Site) -> Tensor:
    """Of [n, units, *positions] the site's position alone, or all where it has none."""
    for index in site.position:
        value = value[:, :, index]
    return value


def along(value: Tensor, wanted: Tensor, cosine_power: float) -> Tensor:
    """The mean over positions of dot x max(0.1, cosine)^power; directions are axis 1."""
    unit = torch.nn.functional.normalize(wanted, dim=1, eps=1e-8)
    dots = (value * unit).sum(1)
    if cosine_power:
        cosines = dots / value.norm(dim=1).clamp(min=1e-8)
        dots = dots * cosines.clamp(min=0.1) ** cosine_power
    return dots.flatten(1).mean(1) if dots.ndim > 1 else dots


def centred(value: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Both cropped to the middle that both have, along each position axis."""
    for axis in range(2, value.ndim):
        size = min(value.shape[axis], wanted.shape[axis])
        value, wanted = (
            each.narrow(axis, (each.shape[axis] - size) // 2, size) for each in (value, wanted)
        )
    return value, wanted


def gram(value: Tensor) -> Tensor:
    """Products of units, [n, units, units], as means over positions."""
    flat = value.flatten(2) if value.ndim > 2 else value[..., None]
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def gram_cosines(value: Tensor) -> Tensor:
    """Between the Gram matrices of all pairs of entries, [n, n]."""
    flat = value.flatten(2) if value.ndim > 2 else value[..., None]
    if flat.shape[2] < flat.shape[1]:  # <AA', BB'> is |A'B|^2: fewer numbers
        products = torch.einsum("iup,juq->ijpq", flat, flat).square().sum((2, 3))
    else:
        grams = gram(value).flatten(1)
        products = grams @ grams.T
    lengths = products.diagonal().clamp(min=1e-20).sqrt()
    return products / (lengths[:, None] * lengths)
