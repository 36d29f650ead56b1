import pytest
import torch
import torchvision
from networks import NETWORKS, Grey, TwoInputs, classifier, tiny_swin
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hooke_server.models.layer import LayerKind, ReceptiveField, extent_at
from hooke_server.models.loaders.live import load_live

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning", "default::FutureWarning")


def meta_free(name, size=224):
    """A whole torchvision network, cheaply initialized."""
    with torch.device("meta"):
        options = {"init_weights": False} if name in {"googlenet", "vgg16"} else {}
        module = torchvision.models.get_model(name, weights=None, **options)
    return module.to_empty(device="cpu").eval(), torch.empty(1, 3, size, size)


@pytest.mark.parametrize(
    ("name", "parameters", "gmacs"),
    [
        ("resnet18", 11_689_512, 1.8141),
        ("resnet50", 25_557_032, 4.0892),
        ("mobilenet_v3_large", 5_483_032, 0.2166),
        ("googlenet", 6_624_904, 1.4984),
        ("convnext_tiny", 28_589_128, 4.4555),
        ("swin_t", 28_288_354, 4.4906),
        ("vit_b_16", 86_567_656, 17.5638),
    ],
)
def test_known_numbers(name, parameters, gmacs):
    model = load_live(*meta_free(name))
    assert model.parameter_count == parameters
    assert round(model.macs / 1e9, 4) == gmacs
    assert model.memory_bytes == 4 * parameters


@pytest.mark.parametrize("name", ["vit", "swin", "encoder", "grey", "two inputs", "lraspp"])
def test_macs_equal_torchs_own_counter(name):
    module, inputs = NETWORKS[name]()
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.to("meta")(*(tensor.to("meta") for tensor in inputs))
    torch.backends.mha.set_fastpath_enabled(fused)
    module, inputs = NETWORKS[name]()
    assert load_live(module, inputs).macs == counter.get_total_flops() / 2


def test_recurrent_macs_meet_every_matrix_once_a_step():
    model = load_live(*NETWORKS["recurrent"]())
    assert model.layers["lstm"].macs == 5 * (80 * 10 + 80 * 20 + 80 * 20 + 80 * 20)
    assert model.layers["gru"].macs == 5 * 2 * (21 * 20 + 21 * 7)
    assert model.layers["lstm@1"].macs == model.layers["lstm@1"].parameter_count == 0


@pytest.mark.parametrize(
    ("name", "layer", "size"),
    [("resnet50", "layer4", 427), ("vgg16", "features", 212), ("resnet50", "layer2", 91)],
)
def test_known_receptive_fields(name, layer, size):
    fields = load_live(*meta_free(name)).layers[layer].receptive_fields
    assert [field.size for field in fields] == [size, size]


@pytest.mark.parametrize(
    "name",
    [
        *("resnet18", "googlenet", "densenet121", "convnext_tiny", "shufflenet_v2_x0_5"),
        *("alexnet", "vgg11", "mnasnet0_5"),
    ],
)
def test_receptive_fields_are_where_an_unknown_pixel_is_seen(name):
    """One row (column) of the picture is NaN: exactly those see it whose field it is in."""
    module, x = meta_free(name, 160)
    for tensor in (*module.parameters(), *module.buffers()):
        tensor.data.fill_(0.5)
    model = load_live(module, x)
    local = [i for i, layer in model.layers.items() if layer.receptive_fields]
    assert len(local) > 5
    for axis, row in ((0, 0), (0, 80), (1, 93)):
        picture = torch.ones(1, 3, 160, 160)
        picture.select(axis + 2, row).fill_(float("nan"))
        for layer_id, value in model.forward(local, (picture,)).items():
            layer = model.layers[layer_id]
            position = layer.position_axes[axis]
            others = [a for a in range(value.ndim) if a != position]
            found = value.isnan().sum(others).bool().tolist()
            field = layer.receptive_fields[axis]
            centres = [field.start + p * field.jump for p in range(len(found))]
            assert found == [abs(c - row - 0.5) < field.size / 2 for c in centres], layer_id


def test_no_receptive_field_where_a_position_sees_everything():
    model = load_live(*meta_free("efficientnet_b0"))
    assert model.layers["features.0"].receptive_fields
    gate = next(i for i in model.layers if i.endswith("block.1.scale_activation"))
    assert not model.layers[gate].receptive_fields
    assert not model.layers["features.8"].receptive_fields
    assert not model.layers["classifier.1"].receptive_fields


def test_unit_axes_follow_the_units():
    model = load_live(*tiny_swin())
    first, normed = model.layers["features.0.0"], model.layers["features.0.2"]
    assert (first.unit_axis, first.output.axes) == (1, ("batch", "unit", "height", "width"))
    assert (normed.unit_axis, normed.output.axes) == (3, ("batch", "height", "width", "unit"))
    assert model.layers["features.1.0"].unit_axis == 3
    assert model.layers["flatten"].unit_axis == 1
    tokens = load_live(*NETWORKS["vit"]()).layers["encoder.layers.encoder_layer_1"]
    assert (tokens.unit_axis, tokens.output.axes) == (2, ("batch", "token", "unit"))
    assert (tokens.unit_count, tokens.output.shape) == (16, ("batch", 17, 16))


