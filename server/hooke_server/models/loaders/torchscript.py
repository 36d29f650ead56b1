"""TorchScript: programs in a language of their own, which can read and write files.

Loading one runs it. So a file is loaded only if the server was started with its
SHA-256 in `--allow-code`, and what it does then is on whoever allowed it.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import torch
from torch import Tensor, fx, nn

from hooke_server.errors import InvalidArgumentError, PermissionDeniedError, Reason
from hooke_server.models.graph import ModuleCall, Origin
from hooke_server.models.limits import unsupported
from hooke_server.models.loaders import LoadContext
from hooke_server.models.model import Model, ModelFormat
from hooke_server.models.preprocessing import customary_preprocessing
from hooke_server.models.sources import Source
from hooke_server.models.structure import assemble
from hooke_server.models.trace import graph_from_origins

_NOTE = (
    "TorchScript runs as one piece: its inputs, outputs and weights are shown, "
    "and no layer inside; export the network with torch.export to see those"
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
        return assemble(
            graph_from_origins(_as_graph(network, len(example)), example),
            example,
            source=str(source),
            format=ModelFormat.TORCHSCRIPT,
            weights=dict(network.named_parameters()),
            digest=f"sha256:{digest}",
            preprocessing=customary_preprocessing(example[0].shape),
            notes=(_NOTE,),
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
