"""What a tensor of a graph looks like at any batch size, from what it is at two."""

from __future__ import annotations

from collections.abc import Mapping

from hooke_server.models.axes import custom_unit_axis
from hooke_server.models.layer import POSITION_AXES, Dimension, TensorSpec
from hooke_server.models.measure import Keys, Measured, Seen


class Specs:
    """Tensor specs of a graph that was measured at `batch` samples, and at one sample more.

    Without the second measurement every dimension is fixed.
    """

    def __init__(
        self,
        here: Mapping[str, Measured],
        there: Mapping[str, Measured] | None,
        batch: int,
    ) -> None:
        self._here = here
        self._there = there
        self._batch = batch

    def seen(self, name: str, keys: Keys) -> Seen:
        """The tensor of a node, under keys in its value."""
        return _at(self._here[name], keys)

    def unit_axis(self, name: str, keys: Keys) -> int:
        """The dimension that counts units."""
        seen = self.seen(name, keys)
        return seen.trace.unit_axis if seen.trace else custom_unit_axis(len(seen.shape))

    def spec(self, name: str, keys: Keys, label: str = "") -> TensorSpec:
        """Shape with dynamic dimensions named, axes and element type; `label` becomes its name."""
        seen = self.seen(name, keys)
        shape: tuple[Dimension, ...] = seen.shape
        if self._there is not None:
            pairs = zip(seen.shape, _at(self._there[name], keys).shape, strict=True)
            shape = tuple(_dimension(a, b, self._batch) for a, b in pairs)
        axes = _axis_names(shape, self.unit_axis(name, keys))
        return TensorSpec(name=label, dtype=seen.dtype, shape=shape, axes=axes)


def _at(measured: Measured, keys: Keys) -> Seen:
    value = measured.value
    for key in keys:
        value = value[key]
    assert isinstance(value, Seen)  # noqa: S101  # places are tensors
    return value


def _dimension(size: int, more: int, batch: int) -> Dimension:
    """A dimension that is `size` at `batch` samples and `more` at one sample more."""
    factor, offset = more - size, size - (more - size) * batch
    if factor == 0:
        return size
    name = "batch" if factor == 1 else f"{factor}*batch"
    return name if offset == 0 else f"{name}+{offset}" if offset > 0 else "dynamic"


def _axis_names(shape: tuple[Dimension, ...], unit: int) -> tuple[str, ...]:
    batch = {axis for axis, size in enumerate(shape) if isinstance(size, str)} or {0}
    positions = [axis for axis in range(len(shape)) if axis not in batch and axis != unit]
    usual = POSITION_AXES.get(len(positions)) if 0 not in positions else None
    names = dict(zip(positions, usual or [f"axis_{axis}" for axis in positions], strict=True))
    names |= dict.fromkeys(batch, "batch") | ({unit: "unit"} if unit not in batch else {})
    return tuple(names[axis] for axis in range(len(shape)))
