"""The client against a real server with the demo model, and NumPy as the judge."""

import json
import subprocess
import sys
from concurrent import futures

import numpy as np
import pytest

import hooke
from hooke.techniques import LENSES
from hooke.tour import canonical, tour

LAYER = "blocks.2.1"
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def client(demo_address):
    with hooke.connect(demo_address, timeout=240) as connection:
        yield connection


@pytest.fixture(scope="module")
def batch():
    return RNG.standard_normal((2, 3, 224, 224), np.float32)


@pytest.fixture(scope="module")
def value(client, batch):
    """Every activation of the layer [2, units, height, width]."""
    return client.activations("demo", batch, LAYER)[LAYER]


def test_models_tell_what_they_are(client):
    layers = client.layers("demo")
    model = client.model("demo")
    assert model in client.models()
    assert (model.state, model.format, model.layer_count) == ("READY", "TORCH", len(layers))
    assert model.parameter_count == 4_652_008
    assert [spec.shape[1:] for spec in model.inputs] == [(3, 224, 224)]
    assert model.preprocessing.crop_height == 224
    assert len(model.class_labels) == 1000


def test_layers_can_be_chosen(client):
    layers = client.layers("demo")
    convolutions = client.layers("demo", glob="blocks.2.*", op="conv2d")
    assert convolutions == [
        layer for layer in layers if layer.id.startswith("blocks.2.") and layer.op == "conv2d"
    ]
    assert convolutions
    blocks = client.layers("demo", kind=["block", "input"])
    assert {layer.kind for layer in blocks} == {"BLOCK", "INPUT"}
    assert client.layer("demo", LAYER) in blocks


def test_the_photograph_is_a_cat(client, photograph):
    """Probabilities as another preprocessing and plain timm gave them."""
    model = client.model("demo")
    [logits] = client.activations("demo", photograph, model.output_layer)[model.output_layer]
    chances = np.exp(logits) / np.exp(logits).sum()
    top = {model.class_labels[n]: chances[n] for n in np.argsort(-chances)[:3]}
    assert list(top) == ["tiger cat", "Egyptian cat", "tabby"]
    np.testing.assert_allclose(list(top.values()), [0.395, 0.355, 0.170], atol=0.03)


def test_all_ways_to_give_a_picture_are_the_same(client, photograph):
    from PIL import Image

    image = Image.open(photograph).convert("RGB")
    ways = [photograph, photograph.read_bytes(), image, np.asarray(image), [photograph]]
    answers = [client.activations("demo", way, LAYER, reduce="mean")[LAYER] for way in ways]
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer, answers[0])


def test_reductions_are_numpys(client, batch, value):
    wanted = {
        "mean": value.mean((2, 3)),
        "max": value.max((2, 3)),
        "min": value.min((2, 3)),
        "norm": np.sqrt((value.astype("f8") ** 2).sum((2, 3))),
        "zero_fraction": (value == 0).mean((2, 3)),
    }
    readouts = [hooke.Readout(layers=[LAYER], reduce=name) for name in wanted]
    answer = client.activations("demo", batch, readouts)[LAYER]
    assert list(answer) == list(wanted)
    for name, expected in wanted.items():
        np.testing.assert_allclose(answer[name], expected, rtol=1e-4, atol=1e-5)


def test_a_top_k_tells_places(client, batch, value):
    answer = client.activations("demo", batch, LAYER, reduce=hooke.TopK(3))[LAYER]
    assert answer["values"].shape == (*value.shape[:2], 3)
    rows, columns = np.moveaxis(answer["indices"], -1, 0)
    samples, units = np.ogrid[: value.shape[0], : value.shape[1]]
    found = value[samples[..., None], units[..., None], rows, columns]
    np.testing.assert_allclose(found, answer["values"], rtol=1e-5, atol=1e-6)
    flat = np.sort(value.reshape(*value.shape[:2], -1), axis=-1)[..., :-4:-1]
    np.testing.assert_allclose(answer["values"], flat, rtol=1e-5, atol=1e-6)


def test_histograms_and_quantiles_are_numpys(client, batch, value):
    histogram = hooke.Histogram(bins=10, low=-2, high=2)
    readouts = [
        hooke.Readout(layers=[LAYER], reduce=histogram, over="sample"),
        hooke.Readout(layers=[LAYER], reduce=hooke.Quantiles([0.25, 0.5]), over="sample"),
    ]
    answer = client.activations("demo", batch, readouts)[LAYER]
    for sample, counts in zip(value, answer["counts"], strict=True):
        expected, edges = np.histogram(sample, bins=10, range=(-2, 2))
        np.testing.assert_allclose(answer["edges"], edges, atol=1e-6)
        assert abs(counts - expected).sum() <= 4  # a value at an edge may fall on either side
    expected = np.quantile(value.reshape(2, -1), [0.25, 0.5], axis=1).T
    np.testing.assert_allclose(answer["quantiles"], expected, rtol=1e-3, atol=1e-4)


