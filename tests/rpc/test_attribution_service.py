"""Attributions through a real server: frames, errors, cancelling, and many clients at once."""

import asyncio

import numpy as np
import pytest
from serving import ended, failure

from hooke.v1 import attribution_service_pb2 as pb
from hooke.v1 import frame_pb2, image_pb2
from hooke_server.techniques.technique import TechniqueKind, all_techniques

METHODS = {
    "saliency": {},
    "input_x_gradient": {},
    "integrated_gradients": {"steps": 8},
    "smooth_grad": {"samples": 8},
    "gradient_shap": {"samples": 8},
    "guided_backpropagation": {},
    "deconvolution": {},
    "deep_lift": {},
    "relevance_propagation": {},
    "grad_cam": {},
    "ablation_cam": {},
    "feature_ablation": {},
    "occlusion": {},
    "rise": {"masks": 16},
    "kernel_shap": {"samples": 200},
    "causal_tracing": {"part": "TRACED_PART_UNIT"},
}
"""Of every family; each with little to do."""

PLACES = {"causal_tracing": ["block"]}


def sample(seed=0, count=1):
    return np.random.default_rng(seed).normal(size=(count, 3, 16, 16)).astype(np.float32)


def wanted(*methods, inputs=None, **options):
    """A request of the methods by name."""
    value = sample() if inputs is None else inputs
    tensor = {"dtype": "DATA_TYPE_FP32", "shape": value.shape, "data": value.tobytes()}
    chosen = [
        {name: METHODS.get(name, {}), "layer_globs": PLACES.get(name, [])} for name in methods
    ]
    options = {"methods": chosen} | options
    return pb.AttributeRequest(model="models/net", inputs=[{"tensor": tensor}], **options)


def unit(number, layer="fc"):
    return {"location": {"layer": f"models/net/layers/{layer}", "unit": number}}


async def tensors(edge, request):
    """The arrays of an answer, by name and number of the method."""
    found, headers = {}, {}
    for frame in await ended(edge.attributions.Attribute(request)):
        match frame.WhichOneof("content"):
            case "tensor_header":
                header = frame.tensor_header
                headers[header.tensor_id] = header
                found[header.item, header.name] = b""
            case "tensor_chunk":
                header = headers[frame.tensor_chunk.tensor_id]
                found[header.item, header.name] += frame.tensor_chunk.data
    return {
        (header.item, header.name): np.frombuffer(
            found[header.item, header.name], np.float32
        ).reshape(header.shape)
        for header in headers.values()
    }


async def test_frames_come_in_order(edge):
    request = wanted("saliency", "integrated_gradients", targets=[unit(1), unit(3)])
    frames = await ended(edge.attributions.Attribute(request))
    assert [frame.sequence for frame in frames] == list(range(1, len(frames) + 1))
    kinds = [frame.WhichOneof("content") for frame in frames]
    assert kinds[:2] == ["table_header", "table_rows"]
    assert kinds[-1] == "result"
    headers = [frame.tensor_header for frame in frames if frame.HasField("tensor_header")]
    assert [(each.item, each.name) for each in headers] == [
        (0, "saliency"),
        (1, "integrated_gradients"),
    ]
    assert list(headers[0].shape) == [2, 1, 3, 16, 16]
    assert list(headers[0].axes[:2]) == ["target", "batch"]
    assert headers[0].layer == "models/net/layers/x"
    pictures = [f.picture for f in frames if f.HasField("picture")]
    assert {each.name for each in pictures} == {"overlay"}
    assert {each.target for each in pictures} == {0, 1}
    assert all(each.role == image_pb2.PICTURE_ROLE_FINAL for each in pictures)
    result = frames[-1].result
    assert result.tensor_count == 2
    assert result.picture_count == 4
    assert result.provenance.technique == "saliency,integrated_gradients"


async def test_methods_that_share_a_request_answer_as_alone(edge):
    names = ("saliency", "input_x_gradient", "grad_cam")
    together = await tensors(edge, wanted(*names, targets=[unit(2)], include_pictures=False))
    for index, name in enumerate(names):
        alone = await tensors(edge, wanted(name, targets=[unit(2)], include_pictures=False))
        assert np.array_equal(together[index, name], alone[0, name])


async def test_sixteen_clients_with_mixed_methods_get_the_serial_answers(edge):
    """On one shared model; bit for bit, since attributions share no passes."""
    requests = [
        wanted(
            name,
            inputs=sample(number, count=1 + number % 2),
            targets=[unit(number % 5)],
            seed=number,
            include_pictures=False,
        )
        for number, name in enumerate(METHODS)
    ]
    assert len(requests) == 16
    serial = [await tensors(edge, request) for request in requests]
    for _ in range(2):
        at_once = await asyncio.gather(*(tensors(edge, request) for request in requests))
        for name, one, other in zip(METHODS, serial, at_once, strict=True):
            assert one.keys() == other.keys()
            for key in one:
                assert np.array_equal(one[key], other[key]), name


async def test_the_comparison_can_fail(edge):
    one, other = [
        await tensors(edge, wanted("smooth_grad", targets=[unit(1)], seed=seed)) for seed in (1, 2)
    ]
    assert not np.array_equal(one[0, "smooth_grad"], other[0, "smooth_grad"])


