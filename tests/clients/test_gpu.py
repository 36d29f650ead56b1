"""A GPU answers as the CPU does: all that computes, asked of two servers on one machine."""

import numpy as np
import pytest
import skimage.data
import torch
from exported import export_demo
from lenses import LENSES, asked, check_same, run
from PIL import Image

import hooke
from hooke import ascent
from hooke import methods as m
from hooke import techniques as t

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU"),
    pytest.mark.filterwarnings("default"),  # of the exporter's own code
]

TRANSFORMER = "timm:vit_tiny_patch16_224"
CAT, MIDDLE = 282, "blocks.2.1"
NINE = {"features": m.GridFeatures(cells=3)}


@pytest.fixture(scope="module")
def twins(tmp_path_factory, server_process):
    """Clients of a server that computes on the CPU and of one that computes on a GPU."""
    folder = tmp_path_factory.mktemp("models")
    export_demo(folder / "lite0.onnx")
    models = [
        *("--demo", "--model-root", folder, "--model", "export=file:lite0.onnx"),
        *("--model", f"vit={TRANSFORMER}"),
    ]
    with (
        server_process(*models, "--device", "cpu") as cpu,
        server_process(*models, "--device", "cuda") as gpu,
        hooke.connect(cpu) as one,
        hooke.connect(gpu) as other,
    ):
        for name in ("demo", "export", "vit"):
            one.layers(name)
            other.layers(name)
        yield one, other


@pytest.fixture(scope="module")
def photographs():
    """Two, as the demo's network and the transformer take them, in one batch."""
    shown = [
        Image.fromarray(each).convert("RGB").crop((90, 20, 346, 276)).resize((224, 224))
        for each in (skimage.data.chelsea(), skimage.data.astronaut())
    ]
    pixels = (np.stack([np.asarray(each, np.float32) for each in shown]) - 127) / 128
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


@pytest.fixture(scope="module")
def cat():
    return Image.fromarray(skimage.data.chelsea()).crop((90, 20, 346, 276))


def apart(one, other):
    """The difference as a share of the whole."""
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    assert one.shape == other.shape
    return np.linalg.norm(one - other) / max(np.linalg.norm(one), 1e-12)


def test_each_says_where_it_computes(twins):
    assert [client.model("demo").device for client in twins] == ["cpu", "cuda:0"]
    assert twins[1].model("export").parity_error < 1e-3


@pytest.mark.parametrize("model", ["demo", "export", "vit"])
def test_activations(twins, photographs, model):
    """Of every layer, to rounding: convolutions are not rounded to TF32."""
    layers = [layer.id for layer in twins[0].layers(model)]
    one, other = (
        client.activations(model, photographs, layers=layers, reduce="mean") for client in twins
    )
    for layer in layers:
        if one[layer].dtype.kind == "f" and one[layer].size > 1:
            assert apart(one[layer], other[layer]) < 1e-4, layer


@pytest.mark.parametrize(
    "options",
    [
        *({"reduce": each} for each in ("mean", "max", "min", "norm", "zero_fraction")),
        {"reduce": hooke.TopK(5)},
        {"reduce": hooke.Quantiles([0.1, 0.5])},
        {"units": [3, 7], "positions": [(1, 2)]},
        *({"dtype": each} for each in ("float16", "bfloat16", "uint8")),
    ],
    ids=str,
)
def test_readouts(twins, photographs, options):
    one, other = (
        client.activations("demo", photographs, layers=[MIDDLE], **options) for client in twins
    )
    assert len(one.tensors) == len(other.tensors) > 0
    for left, right in zip(one.tensors, other.tensors, strict=True):
        if left.value.dtype.kind != "i":
            assert apart(left.real, right.real) < 1e-2


def test_drawn_readouts(twins, photographs):
    for options in ({"reduce": hooke.Histogram(bins=8)}, {"feature_maps": hooke.FeatureMaps()}):
        one, other = (
            client.activations("demo", photographs, layers=[MIDDLE], **options) for client in twins
        )
        assert len(one.tensors) == len(other.tensors)
        assert len(one.pictures) == len(other.pictures)


