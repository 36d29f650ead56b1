"""Methods that take parts away, where there are no gradients: at the model's input they work."""

import hashlib

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from answers import answer, difference, frames, unit
from onnx import helper

from hooke_server.errors import FailedPreconditionError, ResourceExhaustedError
from hooke_server.models.loaders import LoadContext, load_model
from hooke_server.models.sources import Roots
from hooke_server.techniques.attribution.cost import attribution_cost
from hooke_server.techniques.attribution.method import Method
from hooke_server.techniques.attribution.plans import Asked, AskedMethod, bind
from hooke_server.techniques.frames import Array, Picture, Progress
from hooke_server.techniques.targets import Site
from hooke_server.techniques.technique import all_techniques

NINE = {"features": ("grid_features", {"cells": 3})}
METHODS = {
    "occlusion": {"window": [4]},
    "feature_ablation": {},
    "shapley_sampling": {"permutations": 3} | NINE,
    "kernel_shap": {"samples": 30} | NINE,
    "lime": {"samples": 30} | NINE,
    "rise": {"masks": 32},
    "sobol": {"designs": 4} | NINE,
    "hsic": {"samples": 30} | NINE,
}
PICTURES = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(4))


def foreign(folder, batch="batch"):
    """A network with an operator of ONNX Runtime's own, which no graph of torch's has."""
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
            helper.make_node("QuickGelu", ["c"], ["g"], name="gelu", domain="com.microsoft"),
            helper.make_node("GlobalAveragePool", ["g"], ["p"], name="pool"),
            helper.make_node("Reshape", ["p", "s"], ["y"], name="flat"),
        ],
        "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [batch, 3, 12, 12])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [batch, 4])],
        [
            onnx.numpy_helper.from_array(weight, "w"),
            onnx.numpy_helper.from_array(np.array([1 if batch == 1 else -1, 4]), "s"),
        ],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), folder / "net.onnx")
    return load_model("file:net.onnx", LoadContext(roots=Roots([folder])))


def opaque(folder):
    """A script, which stays one piece."""

    class Scripted(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return torch.sigmoid(self.conv(x)).mean((2, 3))

    path = folder / "model.pt"
    torch.jit.script(Scripted().eval()).save(path)
    allowed = frozenset([hashlib.sha256(path.read_bytes()).hexdigest()])
    context = LoadContext(roots=Roots([folder]), allow_code=allowed)
    return load_model("file:model.pt?input=3x12x12", context)


@pytest.mark.parametrize("name", METHODS)
def test_a_file_that_only_onnx_runtime_knows(tmp_path, name):
    model = foreign(tmp_path)
    assert model.graph is None
    found = frames(model, PICTURES, name, [unit(model, 1), unit(model, 2)], **METHODS[name])
    arrays = [frame for frame in found if isinstance(frame, Array)]
    assert [each.name for each in arrays] in ([name], [name, f"{name}_standard_error"])
    assert arrays[0].value.shape == (2, 2, 12, 12)
    assert arrays[0].value.std() > 0
    finished = [frame for frame in found if isinstance(frame, Picture) and frame.final]
    assert len(finished) == 4


def test_what_onnx_runtime_says_is_what_is_explained(tmp_path):
    model = foreign(tmp_path)
    found = answer(model, PICTURES, "feature_ablation", [unit(model, 1)],
                   features=("grid_features", {"cells": 2}))  # fmt: skip
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")

    def said(shown):
        return torch.from_numpy(session.run(None, {"x": shown.numpy()})[0][:, 1])

    for row in (0, 6):
        for column in (0, 6):
            less = PICTURES.clone()
            less[:, :, row : row + 6, column : column + 6] = 0
            lost = said(PICTURES) - said(less)
            block = found[0, :, row : row + 6, column : column + 6]
            assert torch.allclose(block, lost[:, None, None].expand_as(block), atol=1e-6)


def test_a_file_that_takes_one_sample_at_a_time(tmp_path):
    one = foreign(tmp_path, batch=1)
    assert one.fixed_batch == 1
    alone = answer(one, PICTURES[:1], "shapley_sampling", [unit(one, 1)], permutations=2)
    any_number = foreign(tmp_path)
    several = answer(any_number, PICTURES[:1], "shapley_sampling", [unit(one, 1)], permutations=2)
    assert difference(alone, several) < 1e-5


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", METHODS)
def test_a_script_that_is_one_piece(tmp_path, name):
    torch.manual_seed(0)
    model = opaque(tmp_path)
    found = answer(model, PICTURES, name, **METHODS[name])
    assert found.shape == (1, 2, 12, 12)
    assert found.std() > 0


def test_only_they_are_valid_there_and_layers_are_refused(tmp_path):
    model = foreign(tmp_path)
    valid = {
        name
        for name, each in all_techniques().items()
        if isinstance(each, Method) and not each.obstacle(model, Site(layer=model.output_layer))
    }
    assert valid >= set(METHODS)
    assert not valid & {"saliency", "integrated_gradients"}
    with pytest.raises(FailedPreconditionError, match="gradients"):
        frames(model, PICTURES, "occlusion", [unit(model, 1)], at="conv")


@pytest.mark.parametrize("name", METHODS)
def test_the_estimate_counts_the_rows_that_are_asked(residual, name):
    """Beside them the sample itself is asked; what starts at a baseline, not."""
    model, _ = residual
    asked = AskedMethod(name=name, globs=(), given=METHODS[name])
    plan = bind(model, Asked(targets=(), methods=(asked,)))
    inputs = [torch.zeros(1, 3, 64, 64)]
    cost = attribution_cost(model, plan, inputs, 2 << 30)
    told = cost.estimate.macs / model.macs - 1
    assert told == pytest.approx(_rows(model, inputs[0], name), rel=0.02)


def _rows(model, inputs, name):
    found = frames(model, inputs, name, **METHODS[name])
    return [frame for frame in found if isinstance(frame, Progress)][-1].step


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("rise", {"masks": 1_000_000, "cells": 256}),
        ("kernel_shap", {"samples": 1_000_000, "features": ("grid_features", {"cells": 40})}),
        ("hsic", {"samples": 20_000}),
        (
            "shapley_sampling",
            {"permutations": 100_000, "features": ("grid_features", {"cells": 40})},
        ),
    ],
)
def test_what_would_not_fit_the_memory_is_refused(residual, name, given):
    model, _ = residual
    plan = bind(model, Asked(targets=(), methods=(AskedMethod(name=name, globs=(), given=given),)))
    with pytest.raises(ResourceExhaustedError):
        attribution_cost(model, plan, [torch.zeros(1, 3, 64, 64)], 2 << 30)
