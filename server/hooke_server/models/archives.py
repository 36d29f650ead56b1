"""Zip archives as torch writes them: members stored as they are, in one folder."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import cast

from hooke_server.models.limits import Limits, broken, check_limit

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_DIRECTORY_BYTES = 128
"""Of one member in the directory, with a name of some length."""


def read_archive(file: memoryview, limits: Limits) -> dict[str, memoryview]:
    """The members by name, without the folder that all are in.

    Raises
    ------
    FailedPreconditionError : MODEL_INVALID, for compressed, encrypted, overlapping or
        doubled members, which torch does not write.
    ResourceExhaustedError : LIMIT_EXCEEDED, for too many members.
    """
    infos = _infos(file, limits)
    members: dict[str, memoryview] = {}
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        start, stop = _span(file, info)
        if info.header_offset < end or stop > len(file):
            raise broken("members of the archive overlap or are cut off")
        end = stop
        _, _, name = info.filename.partition("/")
        if name in members:
            raise broken("two members of the archive have one name")
        members[name] = file[start:stop]
    if len({info.filename.partition("/")[0] for info in infos}) != 1:
        raise broken("the members of the archive are not in one folder")
    return members


def member_names(file: memoryview, limits: Limits) -> set[str]:
    """Names of the members, compressed ones too, without the folder that all are in."""
    return {info.filename.partition("/")[2] for info in _infos(file, limits)}


def is_archive(file: memoryview) -> bool:
    """Whether a file begins as a zip archive does."""
    return bytes(file[:4]) == b"PK\x03\x04"


def _infos(file: memoryview, limits: Limits) -> list[zipfile.ZipInfo]:
    # The parser reads the whole directory before anyone can count.
    check_limit("bytes of directory", _directory_bytes(file), limits.entries * _DIRECTORY_BYTES)
    try:
        infos = zipfile.ZipFile(_Reader(file)).infolist()
    except (zipfile.BadZipFile, ValueError, struct.error, NotImplementedError):
        raise broken("it is no zip archive, or a damaged one") from None
    check_limit("members", len(infos), limits.entries)
    return infos


def _span(file: memoryview, info: zipfile.ZipInfo) -> tuple[int, int]:
    """Where a member's bytes begin and end."""
    stored = info.compress_type == zipfile.ZIP_STORED and info.compress_size == info.file_size
    if not stored or info.flag_bits & 1:
        raise broken("members of the archive are compressed or encrypted; torch stores them plain")
    header = file[info.header_offset : info.header_offset + 30]
    if len(header) < 30 or bytes(header[:4]) != b"PK\x03\x04":
        raise broken("a member of the archive is cut off")
    start = info.header_offset + 30 + sum(struct.unpack("<2H", header[26:30]))
    return start, start + info.file_size


def _directory_bytes(file: memoryview) -> int:
    """Size of the directory, as the record at the end of the file has it."""
    if len(file) < _END.size or bytes(file[-_END.size :][:4]) != b"PK\x05\x06":
        raise broken("it is no zip archive, or a cut one")
    size = cast("int", _END.unpack(file[-_END.size :])[5])
    locator = len(file) - _END.size - 20
    if locator >= _END_64.size and bytes(file[locator : locator + 4]) == b"PK\x06\x07":
        size = max(size if size != 0xFFFFFFFF else 0, _END_64.unpack_from(file, locator - 56)[8])
    return size


class _Reader(io.RawIOBase):
    """A mapped file as the file that zipfile wants, without a copy."""

    def __init__(self, file: memoryview) -> None:
        self._file = file
        self._position = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._file)}
        if start[whence] + offset < 0:
            raise ValueError("before the beginning")
        self._position = start[whence] + offset
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        stop = None if size is None or size < 0 else self._position + size
        data = bytes(self._file[self._position : stop])
        self._position += len(data)
        return data
