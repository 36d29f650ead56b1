"""Recurrent operators, step by step as ONNX writes their equations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.nn import functional as F

from hooke_server.models.onnx_ops.recurrence import Cell, State, Step, make_cells, run
from hooke_server.models.onnx_ops.table import operator, unsupported


def _lstm_step(cell: Cell) -> Step:
    def step(x: Tensor, state: State) -> State:
        h, c = state
        gates = F.linear(x, cell.w, cell.wb) + F.linear(h, cell.r, cell.rb)
        i, o, f, g = gates.chunk(4, -1)
        pi, po, pf = cell.peephole.chunk(3)
        new = cell.gate(f + pf * c, 0) * c + cell.gate(i + pi * c, 0) * cell.gate(g, 1)
        return cell.gate(o + po * new, 0) * cell.f[2](new), new

    return step


def _gru_step(reset_after: bool) -> Callable[[Cell], Step]:
    def make(cell: Cell) -> Step:
        def step(x: Tensor, state: State) -> State:
            (h,) = state
            xz, xr, xh = F.linear(x, cell.w, cell.wb).chunk(3, -1)
            rz, rr, rh = cell.r.chunk(3)
            bz, br, bh = cell.rb.chunk(3)
            z = cell.gate(xz + F.linear(h, rz, bz), 0)
            r = cell.gate(xr + F.linear(h, rr, br), 0)
            hidden = r * F.linear(h, rh, bh) if reset_after else F.linear(r * h, rh, bh)
            return ((1 - z) * cell.gate(xh + hidden, 1) + z * h,)

        return step

    return make


def _rnn_step(cell: Cell) -> Step:
    def step(x: Tensor, state: State) -> State:
        return (cell.gate(F.linear(x, cell.w, cell.wb) + F.linear(state[0], cell.r, cell.rb), 0),)

    return step


@operator("LSTM")
def lstm(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: Tensor | None = None,
    initial_h: Tensor | None = None,
    initial_c: Tensor | None = None,
    p: Tensor | None = None,
    *,
    hidden_size: int,
    activations: Sequence[str] | None = None,
    clip: float | None = None,
    direction: str = "forward",
    input_forget: int = 0,
    layout: int = 0,
    outputs: int = 1,
) -> Tensor | tuple[Tensor, ...]:
    """Long short-term memory: all hidden states, the last one, the last cell."""
    if input_forget:
        raise unsupported("no LSTM with coupled input and forget gates")
    default = ("Sigmoid", "Tanh", "Tanh")
    cells = make_cells((w, r, b, p), hidden_size, activations, default, clip)
    start = (initial_h, initial_c)
    return run(_lstm_step, cells, x, lengths, start, hidden_size, direction, layout, outputs)


@operator("GRU")
def gru(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: Tensor | None = None,
    initial_h: Tensor | None = None,
    *,
    hidden_size: int,
    activations: Sequence[str] | None = None,
    clip: float | None = None,
    direction: str = "forward",
    linear_before_reset: int = 0,
    layout: int = 0,
    outputs: int = 1,
) -> Tensor | tuple[Tensor, ...]:
    """Gated recurrent unit: all hidden states, the last one."""
    cells = make_cells((w, r, b, None), hidden_size, activations, ("Sigmoid", "Tanh"), clip)
    make = _gru_step(bool(linear_before_reset))
    return run(make, cells, x, lengths, (initial_h,), hidden_size, direction, layout, outputs)


@operator("RNN")
def rnn(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: Tensor | None = None,
    initial_h: Tensor | None = None,
    *,
    hidden_size: int,
    activations: Sequence[str] | None = None,
    clip: float | None = None,
    direction: str = "forward",
    layout: int = 0,
    outputs: int = 1,
) -> Tensor | tuple[Tensor, ...]:
    """Simple recurrence: all hidden states, the last one."""
    cells = make_cells((w, r, b, None), hidden_size, activations, ("Tanh",), clip)
    start = (initial_h,)
    return run(_rnn_step, cells, x, lengths, start, hidden_size, direction, layout, outputs)
