"""A port for the page, and work that goes on until somebody ends it."""

import importlib
import pkgutil

from wire import (
    envelope,
    request,
)

import hooke.v1
from hooke.v1 import (
    location_pb2,
    model_service_pb2,
    visualization_service_pb2,
)
from hooke_server.ports import Web

WEB = Web(address="127.0.0.1:0")
VISUALIZE = "/hooke.v1.VisualizationService/Visualize"


def wanted(steps=4096, size=16):
    return visualization_service_pb2.VisualizeRequest(
        items=[{"location": location_pb2.Location(layer="models/net/layers/stem", unit=0)}],
        feature_visualization={"ascent": {"steps": steps, "size": size}},
    )


MODELS = "/hooke.v1.ModelService"
ACTIVATIONS = "/hooke.v1.ActivationService"


def methods():
    """All of the contract."""
    for module in pkgutil.iter_modules(hooke.v1.__path__):
        if module.name.endswith("_service_pb2"):
            file = importlib.import_module(f"hooke.v1.{module.name}").DESCRIPTOR
            for service in file.services_by_name.values():
                yield from service.methods


def listed(edge):
    return edge.models.ListModels(model_service_pb2.ListModelsRequest())


def web(edge, path, message, headers=()):
    """A gRPC-Web call."""
    kind = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
    body = envelope(message.SerializeToString())
    return request(edge.web, "POST", path, kind | dict(headers), body)