@pytest.mark.parametrize("name", LENSES)
def test_a_lens(twins, cat, name):
    lens, place = asked(name, cat)
    # What climbs amplifies rounding, and a GPU's sums round otherwise from run to run.
    check_same(name, *(run(client, "demo", lens, place) for client in twins), objectives=0.5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"precision": "quicker"},
        {"precision": "bfloat16"},
        {"image": t.ImageParameterization(alpha=True)},
        {"image": t.ImageParameterization(shared_factors=[4]), "pictures": 2},
        *(
            {"image": t.ImageParameterization(storage=storage)}
            for storage in (
                ascent.PixelImage(),
                ascent.LaplacianPyramid(),
                ascent.PatternNetwork(),
                ascent.FixedMagnitude(),
            )
        ),
    ],
    ids=str,
)
def test_a_lens_with_all_its_parts(twins, options):
    """Transforms, storages, reduced precision: it ends with pictures."""
    lens = t.FeatureVisualization(steps=4, **options)
    pictures, _, result = run(twins[1], "demo", lens, {"layer": MIDDLE, "unit": [3, 5]})
    assert len(pictures) == 2 * options.get("pictures", 1)
    assert all(np.isfinite(picture.objective) for picture in pictures)
    assert result.provenance.models[0].device == "cuda:0"


def test_weights_are_shown(twins):
    place = {"layer": "conv_stem", "unit": [0, 1]}
    for client in twins:
        assert len(run(client, "demo", t.WeightPictures(), place)[0]) == 2


METHODS = {
    "saliency": m.Saliency(absolute=False),
    "input_x_gradient": m.InputXGradient(),
    "integrated_gradients": m.IntegratedGradients(steps=8),
    "conductance": hooke.At(MIDDLE, m.Conductance(steps=8)),
    "internal_influence": hooke.At(MIDDLE, m.InternalInfluence(steps=8)),
    "neuron_conductance": m.NeuronConductance(through=hooke.Location(MIDDLE, unit=3), steps=8),
    "smooth_grad": m.SmoothGrad(samples=4),
    "gradient_shap": m.GradientShap(samples=4),
    "guided_backpropagation": m.GuidedBackpropagation(),
    "deconvolution": m.Deconvolution(),
    "deep_lift": m.DeepLift(),
    "relevance_propagation": m.RelevancePropagation(),
    "grad_cam": m.GradCam(),
    "grad_cam_plus_plus": m.GradCamPlusPlus(),
    "hires_cam": m.HiresCam(),
    "layer_cam": m.LayerCam(),
    "eigen_cam": m.EigenCam(),
    "ablation_cam": m.AblationCam(),
    "score_cam": hooke.At(MIDDLE, m.ScoreCam()),
    "occlusion": m.Occlusion(window=[56], stride=[56]),
    "feature_ablation": m.FeatureAblation(**NINE),
    "shapley_sampling": m.ShapleySampling(permutations=4, **NINE),
    "kernel_shap": m.KernelShap(samples=64, **NINE),
    "lime": m.Lime(samples=64, **NINE),
    "rise": m.Rise(masks=64),
    "sobol": m.Sobol(designs=4, **NINE),
    "hsic": m.Hsic(samples=64, **NINE),
    "causal_tracing": hooke.At(MIDDLE, m.CausalTracing(part="layer")),
}

GRADIENTS_JUMP = 0.03
"""Where rounding differs, a rectifier's input may have the other sign."""


@pytest.mark.parametrize("model", ["demo", "export"])
@pytest.mark.parametrize("name", METHODS)
def test_a_method(twins, photographs, model, name):
    one, other = (
        client.attributions(model, photographs[:1], METHODS[name], unit=CAT) for client in twins
    )
    assert len(one.tensors) == len(other.tensors) > 0
    for left, right in zip(one.tensors, other.tensors, strict=True):
        assert apart(left.real, right.real) < GRADIENTS_JUMP
    assert len(one.pictures) == len(other.pictures)


