"""Networks by name: torchvision's, timm's and the demo's."""

import pytest
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file

from hooke_server.errors import InvalidArgumentError, NotFoundError, Reason
from hooke_server.models.loaders import LoadContext, load_model
from hooke_server.models.loaders import demo as demo_loader
from hooke_server.models.loaders.architecture import RANDOM_WEIGHTS
from hooke_server.models.preprocessing import Preprocessing
from hooke_server.models.sources import Roots


@pytest.fixture(scope="module")
def demo():
    return load_model("demo:", LoadContext())


def test_torchvision_by_name():
    model = load_model("torchvision:resnet18", LoadContext())
    assert model.source == "torchvision:resnet18"
    assert model.notes == (RANDOM_WEIGHTS,)
    assert model.preprocessing == Preprocessing()  # torchvision's custom for ImageNet
    assert (len(model.labels), model.labels[207]) == (1000, "golden retriever")
    assert model.digest == load_model("torchvision:resnet18", LoadContext()).digest


def test_building_leaves_torchs_generator_as_it_was():
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    load_model("torchvision:squeezenet1_1", LoadContext())
    assert torch.equal(torch.rand(1), expected)


def test_torchvision_with_a_checkpoint(tmp_path):
    torch.manual_seed(1)
    module = torchvision.models.mobilenet_v3_small().eval()
    torch.save(module.state_dict(), tmp_path / "weights.pth")
    context = LoadContext(roots=Roots([tmp_path]))
    model = load_model("torchvision:mobilenet_v3_small?weights=weights.pth", context)
    assert model.notes == ()
    x = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(model.forward([model.output_layer], (x,))[model.output_layer], module(x))


def test_the_name_of_a_checkpoint_tells_its_preprocessing():
    from hooke_server.models.loaders.torchvision import architecture

    first = architecture("resnet18").preprocessing
    assert (first.crop_height, first.resize_shorter_side) == (224, 256)
    second = architecture("mobilenet_v2", "mobilenet_v2-7ebf99e0.pth").preprocessing
    assert (second.crop_height, second.resize_shorter_side) == (224, 232)


def test_segmentation_returns_a_dict():
    model = load_model("torchvision:lraspp_mobilenet_v3_large", LoadContext())
    assert [output.name for output in model.outputs] == ["out"]
    assert model.outputs[0].shape == ("batch", 21, 520, 520)
    assert model.labels[8] == "cat"


def test_timm_with_a_checkpoint_and_its_preprocessing(tmp_path):
    torch.manual_seed(1)
    module = timm.create_model("lcnet_050").eval()
    save_file(module.state_dict(), tmp_path / "lcnet.safetensors")
    context = LoadContext(roots=Roots([tmp_path]))
    model = load_model("timm:lcnet_050?checkpoint=lcnet.safetensors", context)
    x = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(model.forward([model.output_layer], (x,))[model.output_layer], module(x))
    config = timm.data.resolve_data_config(model=module)
    transform = timm.data.create_transform(**config)
    picture = Image.effect_mandelbrot((300, 260), (-2, -1.5, 1, 1.5), 60).convert("RGB")
    path = tmp_path / "picture.png"
    picture.save(path)
    ours = model.preprocessing.decode(path.read_bytes())
    assert torch.allclose(ours, transform(picture), atol=0.02)


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(NotFoundError, match="'resnet50'") as caught:
        load_model("torchvision:resnet5O", LoadContext())
    assert caught.value.reason is Reason.SOURCE_NOT_FOUND
    with pytest.raises(NotFoundError, match="'lcnet_050'"):
        load_model("timm:lcnet_05", LoadContext())
    with pytest.raises(NotFoundError):
        load_model("timm:hf-hub:timm/lcnet_050.ra2_in1k", LoadContext())
    with pytest.raises(InvalidArgumentError, match="no option 'checkpoint'; they have 'weights'"):
        load_model("torchvision:resnet18?checkpoint=a.pth", LoadContext())


def test_the_demo_knows_a_cat(demo, photograph):
    assert demo.parameter_count == 4_652_008
    assert not any("export" in note for note in demo.notes)
    pixels = demo.preprocessing.decode(photograph.read_bytes())[None]
    chances = demo.forward([demo.output_layer], (pixels,))[demo.output_layer].softmax(-1)[0]
    best = {demo.labels[i]: round(float(chances[i]), 2) for i in chances.topk(3).indices}
    assert best == pytest.approx(
        {"tiger cat": 0.395, "Egyptian cat": 0.355, "tabby": 0.170}, abs=0.03
    )


def test_the_demo_refuses_changed_weights(tmp_path, monkeypatch):
    changed = tmp_path / "weights.pth"
    data = bytearray(demo_loader._file().read_bytes())
    data[1000] ^= 1
    changed.write_bytes(data)
    monkeypatch.setattr(demo_loader, "_file", lambda: changed)
    with pytest.raises(Exception, match="the demo's weights were changed"):
        load_model("demo:", LoadContext())
