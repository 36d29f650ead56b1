"""Pictures that stand for nothing, decoded before any method asks for them."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from hooke_server.models.layer import Layer
from hooke_server.models.model import Model
from hooke_server.techniques.attribution.baselines import Baseline, ImageBaseline, prepared
from hooke_server.techniques.attribution.plans import AttributionPlan, MethodPlan
from hooke_server.techniques.frames import Progress
from hooke_server.techniques.targets import Photograph


@dataclass(frozen=True, kw_only=True)
class DecodedBaseline(ImageBaseline):
    """A picture as the model takes it; decoding may take a second, and methods ask often."""

    picture: Tensor = field(repr=False, compare=False)

    def __call__(
        self, value: Tensor, layer: Layer, model: Model, generator: torch.Generator
    ) -> Tensor:
        """The baseline of a value of the layer."""
        return self.picture.to(value).expand_as(value).clone()


def image_baselines(plan: AttributionPlan) -> list[Photograph]:
    """The pictures of a plan's baselines, each once."""
    several = [*map(_baselines, plan.methods), plan.evidence.baselines]
    found = (each for some in several for each in some if isinstance(each, ImageBaseline))
    return list(dict.fromkeys(each.image for each in found))


def decoded(model: Model, plan: AttributionPlan) -> Generator[Progress, None, AttributionPlan]:
    """The plan with its pictures decoded: each once, and one between two items."""
    images, pictures = image_baselines(plan), dict[Photograph, Tensor]()
    for number, image in enumerate(images, 1):
        picture = prepared(model).decode(image.data, image.field)
        pictures[image] = picture.to(model.device)
        yield Progress(step=number, total=len(images), message="pictures of baselines")
    if not pictures:
        return plan
    evidence = replace(plan.evidence, baselines=_with(plan.evidence.baselines, pictures))
    methods = tuple(_method_with(each, pictures) for each in plan.methods)
    return replace(plan, methods=methods, evidence=evidence)


def _baselines(plan: MethodPlan) -> Sequence[Baseline]:
    given: Sequence[Baseline] = dict(plan.parameters).get("baselines", ())
    return given


def _method_with(plan: MethodPlan, pictures: Mapping[Photograph, Tensor]) -> MethodPlan:
    parameters = dict(plan.parameters)
    if "baselines" in parameters:
        parameters["baselines"] = _with(parameters["baselines"], pictures)
    return replace(plan, parameters=tuple(parameters.items()))


def _with(
    baselines: Sequence[Baseline], pictures: Mapping[Photograph, Tensor]
) -> tuple[Baseline, ...]:
    return tuple(
        DecodedBaseline(image=each.image, picture=pictures[each.image])
        if isinstance(each, ImageBaseline)
        else each
        for each in baselines
    )
