"""`.onnx` files: a graph for gradients, ONNX Runtime for plain values.

The two are compared when the model is loaded. Where a file has operators that the
graph cannot have, ONNX Runtime alone computes it: layers and activations are there,
gradients are not.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import onnx
import torch
from onnx import inliner
from torch import Tensor

from hooke_server.errors import InternalError
from hooke_server.models.blobs import map_file
from hooke_server.models.graph import Graph
from hooke_server.models.limits import broken, shown, unsupported
from hooke_server.models.loaders import LoadContext
from hooke_server.models.model import Model, ModelFormat
from hooke_server.models.onnx_model.file import OnnxFile, read_onnx, with_external
from hooke_server.models.onnx_model.graph import Converted, Opaque, UnconvertibleError, convert
from hooke_server.models.onnx_model.inputs import read_inputs, read_preprocessing
from hooke_server.models.onnx_model.opaque import Shapes, stand_ins
from hooke_server.models.onnx_model.origins import read_origins
from hooke_server.models.onnx_model.screening import default_opset, screen
from hooke_server.models.onnx_model.session import OnnxRuntime
from hooke_server.models.onnx_model.trial import try_onnx
from hooke_server.models.onnx_model.weights import mark_given, read_weights
from hooke_server.models.parity import relative_difference, takes_batches
from hooke_server.models.probe import Probe
from hooke_server.models.sandbox import run_limited
from hooke_server.models.sources import Source
from hooke_server.models.structure import assemble
from hooke_server.models.trace import graph_from_origins

_COMPARED = 16
"""Layers whose values are compared between graph and ONNX Runtime."""

_TRIAL_SECONDS = 60.0
_TRIAL_BYTES = 4 << 30

_FOLDED = (
    "the exporter folded batch normalizations into the convolutions before them: the value of "
    "such a convolution is the normalized one"
)
_NO_RUNTIME = "ONNX Runtime does not take this file; everything is computed by the converted graph"


def load(path: Path, source: Source, context: LoadContext) -> Model:
    """The model of an ONNX file; its weights may lie in other files beside it.

    Raises
    ------
    FailedPreconditionError : MODEL_INVALID, if the file is broken; MODEL_UNSUPPORTED, if
        neither a graph nor ONNX Runtime computes it.
    ResourceExhaustedError : LIMIT_EXCEEDED, if it has or computes too much.
    """
    file = read_onnx(map_file(path), context.limits)
    screen(file.model, context.limits)
    file = with_external(
        file, lambda name: _companion(name, source, context), limits=context.limits
    )
    network = _Network(path, file, source, context)
    with ThreadPoolExecutor(1) as pool:
        # ONNX Runtime is tried in a child, which takes about as long as the conversion.
        trial = pool.submit(network.trial, ())
        obstacle = network.convert()
        answer = trial.result()
    return network.model(answer, obstacle)


def _companion(location: str, source: Source, context: LoadContext) -> memoryview:
    """The bytes of a file of weights beside the model; it may be deleted meanwhile."""
    parts = location.split("/")
    if {"", ".", ".."} & set(parts) or "\\" in location or not location.isprintable():
        raise broken(f"its weights are to be in {shown(location)}, which is not beside it")
    name = str(PurePosixPath(source.name).parent / location)
    with context.roots.private_copy(name) as path:
        return map_file(path)


class _Network:
    """One file on its way to a model."""

    def __init__(self, path: Path, file: OnnxFile, source: Source, context: LoadContext) -> None:
        self._path = path
        self._source = source
        self._context = context
        self._digest = _digest(path, file)
        self._inputs = read_inputs(file.model, source, context.limits)
        self._weights = read_weights(file, context.limits)
        self._given = {name: self._weights[name] for name in file.blobs if name in self._weights}
        if missing := file.blobs.keys() - self._given.keys():
            raise unsupported(f"its weight {shown(min(missing))} has a type that torch has not")
        self._proto = file.model
        if self._proto.functions:
            self._proto = inliner.inline_local_functions(self._proto)
        self._origins = read_origins(self._proto.graph.node)
        self._batch = 1

    def trial(self, wanted: Sequence[str], batch: int | None = None) -> dict[str, Any]:
        """What ONNX Runtime says to the file, in a child process."""
        size = sum(tensor.nbytes for tensor in self._given.values())
        example = self._inputs.example(batch or self._inputs.batch, torch.device("meta"))
        shapes = {name: list(tensor.shape) for name, tensor in example.items()}
        answer: dict[str, Any] = run_limited(
            try_onnx,
            str(self._path),
            shapes,
            list(wanted),
            memory_bytes=_TRIAL_BYTES + 3 * size,
            seconds=_TRIAL_SECONDS,
        )
        return answer

    def convert(self) -> str:
        """Make the graph; what hinders gradients, if anything."""
        for batch in dict.fromkeys([1, self._inputs.batch]):
            self._batch = batch
            try:
                self._use(self._converted(None))
            except UnconvertibleError as error:
                reasons = error.reasons
            else:
                return ""
        return self._stand_in(reasons)

    def _converted(self, opaque: Opaque | None) -> Converted:
        device = self._context.device
        return convert(
            self._proto.graph,
            default_opset(self._proto),
            {name: tensor.to(device) for name, tensor in self._weights.items()},
            self._inputs.example(self._batch, device),
            self._origins,
            self._context.limits,
            opaque,
        )

    def _use(self, converted: Converted) -> None:
        self._made = converted
        self._graph = graph_from_origins(converted.module, self._example())

    def _example(self, batch: int | None = None) -> tuple[Tensor, ...]:
        example = self._inputs.example(batch or self._batch, self._context.device)
        return tuple(example.values())

    def _stand_in(self, reasons: Mapping[str, str]) -> str:
        """Tabulate with the shapes that ONNX Runtime tells, for want of operators."""
        self._batch = self._inputs.batch
        names = [name for node in self._proto.graph.node for name in node.output if name]
        shapes: dict[int, Shapes] = {}
        for batch in (self._batch, self._batch + 1):
            answer = self.trial(names, batch)
            if not answer["error"]:
                shapes[batch] = {
                    n: (getattr(torch, d), tuple(s)) for n, (d, s) in answer["shapes"].items()
                }
        operators = ", ".join(sorted(reasons))
        try:
            self._use(self._converted(stand_ins(shapes)))
        except UnconvertibleError as error:
            operators = ", ".join(sorted({**reasons, **error.reasons}))
            raise unsupported(
                f"there is no torch function for its operators {operators}, and ONNX Runtime "
                "does not compute it either"
            ) from None
        operators = ", ".join(sorted(self._made.opaque))
        return f"there is no torch function for its operators {operators}"

    def model(self, answer: Mapping[str, Any], obstacle: str) -> Model:
        """The model, once it is known whether ONNX Runtime takes the file."""
        runtime = None if answer["error"] else self._runtime(answer["upgraded"])
        parity, fixed, runtime = self._compared(runtime, obstacle)
        if obstacle and runtime is None:
            raise unsupported(f"{obstacle}, and ONNX Runtime does not compute it either")
        notes = [_FOLDED] if any(self._origins.folded) else []
        notes += [] if runtime else [_NO_RUNTIME]
        example = self._example()
        model = assemble(
            self._graph,
            example,
            source=str(self._source),
            format=ModelFormat.ONNX,
            weights=self._made.weights,
            digest=self._digest,
            preprocessing=read_preprocessing(self._proto, example[0].shape),
            runtime=runtime,
            obstacle=obstacle,
            parity_error=parity,
            fixed_batch=fixed,
            notes=notes,
        )
        return replace(model, graph=None) if obstacle else model

    def _runtime(self, upgraded: str) -> OnnxRuntime | None:
        proto = onnx.ModelProto()
        proto.CopyFrom(self._proto)
        if upgraded:
            proto.ParseFromString(base64.b64decode(upgraded))
        mark_given(proto, self._given)
        for value in proto.graph.input:
            if value.name in self._inputs.shapes and self._inputs.has_batch(value.name):
                value.type.tensor_type.shape.dim[0].dim_param = "batch"
        values = _value_names(self._graph)
        made = {n for node in proto.graph.node for n in node.output} | self._inputs.shapes.keys()
        if not set(values.values()) <= made:
            return None  # the version converter renamed what layers are known by
        return OnnxRuntime(
            proto,
            self._given,
            values=values,
            inputs=list(self._inputs.shapes),
            device=self._context.device,
        )

    def _compared(
        self, runtime: OnnxRuntime | None, obstacle: str
    ) -> tuple[float | None, int | None, OnnxRuntime | None]:
        """Parity error, fixed batch size, and the runtime if it works."""
        layers = _spread(list(self._graph.places))
        parity = None
        try:
            told = runtime.run(layers, self._example()) if runtime else {}
        except InternalError:
            told, runtime = {}, None
        if told and not obstacle:
            with torch.inference_mode():
                made = Probe(self._graph, tuple(layers))(*self._example())
            parity = relative_difference(made, told)

        def compute(inputs: Sequence[Tensor]) -> Mapping[str, Tensor]:
            if runtime:
                return runtime.compute([o.name for o in self._proto.graph.output], inputs)
            with torch.inference_mode():
                return dict(self._made.module.forward(*inputs))

        batched = [self._inputs.has_batch(name) for name in self._inputs.shapes]
        free = self._batch == 1 and takes_batches(compute, self._example(2), batched)
        return parity, None if free else self._batch, runtime


def _spread(layers: Sequence[str]) -> list[str]:
    """Some of the layers, evenly, and the last."""
    return [*layers[: -1 : -(-len(layers) // _COMPARED)], layers[-1]]


def _value_names(graph: Graph) -> dict[str, str]:
    """The file's name of each layer's value."""
    nodes = {node.name: node for node in graph.module.graph.nodes}
    return {
        layer: nodes[place.node].meta["values"][place.keys[0] if place.keys else 0]
        for layer, place in graph.places.items()
    }


def _digest(path: Path, file: OnnxFile) -> str:
    """Of the file, and of the weights that lie elsewhere."""
    with path.open("rb") as handle:
        sha = hashlib.file_digest(handle, "sha256")
    for tensor in file.model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            sha.update(file.blobs[tensor.name])
    return f"sha256:{sha.hexdigest()}"
