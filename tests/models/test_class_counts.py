"""Checkpoints of networks that tell apart another number of classes than usual."""

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from hooke_server.errors import FailedPreconditionError, Reason
from hooke_server.models.loaders import LoadContext, load_model
from hooke_server.models.sources import Roots


def timm_network(name):
    return lambda: timm.create_model(name, num_classes=7)


def torchvision_network(name, **options):
    return lambda: torchvision.models.get_model(name, weights=None, num_classes=7, **options)


NETWORKS = [
    ("timm:lcnet_050?checkpoint=w.safetensors", timm_network("lcnet_050")),
    # Two classifiers.
    (
        "file:w.safetensors?arch=timm:deit_tiny_distilled_patch16_224",
        timm_network("deit_tiny_distilled_patch16_224"),
    ),
    ("file:w.safetensors?arch=torchvision:resnet18", torchvision_network("resnet18")),
    (
        "torchvision:lraspp_mobilenet_v3_large?weights=w.safetensors",
        torchvision_network("lraspp_mobilenet_v3_large", weights_backbone=None),
    ),
]


def load(folder, text):
    return load_model(text, LoadContext(roots=Roots([folder])))


@pytest.mark.parametrize(("source", "build"), NETWORKS, ids=[source for source, _ in NETWORKS])
def test_a_network_has_as_many_classes_as_its_checkpoint(tmp_path, source, build):
    torch.manual_seed(2)
    eager = build().eval()
    save_file(eager.state_dict(), tmp_path / "w.safetensors")
    model = load(tmp_path, source)
    assert model.notes == ("the checkpoint has 7 classes, whose names are not known",)
    assert model.labels == ()
    assert model.outputs[0].shape[1] == 7
    x = torch.randn(2, *model.inputs[0].shape[1:])
    with torch.no_grad():
        expected = eager(x)
    expected = expected["out"] if isinstance(expected, dict) else expected
    value = model.forward([model.output_layer], [x])[model.output_layer]
    torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)


def test_names_may_be_others_too(tmp_path):
    eager = timm.create_model("lcnet_050", num_classes=3)
    renamed = {f"net.{key}": value for key, value in eager.state_dict().items()}
    torch.save({"state_dict": renamed}, tmp_path / "w.pth")
    assert load(tmp_path, "timm:lcnet_050?checkpoint=w.pth").outputs[0].shape == ("batch", 3)


def test_the_usual_number_keeps_its_labels(tmp_path):
    torch.save(timm.create_model("lcnet_050").state_dict(), tmp_path / "w.pth")
    model = load(tmp_path, "timm:lcnet_050?checkpoint=w.pth")
    assert (len(model.labels), model.notes) == (1000, ())


def weights(**changed):
    return torchvision.models.resnet18(weights=None).state_dict() | changed


MISFITS = {
    "two numbers": weights(**{"fc.weight": torch.zeros(7, 512), "fc.bias": torch.zeros(8)}),
    "another body": weights(**{"conv1.weight": torch.zeros(64, 3, 3, 3)}),
    "wider": weights(**{"fc.weight": torch.zeros(7, 500), "fc.bias": torch.zeros(7)}),
    "nothing": weights(**{"fc.weight": torch.zeros(0, 512), "fc.bias": torch.zeros(0)}),
}


@pytest.mark.parametrize("changed", MISFITS.values(), ids=MISFITS)
def test_what_no_number_of_classes_explains_does_not_fit(tmp_path, changed):
    torch.save(changed, tmp_path / "w.pth")
    with pytest.raises(FailedPreconditionError, match="have another shape") as caught:
        load(tmp_path, "torchvision:resnet18?weights=w.pth")
    assert caught.value.reason is Reason.MODEL_INVALID
    assert "export it whole" in caught.value.message


def test_an_architecture_without_classes_says_what_does_not_fit(tmp_path):
    torch.manual_seed(0)
    state = torchvision.models.optical_flow.raft_small(weights=None).state_dict()
    key = next(key for key, value in state.items() if value.ndim == 1)
    state[key] = torch.zeros(5)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(FailedPreconditionError, match="1 have another shape, first"):
        load(tmp_path, "torchvision:raft_small?weights=w.pth")