def test_picking_is_indexing(client, batch, value):
    picked = client.activations(
        "demo", batch, LAYER, units=[3, 0], slices={"height": slice(1, None, 2)}
    )[LAYER]
    np.testing.assert_allclose(picked, value[:, [3, 0], 1::2], rtol=1e-5, atol=1e-6)
    neuron = client.activations("demo", batch, LAYER, units=[5], positions=[(4, 6), (0, 1)])[LAYER]
    expected = np.stack([value[:, [5], 4, 6], value[:, [5], 0, 1]], axis=-1)
    np.testing.assert_allclose(neuron, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("dtype", "rtol"), [("float16", 1e-3), ("bfloat16", 1e-2)])
def test_casts(client, batch, value, dtype, rtol):
    answer = client.activations("demo", batch, LAYER, dtype=dtype)[LAYER]
    assert answer.dtype.name == dtype
    np.testing.assert_allclose(answer.astype(np.float32), value, rtol=rtol, atol=1e-3)


def test_a_byte_a_value_is_within_half_a_step(client, batch, value):
    [tensor] = client.activations("demo", batch, LAYER, dtype="uint8").tensors
    assert tensor.value.dtype == np.uint8
    assert abs(tensor.real - value).max() <= tensor.scale * 0.51
    assert tensor.axes == ("batch", "unit", "height", "width")


def test_a_large_input_goes_in_chunks_and_says_the_same(client, batch, value):
    large = np.concatenate([batch] * 4)
    assert large.nbytes > 4 * 2**20
    answer = client.activations("demo", large, [LAYER, "conv_stem"])
    assert list(answer) == ["conv_stem", LAYER]
    np.testing.assert_allclose(answer[LAYER], np.concatenate([value] * 4), rtol=1e-4, atol=1e-4)


def test_a_recording_answers_like_single_calls(client, batch, value):
    runs = (batch[n % 2][None] for n in range(5))
    for n, answer in enumerate(client.record("demo", runs, LAYER)):
        assert answer.result.run == n
        np.testing.assert_allclose(answer[LAYER][0], value[n % 2], rtol=1e-5, atol=1e-5)
    assert n == 4


def test_threads_may_share_a_client(client, batch):
    layers = ["conv_stem", "blocks.0.0", "blocks.1.1", LAYER, "blocks.3.2", "blocks.4.2"]

    def means(layer):
        return client.activations("demo", batch, layer, reduce="mean")[layer]

    alone = list(map(means, layers))
    with futures.ThreadPoolExecutor(len(layers)) as pool:
        for together, expected in zip(pool.map(means, layers * 3), alone * 3, strict=True):
            np.testing.assert_allclose(together, expected, rtol=1e-5, atol=1e-5)


def test_feature_maps_are_pictures(client, photograph):
    maps = hooke.FeatureMaps(max_units=4, tile_size=16, format="webp")
    answer = client.activations("demo", [photograph] * 2, ["conv_stem", LAYER], feature_maps=maps)
    assert list(answer.pictures) == ["conv_stem", LAYER]
    assert len(answer) == 0
    assert [picture.data[:4] for picture in answer.pictures[LAYER]] == [b"RIFF"] * 2


def test_an_estimate_computes_nothing(client, batch):
    estimate = client.estimate("demo", batch, ["conv_stem", LAYER])
    assert estimate.layer_ids == ("conv_stem", LAYER)
    assert estimate.tensor_bytes == 4 * 2 * (32 * 112 * 112 + 40 * 28 * 28)
    with pytest.raises(ValueError, match="ask for a part of the batch"):
        client.estimate("demo", np.concatenate([batch] * 4), LAYER)


def test_weights_are_summed_up_as_numpy_would(client):
    weights = client.weights("demo", "conv_stem", histogram=8, tensors=True)
    [weight] = [each for name, each in weights.items() if name == "weight"]
    values = weight.tensor
    assert values.shape == weight.shape == (32, 3, 3, 3)
    told = (weight.minimum, weight.maximum, weight.mean, weight.std, weight.zero_fraction)
    expected = (values.min(), values.max(), values.mean(), values.std(), (values == 0).mean())
    np.testing.assert_allclose(told, expected, rtol=1e-5, atol=1e-7)
    counts, edges = np.histogram(values, bins=8)
    np.testing.assert_allclose(weight.histogram_edges, edges, rtol=1e-5)
    assert weight.histogram_counts == tuple(counts)
    assert client.weights("demo", "conv_stem", ["weight"])["weight"].tensor is None


