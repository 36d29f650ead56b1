"""`file:FILE[?arch=SCHEME:NAME]`: model files of any kind, told apart by their suffix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.models.archives import is_archive, member_names
from hooke_server.models.blobs import map_file
from hooke_server.models.checkpoints import read_checkpoint
from hooke_server.models.loaders import LoadContext, file_loaders, loaders
from hooke_server.models.model import Model
from hooke_server.models.sources import Source, parse_source

_WEIGHT_OPTIONS = {"torchvision": "weights", "timm": "checkpoint"}


def load(source: Source, context: LoadContext) -> Model:
    """Load a file under the model roots.

    Raises
    ------
    NotFoundError : SOURCE_NOT_FOUND, for a file that there is not, or of no known kind.
    """
    loader = file_loaders.find(PurePosixPath(source.name).suffix.lower())
    unknown = [option for option in source.options if option not in {"arch", "input"}]
    if unknown:
        raise InvalidArgumentError(
            Reason.INVALID_FIELD,
            f"files have no option {unknown[0]!r}; weights take arch=SCHEME:NAME, and TorchScript "
            "takes input=3x224x224",
            field="source",
        )
    if "arch" in source.options:
        return _load_weights(source, context)
    with context.roots.private_copy(source.name) as path:
        return loader(path, source, context)


def load_alone(path: Path, source: Source, context: LoadContext) -> Model:
    """Load a file that may be TorchScript, and otherwise has weights without an architecture."""
    from hooke_server.models.loaders import torchscript

    file = map_file(path)
    if is_archive(file) and "constants.pkl" in member_names(file, context.limits):
        return torchscript.load(path, source, context)
    read_checkpoint(path, context.limits)  # which tells of a pickled module
    raise InvalidArgumentError(
        Reason.INVALID_FIELD,
        f"{source.name!r} has weights alone; say which architecture they are of, such as "
        f"file:{source.name}?arch=timm:NAME or file:{source.name}?arch=torchvision:NAME",
        field="source",
    )


def _load_weights(source: Source, context: LoadContext) -> Model:
    architecture = parse_source(source.options["arch"])
    option = _WEIGHT_OPTIONS.get(architecture.scheme)
    if option is None or architecture.options:
        raise InvalidArgumentError(
            Reason.INVALID_FIELD,
            f"{str(architecture)!r} is no architecture for weights; one is written "
            "torchvision:NAME or timm:NAME",
            field="source",
        )
    named = Source(architecture.scheme, architecture.name, {option: source.name})
    return replace(loaders.find(architecture.scheme)(named, context), source=str(source))
