"""Places that clients point at, found or told what there is."""

import pytest
import torch

from hooke.v1 import location_pb2
from hooke_server.errors import HookeError, Reason
from hooke_server.models.layer import Layer, LayerKind, TensorSpec
from hooke_server.models.model import Model, ModelFormat, frozen
from hooke_server.rpc.codec.locations import location_message, read_site
from hooke_server.techniques.technique import Site


def layer(name, *shape, unit_axis=1):
    output = TensorSpec(dtype=torch.float32, shape=("batch", *shape))
    return Layer(id=name, kind=LayerKind.MODULE, op="x", output=output, unit_axis=unit_axis)


MODEL = Model(
    source="live",
    format=ModelFormat.TORCH,
    digest="sha256:0",
    layers=frozen(
        [
            layer("conv/1", 4, 5, 6),
            layer("tokens", 7, 8, unit_axis=2),
            layer("logits", 3),
            layer("odd", "n"),
        ]
    ),
    inputs=(),
    outputs=(),
    output_layer="logits",
    weights={},
    device=torch.device("cpu"),
    labels=("Cat", "dog", "cat"),
)


def read(layer="", position=None, **choice):
    if position is not None:
        choice["position"] = location_pb2.Position(indices=position)
    name = f"models/m/layers/{layer}" if layer else "models/m"
    return read_site(MODEL, location_pb2.Location(layer=name, **choice), "location")


def test_places():
    assert read() == Site(layer="logits")
    assert read(unit=0) == Site(layer="logits", unit=0)
    assert read("conv%2F1", unit=3, position=[4, 5]) == Site(
        layer="conv/1", unit=3, position=(4, 5)
    )
    assert read("tokens", unit=7, position=[6]) == Site(layer="tokens", unit=7, position=(6,))
    assert read("odd") == Site(layer="odd")


def test_labels_are_compared_without_regard_to_case():
    assert read(label="DOG") == read("logits", label="Dog") == Site(layer="logits", unit=1)


def test_a_place_is_told_as_it_was_found():
    told = location_message("m", read("conv%2F1", unit=0, position=[0, 0]))
    assert told.layer == "models/m/layers/conv%2F1"
    assert told.HasField("unit")
    assert list(told.position.indices) == [0, 0]
    assert not location_message("m", read()).HasField("unit")


@pytest.mark.parametrize(
    ("layer", "choice", "reason", "said"),
    [
        ("conv%2F2", {}, Reason.LAYER_NOT_FOUND, "the nearest are 'conv/1'"),
        ("conv%2F1", {"unit": 4}, Reason.UNIT_OUT_OF_RANGE, "has units 0 to 3, not 4"),
        ("conv%2F1", {"unit": -1}, Reason.UNIT_OUT_OF_RANGE, "has units 0 to 3, not -1"),
        ("odd", {"unit": 0}, Reason.UNIT_OUT_OF_RANGE, "has no units"),
        ("conv%2F1", {"label": "cat"}, Reason.INVALID_FIELD, "labels name the units of 'logits'"),
        ("", {"label": "cta"}, Reason.LABEL_NOT_FOUND, "the nearest are 'cat'"),
        ("", {"label": "cat"}, Reason.LABEL_AMBIGUOUS, "the units 0, 2 all have the label 'cat'"),
        ("", {"label": ""}, Reason.INVALID_FIELD, r"location\.label is empty"),
        ("conv%2F1", {"position": [1]}, Reason.INVALID_FIELD, "2 position axes; 1 indices"),
        ("logits", {"position": [1]}, Reason.INVALID_FIELD, "0 position axes"),
        ("conv%2F1", {"position": [5, 0]}, Reason.POSITION_OUT_OF_RANGE, r"\[5, 6\] positions"),
        ("tokens", {"position": [-1]}, Reason.POSITION_OUT_OF_RANGE, r"\[7\] positions"),
    ],
)
def test_places_that_are_not(layer, choice, reason, said):
    with pytest.raises(HookeError, match=said) as caught:
        read(layer, **choice)
    assert caught.value.reason is reason
