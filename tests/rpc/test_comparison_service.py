"""`ComparisonService` through a real server: what arrives in which order, and what is refused."""

import asyncio
import copy

import grpc
import pytest
import torch
from google.rpc.error_details_pb2 import BadRequest
from grpc_status import rpc_status
from serving import Net, Pair, ended, failure, model_of, serving, told

from hooke.v1 import comparison_service_pb2 as pb
from hooke.v1 import frame_pb2, input_pb2, tensor_pb2
from hooke_server.models.preprocessing import Preprocessing

SAMPLES = 5


def tensor(samples=SAMPLES, size=16, value=None):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(samples, 3, size, size, generator=generator)
    if value is not None:
        values[0, 0, 0, 0] = value
    message = tensor_pb2.Tensor(
        dtype=tensor_pb2.DATA_TYPE_FP32, shape=values.shape, data=values.numpy().tobytes()
    )
    return input_pb2.ModelInput(tensor=message)


def asked(kind=pb.CompareActivationsRequest, reference="net", candidate="tuned", **fields):
    if kind is not pb.CompareWeightsRequest:
        fields.setdefault("inputs", [tensor()])
    return kind(reference=f"models/{reference}", candidate=f"models/{candidate}", **fields)


def units(layer="stem", **fields):
    return asked(pb.MatchUnitsRequest, layer_id=layer, **fields)


def weights(**fields):
    return asked(pb.CompareWeightsRequest, **fields)


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    network = Net().eval()
    tuned = copy.deepcopy(network)
    with torch.no_grad():
        tuned.block.conv.weight[0] += 0.1
    example = torch.zeros(1, 3, 16, 16)
    other = Preprocessing(resize_shorter_side=16, crop_height=16, crop_width=16, mean=(0.1,) * 3)
    plain = Preprocessing(resize_shorter_side=16, crop_height=16, crop_width=16)
    return {
        "net": model_of(network, example, preprocessing=plain),
        "tuned": model_of(tuned, example, preprocessing=other),
        "pair": model_of(Pair(), torch.zeros(1, 2, 3), torch.zeros(1, 4, 3)),
    }


@pytest.fixture
async def edge(models):
    async with serving(models) as served:
        yield served


def kinds(frames):
    return [frame.WhichOneof("content") for frame in frames if not frame.HasField("progress")]


def cells(frames, column):
    [header] = [f.table_header for f in frames if f.HasField("table_header")]
    index = [each.name for each in header.columns].index(column)
    rows = [row for frame in frames for row in frame.table_rows.rows]
    return [getattr(c, c.WhichOneof("value") or "", None) for c in (r.cells[index] for r in rows)]


async def test_layers_come_as_rows_a_picture_findings_and_a_result(edge, models):
    frames = await ended(edge.comparisons.CompareActivations(asked()))
    assert [frame.sequence for frame in frames] == list(range(1, len(frames) + 1))
    assert kinds(frames) == ["table_header", "table_rows", "picture", "finding", "result"]
    assert cells(frames, "layer") == list(models["net"].layers)
    first = next(frame.finding for frame in frames if frame.HasField("finding"))
    assert first.kind == "first_divergence"
    assert first.locations[0].layer == "models/net/layers/block.conv"
    assert first.locations[1].layer == "models/tuned/layers/block.conv"
    agreeing = dict(zip(cells(frames, "layer"), cells(frames, "agrees"), strict=True))
    assert agreeing["stem"]
    assert not agreeing["fc"]
    result = frames[-1].result
    assert [each.name for each in result.provenance.models] == ["models/net", "models/tuned"]
    digests = [each.digest for each in result.provenance.models]
    assert digests == [models["net"].state_digest, models["tuned"].state_digest]
    assert result.provenance.technique == "compare_activations"
    assert (result.table_count, result.picture_count) == (1, 1)
    assert result.metrics["diverging"] == len(agreeing) - sum(agreeing.values())


async def test_equal_requests_have_equal_digests(edge):
    async def digest(request):
        frames = await ended(edge.comparisons.CompareActivations(request))
        return frames[-1].result.plan_digest

    plain = await digest(asked())
    assert await digest(asked()) == plain
    plain_units = await ended(edge.comparisons.MatchUnits(units()))
    full = await ended(edge.comparisons.MatchUnits(units(include_correlations=True)))
    assert plain_units[-1].result.plan_digest != full[-1].result.plan_digest
    for other in (
        asked(tolerance=0.01),
        asked(candidate="net"),
        asked(inputs=[tensor(3)]),
        asked(layer_globs=["fc"]),
    ):
        assert await digest(other) != plain


