"""What the axes of a tensor mean, and what part of the input an element of it can see.

A `Trace` follows a tensor through aten operations. Each of its dimensions is a
product of *atoms*, so that merging (height, width) to tokens and splitting them
again loses nothing. An atom knows its role and, where it counts positions, the
receptive field of one (Araujo, Norris, Sim: "Computing Receptive Fields of
Convolutional Neural Networks", Distill 2019).

Tensors without a trace do not depend on the model's inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import reduce
from math import prod

from torch import Tensor

from hooke_server.models.layer import ReceptiveField


class Role(Enum):
    """What an atom counts."""

    BATCH = 0
    UNIT = 1
    POSITION = 2
    OTHER = 3


@dataclass(frozen=True, slots=True)
class Atom:
    """A factor of a dimension; `field` is None where a position's view is not local."""

    role: Role
    extent: int
    field: ReceptiveField | None = None


Dim = tuple[Atom, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """Dimensions of a tensor, and whether each element may depend on the whole input."""

    dims: tuple[Dim, ...]
    whole: bool = False

    @property
    def unit_axis(self) -> int:
        """The dimension that counts units; by custom 1 for images and the last else."""
        rank = len(self.dims)
        for axis in reversed(range(rank)):
            if any(atom.role is Role.UNIT for atom in self.dims[axis]):
                return axis
        return custom_unit_axis(rank)

    @property
    def receptive_fields(self) -> tuple[ReceptiveField, ...]:
        """One for each position axis, or none where they are not all local."""
        if self.whole:
            return ()
        unit = self.unit_axis
        positions = [dim for axis, dim in enumerate(self.dims) if axis not in {0, unit}]
        fields = [dim[0].field for dim in positions if len(dim) == 1]
        local = tuple(field for field in fields if field is not None and _fits(field))
        return local if len(local) == len(positions) else ()


def _fits(field: ReceptiveField) -> bool:
    """Whether it can be told in 32 bits; a stride in a file may be any number."""
    return max(field.size, field.jump) < 1 << 31


def custom_unit_axis(rank: int) -> int:
    """Where units are by custom: dimension 1 of images, else the last."""
    return 1 if rank >= 4 else max(rank - 1, 0)


def input_trace(shape: Sequence[int]) -> Trace:
    """Of an input: every element sees itself."""
    unit = custom_unit_axis(len(shape)) if len(shape) > 2 else -1
    roles = [Role.POSITION] * len(shape)
    for axis, role in ((unit, Role.UNIT), (0, Role.BATCH)):
        if 0 <= axis < len(shape):
            roles[axis] = role
    pixel = ReceptiveField(size=1, jump=1, start=0.5)
    return Trace(tuple((Atom(role, n, pixel),) for role, n in zip(roles, shape, strict=True)))


def customary(shape: Sequence[int], *, whole: bool = True) -> Trace:
    """Of an operation that is not known: axes by custom."""
    unit = custom_unit_axis(len(shape))
    return Trace(
        tuple(
            (Atom(Role.UNIT if i == unit else Role.BATCH if i == 0 else Role.POSITION, n),)
            for i, n in enumerate(shape)
        ),
        whole,
    )


def extent(dim: Dim) -> int:
    """Extent of a dimension."""
    return prod(atom.extent for atom in dim)


def has_positions(dims: Iterable[Dim]) -> bool:
    """Whether dimensions hold more than one position, so that mixing them widens the view."""
    return any(atom.role is Role.POSITION and atom.extent > 1 for dim in dims for atom in dim)


def blurred(dim: Dim, size: int | None = None) -> Dim:
    """The same dimension (of another extent) whose positions are no longer local."""
    if size is None or size == extent(dim):
        return tuple(replace(atom, field=None) for atom in dim)
    role = dim[0].role if len({atom.role for atom in dim}) == 1 else Role.POSITION
    return (Atom(role, size),)


def regrouped(trace: Trace, shape: Sequence[int]) -> Trace:
    """Of a reshape: atoms are dealt out to the new dimensions in order.

    An atom that is cut keeps its role in its last piece alone.
    """
    if 0 in shape:
        return customary(shape)
    atoms = [atom for dim in trace.dims for atom in dim]
    dims: list[Dim] = []
    whole = trace.whole
    for index, size in enumerate(shape):
        dim: list[Atom] = []
        while atoms and (extent(tuple(dim)) != size or not dim):
            space = size // extent(tuple(dim))
            head = atoms[0]
            if head.extent <= space and space % head.extent == 0:
                dim.append(atoms.pop(0))
            elif space > 1 and head.extent % space == 0:
                whole = whole or head.role is Role.POSITION
                dim.append(Atom(Role.OTHER, space))
                atoms[0] = Atom(head.role, head.extent // space)
            else:
                break
        if extent(tuple(dim)) != size:
            return customary(shape)
        dims.append(tuple(dim) or (Atom(Role.OTHER, size),))
        if index == len(shape) - 1:
            dims[-1] += tuple(atoms)
    if extent_of(dims) != prod(shape):
        return customary(shape)
    return Trace(tuple(_without_ones(dim) for dim in dims), whole)


def extent_of(dims: Iterable[Dim]) -> int:
    """Number of elements."""
    return prod(extent(dim) for dim in dims)


def _without_ones(dim: Dim) -> Dim:
    """Drop atoms of extent 1 beside larger ones: they say nothing of the dimension."""
    larger = tuple(atom for atom in dim if atom.extent > 1)
    return larger or dim[:1]


def combined(traces: Sequence[Trace], shape: Sequence[int]) -> Trace:
    """Of an elementwise operation: aligned at the right, each position sees what any sees."""
    rank = len(shape)
    dims: list[Dim] = []
    whole = any(trace.whole for trace in traces)
    for axis, size in enumerate(shape):
        here = [t.dims[axis - rank] for t in traces if len(t.dims) >= rank - axis]
        fitting = [dim for dim in here if extent(dim) == size]
        if not fitting:
            dims.append((Atom(Role.OTHER, size),))
            continue
        dims.append(reduce(_merged, fitting))
    return Trace(tuple(dims), whole)


def _merged(left: Dim, right: Dim) -> Dim:
    if [atom.extent for atom in left] != [atom.extent for atom in right]:
        return max((blurred(left), blurred(right)), key=len)
    return tuple(_wider(a, b) for a, b in zip(left, right, strict=True))


def _wider(left: Atom, right: Atom) -> Atom:
    role = left if left.role.value <= right.role.value else right
    return replace(role, field=union(left.field, right.field))


def union(left: ReceptiveField | None, right: ReceptiveField | None) -> ReceptiveField | None:
    """The smallest field that holds both."""
    if left is None or right is None or left.jump != right.jump:
        return None
    if left == right:
        return left
    low = min(left.start - left.size / 2, right.start - right.size / 2)
    high = max(left.start + left.size / 2, right.start + right.size / 2)
    return ReceptiveField(size=round(high - low), jump=left.jump, start=(low + high) / 2)


def slid(
    field: ReceptiveField | None, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> ReceptiveField | None:
    """The field after a window has slid over positions."""
    if field is None:
        return None
    reach = dilation * (kernel - 1)
    return ReceptiveField(
        size=field.size + reach * field.jump,
        jump=field.jump * stride,
        start=field.start + (reach / 2 - padding) * field.jump,
    )


def window(
    trace: Trace,
    out: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    *,
    units: bool,
) -> Trace:
    """Of a convolution or a pool: the last `len(kernel)` dimensions are positions.

    With `units` the dimension before them is made new, as by a convolution.
    """
    rank = len(kernel)
    lead = trace.dims[:-rank]
    if units:
        lead = (*lead[:-1], (Atom(Role.UNIT, out.shape[-rank - 1]),))
    spatial: list[Dim] = []
    for i, dim in enumerate(trace.dims[-rank:]):
        field = dim[0].field if len(dim) == 1 else None
        moved = slid(field, kernel[i], stride[i], padding[i], dilation[i])
        spatial.append((Atom(Role.POSITION, out.shape[i - rank], moved),))
    return Trace((*lead, *spatial), trace.whole)
