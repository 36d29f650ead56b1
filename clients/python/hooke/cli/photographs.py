"""Pictures that commands are given: a file, several, or all of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF")
"""What files of PNG, JPEG and WebP begin with."""
ARRAY = b"\x93NUMPY"


def photograph(name: str, text: str) -> str:
    """The path of a picture; ValueError where there is none."""
    if not Path(text).is_file():
        lies = "that is a folder" if Path(text).is_dir() else "there is no such file"
        raise ValueError(f"{name} is a picture's file, and not {text!r}: {lies}")
    check_picture(Path(text))
    return text


def photographs(name: str, texts: Sequence[str]) -> list[str]:
    """The paths of several: each text is a file, a folder of them, or some of both with commas."""
    found = [path for text in texts for path in _named(name, text)]
    if not found:
        raise ValueError(f"{name} takes pictures: a folder, or files")
    return found


def check_picture(path: Path) -> None:
    """ValueError for a file that is neither a picture nor an array; the server cannot name it."""
    with path.open("rb") as file:
        start = file.read(len(ARRAY))
    if path.suffix == ".npy":
        if start != ARRAY:
            raise ValueError(f"{path} is no array that NumPy wrote")
    elif not start.startswith(SIGNATURES):
        raise ValueError(f"{path} is no PNG, JPEG or WebP picture, and no .npy array")


def _named(name: str, text: str) -> list[str]:
    if not text:  # else it would be the folder that one is in
        raise ValueError(f"{name} takes pictures: a folder, or files")
    path = Path(text)
    if path.is_dir():
        found = sorted(each for each in path.iterdir() if each.suffix.lower() in SUFFIXES)
        if not found:
            raise ValueError(f"{name}: there is no picture ({', '.join(SUFFIXES)}) in {text!r}")
        return [photograph(name, str(each)) for each in found]
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) > 1 and not path.exists():  # else the comma is part of its name
        return [each for part in parts for each in _named(name, part)]
    if not path.exists():
        raise ValueError(f"{name} is a folder of pictures, or files, and there is no {text!r}")
    return [photograph(name, text)]
