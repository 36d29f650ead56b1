"""Lenses on models of other kinds: where one says that it is valid it works, else it says why."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from lens_runs import LENSES
from onnx import helper
from test_every_technique import given_to, photograph
from torch import nn
from traced import model_of

from hooke_server.errors import FailedPreconditionError, InvalidArgumentError
from hooke_server.models.loaders import LoadContext, load_model
from hooke_server.models.loaders.live import load_live
from hooke_server.models.sources import Roots
from hooke_server.techniques.frames import Array, Picture, Progress, Result
from hooke_server.techniques.parameters import ParameterType
from hooke_server.techniques.plans import Item
from hooke_server.techniques.targets import Site
from hooke_server.techniques.technique import all_techniques
from hooke_server.techniques.visualization.sight import normalize


def looks_at_photographs(name):
    parameters = all_techniques()[name].parameters.values()
    return any(each.type is ParameterType.IMAGE for each in parameters)


class Attention(nn.Module):
    """Patches as tokens, one block of attention, the mean token classified."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, stride=8)
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        tokens = self.norm(self.patches(x).flatten(2).transpose(1, 2))
        tokens = tokens + self.attention(tokens, tokens, tokens)[0]
        return self.head(tokens.mean(1))


def digits():
    """One channel, 28 x 28."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(6 * 14 * 14, 4),
    )  # fmt: skip


def small():
    """32 x 32 pixels, which fully connected layers fix."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 5, stride=2), nn.ReLU6(), nn.Conv2d(6, 8, 3), nn.SiLU(),
        nn.Flatten(), nn.Linear(8 * 12 * 12, 5),
    )  # fmt: skip


def six_channels():
    """As of a satellite."""
    return nn.Sequential(nn.Conv2d(6, 4, 3), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


PICTURES = {
    "tokens": (Attention, (3, 32, 32)),
    "one channel": (digits, (1, 28, 28)),
    "small": (small, (3, 32, 32)),
    "six channels": (six_channels, (6, 24, 24)),
}
OTHERS = {
    "sound": (lambda: nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU()), (2, 40)),
    "video": (lambda: nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU()), (3, 6, 8, 8)),
    "table": (lambda: nn.Sequential(nn.Linear(7, 4), nn.Tanh()), (7,)),
}


NOWHERE = {("six channels", name) for name in LENSES if looks_at_photographs(name)}
"""What is valid nowhere: six channels are no photograph's."""


@pytest.mark.parametrize("name", list(LENSES))
@pytest.mark.parametrize("kind", PICTURES)
def test_a_lens_works_wherever_it_says_so(kind, name):
    """At every layer of the network, its inputs and blocks included."""
    make, shape = PICTURES[kind]
    torch.manual_seed(0)
    model, lens, worked = model_of(make(), *shape), all_techniques()[name], 0
    for layer in model.layers.values():
        for unit in (None, 0):
            site = Site(layer=layer.id, unit=unit)
            if not lens.obstacle(model, site):
                worked += runs(lens, model, site)
    assert bool(worked) == ((kind, name) not in NOWHERE)


def runs(lens, model, site):
    """Whether it ran; what is given beside the place may still not fit, and then it says so."""
    given = given_to(lens, model)
    if "ascent" in given:
        given["ascent"] = {"steps": 1, "size": 32}
    if "target" in lens.parameters:
        given["target"] = Site(layer=model.output_layer, unit=1)
    try:
        plan = lens.bind([model], [Item(site=site)], given)
    except (FailedPreconditionError, InvalidArgumentError):
        return False
    frames = list(lens.run([model], plan))
    assert isinstance(frames[-1], Result)
    assert [f for f in frames if isinstance(f, Picture) and f.final]
    for array in (frame for frame in frames if isinstance(frame, Array)):
        assert torch.isfinite(array.value.double()).all()
    return True


@pytest.mark.parametrize("kind", OTHERS)
def test_models_that_see_no_pictures_are_told_so(kind):
    make, shape = OTHERS[kind]
    model = model_of(make(), *shape)
    for lens in LENSES.values():
        reason = lens.obstacle(model, Site(layer=model.output_layer, unit=0))
        known = ("a model with one picture as its input", "of the model's input")
        assert any(words in reason for words in known), lens.name


def test_pictures_of_one_channel_are_grey_and_of_six_their_first_three():
    for name, grey in [("one channel", True), ("six channels", False)]:
        make, shape = PICTURES[name]
        model = model_of(make(), *shape)
        site = Site(layer=model.output_layer, unit=1)
        lens = all_techniques()["feature_visualization"]
        plan = lens.bind([model], [Item(site=site)], {"ascent": {"steps": 2, "size": 24}})
        [picture] = [f for f in lens.run([model], plan) if isinstance(f, Picture)]
        same = (picture.pixels[..., 0] == picture.pixels[..., 1]).all()
        assert same == grey


def test_a_photograph_for_one_channel_is_its_brightness():
    assert photograph().pixels(24, 1).shape == (1, 20, 24)


def test_training_models_of_other_types_work():
    """Half and double precision."""
    for dtype in (torch.bfloat16, torch.float64):
        torch.manual_seed(0)
        model = load_live(small().to(dtype), torch.zeros(1, 3, 32, 32, dtype=dtype))
        lens = all_techniques()["feature_visualization"]
        site = Site(layer=model.output_layer, unit=1)
        plan = lens.bind([model], [Item(site=site)], {"ascent": {"steps": 3, "size": 32}})
        assert isinstance(list(lens.run([model], plan))[-1], Result)


def foreign(folder):
    """An ONNX file with an operator of ONNX Runtime's own, which torch has no function for."""
    generator = np.random.default_rng(0)
    weight = generator.normal(size=(4, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
            helper.make_node("FastGelu", ["c"], ["g"], name="gelu", domain="com.microsoft"),
            helper.make_node("GlobalAveragePool", ["g"], ["p"], name="pool"),
            helper.make_node("Flatten", ["p"], ["y"], name="flat"),
        ],
        "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 3, 12, 12])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 4])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), folder / "net.onnx")
    return load_model("file:net.onnx", LoadContext(roots=Roots([folder])))


def test_a_model_without_gradients_is_climbed_without_them(tmp_path):
    """And says of the other lenses why they are not valid."""
    model = foreign(tmp_path)
    assert model.graph is None
    site, techniques = Site(layer=model.output_layer, unit=1), LENSES
    lens = techniques["feature_visualization"]
    plan = lens.bind([model], [Item(site=site)], {"ascent": {"steps": 20, "size": 12}})
    frames = list(lens.run([model], plan))
    told = [frame.objective for frame in frames if isinstance(frame, Progress)]
    assert told == sorted(told)
    assert told[-1] > told[0]
    [picture] = [frame for frame in frames if isinstance(frame, Picture)]
    pixels = torch.from_numpy(picture.pixels.copy()).permute(2, 0, 1)[None] / 255
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")

    def said(shown):
        return session.run(None, {"x": normalize(model, shown).contiguous().numpy()})[0][0, 1]

    assert said(pixels) == pytest.approx(picture.objective, rel=0.02)
    assert said(pixels) > said(torch.full_like(pixels, 0.5))
    valid = {name for name, each in techniques.items() if not each.obstacle(model, site)}
    assert valid == {"feature_visualization", "tuning_curves", "comparison"}
    reason = techniques["deep_dream"].obstacle(model, Site(layer=model.output_layer))
    assert "this model has none" in reason
    assert "FastGelu" in reason
