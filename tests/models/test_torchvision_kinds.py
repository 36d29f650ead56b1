"""Torchvision's networks that are no classifiers of pictures: detectors, clips."""

import pytest
import torch
import torchvision
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor

from hooke_server.errors import FailedPreconditionError, Reason
from hooke_server.models.loaders import LoadContext, load_model
from hooke_server.models.loaders.torchvision import architecture
from hooke_server.models.sources import Roots

DETECTOR = "ssdlite320_mobilenet_v3_large"


def detections(name):
    torch.manual_seed(5)
    build = torchvision.models.get_model
    return build(name, weights=None, weights_backbone=None).eval()


def said(detector, picture):
    """What the head says while the whole detector looks at a picture of any size in 0..1."""
    heard = {}
    detector.head.register_forward_hook(lambda _, __, value: heard.update(value))
    with torch.no_grad():
        detector([picture])
    return heard


def test_a_detector_of_one_stage_loads_up_to_its_choice(tmp_path):
    detector = detections(DETECTOR)
    torch.save(detector.state_dict(), tmp_path / "w.pth")
    context = LoadContext(roots=Roots([tmp_path]))
    model = load_model(f"torchvision:{DETECTOR}?weights=w.pth", context)
    assert [(each.name, each.shape) for each in model.outputs] == [
        ("cls_logits", ("batch", 3234, 91)),
        ("bbox_regression", ("batch", 3234, 4)),
    ]
    assert (len(model.labels), model.labels[17]) == (91, "cat")
    # As the detector itself sees a picture, its own normalization included.
    path = tmp_path / "picture.png"
    picture = Image.effect_mandelbrot((320, 320), (-2, -1.5, 1, 1.5), 60).convert("RGB")
    picture.save(path)
    expected = said(detector, pil_to_tensor(picture) / 255)
    layers = {
        "cls_logits": "head.classification_head.cat",
        "bbox_regression": "head.regression_head.cat",
    }
    assert model.output_layer == layers["cls_logits"]
    x = model.preprocessing.decode(path.read_bytes())[None]
    values = model.forward(list(layers.values()), [x])
    for name, layer in layers.items():
        torch.testing.assert_close(values[layer], expected[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["fasterrcnn_mobilenet_v3_large_320_fpn", "maskrcnn_resnet50_fpn"])
def test_a_detector_of_two_stages_says_why_not_and_what_works(name):
    with pytest.raises(FailedPreconditionError) as caught:
        architecture(name)
    assert caught.value.reason is Reason.MODEL_UNSUPPORTED
    for words in ("between its two stages", "ssd, retinanet, fcos", "torchvision:resnet50"):
        assert words in caught.value.message


@pytest.mark.parametrize(
    ("name", "edge"), [("r3d_18", 112), ("swin3d_t", 112), ("s3d", 224), ("mvit_v2_s", 224)]
)
def test_clips_are_as_small_as_the_network_takes(name, edge):
    built = architecture(name)
    assert built.example_shapes == ((1, 3, 16, edge, edge),)
    assert built.preprocessing is None


def test_two_frames():
    assert architecture("raft_small").example_shapes == ((1, 3, 128, 128),) * 2
