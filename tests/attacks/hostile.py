"""Harmful files, made here, with a harmless payload: a file that appears if anything ran."""

import os
import subprocess
import sys
import zipfile

import pytest
import torch

from hooke_server.errors import HookeError
from hooke_server.models.loaders import LoadContext, load_model
from hooke_server.models.sources import Roots


class Touch:
    """Pickled, an order to make a file."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


class Network(torch.nn.Module):
    """One layer, with weights that stand for a model's."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 2, 3)

    def forward(self, x):
        return self.conv(x).relu()


def unpickle(path):
    """Let a program without defences unpickle a file, in a process of its own."""
    subprocess.run(
        [sys.executable, "-c", f"import pickle; pickle.load(open({str(path)!r}, 'rb'))"],
        check=False,
        stderr=subprocess.DEVNULL,
    )


def members(path):
    """What is in an archive, by whole name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_archive(path, contents, compression=zipfile.ZIP_STORED):
    """An archive of names and bytes."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return path


def refusal(folder, source, **options):
    """The error that a source under a folder is refused with; nothing else may come."""
    context = LoadContext(roots=Roots([folder]), **options)
    with pytest.raises(HookeError) as caught:
        load_model(source, context)
    message = caught.value.message
    assert str(folder) not in message
    assert "Traceback" not in message
    return caught.value