async def test_an_estimate_computes_nothing(edge):
    for method, request in (
        (edge.comparisons.CompareActivations, asked(validate_only=True)),
        (edge.comparisons.CompareWeights, weights(validate_only=True)),
        (edge.comparisons.MatchUnits, units(validate_only=True)),
    ):
        [frame] = await ended(method(request))
        assert frame.result.estimate.memory_bytes > 0
        assert frame.result.outcome == frame_pb2.OUTCOME_VALIDATED


async def test_weights_come_as_rows(edge):
    frames = await ended(edge.comparisons.CompareWeights(weights()))
    names = cells(frames, "weight")
    changed = dict(zip(names, cells(frames, "changed"), strict=True))
    assert names[0] == "stem.weight"
    assert changed["block.conv.weight"] == pytest.approx(1 / 6)
    assert not any(share for name, share in changed.items() if name != "block.conv.weight")
    assert [f.finding.kind for f in frames if f.HasField("finding")] == ["largest_change"]
    same = await ended(edge.comparisons.CompareWeights(weights(candidate="net")))
    assert [f.finding.kind for f in same if f.HasField("finding")] == ["equal"]


async def test_units_are_matched_with_their_matrix_on_request(edge):
    frames = await ended(edge.comparisons.MatchUnits(units(include_correlations=True)))
    assert cells(frames, "partner") == list(range(6))
    assert frames[-1].result.tensor_count == 1
    [header] = [f.tensor_header for f in frames if f.HasField("tensor_header")]
    assert (list(header.shape), header.layer) == ([6, 6], "models/net/layers/stem")


async def test_pictures_are_prepared_by_each_model_or_once(edge, photograph):
    data = photograph.read_bytes()
    images = input_pb2.ModelInput(images={"images": [{"data": data}]})
    request = asked(inputs=[images], layer_globs=["x", "stem"])
    frames = await ended(edge.comparisons.CompareActivations(request))
    first = next(frame.finding for frame in frames if frame.HasField("finding"))
    assert first.locations[0].layer == "models/net/layers/x"
    assert "give both the same tensors" in first.text
    request.same_tensors = True
    frames = await ended(edge.comparisons.CompareActivations(request))
    first = next(frame.finding for frame in frames if frame.HasField("finding"))
    assert first.kind == "agreement"


async def test_the_candidate_may_have_inputs_of_its_own(edge):
    request = asked(candidate="net", candidate_inputs=[tensor(value=9.0)])
    frames = await ended(edge.comparisons.CompareActivations(request))
    assert cells(frames, "agrees")[0] is False
    same = await ended(edge.comparisons.CompareActivations(asked(candidate="net")))
    assert all(cells(same, "agrees"))


def field_of(error):
    """The field that a failed call complains of; empty where there is none."""
    for detail in rpc_status.from_call(error).details:
        bad = BadRequest()
        if detail.Unpack(bad):
            return bad.field_violations[0].field
    return ""


