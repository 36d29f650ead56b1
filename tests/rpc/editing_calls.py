"""Requests with edits, and what a network says that was changed by hand."""

import torch
from activation_streams import X, asked, assembled, message
from serving import Net, ended

from hooke.v1 import edit_pb2, input_pb2
from hooke.v1 import visualization_service_pb2 as visualization

Edit = edit_pb2.Edit
OTHER = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(7))


def edit(layer="stem", model="net", place=None, **parts):
    name = f"models/{model}/layers/{layer}" if layer else f"models/{model}"
    return Edit(location={"layer": name, **(place or {})}, **parts)


ABLATE = {"ablation": {}}
HALVE = {"scaling": {"factor": 0.5}}


def patch(inputs):
    return {"replacement": {"inputs": {"inputs": [input_pb2.ModelInput(tensor=message(inputs))]}}}


def value(tensor):
    return {"replacement": {"value": message(tensor)}}


def eager(layer, change, x=X):
    """The output of a module of our own in which a layer returns something else."""
    torch.manual_seed(0)
    module = Net().eval()
    module.get_submodule(layer).register_forward_hook(lambda _, __, v: change(v.clone()))
    with torch.inference_mode():
        return module(x)


async def read(served, *edits, layers=("fc",), x=X, **options):
    frames = await ended(served.activations.StreamActivations(asked(*layers, x=x, edits=edits)))
    return assembled(frames), frames[-1].result


def zero(index):
    def change(value):
        value[index] = 0
        return value

    return change


async def pictures(served, edits, size=16, **options):
    request = visualization.VisualizeRequest(
        items=[{"location": {"layer": "models/net/layers/fc", "unit": 1}}],
        feature_visualization={"ascent": {"steps": 3, "size": size}},
        edits=edits,
        **options,
    )
    frames = await ended(served.visualizations.Visualize(request))
    made = [f.picture.data for f in frames if f.HasField("picture")]
    return made, frames[-1].result
