"""Feature visualization: the input that a channel, a neuron or a class responds to most."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from hooke_server.techniques.frames import Estimate, Frames, Picture, Result
from hooke_server.techniques.parameters import Range
from hooke_server.techniques.technique import TechniqueKind, View, technique
from hooke_server.techniques.visualization import redirection
from hooke_server.techniques.visualization.ascent import ascend
from hooke_server.techniques.visualization.cost import ascent_cost
from hooke_server.techniques.visualization.images import (
    Parameterization,
    make_image,
    to_pixels,
)
from hooke_server.techniques.visualization.requirements import obstacle
from hooke_server.techniques.visualization.sight import Sight, channels
from hooke_server.techniques.visualization.transforms import standard


def estimate(view: View, *, steps: int, size: int, transforms: bool, **_: object) -> Estimate:
    """What a run would cost; it does not hang on the other parameters."""
    sight = Sight.of(view.model, view.sites, size)
    return ascent_cost(sight, steps=steps, size=size, transforms=transforms)


@technique(
    kind=TechniqueKind.VISUALIZATION,
    title="Feature visualization",
    source="Olah, Mordvintsev, Schubert: Feature Visualization, Distill 2017, "
    "https://doi.org/10.23915/distill.00007",
    obstacle=obstacle,
    estimate=estimate,
)
def feature_visualization(
    view: View,
    *,
    steps: Annotated[int, Range(1, 4096), "Optimization steps."] = 512,
    size: Annotated[int, Range(16, 1024), "Edge of the square picture in pixels."] = 128,
    learning_rate: Annotated[float, Range(1e-4, 10), "Step width of Adam."] = 0.05,
    parameterization: Annotated[
        Parameterization, "How the picture is stored: Fourier coefficients or pixels."
    ] = Parameterization.FOURIER,
    decorrelate: Annotated[
        bool, "Store colours in a space where those of natural pictures are uncorrelated."
    ] = True,
    transforms: Annotated[
        bool, "Pad, jitter, scale and rotate before each pass, each by a random amount."
    ] = True,
    negative: Annotated[bool, "Look for the input that the unit responds to least."] = False,
) -> Frames:
    """The input that a channel, a neuron or a class responds to most.

    Gradient ascent from noise, with Lucid's image, transforms and defaults. A unit
    without a position shows a channel, its mean over all positions; with a position
    a neuron; at the model's output a class. Each finished picture tells the
    objective measured on itself, without transforms.
    """
    sight = Sight.of(view.model, view.sites, size)
    sight = -sight if negative else sight
    generator = torch.Generator().manual_seed(view.seed)
    image = make_image(
        parameterization,
        (len(view.sites), channels(view.model), size, size),
        generator,
        decorrelate=decorrelate,
        device=view.model.device,
    )

    def value(pictures: Tensor, step: int) -> Tensor:
        seen = standard(pictures, generator) if transforms else pictures
        return sight(seen, redirected=step <= redirection.STEPS)

    pictures = yield from ascend(
        image, value, steps=steps, learning_rate=learning_rate, preview_every=view.preview_every
    )
    with torch.no_grad():
        objectives = sight(pictures).tolist()
    for site, (picture, reached) in enumerate(zip(pictures, objectives, strict=True)):
        yield Picture(
            name="feature", pixels=to_pixels(picture), site=site, step=steps, objective=reached
        )
    yield Result(metrics={"objective": sum(objectives) / len(objectives), "steps": steps})
