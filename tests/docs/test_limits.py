"""Limits that comments of the protos tell are those of the code."""

import re
from pathlib import Path

import pytest

from hooke_server.rpc import limits, names
from hooke_server.rpc.codec.items import MAX_ITEMS
from hooke_server.rpc.model_service import MAX_BINS
from hooke_server.rpc.visualization_service import MAX_PREVIEW_STEPS
from hooke_server.techniques import binding
from hooke_server.techniques.attribution.evidence import Evidence
from hooke_server.techniques.attribution.plans import MAX_METHODS
from hooke_server.techniques.comparison.units import MAX_UNITS
from hooke_server.techniques.edits import MAX_EDITS
from hooke_server.techniques.sheets import SpriteSheet
from hooke_server.techniques.signatures import message_fields
from hooke_server.techniques.technique import all_techniques

PROTOS = Path(__file__).resolve().parents[2] / "protos" / "hooke" / "v1"
ASCENT = all_techniques()["feature_visualization"].parameters["ascent"].fields


def bounds(parameter, mark=" to "):
    return f"{parameter.bounds.low:g}{mark}{parameter.bounds.high:g}"


TOLD = {
    "attribution_service.proto AttributeRequest.methods": f"1 to {MAX_METHODS}",
    "attribution_service.proto AttributeRequest.targets": f"at most {MAX_ITEMS}",
    "attribution_service.proto AttributeRequest.edits": f"at most {MAX_EDITS}",
    "activation_service.proto StreamActivationsRequest.readouts": f"{binding.MAX_READS:,} layers",
    "activation_service.proto StreamActivationsRequest.edits": f"at most {MAX_EDITS}",
    "activation_service.proto RecordingConfiguration.edits": f"at most {MAX_EDITS}",
    "visualization_service.proto VisualizeRequest.items": f"1 to {MAX_ITEMS}",
    "visualization_service.proto VisualizeRequest.edits": f"at most {MAX_EDITS}",
    "visualization_service.proto PreviewSchedule.steps": f"at most {MAX_PREVIEW_STEPS}",
    "visualization_service.proto SpriteSheet.columns": bounds(
        message_fields(SpriteSheet)["columns"]
    ),
    "visualization_service.proto SpriteSheet.tile_size": bounds(
        message_fields(SpriteSheet)["tile_size"], ".."
    ),
    "visualization.proto Ascent.steps": bounds(ASCENT["steps"]),
    "visualization.proto Ascent.size": bounds(ASCENT["size"]),
    "evidence.proto Evidence.samples": bounds(message_fields(Evidence)["samples"]),
    "evidence.proto Evidence.steps": bounds(message_fields(Evidence)["steps"]),
    "evidence.proto Evidence.seeds": bounds(message_fields(Evidence)["seeds"]),
    "location.proto UnitSelection.units": f"At most {MAX_ITEMS}",
    "comparison_service.proto MatchUnitsRequest.layer_id": f"at most {MAX_UNITS} units",
    "readout.proto HistogramReduction.bins": f"1 to {binding.MAX_BINS}",
    "readout.proto Quantiles.probabilities": f"1 to {binding.MAX_QUANTILES}",
    "readout.proto FeatureMapForm.tile_size": f"{binding.MAX_GRID} x {binding.MAX_GRID}",
    "model_service.proto StreamWeightsRequest.histogram_bins": f"1 to {MAX_BINS}",
    "error_reason.proto": f"at most {limits.MAX_ENTRIES} names and messages, and"
    f" {limits.MAX_NUMBERS} numbers",
    "error_reason.proto ": f"at most {names.MAX_LENGTH} characters, a pattern {names.MAX_PATTERN}",
}


def comment(place):
    """That of a field, or all of a file on one line."""
    file, _, path = place.partition(" ")
    text = (PROTOS / file).read_text()
    if path:
        message, field = path.split(".")
        body = re.search(rf"^message {message} {{\n(.*?)^}}", text, re.M | re.S)[1]
        text = re.search(rf"((?:^ *//.*\n)+) *[^/\n]* {field} = \d+;", body, re.M)[1]
    return re.sub(r"\s*//\s*", " ", text)


@pytest.mark.parametrize(("place", "told"), TOLD.items())
def test_the_limit_is_told(place, told):
    assert re.search(rf"\b{re.escape(told)}\b", comment(place))
