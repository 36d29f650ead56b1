"""Requests for the same layers of the same model share a forward pass.

Nobody waits for company: a request is put in the worker's queue at once, and
those that can share its pass join it for as long as it stands there. So an idle
server adds no delay, and a busy one joins the more the busier it is.

A layer may mix the samples of a batch, and nothing in a graph says so for sure. So
the first requests that meet at a layer are computed alone and together; only where
both agree do later ones share a pass.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

import torch
from torch import Tensor

from hooke_server.engine.worker import Worker
from hooke_server.models.model import Model
from hooke_server.models.parity import TOLERANCE, relative_difference

_Key = tuple[object, ...]

KEPT_BYTES = 32 << 20
"""Values up to this size come from memory that glibc keeps; it gives larger blocks back to the
system each time, and getting their pages anew costs more than company saves."""


class Values(dict[str, Tensor]):
    """Tensors by layer, and how long the pass took that computed them, in seconds."""

    seconds: float = 0.0


@dataclass(frozen=True, eq=False, slots=True)
class _Member:
    """A request: its inputs, and the answer when it comes."""

    inputs: tuple[Tensor, ...]
    answer: asyncio.Future[Values]

    @property
    def size(self) -> int:
        """Its batch size."""
        return len(self.inputs[0]) if self.inputs and self.inputs[0].ndim else 1


@dataclass(eq=False, slots=True)
class _Group:
    """Requests that share a pass; others may join until it is taken by the compute thread."""

    model: Model
    layers: tuple[str, ...]
    max_batch: int
    max_bytes: int
    _members: list[_Member] = field(default_factory=list)
    _limit: int = 0
    _open: bool = True
    _lock: Lock = field(default_factory=Lock)

    def join(self, member: _Member) -> bool:
        """Take the member in if there is still time and room."""
        with self._lock:
            size = sum(other.size for other in self._members) + member.size
            fits = self._open and (not self._members or size <= self._size_limit())
            if fits:
                self._members.append(member)
            return fits

    def _size_limit(self) -> int:
        """Samples of the pass at most; found out when company comes."""
        if not self._limit:
            on_cpu = self.model.device.type == "cpu"
            value = largest_value(self.model, self.layers) if on_cpu else 1
            self._limit = max(1, min(self.max_batch, self.max_bytes // value))
        return self._limit

    def take(self) -> list[_Member]:
        """Close the group; those of its members that still wait for an answer."""
        with self._lock:
            self._open = False
            return [member for member in self._members if not member.answer.done()]

    def run(self) -> list[tuple[_Member, Values | Exception]]:
        """The answer of each member; on the compute thread."""
        members = self.take()
        if len(members) < 2 or _mixing(self.model, self.layers):
            return [(one, self._alone(one)) for one in members]
        try:
            joined = self._joined(members)
        except Exception:  # one of them may be at fault; the others are not to suffer
            return [(one, self._alone(one)) for one in members]
        if all(layer in self.model.mixes_samples for layer in self.layers):
            return list(zip(members, joined, strict=True))
        alone = [self._alone(one) for one in members]
        if _comparable(members):
            self._compare(alone, joined)
        return list(zip(members, alone, strict=True))

    def _alone(self, member: _Member) -> Values | Exception:
        try:
            return _forward(self.model, self.layers, member.inputs)
        except Exception as error:  # whatever it is, this one gets it
            return error

    def _compare(self, alone: Sequence[Values | Exception], joined: Sequence[Values]) -> None:
        """Remember of each layer whether company changed its values."""
        pairs = [(a, j) for a, j in zip(alone, joined, strict=True) if isinstance(a, Values)]
        for layer in self.layers:
            self.model.mixes_samples[layer] = any(
                relative_difference({layer: j[layer]}, {layer: a[layer]}) > TOLERANCE
                for a, j in pairs
            )

    def _joined(self, members: Sequence[_Member]) -> list[Values]:
        inputs = [torch.cat(parts) for parts in zip(*(m.inputs for m in members), strict=True)]
        joined = _forward(self.model, self.layers, inputs)
        sizes = [member.size for member in members]
        # Copies, so that a slow reader does not keep the answers of all the others.
        parts = {
            layer: [p.clone() for p in torch.split(value, sizes)] for layer, value in joined.items()
        }
        answers = [
            Values({layer: part[i] for layer, part in parts.items()}) for i in range(len(sizes))
        ]
        for answer in answers:
            answer.seconds = joined.seconds
        return answers


class Batcher:
    """Runs forward passes, joined where that is possible; for one event loop.

    Parameters
    ----------
    worker : where they run.
    max_batch : samples in a joined pass; a larger request runs alone.
    max_bytes : size of a value in a joined pass on a CPU.
    """

    def __init__(self, worker: Worker, *, max_batch: int = 8, max_bytes: int = KEPT_BYTES) -> None:
        self._worker = worker
        self._max_batch = max_batch
        self._max_bytes = max_bytes
        self._groups: dict[_Key, _Group] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def forward(
        self, model: Model, layers: Sequence[str], inputs: Sequence[Tensor]
    ) -> Values:
        """The values of `layers` for `inputs`, as `Model.forward` gives them.

        Answers of joined requests differ from those of requests alone by rounding.
        """
        names, member = tuple(layers), self._member(inputs)
        if not _joinable(model, names, member):
            return await self._worker.call(_forward, model, names, member.inputs)
        key = (id(model), names, *((t.shape[1:], t.dtype) for t in inputs))
        group = self._groups.get(key)
        if group is None or not group.join(member):
            group = self._groups[key] = _Group(model, names, self._max_batch, self._max_bytes)
            group.join(member)
            task = asyncio.create_task(self._run(key, group))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await member.answer

    def _member(self, inputs: Sequence[Tensor]) -> _Member:
        return _Member(tuple(inputs), asyncio.get_running_loop().create_future())

    async def _run(self, key: _Key, group: _Group) -> None:
        try:
            answers = await self._worker.call(group.run)
        except Exception as error:  # whatever it is, those who wait get it
            for member in group.take():
                member.answer.set_exception(error)
        else:
            for member, values in answers:
                if member.answer.done():
                    continue
                if isinstance(values, Exception):
                    member.answer.set_exception(values)
                else:
                    member.answer.set_result(values)
        finally:
            if self._groups.get(key) is group:
                del self._groups[key]


def largest_value(model: Model, layers: Sequence[str]) -> int:
    """Bytes a sample of the largest value on the way to some layers."""
    wanted, largest = set(layers), 1
    for layer in model.layers.values():
        largest = max(largest, layer.output.count() * layer.output.item_bytes)
        wanted.discard(layer.id)
        if not wanted:
            break
    return largest


def _forward(model: Model, layers: Sequence[str], inputs: Sequence[Tensor]) -> Values:
    began = time.perf_counter()
    values = Values(model.forward(layers, inputs))
    values.seconds = time.perf_counter() - began
    return values


def _mixing(model: Model, layers: Sequence[str]) -> bool:
    """Whether any of the layers was seen to mix samples."""
    return any(model.mixes_samples.get(layer, False) for layer in layers)


def _comparable(members: Sequence[_Member]) -> bool:
    """Whether there are two different samples, so that mixing would show."""
    first = members[0].inputs
    return any(
        not torch.equal(a, b)
        for other in members[1:]
        for a, b in zip(first, other.inputs, strict=True)
    )


def _joinable(model: Model, layers: tuple[str, ...], member: _Member) -> bool:
    """Whether samples of different requests can go through together and be told apart."""
    specs = [*model.inputs, *(model.layer(layer).output for layer in layers)]
    return (
        model.fixed_batch is None
        and not _mixing(model, layers)
        and all(spec.shape[:1] == ("batch",) for spec in specs)
        and all(tensor.ndim and len(tensor) == member.size for tensor in member.inputs)
    )
