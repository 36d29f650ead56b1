"""What all recurrent operators share: weights, directions, and the walk over time.

Shapes: `x` (time, batch, features), or batch first when `layout` is 1; weights
(directions, gates x hidden, features); results (time, directions, batch, hidden).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from hooke_server.models.onnx_ops.table import unsupported

State = tuple[Tensor, ...]
Step = Callable[[Tensor, State], State]
NONLINEAR: dict[str, Callable[[Tensor], Tensor]] = {
    "Sigmoid": torch.sigmoid,
    "Tanh": torch.tanh,
    "Relu": torch.relu,
    "Softsign": F.softsign,
    "Softplus": F.softplus,
}


@dataclass(frozen=True)
class Cell:
    """One direction's weights and nonlinearities."""

    w: Tensor
    r: Tensor
    wb: Tensor
    rb: Tensor
    peephole: Tensor
    f: tuple[Callable[[Tensor], Tensor], ...]
    clip: float | None

    def gate(self, values: Tensor, f: int) -> Tensor:
        """Nonlinearity number `f` of clipped values."""
        if self.clip is not None:
            values = values.clamp(-self.clip, self.clip)
        return self.f[f](values)


def make_cells(
    inputs: Sequence[Tensor | None],
    hidden: int,
    activations: Sequence[str] | None,
    default: Sequence[str],
    clip: float | None,
) -> list[Cell]:
    """The cell of each direction, from the inputs W, R, B and P of the node."""
    w, r, b, p = inputs
    if w is None or r is None:
        raise unsupported("a recurrent operator without weights")
    directions, rows = w.shape[:2]
    b = w.new_zeros(directions, 2 * rows) if b is None else b
    p = w.new_zeros(directions, 3 * hidden) if p is None else p
    names = list(activations or list(default) * directions)
    unknown = set(names) - NONLINEAR.keys()
    if unknown:
        raise unsupported(f"no activations {sorted(unknown)}; there are {sorted(NONLINEAR)}")
    f = [NONLINEAR[name] for name in names]
    count = len(default)
    return [
        Cell(
            w[i],
            r[i],
            b[i, :rows],
            b[i, rows:],
            p[i],
            tuple(f[count * i : count * i + count]),
            clip,
        )
        for i in range(directions)
    ]


def _over_time(
    step: Step, x: Tensor, state: State, lengths: Tensor | None, backward: bool
) -> tuple[Tensor, State]:
    """All hidden states (time, batch, hidden), zero after a sample's end, and the last."""
    results: list[Tensor] = []
    for t in reversed(range(len(x))) if backward else range(len(x)):
        new = step(x[t], state)
        if lengths is None:
            state, result = new, new[0]
        else:
            on = (t < lengths).unsqueeze(1)
            state = tuple(torch.where(on, n, o) for n, o in zip(new, state, strict=True))
            result = torch.where(on, new[0], torch.zeros_like(new[0]))
        results.append(result)
    return torch.stack(results[::-1] if backward else results), state


def run(
    make: Callable[[Cell], Step],
    cells: list[Cell],
    x: Tensor,
    lengths: Tensor | None,
    initial: Sequence[Tensor | None],
    hidden: int,
    direction: str,
    layout: int,
    outputs: int,
) -> Tensor | tuple[Tensor, ...]:
    """Results of a recurrent node: all hidden states, then the last state's parts."""
    if layout:
        x = x.transpose(0, 1)
        initial = [None if given is None else given.transpose(0, 1) for given in initial]
    zeros = x.new_zeros(len(cells), x.shape[1], hidden)
    starts = [zeros if given is None else given for given in initial]
    over, last = [], []
    for i, cell in enumerate(cells):
        start = tuple(value[i] for value in starts)
        backward = direction == "reverse" or i == 1
        series, end = _over_time(make(cell), x, start, lengths, backward)
        over.append(series)
        last.append(end)
    y = torch.stack(over, 1)
    finals = [torch.stack(values) for values in zip(*last, strict=True)]
    if layout:
        y, finals = y.permute(2, 0, 1, 3), [final.transpose(0, 1) for final in finals]
    return y if outputs == 1 else (y, *finals)[:outputs]