@pytest.mark.parametrize(
    "method", [m.AttentionRollout(), m.GradientAttention(), m.IntegratedGradients(steps=8)], ids=str
)
def test_a_transformer(twins, photographs, method):
    one, other = (client.attributions("vit", photographs, method, unit=3) for client in twins)
    assert apart(one.tensors[0].real, other.tensors[0].real) < 1e-3


def test_concepts(twins, photographs, cat):
    """Parts of two things, told apart."""
    fur = np.asarray(cat.resize((224, 224)))
    parts = [fur[i : i + 64, i : i + 64] for i in range(0, 160, 20)]
    noise = list(np.random.default_rng(0).integers(0, 255, (8, 64, 64, 3), np.uint8))
    concept = m.Concept(name="fur", images=parts)
    tcav = m.Tcav(concepts=[concept], counter_examples=noise, runs=4)
    for method in (tcav, m.Craft(concepts=3, designs=4)):
        one, other = (
            client.attributions("demo", [fur], method, unit=CAT, at="blocks.5.2")
            for client in twins
        )
        assert len(one.tensors) == len(other.tensors) > 0
        assert one.tensors[0].value.shape == other.tensors[0].value.shape


def test_evidence(twins, photographs):
    measures = [
        *("completeness", "infidelity", "max_sensitivity", "deletion", "insertion"),
        *("parameter_randomization", "seed_interval"),
    ]
    method = m.SmoothGrad(samples=4)
    one, other = (
        client.attributions("demo", photographs[:1], method, unit=CAT, evidence=measures)
        for client in twins
    )
    assert len(one.evidence.rows) == len(other.evidence.rows) > 0
    assert len(one.findings) == len(other.findings) > 0


def test_edits(twins, photographs):
    plain = twins[0].activations("demo", photographs, [MIDDLE])[MIDDLE]
    vector = np.linspace(-1, 1, plain.shape[1])
    changes = [
        hooke.Ablate(MIDDLE, "mean", units=[3, 5]),
        hooke.Scale(MIDDLE, 2, positions=[(1, 2)]),
        hooke.AddDirection(MIDDLE, vector, 0.5),
        hooke.Clamp(MIDDLE, high=1),
        hooke.Replace("blocks.3.1", photographs[::-1].copy()),
    ]
    for many in ([each] for each in changes):
        for model in ("demo", "export"):
            place = model, photographs, ["blocks.4.2"]
            one, other = (client.activations(*place, edits=many)["blocks.4.2"] for client in twins)
            assert apart(one, other) < 1e-4
    lens = t.FeatureVisualization(steps=2, size=64)
    place = {"layer": "blocks.4.2", "unit": 1, "edits": changes[:4]}
    assert run(twins[1], "demo", lens, place)[0]


def test_models_are_compared(twins, photographs):
    several = np.concatenate([photographs, photographs / 2])
    for client in twins:
        compared = client.compare("demo", "export", several, map="blocks.*")
        assert compared.first_divergence is None
        assert np.isfinite(compared.cka()).any()
        client.compare_weights("demo", "export")
        client.match_units("demo", "export", several, MIDDLE)


def test_a_gpu_that_has_no_memory_left_says_so(server_process, photographs):
    """And serves what fits, before and after."""
    options = ("--demo", "--device", "cuda", "--work-memory", "900GiB")
    with server_process(*options) as address, hooke.connect(address) as client:
        assert client.activations("demo", photographs, [MIDDLE])[MIDDLE].shape[0] == 2
        free, _ = torch.cuda.mem_get_info()
        taken = torch.empty(free - (1 << 30), dtype=torch.uint8, device="cuda")
        lens = t.FeatureVisualization(steps=1, size=1024, pictures=16)
        with pytest.raises(hooke.HookeError, match="no memory left") as error:
            run(client, "demo", lens, {"layer": "blocks.6.0", "unit": 0})
        assert error.value.reason == "MEMORY_BUDGET_EXCEEDED"
        del taken
        torch.cuda.empty_cache()
        assert client.activations("demo", photographs, [MIDDLE])[MIDDLE].shape[0] == 2
