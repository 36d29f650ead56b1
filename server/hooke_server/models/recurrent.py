"""Recurrent operations of exported programs, called only with shapes that fit each other.

torch's own do not compare the shape of the hidden state with that of the input: a
program in which they differ writes beyond the end of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor


def lstm(*args: Any) -> Any:
    """`aten.lstm.input`."""
    source, states, *rest = args
    if len(states) != 2:
        raise ValueError("an LSTM has two states")
    _check(source, states, 4, *rest)
    return torch.ops.aten.lstm.input(*args)


def gru(*args: Any) -> Any:
    """`aten.gru.input`."""
    source, state, *rest = args
    _check(source, [state], 3, *rest)
    return torch.ops.aten.gru.input(*args)


def rnn_tanh(*args: Any) -> Any:
    """`aten.rnn_tanh.input`."""
    source, state, *rest = args
    _check(source, [state], 1, *rest)
    return torch.ops.aten.rnn_tanh.input(*args)


def rnn_relu(*args: Any) -> Any:
    """`aten.rnn_relu.input`."""
    source, state, *rest = args
    _check(source, [state], 1, *rest)
    return torch.ops.aten.rnn_relu.input(*args)


RECURRENT: dict[str, Callable[..., Any]] = {
    f"torch.ops.aten.{function.__name__}.input": function
    for function in (lstm, gru, rnn_tanh, rnn_relu)
}
"""By the names under which programs call them."""


def _check(
    source: Tensor,
    states: Sequence[Tensor],
    gates: int,
    weights: Sequence[Tensor],
    biases: bool,
    layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> None:
    """ValueError unless states and weights have the shapes that the input asks for."""
    if source.ndim != 3 or any(state.ndim != 3 for state in states):
        raise ValueError("a recurrent layer takes a batch of sequences and of states")
    ways = 2 if bidirectional else 1
    batch = source.shape[0 if batch_first else 1]
    out, hidden = states[0].shape[2], states[-1].shape[2]
    wanted = list(_shapes(source.shape[2], hidden, out, gates, biases, layers, ways))
    fits = (
        [tuple(weight.shape) for weight in weights] == wanted
        and all(tuple(state.shape[:2]) == (layers * ways, batch) for state in states)
        and all(tensor.dtype == source.dtype for tensor in (*states, *weights))
    )
    if not fits:
        raise ValueError("the states or weights of a recurrent layer do not fit its input")


def _shapes(
    size: int, hidden: int, out: int, gates: int, biases: bool, layers: int, ways: int
) -> Iterator[tuple[int, ...]]:
    """Shapes of the weights in order; an LSTM may project its hidden numbers to fewer."""
    for _ in range(layers):
        for _ in range(ways):
            yield gates * hidden, size
            yield gates * hidden, out
            if biases:
                yield (gates * hidden,)
                yield (gates * hidden,)
            if out != hidden:
                yield out, hidden
        size = out * ways
