"""Requests for feature visualization, and their answers."""

import io

import numpy as np
from PIL import Image
from serving import ended

from hooke.v1 import image_pb2
from hooke.v1 import visualization_service_pb2 as pb
from hooke_server.techniques.technique import all_techniques

ASCENT = {"steps": 4, "size": 16}


def place(layer="stem", **place):
    return {"location": {"layer": f"models/net/layers/{layer}", **place}}


UNIT = place(unit=1)


def wanted(*items, ascent=None, **options):
    """A request for feature visualization, unless another technique is named."""
    request = {"items": list(items or [UNIT]), "seed": 3} | options
    if not any(name in all_techniques() for name in request):
        request["feature_visualization"] = {"ascent": ASCENT | (ascent or {})}
    return pb.VisualizeRequest(**request)


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(picture.data)))


async def run(edge, request):
    frames = await ended(edge.visualizations.Visualize(request))
    assert [frame.sequence for frame in frames] == list(range(1, len(frames) + 1))
    assert [frame.WhichOneof("content") for frame in frames].count("result") == 1
    return frames


def finished(frames):
    return [f.picture for f in frames if f.picture.role == image_pb2.PICTURE_ROLE_FINAL]
