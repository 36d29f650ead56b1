"""Hooke: a microscope for neural networks. This is its Python client.

    import hooke

    with hooke.connect("localhost:50051") as client:
        answer = client.activations("demo", "cat.jpg", layers=["blocks.*"], reduce="mean")
        client.picture("demo", layer="blocks.4.2", unit=7).save("unit7.png")

The server is another package, `hooke_server`; nothing here needs torch.
"""

from hooke import methods
from hooke.activations import Activations
from hooke.attributions import At, Attributions, Evidence, Region
from hooke.client import Client, connect
from hooke.comparison import Compared
from hooke.edits import Ablate, AddDirection, Clamp, Replace, Scale
from hooke.errors import (
    AbortedError,
    AlreadyExistsError,
    CancelledError,
    DataLossError,
    DeadlineExceededError,
    FailedPreconditionError,
    HookeError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnavailableError,
)
from hooke.frames import Checkpoint, Estimate, Frame, Picture, Progress, Provenance, Result, Tensor
from hooke.places import Location
from hooke.readout import FeatureMaps, Histogram, Quantiles, Readout, TopK
from hooke.tables import Column, Finding, Table
from hooke.techniques import (
    Accentuation,
    ActivationGrid,
    Caricature,
    ChannelAttribution,
    Comparison,
    DeepDream,
    FeatureInversion,
    FeatureVisualization,
    NeuronGroups,
    SemanticDictionary,
    SpatialAttribution,
    StyleTransfer,
    TuningCurves,
    WeightPictures,
)
from hooke.values import Layer, Model, Preprocessing, Technique, TensorSpec, WeightSummary
from hooke.version import __version__
from hooke.visualization import SpriteSheet

__all__ = [
    "Ablate",
    "AbortedError",
    "Accentuation",
    "ActivationGrid",
    "Activations",
    "AddDirection",
    "AlreadyExistsError",
    "At",
    "Attributions",
    "CancelledError",
    "Caricature",
    "ChannelAttribution",
    "Checkpoint",
    "Clamp",
    "Client",
    "Column",
    "Compared",
    "Comparison",
    "DataLossError",
    "DeadlineExceededError",
    "DeepDream",
    "Estimate",
    "Evidence",
    "FailedPreconditionError",
    "FeatureInversion",
    "FeatureMaps",
    "FeatureVisualization",
    "Finding",
    "Frame",
    "Histogram",
    "HookeError",
    "InternalError",
    "InvalidArgumentError",
    "Layer",
    "Location",
    "Model",
    "NeuronGroups",
    "NotFoundError",
    "OutOfRangeError",
    "PermissionDeniedError",
    "Picture",
    "Preprocessing",
    "Progress",
    "Provenance",
    "Quantiles",
    "Readout",
    "Region",
    "Replace",
    "ResourceExhaustedError",
    "Result",
    "Scale",
    "SemanticDictionary",
    "SpatialAttribution",
    "SpriteSheet",
    "StyleTransfer",
    "Table",
    "Technique",
    "Tensor",
    "TensorSpec",
    "TopK",
    "TuningCurves",
    "UnavailableError",
    "WeightPictures",
    "WeightSummary",
    "__version__",
    "connect",
    "methods",
]
