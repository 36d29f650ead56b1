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


def check_suffix(path: Path, allowed: Sequence[str]) -> None:
    """ValueError where nothing can be written to a file of that name; asked before any work."""
    if path.suffix.lower() not in allowed:
        raise ValueError(f"{path} must end in one of {', '.join(allowed)}")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"there is no folder for {path}")


def arrays(path: Path, named: Mapping[str, np.ndarray]) -> None:
    """Write arrays: .safetensors holds all by name, .npy exactly one, .json all as lists."""
    if path.suffix == ".safetensors":
        from safetensors.numpy import save_file

        save_file(dict(named), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(plain(dict(named))))
    else:
        import numpy as np

        if len(named) != 1:
            names = ", ".join(named)
            raise ValueError(f"{path} holds one array, not {names}; write a .safetensors file")
        np.save(path, next(iter(named.values())))


def unit_word(picture: Picture) -> str:
    """`unit7` of a picture about a unit, else nothing."""
    place = picture.location
    return "" if place is None or place.unit is None else f"unit{place.unit}"


def pictures(path: Path, made: Sequence[Picture]) -> list[Path]:
    """Write pictures: one to `path` itself, several to names that tell their places."""
    if len(made) == 1:
        return [made[0].save(path)]
    written = []
    several = len({picture.name for picture in made}) > 1
    for picture in made:
        at = [picture.layer, picture.name if several else "", unit_word(picture)]
        place = "-".join([path.stem, *(each.replace("/", "_") for each in at if each)])
        free = path.with_name(place + path.suffix)
        sample = 1
        while free in written:
            free = path.with_name(f"{place}-{sample}{path.suffix}")
            sample += 1
        written.append(picture.save(free))
    return written
