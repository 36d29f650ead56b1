"""TorchScript that is allowed: its layers where it was traced, else the whole as one piece."""

import hashlib

import pytest
import torch
import torchvision
from torch import nn

from hooke_server.errors import FailedPreconditionError, InvalidArgumentError
from hooke_server.models.loaders import LoadContext, load_model
from hooke_server.models.loaders.live import load_live
from hooke_server.models.model import ModelFormat
from hooke_server.models.sources import Roots

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::torch.jit.TracerWarning"
)


def load(script, folder, options):
    path = folder / "model.pt"
    script.save(path)
    allowed = frozenset([hashlib.sha256(path.read_bytes()).hexdigest()])
    context = LoadContext(roots=Roots([folder]), allow_code=allowed)
    return load_model(f"file:model.pt{options}", context)


def check_traced(folder, module, size):
    module = module.eval()
    trace = torch.jit.trace(module, torch.randn(2, 3, size, size), check_trace=False)
    model = load(trace, folder, f"?input=3x{size}x{size}")
    twin = load_live(module, torch.randn(1, 3, size, size))
    assert not model.notes
    assert model.format is ModelFormat.TORCHSCRIPT
    assert (model.parameter_count, model.macs) == (twin.parameter_count, twin.macs)
    common = [layer for layer in twin.layers if layer in model.layers]
    x = torch.randn(3, 3, size, size)
    ours, theirs = model.forward(common, [x]), twin.forward(common, [x])
    for layer in common:
        torch.testing.assert_close(ours[layer], theirs[layer], rtol=1e-4, atol=1e-5)
    return set(twin.layers) - set(common)


@pytest.mark.parametrize("name", ["resnet18", "shufflenet_v2_x0_5"])
def test_traced_networks_have_all_layers(tmp_path, name):
    torch.manual_seed(0)
    assert not check_traced(tmp_path, torchvision.models.get_model(name, weights=None), 64)


@pytest.mark.matrix
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "densenet121", "swin_t", "vit_b_32"])
def test_more_traced_networks(tmp_path, name):
    module = torchvision.models.get_model(name, weights=None)
    missing = check_traced(tmp_path, module, 224)
    # Only what an eager graph keeps whole is spelled otherwise.
    assert not {layer for layer in missing if "attn" not in layer and "." in layer} - {
        layer for layer in missing if "stochastic" in layer or "pad" in layer
    }


def test_gradients(tmp_path):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten()).eval()
    model = load(torch.jit.trace(module, torch.randn(1, 3, 8, 8)), tmp_path, "?input=3x8x8")
    ours, theirs = (torch.randn(1, 3, 8, 8).requires_grad_() for _ in range(2))
    theirs.data.copy_(ours.data)
    model.probe([model.output_layer])(ours)[model.output_layer].square().sum().backward()
    module(theirs).square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if bool(x.sum() > 0):
            return self.linear(x) + y
        return self.linear(-x) - y


def test_scripts_that_branch_are_one_piece(tmp_path):
    module = Branching()
    model = load(torch.jit.script(module), tmp_path, "?input=3,2")
    assert list(model.layers) == ["input_0", "input_1", "network"]
    assert model.parameter_count == 8
    assert set(model.weights) == {"linear.weight", "linear.bias"}
    assert "torch.jit.trace" in model.notes[0]
    for sign in (1, -1):
        inputs = sign * torch.ones(2, 3), torch.ones(2, 2)
        torch.testing.assert_close(model.forward(["network"], inputs)["network"], module(*inputs))


def test_shapes_have_to_be_told(tmp_path):
    script = torch.jit.script(Branching())
    with pytest.raises(InvalidArgumentError, match="input=3x224x224"):
        load(script, tmp_path, "")
    with pytest.raises(InvalidArgumentError, match="input=3x224x224"):
        load(script, tmp_path, "?input=3x-1")
    with pytest.raises(FailedPreconditionError, match="does not run on such inputs"):
        load(script, tmp_path, "?input=4,2")
