"""From a source's text to a model.

    load_model("torchvision:resnet18", LoadContext()) -> Model

A scheme and a kind of file each have a loader of their own. Their modules are
imported when they are first used, since what they need takes seconds to import.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from hooke_server.errors import Reason
from hooke_server.models.limits import Limits
from hooke_server.models.model import Model
from hooke_server.models.sources import Roots, Source, parse_source
from hooke_server.registry import Registry

__all__ = ["FileLoader", "LoadContext", "Loader", "file_loaders", "load_model", "loaders"]


@dataclass(frozen=True, kw_only=True)
class LoadContext:
    """What a loader may use.

    Attributes
    ----------
    roots : where files come from.
    device : where the weights go.
    allow_code : sha256 of the files that may run code of their own, in hexadecimal.
    limits : what files may ask for.
    """

    roots: Roots = field(default_factory=Roots)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    allow_code: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)


Loader = Callable[[Source, LoadContext], Model]
"""Makes the model of a source, or raises a HookeError."""

FileLoader = Callable[[Path, Source, LoadContext], Model]
"""The same, given the private copy of the source's file."""

loaders: Registry[Loader] = Registry("source scheme", Reason.SOURCE_NOT_FOUND)
file_loaders: Registry[FileLoader] = Registry("kind of model file", Reason.SOURCE_NOT_FOUND)


def load_model(text: str, context: LoadContext) -> Model:
    """The model of a source such as `timm:resnet50?checkpoint=FILE`, ready for use.

    Raises
    ------
    HookeError : whatever is wrong with the source's name, its file or its network.
    """
    source = parse_source(text)
    return loaders.find(source.scheme)(source, context)


def _when_used(module: str, function: str = "load") -> Callable[..., Model]:
    """A function of a module of this folder, which is imported by the first call."""

    def load(*args: Any) -> Model:
        loader: Callable[..., Model] = getattr(
            importlib.import_module(f"{__name__}.{module}"), function
        )
        return loader(*args)

    return load


for _scheme, _module in {
    "demo": "demo",
    "file": "files",
    "timm": "timm",
    "torchvision": "torchvision",
}.items():
    loaders.register(_scheme)(_when_used(_module))

for _suffix in (".safetensors", ".pt", ".pth", ".bin"):
    file_loaders.register(_suffix)(_when_used("files", "load_alone"))
file_loaders.register(".pt2")(_when_used("torch_export"))
file_loaders.register(".onnx")(_when_used("onnx"))
