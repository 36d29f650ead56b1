"""Which models a call's line in the access log names."""

import pytest

from hooke.v1 import (
    activation_service_pb2,
    model_service_pb2,
    technique_service_pb2,
    visualization_service_pb2,
)
from hooke_server.rpc.access import MAX_NAMED, Access, named_models

ITEMS = [{"location": {"layer": f"models/{name}/layers/a%2Fb"}} for name in ("a", "b", "a")]

NAMED = [
    (model_service_pb2.ListModelsRequest(), []),
    (model_service_pb2.GetModelRequest(name="models/a"), ["a"]),
    (model_service_pb2.GetLayerRequest(name="models/a/layers/b"), ["a"]),
    (model_service_pb2.StreamLayersRequest(parent="models/a-1.b"), ["a-1.b"]),
    (model_service_pb2.LoadModelRequest(model_id="a", source="torchvision:resnet18"), ["a"]),
    (technique_service_pb2.ListTechniquesRequest(location={"layer": "models/a"}), ["a"]),
    (activation_service_pb2.StreamActivationsRequest(model="models/a"), ["a"]),
    (activation_service_pb2.RecordActivationsRequest(configuration={"model": "models/a"}), ["a"]),
    (visualization_service_pb2.VisualizeRequest(items=ITEMS), ["a", "b", "a"]),
    # What is no id could forge a line.
    (model_service_pb2.GetModelRequest(name="models/a\nOK"), []),
    (model_service_pb2.GetModelRequest(name="a"), []),
    (model_service_pb2.LoadModelRequest(model_id="A B", source="models/a"), ["a"]),
]


@pytest.mark.parametrize(("request_", "expected"), NAMED)
def test_models_that_a_request_names(request_, expected):
    assert list(named_models(request_)) == expected


def test_a_line_names_each_once_and_not_all_of_many():
    access = Access("/m", "peer")
    access.saw(model_service_pb2.ListModelsRequest())
    names = [f"models/m{number}" for number in range(2 * MAX_NAMED)]
    items = [{"location": {"layer": name}} for name in (*names, *names)]
    access.saw(visualization_service_pb2.VisualizeRequest(items=items))
    access.saw(model_service_pb2.GetModelRequest(name="models/later"))
    assert access.models == tuple(f"m{number}" for number in range(MAX_NAMED))
