"""Exported programs, against eager torch: outputs, layers, gradients, what overwrites what."""

import pytest
import torch
import torchvision
from torch import nn

from hooke_server.errors import FailedPreconditionError, Reason
from hooke_server.models.loaders import LoadContext, load_model
from hooke_server.models.loaders.live import load_live
from hooke_server.models.model import ModelFormat
from hooke_server.models.sources import Roots

pytestmark = pytest.mark.filterwarnings("default::FutureWarning", "default::DeprecationWarning")

BATCH = torch.export.Dim.DYNAMIC


def export(folder, module, *inputs, dynamic=True):
    """The model of an exported module, read from a file."""
    module = module.eval()
    shapes = tuple({0: BATCH} for _ in inputs) if dynamic else None
    pairs = tuple(torch.cat([x, x]) for x in inputs) if dynamic else inputs
    torch.export.save(
        torch.export.export(module, pairs, dynamic_shapes=shapes), folder / "model.pt2"
    )
    return load_model("file:model.pt2", LoadContext(roots=Roots([folder])))


def check_equal(model, module, *inputs):
    """The same outputs and the same gradient of the first input as eager torch."""
    given = [x.clone().requires_grad_(x.is_floating_point()) for x in inputs]
    eager = [x.clone().requires_grad_(x.is_floating_point()) for x in inputs]
    ours = model.probe([model.output_layer])(*given)[model.output_layer]
    theirs = module(*(x * 1 for x in eager))
    theirs = theirs[0] if isinstance(theirs, tuple) else theirs
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    ours.sum().backward()
    theirs.sum().backward()
    torch.testing.assert_close(given[0].grad, eager[0].grad, rtol=1e-4, atol=1e-5)


def architecture(name):
    torch.manual_seed(0)
    options = {"init_weights": False} if name in {"googlenet", "inception_v3"} else {}
    module = torchvision.models.get_model(name, weights=None, **options).eval()
    size = {"inception_v3": 96, "alexnet": 64, "vit_b_32": 224, "swin_t": 224, "maxvit_t": 224}.get(
        name, 32
    )
    with torch.no_grad():  # statistics that keep values of random networks apart
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_var.fill_(0.5)
    return module, torch.randn(1, 3, size, size)


def check_architecture(folder, name):
    """Check an export against its eager twin; return the classes that only the twin has."""
    module, example = architecture(name)
    model = export(folder, module, example)
    more = torch.randn(3, *example.shape[1:])
    check_equal(model, module, more)
    twin = load_live(module, example)
    common = [i for i in twin.layers if i in model.layers]
    missing = {t.module_class for i, t in twin.layers.items() if i not in common} - {""}
    ours, theirs = model.forward(common, [more]), twin.forward(common, [more])
    for layer in common:
        torch.testing.assert_close(ours[layer], theirs[layer], rtol=1e-4, atol=1e-4)
        if not any(inner.parent == layer for inner in model.layers.values()):
            assert model.layers[layer].macs == twin.layers[layer].macs
    assert (model.parameter_count, model.macs) == (twin.parameter_count, twin.macs)
    return missing


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_convolutional_networks(tmp_path, name):
    assert not check_architecture(tmp_path, name)


@pytest.mark.matrix
@pytest.mark.parametrize(
    "name",
    [
        *("alexnet", "vgg11_bn", "squeezenet1_1", "densenet121", "googlenet", "inception_v3"),
        *("mnasnet0_5", "efficientnet_b0", "regnet_y_400mf", "convnext_tiny", "vit_b_32", "swin_t"),
        "maxvit_t",
    ],
)
def test_many_architectures(tmp_path, name):
    # What does nothing when a network is used leaves no trace in a program.
    assert check_architecture(tmp_path, name) <= {"Dropout", "StochasticDepth", "Identity"}


class Overwriting(nn.Module):
    """Writes through views in a way that its argument chooses."""

    def __init__(self, write):
        super().__init__()
        self.write = write

    def forward(self, x):
        y = x * 2
        return self.write(y)


def through_slices(y):
    y[:, 1:3, ::2] = 7.0
    return y + 1


def through_select(y):
    row = y[:, 1]
    row.add_(y[:, 0])
    return y.sum(1) + row


def through_transpose(y):
    y.transpose(1, 2)[:, 0].add_(1)
    return y * y


def through_reshape(y):
    flat = y.flatten(1)
    flat[:, 3:].relu_()
    return y.exp()


def through_permute(y):
    y.permute(2, 0, 1).select(0, 1).neg_()
    return y.cos()


def through_unsqueeze(y):
    y.unsqueeze(1).squeeze(1)[:, 2].clamp_(0, 1)
    return y.sin()


