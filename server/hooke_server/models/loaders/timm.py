"""`timm:NAME[?checkpoint=FILE]`: timm's architectures; nothing is downloaded."""

from __future__ import annotations

from math import floor
from typing import Any

from hooke_server.errors import Reason
from hooke_server.models.loaders import LoadContext
from hooke_server.models.loaders.architecture import (
    Architecture,
    imagenet_labels,
    load_architecture,
    seeded,
)
from hooke_server.models.model import Model
from hooke_server.models.preprocessing import Interpolation, Preprocessing
from hooke_server.models.sources import Source
from hooke_server.registry import not_found


def load(source: Source, context: LoadContext) -> Model:
    """Load a timm network, with the weights of a file if one is named."""
    return load_architecture(architecture, source, context, option="checkpoint")


def architecture(name: str, checkpoint: str = "", classes: int | None = None) -> Architecture:
    """Build a network with weights at random; NotFoundError if timm has none such."""
    import timm

    # What timm does not know by name it might ask a hub for.
    if not timm.is_model(name):
        hint = "timm.list_models() names them all"
        raise not_found("timm model", name, timm.list_models(), Reason.SOURCE_NOT_FOUND, hint)
    with seeded():
        options: dict[str, Any] = {} if classes is None else {"num_classes": classes}
        module = timm.create_model(name, pretrained=False, **options)
    config: dict[str, Any] = vars(module)["pretrained_cfg"]
    size = tuple(config.get("input_size") or (3, 224, 224))
    return Architecture(
        module=module,
        example_shapes=((1, *size),),
        preprocessing=_preprocessing(config, size) if size[0] in {1, 3} else None,
        labels=imagenet_labels() if classes is None and config.get("num_classes") == 1000 else (),
    )


def _preprocessing(config: dict[str, Any], size: tuple[int, ...]) -> Preprocessing:
    channels, height, width = size
    interpolation = config.get("interpolation", "bicubic")
    known: dict[str, Interpolation] = {"bilinear": "bilinear", "nearest": "nearest"}
    # "squash" resizes both sides to the crop's own size.
    squash = config.get("crop_mode") == "squash" or height != width
    return Preprocessing(
        channels=channels,
        resize_shorter_side=0 if squash else floor(height / config.get("crop_pct", 0.875)),
        interpolation=known.get(interpolation, "bicubic"),
        crop_height=height,
        crop_width=width,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )
