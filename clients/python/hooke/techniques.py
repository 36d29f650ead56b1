"""Techniques with their parameters, one class for each message of the contract.

    FeatureVisualization(steps=256, image=Image(storage=FixedMagnitude()), pictures=4)
    Caricature(photograph="dog.jpg", size=224)

A parameter that is left None takes the server's default, which `Client.techniques()` tells.
Those of `Ascent`, how pictures are optimized, are parameters of each technique that does.
Pictures are given as a path, a file's bytes, a Pillow image or an array, places as a `Location`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hooke.ascent import (
    Ascent,
    Crop,
    FixedMagnitude,
    FourierImage,
    ImageParameterization,
    Jitter,
    LaplacianPyramid,
    Noise,
    Pad,
    PatternNetwork,
    PixelImage,
    Rotate,
    Scale,
    Storage,
    Transform,
    TransformSequence,
)
from hooke.objectives import Photograph
from hooke.places import Location
from hooke.v1 import visualization_service_pb2 as pb

__all__ = [
    "LENSES",
    "Accentuation",
    "ActivationGrid",
    "Ascent",
    "Caricature",
    "ChannelAttribution",
    "Comparison",
    "Crop",
    "DeepDream",
    "FeatureInversion",
    "FeatureVisualization",
    "FixedMagnitude",
    "FourierImage",
    "ImageParameterization",
    "Jitter",
    "LaplacianPyramid",
    "Lens",
    "NeuronGroups",
    "Noise",
    "Pad",
    "PatternNetwork",
    "PixelImage",
    "Rotate",
    "Scale",
    "SemanticDictionary",
    "SpatialAttribution",
    "Storage",
    "StyleTransfer",
    "Transform",
    "TransformSequence",
    "TuningCurves",
    "WeightPictures",
]


@dataclass(frozen=True, kw_only=True)
class FeatureVisualization(Ascent):
    """The input that a channel, a neuron or a class responds to most.

    Parameters
    ----------
    sign : `positive`, `negative` for the least response, or `both`.
    pictures : of each item.
    diversity : how much they shall differ, as a share of the unit's response.
    """

    sign: str | None = None
    pictures: int | None = None
    diversity: float | None = None


@dataclass(frozen=True, kw_only=True)
class DeepDream(Ascent):
    """A whole layer, made as strong as can be; from noise, or from `image.start`."""


@dataclass(frozen=True, kw_only=True)
class Caricature(Ascent):
    """What a layer sees in a photograph, exaggerated."""

    photograph: Photograph
    cosine_power: float | None = None


@dataclass(frozen=True, kw_only=True)
class FeatureInversion(Ascent):
    """What a layer keeps of a photograph."""

    photograph: Photograph


@dataclass(frozen=True, kw_only=True)
class Accentuation(Ascent):
    """What in a photograph a unit responds to, made stronger.

    Parameters
    ----------
    faithfulness : how much the picture has to stay like the photograph.
    anchor : the layer at which it has to.
    """

    photograph: Photograph
    faithfulness: float | None = None
    anchor: Location | None = None


@dataclass(frozen=True, kw_only=True)
class StyleTransfer(Ascent):
    """The things of one picture in the manner of another."""

    content: Photograph
    style: Photograph
    style_locations: Sequence[Location] = ()
    style_weight: float | None = None


@dataclass(frozen=True, kw_only=True)
class ActivationGrid(Ascent):
    """What a layer sees at each place of a photograph.

    Parameters
    ----------
    cells : most tiles along an edge.
    cosine_power : larger: rather in exactly the activations' direction.
    """

    photograph: Photograph
    cells: int | None = None
    cosine_power: float | None = None


@dataclass(frozen=True, kw_only=True)
class NeuronGroups(Ascent):
    """What groups of units see in a photograph."""

    photograph: Photograph
    groups: int | None = None
    cosine_power: float | None = None


@dataclass(frozen=True, kw_only=True)
class SemanticDictionary(Ascent):
    """Which units see what at each place of a photograph.

    Parameters
    ----------
    units : at each place.
    icons : most different units.
    cells : most places along an edge.
    """

    photograph: Photograph
    units: int | None = None
    icons: int | None = None
    cells: int | None = None


@dataclass(frozen=True, kw_only=True)
class SpatialAttribution:
    """Which places of a photograph speak for an answer; by default the strongest."""

    photograph: Photograph
    target: Location | None = None


@dataclass(frozen=True, kw_only=True)
class ChannelAttribution(Ascent):
    """Which units speak for an answer; `units` for and as many against."""

    photograph: Photograph
    target: Location | None = None
    units: int | None = None


@dataclass(frozen=True, kw_only=True)
class TuningCurves:
    """How units respond to families of stimuli: `line`, `curve`, `color`, `frequency`, ..."""

    families: Sequence[str] = ()
    resolution: int | None = None


@dataclass(frozen=True, kw_only=True)
class WeightPictures:
    """Weights as pictures: filters, or with `source` those expanded between two layers."""

    source: Location | None = None
    source_units: int | None = None
    tile_size: int | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison(Ascent):
    """Two units side by side, of one model or of two."""

    other: Location


Lens = (
    FeatureVisualization
    | DeepDream
    | Caricature
    | FeatureInversion
    | Accentuation
    | StyleTransfer
    | ActivationGrid
    | NeuronGroups
    | SemanticDictionary
    | SpatialAttribution
    | ChannelAttribution
    | TuningCurves
    | WeightPictures
    | Comparison
)
"""A technique with its parameters; any of the classes above."""

LENSES: dict[str, type[Lens]] = {
    field.name: globals()[field.message_type.name]
    for field in pb.VisualizeRequest.DESCRIPTOR.oneofs_by_name["technique"].fields
    if field.message_type
}
"""The classes by the names of their techniques."""
