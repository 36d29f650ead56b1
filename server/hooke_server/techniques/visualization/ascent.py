"""How pictures are optimized, as the contract's `Ascent` says it, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.models.model import Model
from hooke_server.techniques.objectives.algebra import Objective
from hooke_server.techniques.objectives.checking import check_objective, check_photographs
from hooke_server.techniques.parameters import Range
from hooke_server.techniques.plans import View
from hooke_server.techniques.targets import Photograph
from hooke_server.techniques.visualization.images import ImageParameterization
from hooke_server.techniques.visualization.optimizers import Adam, Optimizer, OptimizerName
from hooke_server.techniques.visualization.sight import Size
from hooke_server.techniques.visualization.storages import FixedMagnitude, PatternNetwork
from hooke_server.techniques.visualization.transforms import STANDARD, TransformSequence

LEARNING_RATE = 0.05
LEARNING_RATES = {FixedMagnitude: 1.0, PatternNetwork: 0.005}


class Precision(StrEnum):
    """As `hooke.v1.Precision`."""

    FULL = "full"
    BFLOAT16 = "bfloat16"
    QUICKER = "quicker"


@dataclass(frozen=True, kw_only=True)
class Ascent:
    """How pictures are optimized; as the message of the contract."""

    steps: Annotated[int, Range(1, 8192), "Optimization steps."] = 512
    size: Annotated[int, Range(8, 1024), "Longer edge of the picture in pixels."] = 128
    learning_rate: Annotated[
        float | None,
        Range(1e-5, 100),
        "Step width; unset: 0.05, for a fixed magnitude 1, for a pattern network 0.005.",
    ] = None
    optimizer: Annotated[
        OptimizerName | None, "Unset: adam, or cma_es for a model without gradients."
    ] = None
    image: Annotated[ImageParameterization, "How the pictures are stored."] = (
        ImageParameterization()  # noqa: RUF009  # frozen
    )
    transforms: Annotated[TransformSequence, "What they have to survive."] = STANDARD
    penalty: Annotated[Objective | None, "Added to each objective; usually negative."] = None
    precision: Annotated[Precision, "Numbers that the network computes in."] = Precision.FULL

    def optimizer_for(self, model: Model, seed: int) -> Optimizer:
        """What climbs."""
        if gradient_free(self, model):
            from hooke_server.techniques.visualization.evolution import Evolution

            return Evolution(seed=seed)
        rate = self.learning_rate or LEARNING_RATES.get(type(self.image.storage), LEARNING_RATE)
        return Adam(rate, nesterov=self.optimizer is OptimizerName.NADAM)

    def picture_size(self, photograph: Photograph | None = None) -> Size:
        """Height and width: a square, or with the proportions of a photograph."""
        if photograph is None:
            photograph = self.image.start
        if photograph is None:
            return self.size, self.size
        return photograph.fitted(self.size)


def gradient_free(ascent: Ascent, model: Model) -> bool:
    """Whether pictures climb without gradients."""
    return ascent.optimizer is OptimizerName.CMA_ES or model.graph is None


def check_ascent(view: View, *, ascent: Ascent, **_: object) -> None:
    """Raise for objectives that cannot be measured, and for parts that do not go together."""
    for index, item in enumerate(view.items):
        if item.objective is not None:
            check_objective(view.model, item.objective, f"items[{index}].objective")
    if ascent.penalty is not None:
        check_objective(view.model, ascent.penalty, "ascent.penalty")
    if ascent.image.start is not None:
        check_photographs(view.model, "ascent.image.start")
        ascent.picture_size()  # reads the picture's header
        if isinstance(ascent.image.storage, PatternNetwork):
            message = "a pattern network cannot start from a picture; choose another storage"
            raise InvalidArgumentError(Reason.INVALID_FIELD, message, field="ascent.image.start")
