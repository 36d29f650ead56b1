"""Exports by both of torch's exporters, and how their layers compare with an eager capture."""

import torch
from eager_capture import EagerCapture, relative_difference

from hooke_server.models.loaders import LoadContext, load_model
from hooke_server.models.sources import Roots

EXPORTERS = ["dynamo", "torchscript"]
BATCH_NORMS = (torch.nn.modules.batchnorm._BatchNorm,)


def export(folder, module, *inputs, exporter="dynamo", dynamic=True, query="", **options):
    """The model of a module that was exported to a file in `folder`."""
    module = module.eval()
    names = [f"x{k}" for k in range(len(inputs))] if inputs[1:] else ["x"]
    pairs = tuple(torch.cat([x, x]) for x in inputs) if dynamic else inputs
    shapes = {"dynamic_shapes": tuple({0: "batch"} for _ in inputs)} if dynamic else {}
    if exporter == "torchscript":
        shapes = {"dynamic_axes": {name: {0: "batch"} for name in names}} if dynamic else {}
    torch.onnx.export(
        module,
        pairs,
        folder / "model.onnx",
        input_names=names,
        dynamo=exporter == "dynamo",
        verbose=False,
        **{"external_data": False, **shapes, **options},
    )
    return load(folder, query)


def load(folder, query=""):
    return load_model(f"file:model.onnx{query}", LoadContext(roots=Roots([folder])))


def randomize_normalizations(module):
    """Give batch normalizations statistics with which none is nearly the identity."""
    generator = torch.Generator().manual_seed(5)
    for part in module.modules():
        if isinstance(part, BATCH_NORMS):
            with torch.no_grad():
                part.running_mean.normal_(0, 0.1, generator=generator)
                part.running_var.uniform_(0.5, 1.5, generator=generator)
    return module


def compare_modules(model, module, inputs):
    """Worst relative difference of runtime and graph, over all layers that are modules.

    A convolution into which a normalization was folded has the normalized value, so it
    is compared with the normalization that follows it. Where the exporter merged reshapes
    or lost the order of a tuple, a block's value has another shape: it is not compared.

    Returns
    -------
    worst, the compared layers, those of another shape, and the folded convolutions.
    """
    captured = EagerCapture(module, inputs).modules
    ids = [layer for layer in model.layers if layer in captured]
    order = list(captured)
    ran = model.forward(ids, inputs)
    with torch.no_grad():
        traced = model.probe(ids)(*inputs)
    worst, folded, reshaped = 0.0, [], []
    for layer in ids:
        expected = captured[layer]
        if traced[layer].shape != expected.shape:
            reshaped.append(layer)
            continue
        if relative_difference(traced[layer], expected) > 1e-2:
            following = order[order.index(layer) + 1]
            # A normalization may hold its activation, which ends before it.
            inner = {following, following.rpartition(".")[0]}
            assert any(isinstance(module.get_submodule(i), BATCH_NORMS) for i in inner), layer
            expected = captured[following]
            folded.append(layer)
        for values in (ran, traced):
            worst = max(worst, relative_difference(values[layer], expected))
    return worst, [i for i in ids if i not in reshaped], reshaped, folded