async def test_edits_change_what_is_explained(edge):
    plain, cut = [
        await tensors(edge, wanted("saliency", targets=[unit(1)], edits=edits))
        for edits in ([], [{"location": unit(0, "stem")["location"], "ablation": {}}])
    ]
    assert not np.allclose(plain[0, "saliency"], cut[0, "saliency"])
    whole = {"location": {"layer": "models/net/layers/stem"}, "ablation": {}}
    nothing = await tensors(edge, wanted("saliency", targets=[unit(1)], edits=[whole]))
    assert not nothing[0, "saliency"].any()


async def test_validation_tells_the_cost_and_computes_nothing(edge):
    frames = await ended(
        edge.attributions.Attribute(wanted("integrated_gradients", validate_only=True))
    )
    [frame] = frames
    assert frame.result.outcome == frame_pb2.OUTCOME_VALIDATED
    estimate = frame.result.estimate
    assert estimate.memory_bytes > 0
    assert estimate.macs > 0
    assert estimate.tensor_bytes == sample().nbytes
    assert estimate.batch_size >= 1


async def test_leaving_ends_the_work(edge):
    call = edge.attributions.Attribute(wanted("smooth_grad", methods=[
        {"smooth_grad": {"samples": 10_000}}
    ]))  # fmt: skip
    async for frame in call:
        if frame.HasField("progress"):
            break
    call.cancel()
    again = await asyncio.wait_for(tensors(edge, wanted("saliency")), 20)
    assert (0, "saliency") in again


FAILURES = [
    (wanted(), "INVALID_ARGUMENT", "INVALID_FIELD", "at least one method"),
    (wanted("saliency", methods=[{}]), "INVALID_ARGUMENT", "INVALID_FIELD", "choose a technique"),
    (
        wanted("saliency", targets=[{}]),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        "name a location, units or an objective",
    ),
    (
        wanted("saliency", targets=[unit(99)]),
        "OUT_OF_RANGE",
        "UNIT_OUT_OF_RANGE",
        "units 0 to 4, not 99",
    ),
    (
        wanted("saliency", targets=[unit(1, "nowhere")]),
        "NOT_FOUND",
        "LAYER_NOT_FOUND",
        "nowhere",
    ),
    (
        wanted(methods=[{"saliency": {}, "layer_globs": ["fc"]}]),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        "not computed from 'fc'",
    ),
    (
        wanted(methods=[{"conductance": {}, "layer_globs": ["x"]}]),
        "FAILED_PRECONDITION",
        "TECHNIQUE_NOT_APPLICABLE",
        "looks at layers",
    ),
    (
        wanted(methods=[{"integrated_gradients": {"steps": 0}}]),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        "between 1 and 2000",
    ),
    (
        wanted(
            methods=[{"integrated_gradients": {"baselines": [{"constant_baseline": {"value": 2}}]}}]
        ),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        "between 0 and 1",
    ),
    (
        wanted("saliency", evidence={"measures": ["EVIDENCE_MEASURE_POINTING"]}),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        "needs the region",
    ),
    (
        wanted("saliency", include_tensors=False, include_pictures=False),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        "nothing to send",
    ),
    (
        wanted("saliency", include_tensors=False, inputs=sample(count=205), targets=[unit(1)] * 5),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        "1025 pictures",
    ),
    (
        wanted("saliency", drawings=[77]),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        "OVERLAY",
    ),
    (
        wanted("saliency", inputs=np.full((1, 3, 16, 16), np.nan, np.float32)),
        "INVALID_ARGUMENT",
        "INPUT_NOT_FINITE",
        "NaN",
    ),
    (
        wanted("saliency", inputs=sample()[:, :2]),
        "INVALID_ARGUMENT",
        "INPUT_MISMATCH",
        "must be float32",
    ),
]


@pytest.mark.parametrize(("request_", "code", "reason", "said"), FAILURES)
async def test_failures(edge, request_, code, reason, said):
    got, info, message = await failure(edge.attributions.Attribute(request_))
    assert (got, info.reason) == (code, reason)
    assert said in message
    assert (0, "saliency") in await tensors(edge, wanted("saliency"))  # it still serves


async def test_evidence_or_a_table_may_come_alone(edge):
    alone = {"include_tensors": False, "include_pictures": False}
    measured = wanted("saliency", evidence={"measures": ["EVIDENCE_MEASURE_COMPLETENESS"]}, **alone)
    for request in (measured, wanted("causal_tracing", **alone)):
        frames = await ended(edge.attributions.Attribute(request))
        assert frames[-1].HasField("result")
        assert not any(each.HasField("tensor_header") for each in frames)
    [told] = await ended(
        edge.attributions.Attribute(wanted("saliency", validate_only=True, **alone))
    )
    assert told.result.estimate.macs > 0


async def test_another_models_place_is_refused(edge):
    place = {"location": {"layer": "models/other/layers/fc", "unit": 1}}
    request = wanted("saliency", targets=[place])
    code, info, message = await failure(edge.attributions.Attribute(request))
    assert (code, info.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert "lie in 'models/net'" in message


def test_every_family_is_among_the_mixed_methods():
    known = {
        name for name, each in all_techniques().items() if each.kind is TechniqueKind.ATTRIBUTION
    }
    assert METHODS.keys() <= known
