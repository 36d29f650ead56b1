"""Requests for attributions from messages; see `hooke.v1.AttributeRequest`."""

from __future__ import annotations

from collections.abc import Sequence

from hooke.v1 import attribution_service_pb2 as pb
from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.rpc.codec.items import Places
from hooke_server.rpc.codec.techniques import read_items, read_message, read_technique
from hooke_server.rpc.names import check_pattern
from hooke_server.rpc.presence import yes_if_unset
from hooke_server.techniques.attribution.drawing import Drawing
from hooke_server.techniques.attribution.evidence import Evidence
from hooke_server.techniques.attribution.plans import Asked, AskedMethod
from hooke_server.techniques.parameters import check_all
from hooke_server.techniques.signatures import message_fields

DRAWINGS: dict[int, Drawing] = {
    pb.ATTRIBUTION_DRAWING_OVERLAY: Drawing.OVERLAY,
    pb.ATTRIBUTION_DRAWING_HEAT_MAP: Drawing.HEAT_MAP,
    pb.ATTRIBUTION_DRAWING_SIGNED_MAP: Drawing.SIGNED_MAP,
    pb.ATTRIBUTION_DRAWING_TOP_REGIONS: Drawing.TOP_REGIONS,
}


def read_asked(request: pb.AttributeRequest, places: Places) -> Asked:
    """What a request asks for, as values."""
    return Asked(
        targets=tuple(read_items(request.targets, "targets", places)),
        methods=tuple(
            _method(each, f"methods[{index}]", places) for index, each in enumerate(request.methods)
        ),
        drawings=_drawings(request.drawings) if yes_if_unset(request, "include_pictures") else (),
        tensors=yes_if_unset(request, "include_tensors"),
        evidence=_evidence(request, places),
        seed=request.seed,
    )


def _method(message: pb.AttributionMethod, path: str, places: Places) -> AskedMethod:
    for index, pattern in enumerate(message.layer_globs):
        check_pattern(pattern, f"{path}.layer_globs[{index}]")
    name, given = read_technique(message, places, f"{path}.")
    return AskedMethod(name=name, globs=tuple(message.layer_globs), given=given)


def _evidence(request: pb.AttributeRequest, places: Places) -> Evidence:
    given = read_message(request.evidence, "evidence", places)
    return Evidence(**check_all(message_fields(Evidence), given, "evidence"))


def _drawings(wanted: Sequence[int]) -> tuple[Drawing, ...]:
    for index, each in enumerate(wanted):
        if each not in DRAWINGS:
            message = f"a drawing is one of {', '.join(word.upper() for word in Drawing)}"
            field = f"drawings[{index}]"
            raise InvalidArgumentError(Reason.INVALID_FIELD, message, field=field, drawing=each)
    return tuple(dict.fromkeys(DRAWINGS[each] for each in wanted)) or (Drawing.OVERLAY,)
