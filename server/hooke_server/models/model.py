"""A loaded network: one value that every room above works with.

    model.layers["layer1.0.add"]       what is there, as a table
    model.forward(["layer1"], inputs)  values without gradients, the quickest exact way
    model.probe(["layer1"])(*inputs)   values with gradients: a pure function

A `Model` is never hooked, and nothing here changes it, so any number of threads may use
it; the weights of a live one may be trained meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, partial
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor

from hooke_server.errors import FailedPreconditionError, Reason
from hooke_server.models.folding import Folded
from hooke_server.models.graph import Graph
from hooke_server.models.in_place import write_over, write_over_relu
from hooke_server.models.kept import Kept
from hooke_server.models.layer import Layer, TensorSpec
from hooke_server.models.patterns import fitting, is_pattern
from hooke_server.models.preprocessing import Preprocessing
from hooke_server.models.probe import Probe, ProbeCache, Rewrite
from hooke_server.registry import not_found


class ModelFormat(StrEnum):
    """Kind of source; as `hooke.v1.ModelFormat`."""

    TORCH = "torch"
    TORCH_EXPORT = "torch_export"
    TORCHSCRIPT = "torchscript"
    ONNX = "onnx"


class Runtime(Protocol):
    """Another engine that computes a model's layers, without gradients (ONNX Runtime)."""

    def run(self, layers: Sequence[str], inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """The values of `layers`, in that order, stopping at the deepest."""
        ...


@dataclass(frozen=True, kw_only=True)
class Model:
    """A loaded network.

    Attributes
    ----------
    source : what it was loaded from, as asked for; never a path.
    digest : `sha256:` of graph and weights, as they were when the model was read.
    graph : the functional graph; None where it could not be had, and `obstacle` says why.
    layers : every layer by id, in the order in which they run.
    output_layer : id of the layer that yields the first output.
    obstacle : why gradients cannot be had; empty where they can.
    parity_error : relative difference between `runtime` and `graph`, where there are both.
    runtime : computes plain values in place of the graph.
    preprocessing : how a picture becomes the input; None where the input is no picture.
    fixed_batch : the only batch size that the network takes; None: any.
    live : whether the weights are those of a module that may be trained meanwhile.
    mixes_samples : whether a layer's value for one sample depends on the others in its
        batch, as far as it was seen; filled when requests first share a pass.
    edited : the models that edits made of this one last; see `edited.kept`.
    """

    source: str
    format: ModelFormat
    digest: str
    layers: Mapping[str, Layer]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    output_layer: str
    weights: Mapping[str, Tensor]
    device: torch.device
    graph: Graph | None = None
    runtime: Runtime | None = None
    obstacle: str = ""
    parity_error: float | None = None
    preprocessing: Preprocessing | None = None
    labels: tuple[str, ...] = ()
    fixed_batch: int | None = None
    notes: tuple[str, ...] = ()
    live: bool = False
    mixes_samples: dict[str, bool] = field(default_factory=dict, repr=False, compare=False)
    edited: Kept[Model] = field(default_factory=Kept, repr=False, compare=False)
    _probes: ProbeCache = field(default_factory=ProbeCache, repr=False)
    _folded: Folded = field(default_factory=Folded, repr=False, compare=False)
    _changes_when_read: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_changes_when_read", self._changes())

    def _changes(self) -> int:
        """How often the weights were changed in place, as torch counts it."""
        return sum(tensor._version for tensor in self._changing)

    @cached_property
    def _changing(self) -> list[Tensor]:
        """The tensors that may be trained; finding them takes longer than asking them."""
        tensors = [*self.weights.values()]
        tensors += [] if self.graph is None else self.graph.module.buffers()
        return [tensor for tensor in tensors if not tensor.is_inference()]

    @cached_property
    def vocabularies(self) -> dict[str, int]:
        """Inputs that are looked up in an embedding, and how many entries it has."""
        found: dict[str, int] = {}
        for layer in self.layers.values():
            tables = [weight.shape[0] for weight in layer.weights if len(weight.shape) == 2]
            if layer.op == "embedding" and tables:
                for name in set(layer.producers) & {spec.name for spec in self.inputs}:
                    found[name] = min(tables[0], found.get(name, tables[0]))
        return found

    @property
    def state_digest(self) -> str:
        """The digest; another one after each change of a live module's weights."""
        changes = self._changes() - self._changes_when_read
        return f"{self.digest}+{changes}" if changes else self.digest

    @property
    def by_sample(self) -> bool:
        """Whether the first axis of every input counts samples."""
        batch = "batch" if self.fixed_batch is None else self.fixed_batch
        return all(spec.shape[:1] == (batch,) for spec in self.inputs)

    @cached_property
    def parameter_count(self) -> int:
        """Number of learned numbers."""
        return sum(layer_weight_count(self.layers))

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulate operations of a forward pass at batch 1."""
        return sum(layer.macs for layer in self.layers.values() if layer.kind != "block")

    @cached_property
    def memory_bytes(self) -> int:
        """Bytes that the weights take, shared ones once."""
        storages = {
            t.untyped_storage().data_ptr(): t.untyped_storage() for t in self.weights.values()
        }
        return sum(storage.nbytes() for storage in storages.values())

    def layer(self, layer_id: str) -> Layer:
        """The layer of that id, or NotFoundError with the nearest ids."""
        if layer_id not in self.layers:
            hint = f"the model has {len(self.layers)} layers, ListLayers names them"
            raise not_found("layer", layer_id, self.layers, Reason.LAYER_NOT_FOUND, hint)
        return self.layers[layer_id]

    def weight(self, key: str) -> Tensor:
        """A learned tensor; where it may be trained meanwhile, a copy of what it is now."""
        weight = self.weights[key]
        return weight.detach().clone() if self.live else weight

    def match(self, patterns: Sequence[str]) -> list[Layer]:
        """The layers that any of the ids or glob patterns fits, in the order in which they run.

        A pattern that fits nothing is a NotFoundError. Patterns pass over layers
        that do not yield floating-point numbers; ids name them all the same.
        """
        wanted: set[str] = set()
        for pattern in patterns:
            if pattern in self.layers or not is_pattern(pattern):
                wanted.add(self.layer(pattern).id)
                continue
            found = fitting(pattern, self.layers)
            if not found:
                self.layer(pattern)
            wanted.update(i for i in found if self.layers[i].output.dtype.is_floating_point)
        return [layer for layer_id, layer in self.layers.items() if layer_id in wanted]

    def probe(self, layers: Sequence[str], rewrite: Rewrite | None = None) -> Probe:
        """A pure, differentiable function from the inputs to the values of `layers`.

        `rewrite` changes the probe's copy of the graph; the model stays as it is.
        """
        return self._probes.get(self.given_graph(), tuple(layers), rewrite)

    def gradient_probe(self, layers: Sequence[str], rewrite: Rewrite | None = None) -> Probe:
        """The same, bit for bit, in less memory; for rewrites that replace no operation."""
        graph = self.given_graph()
        return self._probes.get(graph, tuple(layers), rewrite, write_over_relu, "gradients")

    def quick_probe(self, layers: Sequence[str], rewrite: Rewrite | None = None) -> Probe:
        """A probe that is equal but for rounding, and quicker to climb through; see `folding`."""
        changes = self._changes()
        polish = partial(self._folded.apply, changes=changes)
        return self._probes.get(self.given_graph(), tuple(layers), rewrite, polish, changes)

    def forward(self, layers: Sequence[str], inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """The values of `layers` by id, without gradients; execution stops at the deepest."""
        if self.runtime is not None:
            return self.runtime.run(layers, inputs)
        graph = self.given_graph()
        probe = self._probes.get(graph, tuple(layers), None, write_over, "no gradients")
        with torch.inference_mode():
            return probe(*inputs)

    def given_graph(self) -> Graph:
        """The graph, or FailedPreconditionError where there is none."""
        if self.graph is None:
            raise FailedPreconditionError(
                Reason.MODEL_UNSUPPORTED, f"this model has no graph to run: {self.obstacle}"
            )
        return self.graph


def layer_weight_count(layers: Mapping[str, Layer]) -> list[int]:
    """Sizes of the distinct learned tensors: shared ones and those of blocks count once."""
    sizes = {
        weight.key: torch.Size(weight.shape).numel()
        for layer in layers.values()
        for weight in layer.weights
    }
    return list(sizes.values())


def frozen(layers: Sequence[Layer]) -> Mapping[str, Layer]:
    """Layers by id, in their order, read-only."""
    return MappingProxyType({layer.id: layer for layer in layers})
