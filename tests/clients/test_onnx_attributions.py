"""The demo's network and its export explained through a real server, beside Captum in process."""

import captum.attr as captum
import numpy as np
import pytest
import skimage.data
import torch
from exported import demo_network, export_demo
from PIL import Image

import hooke
from hooke import methods as m

TARGET = 282

pytestmark = pytest.mark.filterwarnings("ignore:Input Tensor:UserWarning", "ignore:Setting")


@pytest.fixture(scope="module")
def twins(tmp_path_factory, server_process):
    """A client of a server that has the trained network as `demo` and its export as `twin`."""
    folder = tmp_path_factory.mktemp("models")
    export_demo(folder / "lite0.onnx")
    models = ("--demo", "--model", "twin=file:lite0.onnx")
    with (
        server_process(*models, "--model-root", folder) as address,
        hooke.connect(address) as client,
    ):
        client.layers("twin")
        yield client


@pytest.fixture(scope="module")
def cat():
    """A photograph as the network takes it."""
    picture = Image.fromarray(skimage.data.chelsea()).crop((90, 20, 346, 276)).resize((224, 224))
    pixels = (np.asarray(picture, np.float32) - 127) / 128
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))[None]


@pytest.fixture(scope="module")
def eager():
    """A private copy that Hooke never saw, for a library that hooks modules."""
    network = demo_network()
    for module in network.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    return network


def asked(client, model, inputs, method, **options):
    answer = client.attributions(model, inputs, method, unit=TARGET, pictures=False, **options)
    return answer.tensors[0].real[0]


def apart(one, other):
    """Relative to the largest value, and as a share of the whole."""
    one, other = np.asarray(one), np.asarray(other)
    assert one.shape == other.shape
    difference = one - other
    return np.abs(difference).max() / np.abs(other).max(), (
        np.linalg.norm(difference) / np.linalg.norm(other)
    )


CASES = {
    "saliency": (m.Saliency(absolute=False), lambda n, x: captum.Saliency(n).attribute(
        x, target=TARGET, abs=False)),
    "input x gradient": (m.InputXGradient(), lambda n, x: captum.InputXGradient(n).attribute(
        x, target=TARGET)),
    "integrated gradients": (
        m.IntegratedGradients(steps=8),
        lambda n, x: captum.IntegratedGradients(n).attribute(x, target=TARGET, n_steps=8),
    ),
    "occlusion": (
        m.Occlusion(window=[56], stride=[56]),
        lambda n, x: captum.Occlusion(n).attribute(
            x, target=TARGET, sliding_window_shapes=(3, 56, 56), strides=(3, 56, 56)
        ).mean(1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(CASES))
def test_the_trained_network_is_explained_as_captum_does(twins, cat, eager, name):
    method, theirs = CASES[name]
    found = asked(twins, "demo", cat, method)
    expected = theirs(eager, torch.from_numpy(cat)).detach().float().numpy()
    largest, _ = apart(found, expected)
    # 1e-5 measured; how sums round depends on how many threads share them.
    assert largest < 1e-4


@pytest.mark.parametrize(
    ("method", "share"),
    [
        (m.Saliency(absolute=False), 0.02),
        (m.IntegratedGradients(steps=8), 0.02),
        (m.DeepLift(), 0.02),
        (m.RelevancePropagation(), 0.001),
        (m.RelevancePropagation(composite="epsilon_gamma"), 0.05),
        (m.GradCam(), 0.001),
        (m.Occlusion(window=[56], stride=[56]), 0.001),
        (m.Rise(masks=32), 0.001),
        (m.CausalTracing(part="layer"), 0.001),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, float) else "",
)
def test_the_export_is_explained_as_its_twin(twins, cat, method, share):
    """Gradients of rectifiers jump where rounding differs; what only goes forward does not."""
    at = {"at": "blocks.2.1"} if isinstance(method, m.CausalTracing) else {}
    one, other = (asked(twins, model, cat, method, **at) for model in ("twin", "demo"))
    _, whole = apart(one, other)
    assert whole < share


def test_provenance_tells_how_far_the_export_is(twins, cat):
    answer = twins.attributions("twin", cat, m.GradCam(), unit=TARGET, pictures=False)
    [model] = answer.result.provenance.models
    assert model.parity_error is not None
    assert model.parity_error < 1e-3
