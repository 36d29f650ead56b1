"""ONNX models, against eager torch, ONNX Runtime, and known values."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
import torchvision
from eager_capture import EagerCapture
from networks import Grey, Recurrent, TwoInputs
from onnx import TensorProto, helper
from onnx_exports import EXPORTERS, compare_modules, export, load, randomize_normalizations
from torch import nn

from hooke_server.errors import HookeError, InvalidArgumentError, Reason
from hooke_server.models.loaders.live import load_live
from hooke_server.models.model import ModelFormat

pytestmark = pytest.mark.filterwarnings("default")  # of the exporters' own code
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

NETWORKS = {
    "resnet18": (torchvision.models.resnet18, 64),
    "mobilenet_v3_small": (torchvision.models.mobilenet_v3_small, 64),
    "vit": (lambda: timm.create_model("vit_tiny_patch16_224", img_size=64, depth=2), 64),
}


def network(name):
    torch.manual_seed(0)
    build, edge = NETWORKS[name]
    return randomize_normalizations(build().eval()), torch.randn(1, 3, edge, edge)


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", NETWORKS)
def test_exports_have_the_layers_and_values_of_their_twins(tmp_path, name, exporter):
    module, example = network(name)
    model = export(tmp_path, module, example, exporter=exporter)
    twin = load_live(module, example)
    inputs = [torch.randn(3, *example.shape[1:])]
    worst, compared, reshaped, folded = compare_modules(model, module, inputs)
    assert worst < 1e-4
    assert not reshaped
    assert model.parity_error < 1e-5
    assert (model.macs, model.fixed_batch) == (twin.macs, None)
    weighted = {i for i, layer in twin.layers.items() if layer.macs and layer.module_class}
    assert weighted <= {*compared, *folded}
    # What is gone computes nothing, or was folded away.
    gone = {layer.module_class for i, layer in twin.layers.items() if i not in model.layers} - {""}
    assert gone <= {"BatchNorm2d", "Dropout", "Identity"}
    for layer in set(compared) & twin.layers.keys():
        mine, theirs = model.layers[layer].output, twin.layers[layer].output
        assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)


class Halves(torch.nn.Module):
    def forward(self, x):
        a, b, c = x.unbind(1)
        left, right = x.chunk(2, 2)
        return a * 2 + b - c, left @ right


def test_parts_of_one_value_are_not_called_by_its_name(tmp_path):
    """An operation of several values is one by one in the file, and the last is not the first."""
    example = torch.randn(2, 3, 8, 4)
    model, twin = export(tmp_path, Halves(), example), load_live(Halves(), example)
    common = sorted(model.layers.keys() & twin.layers.keys())
    assert "unbind" in twin.layers
    assert "mul" in common
    theirs = twin.probe(common)(example)
    for layer, value in model.forward(common, [example]).items():
        torch.testing.assert_close(value, theirs[layer], msg=layer)


def test_folded_normalizations_are_told_of(tmp_path):
    module, example = network("resnet18")
    model = export(tmp_path, module, example)
    assert any("folded" in note for note in model.notes)
    x = torch.randn(2, *example.shape[1:])
    values = model.forward(["conv1", "bn1"], [x])
    torch.testing.assert_close(values["bn1"], module.bn1(module.conv1(x)), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(values["conv1"], values["bn1"])


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_gradients_equal_those_of_the_twin(tmp_path, exporter):
    module, example = network("resnet18")
    model = export(tmp_path, module, example, exporter=exporter)
    mine, theirs = (example.clone().requires_grad_() for _ in range(2))
    model.probe([model.output_layer])(mine)[model.output_layer][0, 7].backward()
    module(theirs)[0, 7].backward()
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_two_inputs(tmp_path, exporter):
    module, x, y = TwoInputs(), torch.randn(1, 4), torch.randn(1, 6)
    model = export(tmp_path, module, x, y, exporter=exporter)
    assert [spec.name for spec in model.inputs] == ["x0", "x1"]
    inputs = [torch.randn(3, 4), torch.randn(3, 6)]
    worst, compared, *_ = compare_modules(model, module, inputs)
    assert worst < 1e-5
    assert {"left", "right"} <= set(compared)


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_one_channel_and_modules_that_run_twice(tmp_path, exporter):
    """No exporter writes that `block` itself ran twice, one run after the other."""
    torch.manual_seed(0)
    module, x = Grey(), torch.randn(1, 1, 8, 8)
    model = export(tmp_path, module, x, exporter=exporter)
    inputs = [torch.randn(2, 1, 8, 8)]
    captured = EagerCapture(module, inputs).modules
    ids = ["block.0", "block.0:1", "block.1", "block.1:1", "head"]
    for layer, got in model.forward(ids, inputs).items():
        torch.testing.assert_close(got, captured[layer], rtol=1e-5, atol=1e-5)
    assert model.preprocessing.channels == 1


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_recurrent_networks(tmp_path, exporter):
    torch.manual_seed(0)
    module, x = Recurrent().eval(), torch.randn(1, 5, 10)
    model = export(tmp_path, module, x, exporter=exporter, dynamic=False)
    expected = module(x)[0]
    layer = model.output_layer
    torch.testing.assert_close(model.forward([layer], [x])[layer], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.probe([layer])(x)[layer], expected, rtol=1e-4, atol=1e-5)
    assert model.fixed_batch == 1


def test_weights_in_another_file(tmp_path):
    module, example = network("resnet18")
    model = export(tmp_path, module, example, external_data=True)
    assert (tmp_path / "model.onnx.data").stat().st_size > (tmp_path / "model.onnx").stat().st_size
    assert compare_modules(model, module, [example])[0] < 1e-4
    digest = model.digest
    data = bytearray((tmp_path / "model.onnx.data").read_bytes())
    data[1000] ^= 1
    (tmp_path / "model.onnx.data").write_bytes(data)
    assert load(tmp_path).digest != digest


def test_half_precision(tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4)).half()
    x = torch.randn(1, 8).half()
    model = export(tmp_path, module, x)
    assert model.inputs[0].dtype is torch.float16
    value = model.forward([model.output_layer], [x])[model.output_layer]
    torch.testing.assert_close(value, module(x), rtol=1e-2, atol=1e-3)


def save(folder, nodes, *, inputs, outputs, weights=(), opsets=None, metadata=None, ir=9):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(weights))
    versions = [helper.make_opsetid(*pair) for pair in (opsets or {"": 17}).items()]
    made = helper.make_model(graph, opset_imports=versions, ir_version=ir)
    helper.set_model_props(made, metadata or {})
    onnx.save(made, folder / "model.onnx")
    return load(folder)


def value(name, *shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def test_operators_that_torch_has_not(tmp_path):
    """ONNX Runtime computes them; layers and shapes are known, gradients are not."""
    model = save(
        tmp_path,
        [
            helper.make_node("Neg", ["x"], ["a"], name="first"),
            helper.make_node("QuickGelu", ["a"], ["g"], name="gelu", domain="com.microsoft"),
            helper.make_node("Mul", ["g", "a"], ["y"], name="product"),
        ],
        inputs=[value("x", "n", 4)],
        outputs=[value("y", "n", 4)],
        opsets={"": 17, "com.microsoft": 1},
    )
    assert "QuickGelu" in model.obstacle
    assert list(model.layers) == ["x", "first", "gelu", "product"]
    assert model.layers["product"].output.shape == ("batch", 4)
    assert model.graph is None
    x = torch.tensor([[-1.0, 2.0, 3.0, -4.0]])
    values = model.forward(["gelu", "product"], [x])
    expected = -x * torch.sigmoid(-1.702 * x)
    torch.testing.assert_close(values["gelu"], expected)
    torch.testing.assert_close(values["product"], expected * -x)
    with pytest.raises(HookeError) as raised:
        model.probe(["first"])
    assert raised.value.reason is Reason.MODEL_UNSUPPORTED


def test_what_the_file_says_of_preprocessing(tmp_path):
    def model(**metadata):
        node = helper.make_node("GlobalAveragePool", ["x"], ["y"])
        inputs, outputs = [value("x", "n", 3, 32, 32)], [value("y", "n", 3, 1, 1)]
        return save(tmp_path, [node], inputs=inputs, outputs=outputs, metadata=metadata)

    assert not model().preprocessing.declared
    told = model(**{"Image.NominalPixelRange": "Normalized_1_1"}).preprocessing
    assert (told.mean, told.std) == ((0.5,) * 3, (0.5,) * 3)
    told = model(**{"hooke.preprocessing": '{"mean": [0, 0, 0], "std": [1, 1, 1]}'}).preprocessing
    assert (told.mean, told.declared) == ((0.0,) * 3, True)
    with pytest.raises(HookeError, match="preprocessing"):
        model(**{"hooke.preprocessing": '{"std": [0, 0, 0]}'})


def test_sizes_that_the_file_leaves_open(tmp_path):
    node = helper.make_node("Relu", ["x"], ["y"])
    shape = ["n", 3, "h", "w"]
    save(tmp_path, [node], inputs=[value("x", *shape)], outputs=[value("y", *shape)])
    assert load(tmp_path, "?input=3x48x64").layers["y"].output.shape == ("batch", 3, 48, 64)
    for wrong in ("4x48x64", "48x64", "3x48x64,3x1", "many"):
        with pytest.raises(InvalidArgumentError, match="input="):
            load(tmp_path, f"?input={wrong}")


def test_operators_of_versions_before_onnx_runtime(tmp_path):
    """Opset 6: ONNX Runtime itself refuses such a file."""
    weight = helper.make_tensor("w", TensorProto.FLOAT, [3], [1, 2, 3])
    node = helper.make_node("Add", ["x", "w"], ["y"], name="sum", broadcast=1)
    model = save(
        tmp_path,
        [node],
        inputs=[value("x", 2, 3)],
        outputs=[value("y", 2, 3)],
        weights=[weight],
        opsets={"": 6},
        ir=3,
    )
    x = torch.ones(2, 3)
    torch.testing.assert_close(model.forward(["sum"], [x])["sum"], x + torch.tensor([1.0, 2, 3]))


LARGE = {"light_vgg19", "light_bvlc_alexnet", "light_zfnet512"}


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.matrix] * (path.stem in LARGE))
        for path in sorted(LIGHT.glob("*.onnx"))
    ],
)
def test_light_models(tmp_path, path):
    """Opset 9, weights computed by constants; against ONNX Runtime on the file itself."""
    (tmp_path / "model.onnx").write_bytes(path.read_bytes())
    model = load(tmp_path)
    assert model.format is ModelFormat.ONNX
    assert model.obstacle == ""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    x = np.random.default_rng(0).standard_normal(given.shape, dtype=np.float32)
    (expected,) = session.run(None, {given.name: x})
    layer = model.output_layer
    for values in (
        model.forward([layer], [torch.from_numpy(x)]),
        model.probe([layer])(torch.from_numpy(x)),
    ):
        np.testing.assert_allclose(values[layer].numpy(), expected, rtol=1e-4, atol=1e-6)
    kinds = {layer.op for layer in model.layers.values()}
    assert "conv2d" in kinds
