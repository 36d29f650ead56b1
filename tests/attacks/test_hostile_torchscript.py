"""TorchScript runs code of its own when it is loaded: only files named by their digest are."""

import hashlib

import pytest
import torch
from hostile import refusal
from torch import Tensor, nn

from hooke_server.errors import PermissionDeniedError, Reason
from hooke_server.models.checkpoints import read_checkpoint
from hooke_server.models.limits import Limits

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


class Writing(nn.Module):
    """Writes a file when it is loaded: TorchScript has an operation for that."""

    def __init__(self, mark: str):
        super().__init__()
        self.mark = mark

    def forward(self, x: Tensor) -> Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.mark, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.mark = state[0]
        self.training = state[1]
        torch.save(torch.zeros(1), self.mark)


class Endless(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        while bool(x.sum() == x.sum()):
            x = x + 1
        return x


@pytest.fixture
def writing(tmp_path):
    """A file, and the mark that it makes."""
    mark = tmp_path / "mark"
    torch.jit.script(Writing(str(mark))).save(tmp_path / "model.pt")
    mark.unlink(missing_ok=True)
    return tmp_path / "model.pt", mark


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.bin"])
def test_torchscript_is_refused_by_any_name(tmp_path, writing, name):
    path, mark = writing
    path.rename(tmp_path / name)
    error = refusal(tmp_path, f"file:{name}?input=3")
    assert isinstance(error, PermissionDeniedError)
    assert error.reason is Reason.CODE_NOT_ALLOWED
    digest = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    assert f"--allow-code {digest}" in error.message
    assert error.metadata["sha256"] == digest
    assert not mark.exists()
    torch.jit.load(tmp_path / name)
    assert mark.exists(), "or nothing was tested"


def test_another_digest_allows_nothing(tmp_path, writing):
    path, mark = writing
    other = hashlib.sha256(path.read_bytes() + b" ").hexdigest()
    error = refusal(tmp_path, "file:model.pt?input=3", allow_code=frozenset([other]))
    assert error.reason is Reason.CODE_NOT_ALLOWED
    assert not mark.exists()


def test_torchscript_is_no_checkpoint(writing):
    path, mark = writing
    with pytest.raises(Exception, match="model file") as caught:
        read_checkpoint(path, Limits())
    assert caught.value.reason is Reason.MODEL_INVALID
    assert not mark.exists()


def test_endless_loops_are_not_entered(tmp_path):
    torch.jit.script(Endless()).save(tmp_path / "model.pt")
    assert refusal(tmp_path, "file:model.pt?input=3").reason is Reason.CODE_NOT_ALLOWED
