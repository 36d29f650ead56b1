"""Hooke: a microscope for neural networks. This is its Python client.

    import hooke

    with hooke.connect("localhost:50051") as client:
        answer = client.activations("demo", "cat.jpg", layers=["blocks.*"], reduce="mean")
        client.picture("demo", layer="blocks.4.2", unit=7).save("unit7.png")

The server is another package, `hooke_server`; nothing here needs torch.
"""

from hooke.activations import Activations
from hooke.client import Client, connect
from hooke.errors import (
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
from hooke.frames import Estimate, Frame, Picture, Progress, Provenance, Result, Tensor
from hooke.readout import FeatureMaps, Histogram, Quantiles, Readout, TopK
from hooke.techniques import FeatureVisualization
from hooke.values import Layer, Model, Preprocessing, Technique, TensorSpec, WeightSummary
from hooke.version import __version__

__all__ = [
    "Activations",
    "AlreadyExistsError",
    "CancelledError",
    "Client",
    "DataLossError",
    "DeadlineExceededError",
    "Estimate",
    "FailedPreconditionError",
    "FeatureMaps",
    "FeatureVisualization",
    "Frame",
    "Histogram",
    "HookeError",
    "InternalError",
    "InvalidArgumentError",
    "Layer",
    "Model",
    "NotFoundError",
    "OutOfRangeError",
    "PermissionDeniedError",
    "Picture",
    "Preprocessing",
    "Progress",
    "Provenance",
    "Quantiles",
    "Readout",
    "ResourceExhaustedError",
    "Result",
    "Technique",
    "Tensor",
    "TensorSpec",
    "TopK",
    "UnavailableError",
    "WeightSummary",
    "__version__",
    "connect",
]
