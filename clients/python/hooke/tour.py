"""`python -m hooke.tour ADDRESS`: the same few calls in every language, answered by the same JSON.

They go to a server with the demo model (`hooke serve --demo`): its models, some
layers, means of activations, a tensor in chunks with its checksum, a short
visualization, two errors, a stream that is cancelled and one whose time is up.
`clients/README.md` tells the steps to whoever writes them in another language;
equal JSON says that both read the contract alike.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import google_crc32c
import numpy as np

import hooke

MODEL = "demo"
LAYER = "blocks.2.1"
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgBAMAAACBVGfHAAAAMFBMVEXAwACAwEDAgECAgABAwIBAgMAAwMAAgIDAQICAQMBA"
    "QAAAQEDAAMCAAIBAAEAAAAC+nuaRAAAAJUlEQVR42mP8z8DA8B4JMzGgAfoIsOwZRO64B8UD6Q5YOAywOwArCg6tuznmXQAA"
    "AABJRU5ErkJggg=="
)
"""32 x 32 pixels in 16 colours."""
LONG = hooke.FeatureVisualization(steps=4096, size=64)


def tour(address: str) -> dict[str, Any]:
    """The answers, by the name of each stop."""
    with hooke.connect(address) as client:
        return {
            "models": [model.name for model in client.models()],
            "layers": [
                {"id": each.id, "op": each.op, "shape": each.output.shape, "units": each.unit_count}
                for each in client.layers(MODEL, glob="blocks.2.*", op="conv2d")
            ],
            "activations": means(client),
            "tensor": tensor(client),
            "visualization": visualization(client),
            "error": error(client),
            "invalid": invalid(client),
            "cancelled": cancelled(client),
            "deadline": deadline(address),
        }


def means(client: hooke.Client) -> dict[str, list[float]]:
    """The mean of each unit of two layers, to a picture; the first four of each."""
    answer = client.activations(MODEL, PICTURE, ["blocks.0.0", LAYER], reduce="mean")
    return {layer: [round(float(each), 4) for each in answer[layer][0, :4]] for layer in answer}


def tensor(client: hooke.Client) -> dict[str, Any]:
    """A tensor that needs several chunks, and the CRC-32C of its bytes."""
    [value] = client.activations(MODEL, np.zeros((4, 3, 224, 224), np.float32), "conv_stem").tensors
    checksum = google_crc32c.value(value.value.tobytes())
    return {
        "layer": value.layer,
        "dtype": value.value.dtype.name,
        "shape": value.value.shape,
        "axes": value.axes,
        "crc32c": f"{checksum:08x}",
    }


def visualization(client: hooke.Client) -> dict[str, Any]:
    """A picture of one unit after a few steps."""
    quick = hooke.FeatureVisualization(steps=4, size=64)
    frames = list(client.visualize(MODEL, layer=LAYER, unit=7, technique=quick, seed=1))
    progress = [frame for frame in frames if isinstance(frame, hooke.Progress)]
    [picture] = [frame for frame in frames if isinstance(frame, hooke.Picture)]
    unit = picture.location.unit if picture.location else None
    return {
        "steps": progress[-1].step,
        "picture": [picture.layer, unit, picture.mime_type, picture.width, picture.height],
        "ends_with_result": isinstance(frames[-1], hooke.Result),
    }


def error(client: hooke.Client) -> dict[str, Any]:
    """What an unknown layer is answered with."""
    try:
        client.layer(MODEL, "blocks.9.9")
    except hooke.NotFoundError as error:
        return {"code": error.code, "reason": error.reason, "metadata": error.metadata}
    raise AssertionError("the demo model has no layer blocks.9.9")


def invalid(client: hooke.Client) -> dict[str, Any]:
    """What a visualization of no steps is answered with, field by field."""
    try:
        client.picture(MODEL, hooke.FeatureVisualization(steps=0), layer=LAYER, unit=7)
    except hooke.InvalidArgumentError as error:
        return {"code": error.code, "reason": error.reason, "fields": error.field_violations}
    raise AssertionError("no steps make no picture")


def cancelled(client: hooke.Client) -> bool:
    """Whether a long visualization can be left once it moves."""
    frames = client.visualize(MODEL, LONG, layer=LAYER, unit=7)
    first = next(frame for frame in frames if isinstance(frame, hooke.Progress))
    frames.close()
    return first.step < first.total_steps


def deadline(address: str) -> str:
    """How a long visualization ends that may take a quarter of a second."""
    with hooke.connect(address, timeout=0.25) as client:
        try:
            client.picture(MODEL, LONG, layer=LAYER, unit=7)
        except hooke.DeadlineExceededError as error:
            return error.code
    raise AssertionError("4096 steps take longer")


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


if __name__ == "__main__":
    sys.stdout.write(
        canonical(tour(sys.argv[1] if len(sys.argv) > 1 else "localhost:50051")) + "\n"
    )
