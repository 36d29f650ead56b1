"""A port for the page, and work that goes on until somebody ends it."""

from hooke.v1 import location_pb2, visualization_service_pb2
from hooke_server.ports import Web

WEB = Web(address="127.0.0.1:0")
VISUALIZE = "/hooke.v1.VisualizationService/Visualize"


def wanted(steps=4096, size=16):
    return visualization_service_pb2.VisualizeRequest(
        items=[{"location": location_pb2.Location(layer="models/net/layers/stem", unit=0)}],
        feature_visualization={"ascent": {"steps": steps, "size": size}},
    )
