"""`torchvision:NAME[?weights=FILE]`: torchvision's architectures; nothing is downloaded."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from hooke_server.errors import Reason
from hooke_server.models.loaders import LoadContext
from hooke_server.models.loaders.architecture import Architecture, load_architecture, seeded
from hooke_server.models.loaders.detectors import dense, is_detector
from hooke_server.models.loaders.detectors import preprocessing as detector_preprocessing
from hooke_server.models.model import Model
from hooke_server.models.preprocessing import Preprocessing
from hooke_server.models.sources import Source
from hooke_server.registry import not_found

_FRAME = (1, 3, 128, 128)


def load(source: Source, context: LoadContext) -> Model:
    """Load a torchvision network, with the weights of a file if one is named."""
    return load_architecture(architecture, source, context, option="weights")


def architecture(name: str, checkpoint: str = "", classes: int | None = None) -> Architecture:
    """Build a network with weights at random; NotFoundError if torchvision has none such.

    The checkpoint's file name tells which of torchvision's trainings it is, and so
    how pictures have to be preprocessed.
    """
    from torchvision import models

    if name not in models.list_models():
        hint = "torchvision.models.list_models() names them all"
        raise not_found(
            "torchvision model", name, models.list_models(), Reason.SOURCE_NOT_FOUND, hint
        )
    training = _training(models.get_model_weights(name), checkpoint)
    preprocessing = _preprocessing(training.transforms()) if training else None
    with seeded():
        options = _options(name, checkpoint, preprocessing)
        options |= {} if classes is None else {"num_classes": classes}
        module = models.get_model(name, weights=None, **options)
    if is_detector(name):
        module, preprocessing = dense(name, module), detector_preprocessing(module)
    return Architecture(
        module=module,
        example_shapes=_shapes(name, preprocessing, training),
        preprocessing=preprocessing,
        labels=tuple(training.meta.get("categories", ())) if training and classes is None else (),
    )


def _training(trainings: Any, checkpoint: str) -> Any:
    """The training whose file this is, else the first of those on the smallest pictures."""
    known = {PurePath(training.url).name: training for training in trainings}
    sizes = {t: getattr(t.transforms(), "crop_size", [0])[0] for t in trainings}
    return known.get(PurePath(checkpoint).name) or min(sizes, key=sizes.__getitem__, default=None)


def _options(name: str, checkpoint: str, preprocessing: Preprocessing | None) -> dict[str, Any]:
    """What keeps torchvision from downloading a backbone, warning, or taking another size."""
    if name.startswith("vit_") and preprocessing is not None:
        return {"image_size": preprocessing.crop_height}
    if name in {"googlenet", "inception_v3"}:
        # Torchvision's own checkpoints of these two expect the input of another scale.
        return {"init_weights": False, "transform_input": bool(checkpoint)}
    segmentation = name.startswith(("fcn_", "deeplabv3_", "lraspp_"))
    return {"weights_backbone": None} if segmentation or is_detector(name) else {}


def _preprocessing(preset: Any) -> Preprocessing | None:
    """From torchvision's preset for pictures; others (clips, pairs of frames) have none."""
    kind = type(preset).__name__
    if kind not in {"ImageClassification", "SemanticSegmentation"}:
        return None
    resize = preset.resize_size[0]
    # Segmentation resizes without cropping, to any shape; a batch needs one shape.
    crop = preset.crop_size[0] if kind == "ImageClassification" else resize
    return Preprocessing(
        resize_shorter_side=resize,
        interpolation=preset.interpolation.value,
        crop_height=crop,
        crop_width=crop,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )


def _shapes(
    name: str, preprocessing: Preprocessing | None, training: Any
) -> tuple[tuple[int, ...], ...]:
    if preprocessing is not None:
        return ((1, 3, preprocessing.crop_height, preprocessing.crop_width),)
    if name.startswith("raft"):
        return (_FRAME, _FRAME)
    return ((1, 3, *_clip(training)),)


def _clip(training: Any) -> tuple[int, int, int]:
    """Frames, height and width of a clip: 16 frames, as small as the training allows."""
    height, width = training.meta.get("min_size", (1, 1))
    return 16, max(112, height), max(112, width)