REFUSED = {
    "no such reference": (asked(reference="nat"), "NOT_FOUND", "MODEL_NOT_FOUND", ""),
    "no such candidate": (asked(candidate="tuna"), "NOT_FOUND", "MODEL_NOT_FOUND", ""),
    "no name": (
        pb.CompareActivationsRequest(), "INVALID_ARGUMENT", "INVALID_FIELD", "reference"),
    "no such layer": (asked(layer_globs=["stam"]), "NOT_FOUND", "LAYER_NOT_FOUND", ""),
    "no such pair": (
        asked(pairs=[{"layer_id": "fc", "candidate_layer_id": "fz"}]),
        "NOT_FOUND", "LAYER_NOT_FOUND", ""),
    "an empty pair": (
        asked(pairs=[{"layer_id": "fc"}]),
        "INVALID_ARGUMENT", "INVALID_FIELD", "pairs[0].candidate_layer_id"),
    "a pair twice": (
        asked(pairs=[{"layer_id": "fc", "candidate_layer_id": "fc"}] * 2),
        "INVALID_ARGUMENT", "INVALID_FIELD", "pairs"),
    "pairs and patterns": (
        asked(layer_globs=["*"], pairs=[{"layer_id": "fc", "candidate_layer_id": "fc"}]),
        "INVALID_ARGUMENT", "INVALID_FIELD", "layer_globs"),
    "tolerance 0": (asked(tolerance=0), "INVALID_ARGUMENT", "INVALID_FIELD", "tolerance"),
    "tolerance NaN": (
        asked(tolerance=float("nan")), "INVALID_ARGUMENT", "INVALID_FIELD", "tolerance"),
    "map of too few samples": (
        asked(inputs=[tensor(2)], similarity={"map_globs": ["*"]}),
        "INVALID_ARGUMENT", "INVALID_FIELD", "similarity"),
    "unbiased of three samples": (
        asked(inputs=[tensor(3)], similarity={"unbiased": True}),
        "INVALID_ARGUMENT", "INVALID_FIELD", "similarity"),
    "map of nothing": (
        asked(similarity={"map_globs": ["nothing*"]}), "NOT_FOUND", "LAYER_NOT_FOUND", ""),
    "unknown features": (
        asked(similarity={"features": 9}),
        "INVALID_ARGUMENT", "INVALID_FIELD", "similarity.features"),
    "unknown format": (asked(format=9), "INVALID_ARGUMENT", "INVALID_FIELD", "format"),
    "NaN": (
        asked(inputs=[tensor(value=float("nan"))]),
        "INVALID_ARGUMENT", "INPUT_NOT_FINITE", "inputs[0]"),
    "NaN for the candidate": (
        asked(candidate_inputs=[tensor(value=float("nan"))]),
        "INVALID_ARGUMENT", "INPUT_NOT_FINITE", "candidate_inputs[0]"),
    "another size": (
        asked(inputs=[tensor(size=8)]), "INVALID_ARGUMENT", "INPUT_MISMATCH", "inputs[0]"),
    "other inputs": (
        asked(candidate="pair"), "INVALID_ARGUMENT", "INPUT_MISMATCH", "inputs[0].name"),
    "the same tensors for other inputs": (
        asked(candidate="pair", same_tensors=True),
        "INVALID_ARGUMENT", "INPUT_MISMATCH", "inputs"),
    "both ways of inputs": (
        asked(candidate_inputs=[tensor()], same_tensors=True),
        "INVALID_ARGUMENT", "INVALID_FIELD", "candidate_inputs"),
    "other numbers of samples": (
        asked(candidate_inputs=[tensor(2)]),
        "INVALID_ARGUMENT", "INPUT_MISMATCH", "candidate_inputs"),
    "no such weight": (weights(weight_globs=["fc.wait"]), "NOT_FOUND", "WEIGHT_NOT_FOUND", ""),
    "weights of no model": (weights(candidate="tuna"), "NOT_FOUND", "MODEL_NOT_FOUND", ""),
    "units of no layer": (units("stam"), "NOT_FOUND", "LAYER_NOT_FOUND", ""),
    "units of nothing": (units(""), "INVALID_ARGUMENT", "INVALID_FIELD", "layer_id"),
    "units of another layer": (
        units(candidate_layer_id="stam"), "NOT_FOUND", "LAYER_NOT_FOUND", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_be_compared_is_refused_before_any_work(edge, case):
    request, code, reason, field = REFUSED[case]
    methods = {
        pb.CompareActivationsRequest: edge.comparisons.CompareActivations,
        pb.CompareWeightsRequest: edge.comparisons.CompareWeights,
        pb.MatchUnitsRequest: edge.comparisons.MatchUnits,
    }
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ended(methods[type(request)](request))
    got, info, message = told(caught.value)
    assert (got, info.reason, field_of(caught.value)) == (code, reason, field), message


async def test_models_without_common_layers_are_told_what_to_do(models):
    plain = model_of(torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3)), torch.zeros(1, 3, 16, 16))
    async with serving({**models, "plain": plain}) as served:
        request = asked(candidate="plain", layer_globs=["fc"])
        _, _, message = await failure(served.comparisons.CompareActivations(request))
        assert "name pairs, or ask for a map" in message
        request.similarity.map_globs.append("0")
        frames = await ended(served.comparisons.CompareActivations(request))
        assert [f.picture.name for f in frames if f.HasField("picture")] == ["cka"]


async def test_memory_is_reserved_and_refused(models):
    async with serving(models, memory=1 << 20) as served:
        code, info, _ = await failure(served.comparisons.CompareActivations(asked()))
        assert (code, info.reason) == ("RESOURCE_EXHAUSTED", "MEMORY_BUDGET_EXCEEDED")


async def test_the_largest_tolerance_is_drawn_too(edge):
    frames = await ended(edge.comparisons.CompareActivations(asked(tolerance=1e308)))
    assert all(cells(frames, "agrees"))


async def test_a_client_that_leaves_ends_the_work(edge):
    call = edge.comparisons.CompareActivations(asked())
    assert (await call.read()).HasField("table_header")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call.read()
    frames = await ended(edge.comparisons.CompareActivations(asked()))
    assert frames[-1].HasField("result")