QUICK = hooke.FeatureVisualization(steps=4, size=32)


def test_a_visualization_streams_progress_previews_and_a_picture_for_each_unit(client):
    frames = list(
        client.visualize("demo", layer=LAYER, unit=[7, 9], technique=QUICK, preview_every=2)
    )
    progress = [frame for frame in frames if isinstance(frame, hooke.Progress)]
    assert [progress[-1].step, progress[-1].total_steps] == [4, 4]
    finished = [frame for frame in frames if isinstance(frame, hooke.Picture) and frame.final]
    assert [picture.location.unit for picture in finished] == [7, 9]
    assert any(isinstance(frame, hooke.Picture) and not frame.final for frame in frames)
    result = frames[-1]
    assert result.picture_count == 2
    assert json.loads(result.provenance.parameters_json)["ascent"]["steps"] == 4
    assert result.provenance.models[0].digest == client.model("demo").digest


def test_the_seed_decides_the_picture(client):
    one, same, other = (
        client.picture("demo", layer=LAYER, unit=7, technique=QUICK, seed=seed).data
        for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other


def test_a_class_has_a_name(client):
    picture = client.picture("demo", label="tiger cat", technique=QUICK)
    assert picture.location.unit == list(client.model("demo").class_labels).index("tiger cat")
    with pytest.raises(hooke.NotFoundError) as caught:
        client.picture("demo", label="tiger cta", technique=QUICK)
    assert caught.value.reason == "LABEL_NOT_FOUND"
    assert "tiger cat" in caught.value.metadata["nearest"]


def test_a_dog_and_its_namesake_are_told_apart(client):
    with pytest.raises(hooke.HookeError, match="the units 264, 474 all have the label") as caught:
        client.picture("demo", label="cardigan", technique=QUICK)
    assert caught.value.reason == "LABEL_AMBIGUOUS"


def test_a_stream_may_be_left(client):
    long = hooke.FeatureVisualization(steps=4096, size=32)
    frames = client.visualize("demo", layer=LAYER, unit=7, technique=long)
    assert isinstance(next(frames), hooke.Checkpoint)
    assert next(frames).total_steps == 4096
    frames.close()
    assert client.picture("demo", layer=LAYER, unit=7, technique=QUICK).final


def test_every_technique_of_the_server_has_its_class(client):
    told = {each.name: each for each in client.techniques(kind="visualization")}
    assert set(told) == set(LENSES)
    for name, lens in LENSES.items():
        parameters = {each.name: each for each in told[name].parameters}
        ascent = parameters.pop("ascent", None)
        own = {part.name for part in ascent.fields} if ascent else set()
        assert set(parameters) | own == set(lens.__dataclass_fields__)
    there = {each.name: each for each in client.techniques("demo", layer=LAYER, unit=0)}
    assert there["feature_visualization"].applicable
    assert not there["deep_dream"].applicable
    assert "whole layers" in there["deep_dream"].obstacle


def test_errors_tell_what_there_is(client):
    with pytest.raises(hooke.NotFoundError, match=r"no layer 'blocks\.2\.9'") as caught:
        client.layer("demo", "blocks.2.9")
    assert caught.value.reason == "LAYER_NOT_FOUND"
    assert LAYER in caught.value.metadata["nearest"].split(",")
    with pytest.raises(hooke.OutOfRangeError) as caught:
        client.picture("demo", layer=LAYER, unit=40, technique=QUICK)
    assert caught.value.reason == "UNIT_OUT_OF_RANGE"
    with pytest.raises(hooke.InvalidArgumentError) as caught:
        client.activations("demo", np.zeros((1, 3, 5), np.float32), LAYER)
    assert caught.value.reason == "INPUT_MISMATCH"
    assert caught.value.field_violations


def test_a_server_is_not_changed_unless_it_allows_that(client):
    with pytest.raises(hooke.PermissionDeniedError) as caught:
        client.unload("demo")
    assert caught.value.reason == "ADMIN_DISABLED"


def test_health(client):
    client.layers("demo")
    assert client.serving()
    assert client.serving("demo")
    assert client.serving("hooke.v1.ModelService")
    with pytest.raises(hooke.NotFoundError):
        client.serving("nobody")


def test_the_tour_is_the_same_every_time(client):
    command = [sys.executable, "-m", "hooke.tour", client.address]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == canonical(tour(client.address))
    assert json.loads(run.stdout)["tensor"]["shape"] == [4, 32, 112, 112]
