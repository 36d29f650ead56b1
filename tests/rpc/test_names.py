import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.rpc import names

# Any text of a layer id but NUL, and the two that mean "here" and "above" in paths.
IDS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60
).filter(lambda text: text not in {".", ".."})


@given(IDS)
def test_every_layer_id_survives_its_name(layer_id):
    name = names.layer_name("m", layer_id)
    assert names.parse_layer(name, "name") == ("m", layer_id)
    assert name.count("/") == 3
    assert not set(name) - set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-~:@%/"
    )


def test_escaping_is_the_contracts():
    assert names.layer_name("m", "/conv1/Conv") == "models/m/layers/%2Fconv1%2FConv"
    assert names.layer_name("m", "layer1.0.relu:1") == "models/m/layers/layer1.0.relu:1"
    assert names.layer_name("m", "out@1~x_y-z") == "models/m/layers/out@1~x_y-z"
    assert names.layer_name("m", "ä b") == "models/m/layers/%C3%A4%20b"


def test_places_are_models_or_layers():
    assert names.parse_place("models/a", "layer") == ("a", None)
    assert names.parse_place("models/a/layers/fc", "layer") == ("a", "fc")
    assert names.parse_model(names.model_name("resnet-18.v_2"), "name") == "resnet-18.v_2"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "models",
        "models/",
        "models//layers/x",
        "/models/m",
        "models/m/",
        "models/M",
        "models/-m",
        "models/..",
        "models/a..b",
        "models/m\0",
        "models/ m",
        "models/" + "m" * 64,
        "model/m",
        "models/m/layers",
        "models/m/layers/",
        "models/m/layers/.",
        "models/m/layers/..",
        "models/m/layers/a/b",
        "models/m/layers/a b",
        "models/m/layers/a%2",
        "models/m/layers/%zz",
        "models/m/layers/%ff",
        "models/m/layers/a%00b",
        "models/m/layers/" + "x" * 3000,
        "models/m/weights/x",
    ],
)
def test_malformed_names_are_refused_with_the_field(name):
    with pytest.raises(InvalidArgumentError) as caught:
        names.parse_place(name, "locations[0].layer")
    assert caught.value.reason is Reason.INVALID_FIELD
    assert caught.value.field == "locations[0].layer"
    assert caught.value.message.startswith("locations[0].layer ")


def test_a_model_is_no_layer_and_a_layer_no_model():
    with pytest.raises(InvalidArgumentError, match="names a model; a layer is"):
        names.parse_layer("models/m", "name")
    with pytest.raises(InvalidArgumentError, match="is no model name"):
        names.parse_model("models/m/layers/x", "name")
