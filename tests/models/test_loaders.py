"""From a source's text to the loader of its scheme and its kind of file."""

import subprocess
import sys

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from hooke_server.errors import (
    HookeError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    Reason,
)
from hooke_server.models.loaders import LoadContext, file_loaders, load_model
from hooke_server.models.sources import LOADABLE, Roots


def load(folder, text):
    return load_model(text, LoadContext(roots=Roots([folder])))


def test_weights_and_an_architecture(tmp_path):
    torch.manual_seed(3)
    eager = torchvision.models.squeezenet1_1(weights=None).eval()
    torch.save(eager.state_dict(), tmp_path / "w.pth")
    save_file(eager.state_dict(), tmp_path / "w.safetensors")
    x = torch.randn(2, 3, 64, 64)
    for text in (
        "file:w.safetensors?arch=torchvision:squeezenet1_1",
        "torchvision:squeezenet1_1?weights=w.pth",
    ):
        model = load(tmp_path, text)
        assert model.source == text
        assert not model.notes
        torch.testing.assert_close(
            model.forward([model.output_layer], [x])[model.output_layer], eager(x)
        )


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("torchvison:resnet18", NotFoundError, ["'torchvision'", "timm"]),
        ("https://host/model.onnx", NotFoundError, ["no source scheme 'https'", "file"]),
        ("file:w.h5", NotFoundError, ["no kind of model file '.h5'", ".safetensors"]),
        ("file:none.pt2", NotFoundError, ["no file 'none.pt2'"]),
        ("file:w.pt", InvalidArgumentError, ["arch=timm:NAME"]),
        ("file:w.safetensors", InvalidArgumentError, ["arch=timm:NAME"]),
        ("file:w.pt?kind=x", InvalidArgumentError, ["'kind'", "arch="]),
        ("file:w.pt?arch=demo:", InvalidArgumentError, ["'demo:'", "torchvision:NAME"]),
        ("file:w.pt?arch=resnet18", InvalidArgumentError, ["'resnet18'"]),
    ],
)
def test_what_cannot_be_loaded(tmp_path, text, kind, words):
    torch.save({"w": torch.zeros(1)}, tmp_path / "w.pt")
    save_file({"w": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(HookeError) as caught:
        load(tmp_path, text)
    assert type(caught.value) is kind
    assert caught.value.reason in {Reason.SOURCE_NOT_FOUND, Reason.INVALID_FIELD}
    for word in words:
        assert word in caught.value.message


def test_a_pickled_module_is_told_from_weights(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pt")
    with pytest.raises(PermissionDeniedError, match=r"Linear.*torch\.export\.save") as caught:
        load(tmp_path, "file:w.pt")
    assert caught.value.reason is Reason.CODE_NOT_ALLOWED


def test_what_roots_offer_has_a_loader():
    assert set(LOADABLE) <= set(file_loaders)


def test_importing_the_loaders_imports_no_library():
    heavy = {"timm", "torchvision", "onnx", "onnxruntime", "sympy"}
    code = f"import sys, hooke_server.models.loaders; print(set(sys.modules) & {heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
