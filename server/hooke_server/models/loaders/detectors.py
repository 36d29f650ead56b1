"""Torchvision's detectors, as far as they are graphs.

What a detector returns depends on its picture: it compares scores, and keeps some boxes.
One of one stage (SSD, RetinaNet, FCOS) is a graph up to that choice; one of two stages
(R-CNN) chooses in the middle.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from hooke_server.errors import FailedPreconditionError, Reason
from hooke_server.models.preprocessing import Preprocessing


def is_detector(name: str) -> bool:
    """Whether torchvision's architecture of that name returns boxes."""
    return "rcnn" in name or name.startswith(("ssd", "retinanet", "fcos"))


class Dense(nn.Module):
    """A detector of one stage up to what it says of every anchor: nothing is chosen yet.

    Its weights have the names that they have in the detector.
    """

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.backbone = detector.backbone
        self.head = detector.head

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Scores of the classes first, then boxes: [batch, anchors, classes or coordinates]."""
        said = self.head(list(self.backbone(image).values()))
        return dict(sorted(said.items(), key=lambda each: each[0] != "cls_logits"))


def dense(name: str, detector: nn.Module) -> Dense:
    """The part of a detector that is a graph.

    FailedPreconditionError (MODEL_UNSUPPORTED) if it has two stages.
    """
    if not hasattr(detector, "head"):
        raise FailedPreconditionError(
            Reason.MODEL_UNSUPPORTED,
            f"{name!r} chooses boxes between its two stages, by a number that depends on the"
            " picture, so it is no graph; detectors of one stage (ssd, retinanet, fcos) load up to"
            " their choice, and a backbone loads by its own name, such as torchvision:resnet50",
            model=name,
        )
    return Dense(detector)


def preprocessing(detector: Any) -> Preprocessing:
    """How it takes pictures: all of one size, for a batch needs one."""
    transform = detector.transform
    height, width = transform.fixed_size or (transform.min_size[0],) * 2
    return Preprocessing(
        resize_shorter_side=0 if transform.fixed_size else height,
        interpolation="bilinear",
        crop_height=height,
        crop_width=width,
        mean=tuple(transform.image_mean),
        std=tuple(transform.image_std),
    )
