"""Which parts of a layer speak for an answer: activation times gradient.

To first order, the answer changes by the sum of activation x gradient when a layer is
turned off; summed over units it belongs to places, over positions to units (Olah
et al.: "The Building Blocks of Interpretability", Distill 2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.models.model import Model
from hooke_server.techniques.frames import Estimate
from hooke_server.techniques.objectives.algebra import of
from hooke_server.techniques.objectives.checking import check_objective
from hooke_server.techniques.objectives.measures import Response
from hooke_server.techniques.objectives.scene import Scene, source, units_first
from hooke_server.techniques.plans import View
from hooke_server.techniques.reach import upstream
from hooke_server.techniques.targets import Photograph, Site
from hooke_server.techniques.visualization.cost import pass_estimate
from hooke_server.techniques.visualization.photographs import Seen


@dataclass(frozen=True)
class Attribution:
    """What a layer's values have to do with a target.

    Attributes
    ----------
    values : activation x gradient, [units, *positions].
    target : what was explained.
    response : its value.
    """

    values: Tensor
    target: Site
    response: float


def attribute(model: Model, photograph: Photograph, site: Site, target: Site | None) -> Attribution:
    """Activation x gradient of the target at the site's layer, for a photograph.

    Without a target the strongest unit of the model's output is explained.
    """
    seen = Seen.of(model, photograph)
    if target is None:
        output = Site(layer=model.output_layer)
        scores = seen.activations(output).reshape(model.layer(output.layer).unit_count, -1)
        target = Site(layer=output.layer, unit=int(scores.mean(1).argmax()))
    layer, answer = model.layer(site.layer), source(model, target)
    probe = model.probe([layer.id, answer.id])
    with torch.enable_grad():
        values = probe(seen.inputs.detach().requires_grad_())
        scene = Scene(model=model, values=values, pictures=seen.picture[None])
        response = Response(location=target)(scene)[0]
        [gradient] = torch.autograd.grad(response, [values[layer.id]])
    product = (values[layer.id].detach() * gradient)[:1]
    return Attribution(
        values=units_first(layer, {layer.id: product})[0].float(),
        target=target,
        response=float(response.detach()),
    )


def check_target(view: View, *, target: Site | None, technique: str) -> None:
    """Raise for a target that none of the items' layers lead to."""
    if target is None:
        return
    field = f"{technique}.target"
    if target.unit is None:
        message = "the target is a unit: give a unit, or a label at the model's output"
        raise InvalidArgumentError(Reason.INVALID_FIELD, message, field=field)
    check_objective(view.model, of(Response(location=target)), field)
    on_path = {layer.id for layer in upstream(view.model, [source(view.model, target).id])}
    for item in view.items:
        if item.site is not None and not _leads(view.model, item.site.layer, on_path):
            raise InvalidArgumentError(
                Reason.INVALID_FIELD,
                f"{target.layer!r} is not computed from {item.site.layer!r};"
                " choose a target behind the layer",
                field=field,
            )


def _leads(model: Model, layer: str, on_path: set[str]) -> bool:
    inside = {each.id for each in upstream(model, [layer])}
    return layer in on_path or bool(
        model.graph and layer in model.graph.blocks and inside <= on_path
    )


def pass_cost(view: View, target: Site | None) -> Estimate:
    """What one pass to the target and back costs."""
    model = view.model
    answer = source(model, target or Site(layer=model.output_layer)).id
    layers = tuple(dict.fromkeys(item.site.layer for item in view.items if item.site))
    return pass_estimate(model, (*layers, answer))


def target_name(model: Model, target: Site) -> str:
    """A class by its label, any other unit by its number."""
    if target.layer == model.output_layer and target.unit is not None and model.labels:
        return model.labels[target.unit]
    return f"unit {target.unit} of {target.layer}"
