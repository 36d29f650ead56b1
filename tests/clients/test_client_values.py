"""Readouts, places, techniques and pictures: values to messages and back."""

import numpy as np
import pytest

import hooke
from hooke import messages, objectives, readout, techniques
from hooke.activations import collect
from hooke.cli import save
from hooke.places import location_message, place_locations
from hooke.v1 import image_pb2, model_service_pb2, readout_pb2, visualization_pb2
from hooke.visualization import visualize_request

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


def locations(model, **place):
    return [location_message(each, model) for each in place_locations(**place)]


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
    elsewhere = location_message(hooke.Location("a", unit=1, model="other"), "m")
    assert elsewhere.layer == "models/other/layers/a"


def asked(technique=None, **options):
    return visualize_request("m", technique, options)


def test_a_request_says_only_what_is_set():
    request = asked(layer="a", unit=3)
    assert request.WhichOneof("technique") == "feature_visualization"
    assert not request.feature_visualization.ListFields()
    assert not request.HasField("previews")
    assert [item.location.unit for item in request.items] == [3]
    chosen = hooke.FeatureVisualization(steps=0, sign="both", diversity=0)
    told = asked(chosen, unit=1).feature_visualization
    assert [field.name for field, _ in told.ListFields()] == ["ascent", "sign", "diversity"]
    assert [field.name for field, _ in told.ascent.ListFields()] == ["steps"]
    assert told.sign == visualization_pb2.VISUALIZATION_SIGN_BOTH


def test_parts_of_a_technique_become_their_messages():
    image = techniques.ImageParameterization(
        storage=techniques.PatternNetwork(units=5), alpha=True, shared_factors=[2], start=b"GIF8"
    )
    transforms = techniques.TransformSequence(
        transforms=[techniques.Jitter(pixels=3), techniques.Noise(deviation=1)]
    )
    lens = hooke.DeepDream(
        image=image, transforms=transforms, optimizer="cma_es", penalty=-2 * objectives.Blur()
    )
    ascent = asked(lens, layer="a").deep_dream.ascent
    assert ascent.image.WhichOneof("storage") == "pattern_network"
    assert ascent.image.pattern_network.units == 5
    assert (ascent.image.alpha, list(ascent.image.shared_factors)) == (True, [2])
    assert ascent.image.start.data == b"GIF8"
    kinds = [each.WhichOneof("transform") for each in ascent.transforms.transforms]
    assert kinds == ["jitter", "noise"]
    assert ascent.optimizer == visualization_pb2.OPTIMIZER_CMA_ES
    [term] = ascent.penalty.terms
    assert (term.weight, term.factors[0].WhichOneof("measure")) == (-2, "blur")
    none = asked(hooke.DeepDream(transforms=techniques.TransformSequence()), layer="a").deep_dream
    assert none.ascent.HasField("transforms")


def test_objectives_add_subtract_scale_and_multiply():
    place = hooke.Location("a", unit=3)
    objective = (
        2 * objectives.Response(location=place)
        - objectives.PixelNorm(order=1) * objectives.Blur() / 4
    )
    [item] = asked(objective=objective).items
    one, two = item.objective.terms
    assert (one.weight, one.factors[0].response.location.layer) == (2, "models/m/layers/a")
    assert two.weight == -0.25
    assert [each.WhichOneof("measure") for each in two.factors] == ["pixel_norm", "blur"]
    assert len(asked(objective=[objective, objectives.Blur()]).items) == 2
    with pytest.raises(ValueError, match="a place or an objective, not both"):
        asked(objective=objective, layer="a")


def test_all_units_and_several_and_a_sheet():
    [every] = asked(layer="a", unit="all", sprite_sheet=hooke.SpriteSheet(columns=4)).items
    assert every.units.layer == "models/m/layers/a"
    assert list(every.units.units) == []
    request = asked(unit="all", sprite_sheet=hooke.SpriteSheet(), time_budget=1.5, preview_every=7)
    assert request.items[0].units.layer == "models/m"
    assert request.HasField("sprite_sheet")
    assert (request.time_budget.seconds, request.time_budget.nanos) == (1, 500_000_000)
    assert request.previews.every == 7
    with pytest.raises(TypeError, match="unit is a number or several, not 'most'"):
        asked(unit="most")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: asked(hooke.DeepDream(optimizer="sgd")), "'sgd' is unknown; it is one of adam"),
        (lambda: asked(hooke.FeatureVisualization(sign="up")), "one of positive, negative, both"),
        (
            lambda: asked(
                hooke.DeepDream(image=techniques.ImageParameterization(storage=objectives.Blur()))
            ),
            "storage is one of PixelImage",
        ),
        (lambda: asked(hooke.TuningCurves(families=["star"])), "'star' is unknown"),
    ],
)
def test_what_the_contract_cannot_say_is_refused_here(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def picture(**fields):
    return hooke.Picture(**{"name": "feature", "final": True, "layer": "a", **fields})


def test_a_picture_is_saved_as_what_it_is(tmp_path):
    image = picture(mime_type="image/jpeg", data=b"\xff\xd8")
    assert image.save(tmp_path / "a").name == "a.jpg"
    assert image.save(tmp_path / "blocks.4.2").name == "blocks.4.2.jpg"
    assert image.save(tmp_path / "b.jpeg").read_bytes() == b"\xff\xd8"
    with pytest.raises(ValueError, match=r"image/jpeg, not \.png; ask for format='png'"):
        image.save(tmp_path / "c.png")


def test_several_pictures_get_names_that_tell_them_apart(tmp_path):
    def written(*made):
        return [path.name for path in save.pictures(tmp_path / "out.png", made)]

    png = {"mime_type": "image/png", "data": b"\x89PNG", "layer": "a/b"}
    unit = picture(**png, location=hooke.Location("fc", unit=7))
    assert written(unit) == ["out.png"]
    assert written(unit, unit) == ["out.png", "out-1.png"]
    other = picture(**png, location=hooke.Location("fc", unit=8))
    assert written(unit, other) == ["out-unit7.png", "out-unit8.png"]
    curve = picture(**{**png, "name": "deletion"}, location=hooke.Location("fc", unit=7))
    assert written(unit, curve) == ["out.png", "out-deletion.png"]
    sheet = picture(**{**png, "name": "sheet", "layer": ""})
    assert written(unit, sheet) == ["out-a_b-unit7.png", "out-sheet.png"]


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


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: asked(unit=2**31), "unit 2147483648 is too large; at most 2147483647"),
        (lambda: asked(position=(0, 2**40)), "position 1099511627776 is too large"),
        (lambda: asked(hooke.FeatureVisualization(steps=2**31)), "steps 2147483648 is too"),
        (lambda: asked(preview_steps=[2**31]), "preview_steps 2147483648"),
        (lambda: hooke.Readout(layers=["a"], units=[-(2**31)]).message(), "unit -2147483648"),
        (
            lambda: hooke.Readout(layers=["a"], slices={"row": slice(0, 2**31)}).message(),
            "stop 2147483648",
        ),
        (lambda: hooke.Readout(layers=["a"], reduce=hooke.TopK(2**31)).message(), "k 2147"),
        (lambda: hooke.FeatureMaps(max_units=2**31).message(), "max_units 2147483648"),
        (lambda: hooke.edits.Ablate("a", units=2**31).message("m"), "unit 2147483648"),
    ],
)
def test_numbers_that_the_contract_cannot_hold_are_refused_here(make, message):
    with pytest.raises(ValueError, match=message):
        make()