def test_neighbours_weights_and_blocks():
    model = load_live(Grey(), torch.randn(1, 1, 8, 8))
    layers = model.layers
    assert {i: layer.producers for i, layer in layers.items()} == {
        "x": (),
        "first": ("x",),
        "block.0": ("first",),
        "block.1": ("block.0",),
        "block": ("first",),
        "block.0:1": ("block.1",),
        "block.1:1": ("block.0:1",),
        "block:1": ("block.1",),
        "drop": ("block.1:1",),
        "mean": ("block.1:1",),
        "head": ("mean",),
    }
    for layer in layers.values():
        if layer.kind is not LayerKind.BLOCK:
            assert all(layer.id in layers[p].consumers for p in layer.producers)
    assert layers["block"].consumers == ("block.0:1",)
    kinds = [layers[i].kind for i in ("x", "first", "block", "drop", "mean")]
    assert kinds == ["input", "module", "block", "module", "operation"]
    assert [w.name for w in layers["block"].weights] == ["0.weight", "0.bias"]
    assert [w.key for w in layers["block.0:1"].weights] == ["block.0.weight", "block.0.bias"]
    assert (layers["block.0:1"].occurrence, layers["block.0:1"].parent) == (1, "block:1")
    assert (layers["block.0"].depth, layers["head"].depth) == (1, 0)
    assert layers["block"].op == "sequential"
    assert model.parameter_count == sum(p.numel() for p in Grey().parameters())


def test_what_does_not_depend_on_the_input_is_no_layer_and_costs_no_time():
    class Doubling(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

        def forward(self, x):
            scale, size = self.scale, x.shape[1]
            for _ in range(60):  # as many paths as 2 ** 60
                scale, size = scale + scale, size + size - x.shape[1]
            size += 1
            return x * scale * size

    model = load_live(Doubling(), torch.randn(1, 3))
    assert list(model.layers) == ["x", "mul", "mul:1"]
    assert [weight.key for weight in model.layers["mul"].weights] == ["scale"]
    assert model.layers["mul"].producers == ("x",)


def test_outputs_are_named_by_their_keys():
    model = load_live(TwoInputs(), (torch.randn(1, 4), torch.randn(1, 6)))
    assert [(o.name, o.shape) for o in model.outputs] == [
        ("logits", ("batch", 8)),
        ("sizes.z", ("batch", 8)),
    ]
    assert [(i.name, i.shape) for i in model.inputs] == [("x", ("batch", 4)), ("y", ("batch", 6))]
    assert model.output_layer == "act"
    recurrent = load_live(*NETWORKS["recurrent"]())
    assert [o.name for o in recurrent.outputs] == ["output.0", "output.1"]
    assert recurrent.outputs[1].shape == (2, "batch", 20)


def test_shapes_are_those_of_any_batch():
    class Windows(nn.Module):
        def forward(self, x):
            b, c, h, w = x.shape
            y = x.view(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 3, 5, 1)
            y = y.reshape(-1, 4, c).softmax(-1)
            return torch.cat([y.mean(1), x.new_zeros(3, c)])

    model = load_live(Windows(), torch.randn(1, 5, 8, 8))
    assert model.layers["softmax"].output.shape == ("16*batch", 4, 5)
    assert model.layers["softmax"].unit_axis == 2
    assert model.layers["cat"].output.shape == ("16*batch+3", 5)
    ids = list(model.layers)
    for batch in (1, 3):
        values = model.forward(ids, (torch.randn(batch, 5, 8, 8),))
        for layer_id, value in values.items():
            spec = model.layers[layer_id].output
            assert tuple(extent_at(d, batch) for d in spec.shape) == tuple(value.shape)
            assert spec.count(batch) == value.numel()


def test_a_batch_that_is_baked_in_is_told():
    class Baked(nn.Module):
        def forward(self, x):
            return x.reshape(2, 12) @ torch.ones(12, 3)

    from hooke_server.models.model import ModelFormat
    from hooke_server.models.structure import assemble
    from hooke_server.models.trace import trace_module

    example = (torch.randn(2, 3, 4),)
    graph = trace_module(Baked(), example)
    model = assemble(graph, example, source="baked", format=ModelFormat.TORCH)
    assert model.fixed_batch == 2
    assert model.inputs[0].shape == (2, 3, 4)
    assert model.macs == 36


def test_labels_belong_to_as_many_units():
    module, inputs = classifier("resnet18")
    ten = [str(i) for i in range(10)]
    assert load_live(module, inputs, labels=ten).labels == tuple(ten)
    assert load_live(module, inputs, labels=ten[:9]).labels == ()


def test_the_digest_is_of_graph_and_weights():
    def digest(change=lambda module: None):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
        change(module)
        return load_live(module, torch.zeros(1, 3, 8, 8)).digest

    plain = digest()
    assert plain.startswith("sha256:")
    assert digest() == plain
    assert digest(lambda m: m[0].bias.data.add_(1e-3)) != plain
    assert digest(lambda m: m[1].running_mean.add_(1e-3)) != plain
    assert digest(lambda m: setattr(m[0], "padding_mode", "circular")) != plain
    assert digest(lambda m: m.__setitem__(2, nn.ReLU6())) != plain


def test_the_input_sees_itself():
    model = load_live(Grey(), torch.randn(1, 1, 8, 8))
    assert model.layers["x"].receptive_fields == (ReceptiveField(size=1, jump=1, start=0.5),) * 2
