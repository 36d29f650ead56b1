"""The answer to one run: arrays and pictures by layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hooke.frames import Frame, Picture, Result, Tensor

Value = Any
"""An array, or where a layer was read in several ways a dict of arrays by name."""


@dataclass(kw_only=True, eq=False)
class Activations(Mapping[str, Value]):
    """What the layers said to an input.

    `activations["conv1"]` is an array, or a dict of arrays where several were read
    of that layer (`values` and `indices` of a top-k; a second `mean` is `mean:1`).
    Layers stand in the order in which they run.

    Attributes
    ----------
    tensors : the same arrays with their axes, in the order in which they came.
    pictures : feature maps by layer, one picture for each sample.
    result : digest and provenance.
    """

    result: Result
    tensors: list[Tensor] = field(default_factory=list)
    pictures: dict[str, list[Picture]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named: dict[str, dict[str, np.ndarray]] = {}
        for tensor in self.tensors:
            layer = named.setdefault(tensor.layer, {})
            layer[_free(tensor.name, layer)] = tensor.real
        self._values: dict[str, Value] = {
            layer: next(iter(arrays.values())) if len(arrays) == 1 else arrays
            for layer, arrays in named.items()
        }

    def __getitem__(self, layer: str) -> Value:
        return self._values[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """All arrays with one name each, `layer` or `layer/name`."""
        for layer, value in self._values.items():
            if isinstance(value, dict):
                yield from ((f"{layer}/{name}", array) for name, array in value.items())
            else:
                yield layer, value


def _free(name: str, taken: Mapping[str, object]) -> str:
    candidates = (name if n == 0 else f"{name}:{n}" for n in range(len(taken) + 1))
    return next(each for each in candidates if each not in taken)


def collect(frames: Iterable[Frame]) -> Iterator[Activations]:
    """One answer for each result among the frames."""
    tensors: list[Tensor] = []
    pictures: dict[str, list[Picture]] = {}
    for frame in frames:
        match frame:
            case Tensor():
                tensors.append(frame)
            case Picture():
                pictures.setdefault(frame.layer, []).append(frame)
            case Result():
                yield Activations(result=frame, tensors=tensors, pictures=pictures)
                tensors, pictures = [], {}
