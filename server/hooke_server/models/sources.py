"""What a model is loaded from, by name: never a free path, never an address.

    torchvision:resnet50?weights=FILE    timm:vit_tiny_patch16_224    file:FILE    demo:

Files are named relative to the configured roots. They are never read where they
lie: a loader gets a private copy of a plain file, which nobody can change or
redirect while it is parsed.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from hooke_server.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    Reason,
    ResourceExhaustedError,
)
from hooke_server.models.limits import Limits
from hooke_server.registry import not_found

LOADABLE = (".onnx", ".pt2")
"""Suffixes of files that are models by themselves; others need an architecture or a permission."""


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed source: `scheme:name?option=value&...`; `str` gives it as it was asked for."""

    scheme: str
    name: str
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        options = "&".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.scheme}:{self.name}" + (f"?{options}" if options else "")


def parse_source(text: str) -> Source:
    """The source that `text` writes.

    Raises
    ------
    InvalidArgumentError : INVALID_FIELD, if it is not `SCHEME:NAME?OPTION=VALUE`.
    """
    scheme, colon, rest = text.partition(":")
    name, _, query = rest.partition("?")
    pairs = [part.partition("=") for part in query.split("&") if part]
    well_formed = scheme and colon and all(key and value for key, _, value in pairs)
    if not well_formed or len({key for key, *_ in pairs}) < len(pairs) or not text.isprintable():
        raise InvalidArgumentError(
            Reason.INVALID_FIELD,
            f"{text!r} is no source; one is written SCHEME:NAME or SCHEME:NAME?OPTION=VALUE, "
            "such as torchvision:resnet50, each option once",
            field="source",
        )
    return Source(scheme, name, MappingProxyType({key: value for key, _, value in pairs}))


class Roots:
    """The folders that model files may come from.

    Parameters
    ----------
    paths : folders; where two have a file of one name, the first one's counts.
    limits : the size of a file.
    """

    def __init__(self, paths: Iterable[Path] = (), limits: Limits | None = None) -> None:
        self._paths = tuple(Path(path) for path in paths)
        self._limits = limits or Limits()

    def scan(self, suffixes: tuple[str, ...] = LOADABLE) -> list[str]:
        """Names of the files with these suffixes, hidden ones left out, sorted."""
        found = {
            path.relative_to(root).as_posix()
            for root in self._paths
            for path in root.rglob("*")
            if path.suffix.lower() in suffixes and path.is_file()
        }
        # What the syntax of sources cannot write cannot be asked for either.
        return sorted(
            name
            for name in found
            if not any(part.startswith(".") for part in name.split("/"))
            and "?" not in name
            and name.isprintable()
        )

    @contextmanager
    def private_copy(self, name: str) -> Iterator[Path]:
        """A copy of the file `name`, with its suffix, that is gone when the block ends.

        Raises
        ------
        InvalidArgumentError : INVALID_FIELD, for a name that is not relative or has `..`.
        NotFoundError : SOURCE_NOT_FOUND, if no root has such a file.
        FailedPreconditionError : MODEL_INVALID, for a link out of the root, a hard link,
            a device or a folder.
        ResourceExhaustedError : LIMIT_EXCEEDED, if it is too large.
        """
        with tempfile.TemporaryDirectory(prefix="hooke-") as folder:
            path = Path(folder) / f"model{PurePosixPath(name).suffix.lower()}"
            with os.fdopen(self._open(name), "rb") as file, path.open("wb") as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
            path.chmod(0o400)
            yield path

    def _open(self, name: str) -> int:
        """A descriptor of a checked file."""
        root, real = self._locate(name)
        try:
            descriptor = _open_below(root, real.relative_to(root).parts)
        except OSError:
            raise _refused(name, "it cannot be read, or is being changed") from None
        try:
            self._check(name, os.fstat(descriptor))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _locate(self, name: str) -> tuple[Path, Path]:
        """The root that has the file, and the file itself, both without links."""
        parts = name.split("/")
        if {"", ".", ".."} & set(parts) or "\\" in name or not name.isprintable():
            raise InvalidArgumentError(
                Reason.INVALID_FIELD,
                f"{name!r} is no name of a file; files are named relative to a model root, "
                "without '..'",
                field="source",
            )
        for root in self._paths:
            with suppress(OSError, RuntimeError):  # not there; or links in a circle
                root = root.resolve(strict=True)
                real = (root / name).resolve(strict=True)
                if not real.is_relative_to(root):
                    raise _refused(name, "it is a link that leads out of its model root")
                return root, real
        near = self.scan((*LOADABLE, PurePosixPath(name).suffix.lower()))
        hint = "the model roots have " + (", ".join(near[:8]) if near else "no such file")
        raise not_found("file", name, near, Reason.SOURCE_NOT_FOUND, hint)

    def _check(self, name: str, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise _refused(name, "it is no plain file")
        if found.st_nlink != 1:
            raise _refused(name, "it has another name elsewhere (a hard link); copy it instead")
        if found.st_size > self._limits.file_bytes:
            raise ResourceExhaustedError(
                Reason.LIMIT_EXCEEDED,
                f"{name!r} has {found.st_size} bytes, at most {self._limits.file_bytes} are read",
                source=name,
            )


def _open_below(root: Path, parts: tuple[str, ...]) -> int:
    """Open a file step by step, so that no folder on the way can become a link meanwhile."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for index, part in enumerate(parts):
        # O_NONBLOCK: opening a pipe would wait for its writer.
        kind = os.O_DIRECTORY if index < len(parts) - 1 else os.O_NONBLOCK
        try:
            inner = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | kind, dir_fd=folder)
        finally:
            os.close(folder)
        folder = inner
    return folder


def _refused(name: str, why: str) -> FailedPreconditionError:
    return FailedPreconditionError(
        Reason.MODEL_INVALID, f"the file {name!r} is not read: {why}", source=name
    )
