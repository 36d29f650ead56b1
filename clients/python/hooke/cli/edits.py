"""Edits on the command line: `--edit KIND[=VALUE]:LAYER[#UNITS][POSITION]`.

    ablate:blocks.4.2#7            ablate=mean:blocks.4.2#7,9
    scale=0.5:blocks.3             scale=0:conv_stem#2[14,14]
    clamp=0..1:conv_stem           clamp=..6:conv_stem
    add=direction.npy:blocks.4.2   add=-2*direction.npy:blocks.4.2
    replace=dog.png:blocks.4.2#7   replace=inputs.npy:blocks.4.2

Without a layer it is the model's output, where a class has a label: `ablate:#tabby`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hooke.edits import Ablate, AddDirection, Clamp, Edit, Replace, Scale

_PLACE = re.compile(r"(?P<layer>[^#]*?)(?:#(?P<unit>[^\[\]]+))?(?:\[(?P<position>[\d, ]+)\])?")
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_BOUNDS = re.compile(rf"({_NUMBER})?\.\.({_NUMBER})?")
_VECTOR = re.compile(rf"(?:({_NUMBER})\*)?(.+\.npy)")


def edits(texts: Sequence[str] | None) -> list[Edit]:
    """The edits that options name."""
    return [edit(text) for text in texts or ()]


def edit(text: str) -> Edit:
    """The edit that an option names; ValueError for what is none."""
    change, colon, where = text.partition(":")
    kind, _, value = change.partition("=")
    if not colon:
        raise ValueError(f"--edit {text!r} is not KIND[=VALUE]:LAYER[#UNITS][POSITION]")
    layer, place = _place(where)
    match kind:
        case "ablate":
            return Ablate(layer, value or "zero", **place)
        case "scale":
            return Scale(layer, _number(value, text), **place)
        case "clamp" if (bounds := _BOUNDS.fullmatch(value)) is not None:
            low, high = (None if each is None else float(each) for each in bounds.groups())
            return Clamp(layer, low, high, **place)
        case "clamp":
            raise ValueError(f"--edit {text!r} needs bounds such as clamp=0..1, clamp=..6")
        case "add" if (vector := _VECTOR.fullmatch(value)) is not None:
            numbers = np.load(Path(vector[2]), allow_pickle=False)
            return AddDirection(layer, numbers, float(vector[1] or 1), **place)
        case "add":
            raise ValueError(f"--edit {text!r} needs an array such as add=direction.npy")
        case "replace" if value:
            return Replace(layer, value, **place)
        case "replace":
            raise ValueError(f"--edit {text!r} needs a picture or an array: replace=dog.png")
    raise ValueError(f"--edit {text!r}: the kind is ablate, scale, clamp, add or replace")


def _place(text: str) -> tuple[str | None, dict[str, Any]]:
    """The layer, and the rest of the place as keyword arguments."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not LAYER[#UNITS][POSITION]")
    place: dict[str, Any] = {}
    if (unit := found["unit"]) is not None:
        numbers = re.fullmatch(r"\d+(?:,\d+)*", unit)
        place = {"units": [int(n) for n in unit.split(",")]} if numbers else {"label": unit}
    if (position := found["position"]) is not None:
        place["positions"] = [[int(index) for index in position.split(",")]]
    return found["layer"] or None, place


def _number(value: str, text: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"--edit {text!r} needs a number: scale=0.5") from None
