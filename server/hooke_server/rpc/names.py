"""Resource names and the ids in them.

    models/{model}                   a model
    models/{model}/layers/{layer}    a layer of it, the id percent-encoded

A layer's id may hold any character (ONNX values are called `/conv1/Conv`), so
every one outside `A-Z a-z 0-9 . _ - ~ : @` is percent-encoded as UTF-8, which is
reversible. Ids are looked up in tables and never become part of a path.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

from hooke_server.errors import InvalidArgumentError, invalid

MAX_LENGTH = 2048
"""Characters of the longest name taken; unknown names are compared with all known ones."""

MODEL_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
MAX_PATTERN = 256
"""Characters of the longest pattern taken; each is compared with every layer."""

_ESCAPED_ID = re.compile(r"(?:[A-Za-z0-9._~:@-]|%[0-9A-Fa-f]{2})+")


def model_name(model_id: str) -> str:
    """`models/{model}`."""
    return f"models/{model_id}"


def layer_name(model_id: str, layer_id: str) -> str:
    """`models/{model}/layers/{layer}`, the layer's id escaped."""
    return f"models/{model_id}/layers/{quote(layer_id, safe='.-_~:@')}"


def check_model_id(text: str, field: str) -> str:
    """The id itself where it is one, else InvalidArgumentError."""
    if not MODEL_ID.fullmatch(text) or ".." in text:
        rule = "1 to 63 of a-z 0-9 . _ -, the first a letter or digit, no '..'"
        raise _invalid(field, text, f"is no model id: {rule}")
    return text


def parse_model(name: str, field: str) -> str:
    """The model's id in `models/{model}`."""
    parts = _split(name, field)
    if len(parts) != 2 or parts[0] != "models":
        raise _invalid(field, name, "is no model name; it looks like 'models/{model}'")
    return check_model_id(parts[1], field)


def parse_layer(name: str, field: str) -> tuple[str, str]:
    """The ids of model and layer in `models/{model}/layers/{layer}`."""
    model_id, layer_id = parse_place(name, field)
    if layer_id is None:
        raise _invalid(field, name, "names a model; a layer is 'models/{model}/layers/{layer}'")
    return model_id, layer_id


def parse_place(name: str, field: str) -> tuple[str, str | None]:
    """The ids in the name of a layer or, with None for the layer, of a model."""
    parts = _split(name, field)
    if len(parts) == 2:
        return parse_model(name, field), None
    if len(parts) != 4 or parts[0] != "models" or parts[2] != "layers":
        shape = "'models/{model}/layers/{layer}', with a '/' inside an id written %2F"
        raise _invalid(field, name, f"is no layer name; it looks like {shape}")
    return check_model_id(parts[1], field), _unescape(parts[3], name, field)


def check_text(text: str, field: str) -> str:
    """The text itself if it is one that a name or pattern can be: short, without NUL."""
    if not text:
        raise invalid(f"{field} is empty", field)
    if len(text) > MAX_LENGTH:
        message = f"{field} has {len(text)} characters; at most {MAX_LENGTH} are taken"
        raise invalid(message, field, size=len(text))
    if "\0" in text:
        raise _invalid(field, text, "holds a NUL character")
    return text


def check_pattern(text: str, field: str) -> str:
    """The text itself if it is a layer's id, or a pattern of a length that is taken."""
    if len(check_text(text, field)) > MAX_PATTERN and any(each in text for each in "*?["):
        message = f"{field} has {len(text)} characters; a pattern may have {MAX_PATTERN}"
        raise invalid(message, field, size=len(text))
    return text


def _split(name: str, field: str) -> list[str]:
    return check_text(name, field).split("/")


def _unescape(segment: str, name: str, field: str) -> str:
    if segment in {".", ".."} or not _ESCAPED_ID.fullmatch(segment):
        rule = "percent-encode all but A-Z a-z 0-9 . _ - ~ : @"
        raise _invalid(field, name, f"has no well-formed layer id; {rule}")
    try:
        layer_id = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise _invalid(field, name, "has a layer id that is no UTF-8") from None
    if "\0" in layer_id:
        raise _invalid(field, name, "holds a NUL character")
    return layer_id


def _invalid(field: str, value: str, problem: str) -> InvalidArgumentError:
    return invalid(f"{field} {value!r} {problem}", field, value=value)
