"""What objectives measure: pictures of a batch, and what the layers say to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from hooke_server.models.layer import Layer
from hooke_server.models.model import Model
from hooke_server.techniques.targets import Photograph, Site

Values = Mapping[str, Tensor]
"""What a probe returns: by layer id a tensor whose first axis is the batch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """The pictures of one item, seen by a model.

    Attributes
    ----------
    values : of the layers, for the n pictures.
    pictures : [n, channels, height, width] in 0..1, before transforms and without opacity.
    alpha : [n, 1, height, width] in 0..1; None for pictures without opacity.
    references : values for other pictures, each alone in its batch, which went
        through the same transforms.
    """

    model: Model
    values: Values
    pictures: Tensor
    alpha: Tensor | None = None
    references: Mapping[Photograph, Values] = field(default_factory=dict)

    def activations(self, site: Site) -> Tensor:
        """A layer's values [n, units, *positions]."""
        return units_first(source(self.model, site), self.values)

    def reference(self, photograph: Photograph, site: Site) -> Tensor:
        """A layer's values [1, units, *positions] for another picture, held fixed."""
        return units_first(source(self.model, site), self.references[photograph]).detach()


def source(model: Model, site: Site) -> Layer:
    """The layer that is read for a site: for the model's output, what goes into a softmax.

    A probability can be raised by lowering every other class, which shows those.
    """
    layer = model.layer(site.layer)
    is_class = site.layer == model.output_layer and not site.position
    if is_class and layer.op in {"softmax", "log_softmax"} and layer.producers:
        return model.layer(layer.producers[0])
    return layer


def units_first(layer: Layer, values: Values) -> Tensor:
    """The value of a layer as [batch, units, *positions], in single precision at least."""
    value = values[layer.id]
    moved = value.movedim(layer.unit_axis, 1) if value.ndim > 1 else value[:, None]
    return moved if moved.dtype.itemsize >= 4 else moved.float()
