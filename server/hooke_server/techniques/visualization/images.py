"""Images: pictures in 0..1 as functions of the tensors that are optimized.

    Image: start, a tuple of tensors;  render(*tensors) -> Tensor [batch, channels, height, width]

A storage (`storages.py`) gives raw pictures; here they get low-resolution parts that they
share, colours and opacity. The formulas are those of Lucid (`optvis/param`), which this
file re-derives: climbing in a space where all frequencies and colours are
equally easy to move gives pictures that look natural.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from hooke_server.techniques.parameters import Range
from hooke_server.techniques.targets import Photograph
from hooke_server.techniques.visualization.storages import (
    Drawing,
    FixedMagnitude,
    FourierImage,
    PatternNetwork,
    Storage,
    enlarged,
)

COLOR_CORRELATION = ((0.26, 0.09, 0.02), (0.27, 0.0, -0.05), (0.27, -0.09, 0.03))
"""Square root of the covariance of RGB in ImageNet's pictures (Lucid)."""

DEVIATION = 0.01
"""Standard deviation of the noise that a picture starts from."""

DARKEST = 1e-3
"""How near to 0 and 1 colours of a given picture may come, where a sigmoid has no inverse."""


@dataclass(frozen=True, kw_only=True)
class ImageParameterization:
    """How pictures that are optimized are stored; as the message of the contract."""

    storage: Annotated[Storage, "The coordinates."] = FourierImage()  # noqa: RUF009  # frozen
    decorrelate_colors: Annotated[bool, "Colours in which natural pictures' are uncorrelated."] = (
        True
    )
    alpha: Annotated[bool, "A fourth channel, the opacity; the rest is random noise."] = False
    shared_factors: Annotated[
        tuple[int, ...],
        Range(2, 64),
        "Smaller pictures that all of an item share, by how much smaller.",
    ] = ()
    start: Annotated[Photograph | None, "A picture to start from in place of noise."] = None
    deviation: Annotated[float | None, Range(0, 10), "Standard deviation of the first noise."] = (
        None
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Canvas:
    """What pictures are made: their size, and which picture of which item each is.

    Attributes
    ----------
    samples : for each entry of the batch its number among its item's pictures.
    items : for each entry its item.
    """

    height: int
    width: int
    channels: int
    samples: Sequence[int]
    items: Sequence[int]
    seed: int
    device: torch.device


@dataclass(frozen=True, slots=True)
class Image:
    """A batch of pictures as a function of tensors.

    Attributes
    ----------
    start : the tensors at the beginning.
    render : from such tensors to pictures [batch, channels, height, width] in 0..1, with
        the opacity as one channel more where there is one.
    """

    start: tuple[Tensor, ...]
    render: Callable[..., Tensor]


def make_image(wanted: ImageParameterization, canvas: Canvas) -> Image:
    """Pictures stored as asked, on the canvas's device."""
    decorrelate = wanted.decorrelate_colors and canvas.channels == 3
    drawing = _drawing(wanted, canvas, decorrelate=decorrelate)
    shared = _shared(wanted, canvas)
    count = len(drawing.start)
    entries = torch.tensor(_numbered(canvas.items), device=canvas.device)
    size = (canvas.height, canvas.width)

    def render(*tensors: Tensor) -> Tensor:
        raw = drawing.draw(*tensors[:count])
        for part in tensors[count:]:
            raw = raw + enlarged(part, size)[entries]
        colours = raw[:, : canvas.channels]
        if decorrelate:
            colours = correlate(colours)
        return torch.sigmoid(torch.cat([colours, raw[:, canvas.channels :]], dim=1))

    start = (*drawing.start, *shared)
    return Image(tuple(tensor.to(canvas.device) for tensor in start), render)


def _drawing(wanted: ImageParameterization, canvas: Canvas, *, decorrelate: bool) -> Drawing:
    channels = canvas.channels + wanted.alpha
    noise = _noise(canvas)
    if wanted.start is None:
        shape = (len(canvas.samples), channels, canvas.height, canvas.width)
        return wanted.storage.begin(shape, noise, _deviation(wanted))
    picture = wanted.start.cropped((canvas.height, canvas.width), canvas.channels)
    raw = torch.logit(picture.clamp(DARKEST, 1 - DARKEST))[None]
    raw = uncorrelate(raw) if decorrelate else raw
    if wanted.alpha:
        raw = torch.cat([raw, torch.zeros_like(raw[:, :1])], dim=1)
    batch = raw.repeat(len(canvas.samples), 1, 1, 1)
    # The first picture of an item is the given one; the others differ a little from it.
    others = torch.tensor([float(sample > 0) for sample in canvas.samples])
    extra = noise(channels, canvas.height, canvas.width) * DEVIATION
    return wanted.storage.resume(batch + extra * others[:, None, None, None])


def _deviation(wanted: ImageParameterization) -> float:
    if wanted.deviation is not None:
        return wanted.deviation
    return 1.0 if isinstance(wanted.storage, FixedMagnitude | PatternNetwork) else DEVIATION


def _shared(wanted: ImageParameterization, canvas: Canvas) -> list[Tensor]:
    """For each factor, a smaller picture for each item."""
    items = len(set(canvas.items))
    generator = torch.Generator().manual_seed(canvas.seed)
    channels = canvas.channels + wanted.alpha
    parts = []
    for factor in wanted.shared_factors:
        size = (max(1, canvas.height // factor), max(1, canvas.width // factor))
        one = torch.randn(1, channels, *size, generator=generator) * DEVIATION
        parts.append(one.repeat(items, 1, 1, 1))
    return parts


def _noise(canvas: Canvas) -> Callable[..., Tensor]:
    """Normal noise that depends on the seed and on an entry's number in its item alone.

    So a picture does not depend on which others are made beside it.
    """
    generators = {
        sample: torch.Generator().manual_seed((canvas.seed + sample * 0x9E3779B97F4A7C15) % 2**64)
        for sample in set(canvas.samples)
    }

    def noise(*extents: int) -> Tensor:
        drawn = {s: torch.randn(extents, generator=g) for s, g in sorted(generators.items())}
        return torch.stack([drawn[sample] for sample in canvas.samples])

    return noise


def _numbered(items: Sequence[int]) -> list[int]:
    """Items as 0, 1, 2 ... in the order in which they come."""
    numbers = {item: number for number, item in enumerate(dict.fromkeys(items))}
    return [numbers[item] for item in items]


def correlate(raw: Tensor) -> Tensor:
    """From decorrelated colours [batch, 3, h, w] to red, green, blue."""
    return torch.einsum("rc,bchw->brhw", _color_matrix(raw), raw)


def uncorrelate(colours: Tensor) -> Tensor:
    """The inverse of `correlate`."""
    return torch.einsum("rc,bchw->brhw", torch.linalg.inv(_color_matrix(colours)), colours)


def _color_matrix(like: Tensor) -> Tensor:
    matrix = torch.tensor(COLOR_CORRELATION, device=like.device, dtype=like.dtype)
    longest = torch.linalg.vector_norm(matrix, dim=0).max()
    scaled: Tensor = matrix / longest
    return scaled
