"""TorchScript: programs in a language of their own, which can read and write files.

Loading one runs it. So a file is loaded only if the server was started with its
SHA-256 in `--allow-code`, and what it does then is on whoever allowed it.
"""

from __future__ import annotations

import hashlib
import logging
import re
from pathlib import Path

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from hooke_server.errors import InvalidArgumentError, PermissionDeniedError, Reason
from hooke_server.models.graph import Graph, ModuleCall, Origin
from hooke_server.models.limits import Limits, unsupported
from hooke_server.models.loaders import LoadContext
from hooke_server.models.loaders.script_graph import script_graph
from hooke_server.models.model import Model, ModelFormat
from hooke_server.models.preprocessing import customary_preprocessing
from hooke_server.models.sources import Source
from hooke_server.models.structure import assemble
from hooke_server.models.trace import graph_from_origins

logger = logging.getLogger(__name__)

_NOTE = (
    "this TorchScript runs as one piece: its inputs, outputs and weights are shown, and no "
    "layer inside; trace the network with torch.jit.trace, or export it, to see those"
)


def load(path: Path, source: Source, context: LoadContext) -> Model:
    """The model of an allowed file; `?input=3x224x224` says the shape of a sample.

    Raises
    ------
    PermissionDeniedError : CODE_NOT_ALLOWED, if the file is not allowed.
    InvalidArgumentError : INVALID_FIELD, if the shapes of its inputs are not given.
    FailedPreconditionError : MODEL_UNSUPPORTED, if it does not load or run.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest not in context.allow_code:
        raise PermissionDeniedError(
            Reason.CODE_NOT_ALLOWED,
            "this file is TorchScript, and to load it is to run its code; export the network "
            "with torch.export.save or to ONNX, or start the server with "
            f"--allow-code {digest} if you trust it",
            sha256=digest,
        )
    example = _example(source, context.device)
    try:
        network = torch.jit.load(path, map_location=context.device)  # type: ignore[no-untyped-call]
        network.eval()
        for parameter in network.parameters():
            parameter.requires_grad_(False)
        graph, notes = _graph(network, example, context.limits)
        return assemble(
            graph,
            example,
            source=str(source),
            format=ModelFormat.TORCHSCRIPT,
            weights=dict(network.named_parameters()),
            digest=f"sha256:{digest}",
            preprocessing=customary_preprocessing(example[0].shape),
            notes=notes,
        )
    except RuntimeError:
        raise unsupported(
            "this TorchScript does not load, or does not run on such inputs"
        ) from None


def _example(source: Source, device: torch.device) -> tuple[Tensor, ...]:
    """One sample for each input, of the shapes that the source gives."""
    text = source.options.get("input", "")
    if not re.fullmatch(r"\d{1,6}(x\d{1,6}){0,5}(,\d{1,6}(x\d{1,6}){0,5})*", text):
        raise InvalidArgumentError(
            Reason.INVALID_FIELD,
            "TorchScript does not tell the shapes of its inputs; say that of one sample, such as "
            f"file:{source.name}?input=3x224x224, with commas between several inputs",
            field="source",
        )
    generator = torch.Generator().manual_seed(0)
    shapes = [tuple(map(int, shape.split("x"))) for shape in text.split(",")]
    return tuple(torch.randn(1, *shape, generator=generator).to(device) for shape in shapes)


def _graph(
    network: torch.jit.ScriptModule, example: tuple[Tensor, ...], limits: Limits
) -> tuple[Graph, tuple[str, ...]]:
    """The graph with all layers inside; of the whole as one piece, and a note, where that fails."""
    try:
        module = script_graph(network, example, limits)
        graph = graph_from_origins(module, example)
        with torch.no_grad():
            pairs = zip(tree_leaves(module(*example)), tree_leaves(network(*example)), strict=True)
            if all(torch.allclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True) for a, b in pairs):
                return graph, ()
    except Exception:  # what TorchScript may hold has no end
        logger.info("a TorchScript has no graph that can be followed", exc_info=True)
    return graph_from_origins(_as_graph(network, len(example)), example), (_NOTE,)


def _as_graph(network: torch.jit.ScriptModule, inputs: int) -> fx.GraphModule:
    """A graph of which the network is the only module."""
    root = nn.Module()
    root.add_module("network", network)
    graph = fx.Graph()
    given = [graph.placeholder(f"input_{index}") for index in range(inputs)]
    for node in given:
        node.meta = {"origin": Origin(op="input")}
    called = graph.call_module("network", tuple(given))
    call = ModuleCall(path="network", module_class=str(network.original_name))
    called.meta = {"origin": Origin(op="network", calls=(call,))}
    graph.output(called)
    return fx.GraphModule(root, graph)
