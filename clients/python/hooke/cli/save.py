"""Files that commands write, by suffix: .npy, .safetensors, .json and pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hooke.cli.show import plain

if TYPE_CHECKING:
    import numpy as np

    from hooke import Picture

PICTURES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
ARRAYS = (".npy", ".safetensors", ".json")


def suffix(path: Path) -> str:
    """The suffix of a file, `.PNG` as `.png`."""
    return path.suffix.lower()


def check_suffix(path: Path, allowed: Sequence[str]) -> None:
    """ValueError where nothing can be written to a file of that name; asked before any work."""
    if suffix(path) not in allowed:
        raise ValueError(f"{path} must end in one of {', '.join(allowed)}")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"there is no folder for {path}")


def arrays(path: Path, named: Mapping[str, np.ndarray]) -> list[Path]:
    """Write arrays: .safetensors holds all by name, .json all as lists, a .npy one each."""
    if not named:
        raise ValueError(f"there are no numbers to write to {path}")
    if suffix(path) == ".safetensors":
        from safetensors.numpy import save_file

        save_file(dict(named), path)
        return [path]
    if suffix(path) == ".json":
        path.write_text(json.dumps(plain(dict(named))))
        return [path]
    own = {name: path.with_stem(f"{path.stem}-{name.replace('/', '_')}") for name in named}
    if len(named) == 1:
        own = dict.fromkeys(named, path)
    for name, array in named.items():
        _save_array(own[name], array)
    return list(own.values())


def _save_array(path: Path, array: np.ndarray) -> None:
    import numpy as np

    with path.open("wb") as file:  # NumPy itself would write `a.NPY` to `a.NPY.npy`
        np.save(file, array)


def unit_word(picture: Picture) -> str:
    """`unit7` of a picture about a unit, else nothing."""
    place = picture.location
    return "" if place is None or place.unit is None else f"unit{place.unit}"


def pictures(path: Path, made: Sequence[Picture]) -> list[Path]:
    """Write pictures: the only one of its kind to `path` itself, others to names that differ.

    Names tell what pictures differ in: their layers, their kinds (but for the first), their units.
    """
    written: list[Path] = []
    parts = [_parts(picture, made[0]) for picture in made]
    differ = [len(set(each)) > 1 for each in zip(*parts, strict=True)]
    for at in parts:
        told = [each.replace("/", "_") for each, used in zip(at, differ, strict=True) if used]
        place = "-".join([path.stem, *filter(None, told)])
        free = path.with_name(place + path.suffix)
        sample = 1
        while free in written:
            free = path.with_name(f"{place}-{sample}{path.suffix}")
            sample += 1
        written.append(free)
    return [picture.save(free) for picture, free in zip(made, written, strict=True)]


def _parts(picture: Picture, first: Picture) -> tuple[str, str, str]:
    kind = "" if picture.name == first.name else picture.name
    return picture.layer, kind, unit_word(picture)
