"""What is explained: a number for each sample, read from the layers of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hooke_server.models.model import Model
from hooke_server.techniques.objectives.algebra import Objective, of
from hooke_server.techniques.objectives.measures import Response
from hooke_server.techniques.objectives.scene import Scene, Values, source, units_first
from hooke_server.techniques.targets import Site


@dataclass(frozen=True, kw_only=True)
class Target:
    """A site, an objective, or of each sample the unit that was strongest in the output.

    Attributes
    ----------
    strongest : those units, one for each sample; empty for the other kinds.
    """

    site: Site | None = None
    objective: Objective | None = None
    strongest: tuple[int, ...] = ()

    @property
    def measured(self) -> Objective | None:
        """What is measured; None where each sample has a unit of its own."""
        return of(Response(location=self.site)) if self.site else self.objective

    def layers(self, model: Model) -> tuple[str, ...]:
        """Ids of the layers that it reads."""
        output = source(model, Site(layer=model.output_layer)).id
        return self.measured.layers(model) if self.measured else (output,)

    def unit(self, sample: int) -> int | None:
        """The unit that it is about, where it is one."""
        if self.strongest:
            return self.strongest[sample]
        return self.site.unit if self.site else None

    def __call__(self, scene: Scene, samples: Tensor) -> Tensor:
        """Its value for each row of the scene.

        Parameters
        ----------
        samples : which sample each row is a version of.
        """
        if self.measured is not None:
            return self.measured(scene)
        means = output_means(scene.model, scene.values)
        units = torch.tensor(self.strongest, device=means.device)[samples.to(means.device)]
        return means.gather(1, units[:, None])[:, 0]

    def name(self, model: Model, sample: int = 0) -> str:
        """For a reader: a class by its label, another unit by its number."""
        site = self.site or Site(layer=model.output_layer)
        if self.objective is not None:
            return "the objective"
        unit = self.unit(sample)
        if site.layer == model.output_layer and unit is not None and model.labels:
            return model.labels[unit]
        where = f" at {list(site.position)}" if site.position else ""
        return f"{site.layer}{where}" if unit is None else f"unit {unit} of {site.layer}{where}"


def output_means(model: Model, values: Values) -> Tensor:
    """What the model's output says, [rows, units], as the mean over positions."""
    layer = source(model, Site(layer=model.output_layer))
    value = units_first(layer, values)
    return value.flatten(2).mean(2) if value.ndim > 2 else value


def resolved(targets: Sequence[Target], model: Model, values: Values) -> list[Target]:
    """The targets; without any, each sample's strongest output."""
    if targets:
        return list(targets)
    return [Target(strongest=tuple(output_means(model, values).argmax(1).tolist()))]