def sibling(y):
    """A view made before the write is read after it."""
    left, right = y[:, :2], y[:, 1:]
    left.fill_(3.0)
    return right * 2


def twice(y):
    y.add_(1)
    z = y[:, 0]
    y.mul_(3)
    z.sub_(2)
    return torch.cat([y.flatten(1), z.flatten(1)], 1)


def repeated(y):
    z = nn.functional.dropout(y, training=False)  # which is y itself
    z.add_(5)
    return y * 2


@pytest.mark.parametrize(
    "write",
    [
        *(through_slices, through_select, through_transpose, through_reshape, through_permute),
        *(through_unsqueeze, sibling, twice, repeated),
    ],
)
def test_writes_through_views(tmp_path, write):
    module = Overwriting(write)
    model = export(tmp_path, module, torch.randn(1, 4, 5))
    x = torch.randn(3, 4, 5)
    check_equal(model, module, x)
    first = next(layer for layer in model.layers if layer.startswith("mul"))
    torch.testing.assert_close(model.forward([first], [x])[first], x * 2)


def test_a_write_that_cannot_be_followed_is_refused(tmp_path):
    def through_diagonal(y):
        y.diagonal(dim1=1, dim2=2).zero_()
        return y + 1

    with pytest.raises(FailedPreconditionError, match="through a view") as caught:
        export(tmp_path, Overwriting(through_diagonal), torch.randn(1, 4, 4))
    assert caught.value.reason is Reason.MODEL_UNSUPPORTED


def test_a_write_that_nobody_sees_is_none(tmp_path):
    def unseen(y):
        scratch = y.clone()
        total = scratch.sum()
        scratch.diagonal(dim1=1, dim2=2).zero_()
        return y + total

    module = Overwriting(unseen)
    model = export(tmp_path, module, torch.randn(1, 4, 4))
    check_equal(model, module, torch.randn(2, 4, 4))


class Sharing(nn.Module):
    """Tied weights, a buffer, a constant, an integer input, a dict."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.out = nn.Linear(4, 7, bias=False)
        self.out.weight = self.embedding.weight
        self.register_buffer("scale", torch.tensor([2.0]))
        self.register_buffer("shift", torch.tensor([1.0]), persistent=False)

    def forward(self, x, tokens):
        h = self.embedding(tokens).mean(1) * self.scale + self.shift + x + torch.tensor([0.5])
        return {"logits": self.out(h), "hidden": h}


def test_inputs_outputs_and_shared_weights(tmp_path):
    module = Sharing()
    x, tokens = torch.randn(1, 4), torch.tensor([[1, 2, 3]])
    model = export(tmp_path, module, x, tokens)
    assert [(i.name, i.dtype) for i in model.inputs] == [
        ("x", torch.float32),
        ("tokens", torch.int64),
    ]
    assert [o.name for o in model.outputs] == ["logits", "hidden"]
    assert model.parameter_count == 28
    assert model.memory_bytes == 4 * 28
    assert model.format is ModelFormat.TORCH_EXPORT
    assert model.layers["embedding"].parameter_count == 28
    inputs = torch.randn(2, 4), torch.tensor([[1, 2, 3], [6, 0, 0]])
    values = model.forward(["out"], inputs)["out"]
    torch.testing.assert_close(values, module(*inputs)["logits"])


@pytest.mark.filterwarnings("default:The tensor attributes:UserWarning")  # of torch.export
def test_recurrent_networks(tmp_path):
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(3, 5, batch_first=True)

        def forward(self, x):
            return self.lstm(x)[0]

    module = Recurrent()
    model = export(tmp_path, module, torch.randn(1, 6, 3), dynamic=False)
    check_equal(model, module, torch.randn(1, 6, 3))


def test_a_batch_that_is_baked_in(tmp_path):
    class Baked(nn.Module):
        def forward(self, x):
            return x.reshape(2, 12) * 2

    model = export(tmp_path, Baked(), torch.randn(2, 3, 4), dynamic=False)
    assert model.fixed_batch == 2


def test_digests_tell_networks_apart(tmp_path):
    torch.manual_seed(0)
    one, x = nn.Linear(3, 2), torch.randn(1, 3)
    first = export(tmp_path, one, x).digest
    assert export(tmp_path, one, x).digest == first
    assert export(tmp_path, nn.Linear(3, 2), x).digest != first
    assert export(tmp_path, nn.Sequential(one, nn.ReLU()), x).digest != first


def test_training_mode_is_refused(tmp_path):
    module = nn.Sequential(nn.Linear(3, 2), nn.Dropout())
    torch.export.save(torch.export.export(module, (torch.randn(2, 3),)), tmp_path / "model.pt2")
    with pytest.raises(FailedPreconditionError, match="eval"):
        load_model("file:model.pt2", LoadContext(roots=Roots([tmp_path])))
