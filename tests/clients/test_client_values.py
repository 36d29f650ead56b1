"""Readouts, places, techniques and pictures: values to messages and back."""

import numpy as np
import pytest

import hooke
from hooke import messages, readout, techniques
from hooke.activations import collect
from hooke.places import locations
from hooke.v1 import image_pb2, model_service_pb2, readout_pb2, visualization_service_pb2

LAYER_IDS = ["layer1.0.add", "/conv1/Conv", "a b%2F:1@2~_-", "名前", "x?y#z"]


@pytest.mark.parametrize("layer", LAYER_IDS)
def test_layer_ids_survive_their_resource_names(layer):
    name = messages.layer_name("m", layer)
    assert name.count("/") == 3
    assert (messages.model_id(name), messages.layer_id(name)) == ("m", layer)


def test_a_whole_readout():
    message = hooke.Readout(
        layers=["a", "b.*"],
        units=[3, 1],
        slices={"height": slice(None, -1, 2)},
        reduce=hooke.TopK(5),
        over="units",
        dtype="float16",
    ).message()
    assert list(message.layer_globs) == ["a", "b.*"]
    assert list(message.units) == [3, 1]
    [part] = message.slices
    assert (part.HasField("start"), part.stop, part.step) == (False, -1, 2)
    assert message.tensor.reduction.top_k.k == 5
    assert message.tensor.reduction.scope == readout_pb2.REDUCTION_SCOPE_UNITS
    assert message.tensor.dtype == 10


def test_every_statistic_and_scope_has_its_short_name():
    for name in ("mean", "max", "min", "norm", "zero_fraction"):
        message = hooke.Readout(layers=["a"], reduce=name).message()
        wanted = readout_pb2.Statistic.Value(f"STATISTIC_{name.upper()}")
        assert message.tensor.reduction.statistic == wanted
    for name in ("positions", "units", "sample", "batch"):
        message = hooke.Readout(layers=["a"], reduce="mean", over=name).message()
        wanted = readout_pb2.ReductionScope.Value(f"REDUCTION_SCOPE_{name.upper()}")
        assert message.tensor.reduction.scope == wanted


def test_unknown_words_are_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="'median' is unknown; it is one of mean, max"):
        hooke.Readout(layers=["a"], reduce="median").message()
    with pytest.raises(ValueError, match="'unspecified' is unknown"):
        hooke.Readout(layers=["a"], reduce="mean", over="unspecified").message()


def test_a_readout_without_options_asks_for_every_value():
    assert hooke.Readout(layers=["a"]).message().WhichOneof("form") is None


def test_pictures_are_not_reduced():
    with pytest.raises(ValueError, match="feature maps are pictures"):
        hooke.Readout(layers=["a"], feature_maps=True, reduce="mean").message()


def test_layers_share_options_and_readouts_have_their_own():
    own = hooke.Readout(layers=["c"], feature_maps=hooke.FeatureMaps(format="webp"))
    shared, separate = readout.readouts(["a", "b", own], {"reduce": "max"})
    assert list(shared.layer_globs) == ["a", "b"]
    assert separate.feature_maps.format == image_pb2.IMAGE_FORMAT_WEBP
    [alone] = readout.readouts("a", {})
    assert list(alone.layer_globs) == ["a"]
    with pytest.raises(ValueError, match="a Readout has its own"):
        readout.readouts(own, {"reduce": "max"})


def test_places():
    [logits] = locations("m", label="tabby")
    assert (logits.layer, logits.label) == ("models/m", "tabby")
    three = locations("m", layer="a", unit=np.arange(3), position=(4, 5))
    assert [each.unit for each in three] == [0, 1, 2]
    assert list(three[0].position.indices) == [4, 5]
    [whole] = locations("m", layer="a")
    assert whole.WhichOneof("unit_choice") is None
    [zero] = locations("m", layer="a", unit=0)
    assert zero.WhichOneof("unit_choice") == "unit"
    with pytest.raises(ValueError, match="not both"):
        locations("m", unit=1, label="tabby")


def test_technique_classes_have_exactly_the_fields_of_their_messages():
    oneof = visualization_service_pb2.VisualizeRequest.DESCRIPTOR.oneofs_by_name["technique"]
    for member in oneof.fields:
        kind = getattr(techniques, member.message_type.name)
        assert list(kind.__dataclass_fields__) == [f.name for f in member.message_type.fields]


def test_a_technique_sends_only_what_is_set():
    request = visualization_service_pb2.VisualizeRequest()
    techniques.set_technique(request, hooke.FeatureVisualization())
    assert request.WhichOneof("technique") == "feature_visualization"
    chosen = hooke.FeatureVisualization(steps=0, parameterization="pixel", negative=False)
    techniques.set_technique(request, chosen)
    fields = {f.name: value for f, value in request.feature_visualization.ListFields()}
    assert fields == {"steps": 0, "parameterization": 2, "negative": False}


def picture(**fields):
    return hooke.Picture(name="feature", final=True, layer="a", **fields)


def test_a_picture_is_saved_as_what_it_is(tmp_path):
    image = picture(mime_type="image/jpeg", data=b"\xff\xd8")
    assert image.save(tmp_path / "a").name == "a.jpg"
    assert image.save(tmp_path / "blocks.4.2").name == "blocks.4.2.jpg"
    assert image.save(tmp_path / "b.jpeg").read_bytes() == b"\xff\xd8"
    with pytest.raises(ValueError, match=r"image/jpeg, not \.png; ask for format='png'"):
        image.save(tmp_path / "c.png")


def test_a_notebook_shows_a_picture_by_its_type():
    image = picture(mime_type="image/webp", data=b"RIFF")
    assert image._repr_mimebundle_(include=None) == {"image/webp": b"RIFF"}


def test_answers_are_grouped_by_layer():
    def tensor(layer, name, *values):
        return hooke.Tensor(layer=layer, name=name, value=np.float32(values))

    result = hooke.Result(plan_digest="", provenance=None, duration=0)
    first = [tensor("a", "values", 1), tensor("a", "indices", 0), tensor("b", "mean", 2)]
    second = [tensor("b", "mean", 3), tensor("b", "mean", 4)]
    one, two = collect([*first, picture(), result, *second, result])
    assert {name: array.tolist() for name, array in one.arrays()} == {
        "a/values": [1],
        "a/indices": [0],
        "b": [2],
    }
    assert list(one["a"]) == ["values", "indices"]
    assert [each.layer for each in one.pictures["a"]] == ["a"]
    assert two["b"]["mean:1"] == [4]
    assert two.pictures == {}


def test_optional_facts_are_none_where_they_are_unset():
    message = model_service_pb2.Model(name="models/m", state=3)
    assert hooke.Model.read(message).parity_error is None
    message.parity_error = 0.0
    model = hooke.Model.read(message)
    assert (model.name, model.state, model.parity_error) == ("m", "READY", 0.0)
    assert model.preprocessing is None
