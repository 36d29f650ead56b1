"""B9: what RISE costs beside the forward passes that it needs."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.measure import DEVICE, MEMORY, Row, seconds
from benchmarks.visualization import trained
from hooke_server.models.loaders.live import load_live
from hooke_server.models.model import Model
from hooke_server.techniques.attribution.cost import attribution_cost
from hooke_server.techniques.attribution.explaining import explain
from hooke_server.techniques.attribution.plans import Asked, AskedMethod, bind
from hooke_server.techniques.frames import Frames, Progress

MASKS, SIZE = 4000, 224
"""The masks are a multiple of the batch."""


def rows() -> Iterator[Row]:
    """B9."""
    model = load_live(trained().to(DEVICE), torch.zeros(1, 3, SIZE, SIZE, device=DEVICE))
    yield compared(model, MASKS)


def compared(model: Model, masks: int) -> Row:
    """RISE and bare forwards by turns, one pass of each at a time."""
    inputs = [torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)).to(DEVICE)]
    frames, batch = started(model, inputs, masks)
    shown = torch.randn(batch, 3, SIZE, SIZE, device=DEVICE)

    def bare() -> None:
        model.forward([model.output_layer], [shown])

    def ours() -> None:
        """Until the next pass is done, and after the last all that is left."""
        frame = next(frame for frame in frames if isinstance(frame, Progress))
        if frame.step == frame.total:
            list(frames)

    ours()
    bare()
    times = [(seconds(ours), seconds(bare)) for _ in range(1, masks // batch)]
    return Row(
        id="B9",
        what=f"RISE on EfficientNet-Lite0, {masks} masks, {SIZE} px: images a second",
        against=f"bare forwards of as many images, in the same batches of {batch}",
        value=sum(bare for _, bare in times) / sum(ours for ours, _ in times),
        unit="x",
        goal=0.9,
        at_most=False,
        note="with looks at unfinished work and their pictures",
    )


def started(model: Model, inputs: list[Tensor], masks: int) -> tuple[Frames, int]:
    """The frames of a request, and how many rows share a pass."""
    method = AskedMethod(name="rise", globs=(), given={"masks": masks})
    plan = bind(model, Asked(targets=(), methods=(method,)))
    batch = attribution_cost(model, plan, inputs, MEMORY).rows
    return explain(model, inputs, plan, rows=batch), batch
