"""Comparisons with an edited candidate through a real server, and edits that are refused."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from activation_streams import X, by_hooks, message
from editing_calls import ABLATE, HALVE, OTHER, eager, edit, patch, value
from serving import Net, ended, failure, model_of, serving
from test_comparison_service import cells
from test_edited_calls import ALL, CASES
from test_hostile_readouts import refused_field
from test_refused_edits import BEYOND, WRONG, _Runtime

from hooke.v1 import comparison_service_pb2 as pb
from hooke.v1 import input_pb2

KINDS = {"CompareActivations": pb.CompareActivationsRequest, "MatchUnits": pb.MatchUnitsRequest}


def asked(*edits, kind="CompareActivations", reference="net", candidate="net", x=X, **fields):
    if kind == "MatchUnits":
        fields.setdefault("layer_id", "block")
    return KINDS[kind](
        reference=f"models/{reference}",
        candidate=f"models/{candidate}",
        inputs=[input_pb2.ModelInput(tensor=message(x))],
        candidate_edits=edits,
        **fields,
    )


async def compared(edge, *edits, **options):
    """Rows by layer, the first finding, the result."""
    request = asked(*edits, **options)
    frames = await ended(edge.comparisons.CompareActivations(request))
    names = ("layer", "max_error", "mean_error", "relative_error", "agrees")
    columns = [cells(frames, name) for name in names]
    rows = {row[0]: dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)}
    findings = [frame.finding for frame in frames if frame.HasField("finding")]
    return rows, {each.kind: each for each in findings}, frames[-1].result


@pytest.mark.parametrize("name", CASES)
async def test_every_kind_of_edit_differs_by_what_hooks_make_of_it(edge, name):
    wanted, change = CASES[name]
    rows, found, result = await compared(edge, wanted)
    plain = by_hooks(["stem", "fc"], X)
    for layer, after in (("stem", change(plain["stem"].clone())), ("fc", eager("stem", change))):
        delta = (after.double() - plain[layer].double()).abs()
        assert rows[layer]["max_error"] == pytest.approx(delta.max().item(), rel=1e-6)
        assert rows[layer]["mean_error"] == pytest.approx(delta.mean().item(), rel=1e-6)
    assert rows["x"]["max_error"] == 0
    first = found["first_divergence"]
    assert [each.layer for each in first.locations] == ["models/net/layers/stem"] * 2
    [told] = json.loads(result.provenance.edits_json)
    assert (told["model"], told["layer"]) == ("net", "stem")


async def test_nothing_before_the_edited_layer_differs_at_all(edge, net):
    rows, _, _ = await compared(edge, edit("block.conv", units=[3], **ABLATE))
    order = list(net.layers)
    before = order[: order.index("block.conv")]
    assert len(before) >= 3
    assert all(rows[layer]["max_error"] == 0 for layer in before)
    assert all(rows[layer]["max_error"] > 0 for layer in order[len(before) :])


async def test_without_edits_and_with_idle_ones_nothing_differs(edge):
    for edits in ([], [edit(scaling={"factor": 1.0})], [edit(**patch(X))]):
        rows, found, result = await compared(edge, *edits)
        assert all(row["max_error"] == 0 for row in rows.values())
        assert "first_divergence" not in found
        assert bool(result.provenance.edits_json) == bool(edits) == ("effect" in found)


async def test_both_may_be_other_models(net):
    """The candidate is edited, not the reference, whichever layers both have."""
    torch.manual_seed(0)
    network = Net().eval()
    halved = copy.deepcopy(network)
    with torch.no_grad():
        halved.stem.weight *= 0.5
        halved.stem.bias *= 0.5
    example = torch.zeros(1, 3, 16, 16)
    models = {"net": model_of(network, example), "half": model_of(halved, example)}
    async with serving(models) as served:
        twice = {"scaling": {"factor": 2.0}}
        rows, _, _ = await compared(served, edit(model="half", **twice), candidate="half")
        assert all(row["max_error"] == 0 for row in rows.values())
        rows, _, _ = await compared(
            served, edit(model="net", **HALVE), reference="half", candidate="net"
        )
        assert all(row["max_error"] == 0 for row in rows.values())
        request = asked(edit(model="net", **HALVE), candidate="half")
        call = served.comparisons.CompareActivations(request)
        assert await refused_field(call) == "candidate_edits[0].location.layer"


async def test_digests_tell_edits_apart(edge):
    wanted = [(), (edit(**HALVE),), (edit(units=[1], **HALVE),), (edit(**patch(OTHER)),)]
    wanted.append((edit(**patch(OTHER.flip(0))),))
    results = [(await compared(edge, *edits))[2] for edits in wanted]
    assert len({each.plan_digest for each in results}) == len(wanted)
    again = (await compared(edge, *wanted[3]))[2]
    assert again.plan_digest == results[3].plan_digest
    digests = {each.digest for result in results for each in result.provenance.models}
    assert len(digests) == 1


async def test_units_of_an_edited_model(edge):
    """A unit with its sign turned correlates by -1, one that is silent with nothing."""
    edits = [
        edit("block", units=[1], scaling={"factor": -1.0}),
        edit("block", units=[4], **ABLATE),
    ]
    request = asked(*edits, kind="MatchUnits", include_correlations=True)
    frames = await ended(edge.comparisons.MatchUnits(request))
    data = b"".join(f.tensor_chunk.data for f in frames if f.HasField("tensor_chunk"))
    matrix = np.frombuffer(data, "f4").reshape(6, 6)
    block = by_hooks(["block"], X)["block"].double().movedim(1, -1).flatten(0, -2).numpy()
    signs = np.array([1, -1, 1, 1, np.nan, 1])
    expected = np.corrcoef(block.T) * signs
    np.testing.assert_allclose(matrix, expected, atol=1e-5)
    assert len(json.loads(frames[-1].result.provenance.edits_json)) == 2


@pytest.mark.parametrize("kind", KINDS)
async def test_an_estimate_counts_what_edits_need(edge, net, kind):
    async def estimate(*edits):
        request = asked(*edits, kind=kind, validate_only=True)
        [frame] = await ended(getattr(edge.comparisons, kind)(request))
        return frame.result.estimate

    plain, patched = await estimate(), await estimate(edit(**patch(OTHER)))
    assert patched.memory_bytes - plain.memory_bytes >= 2 * 6 * 8 * 8 * 4
    assert patched.macs - plain.macs == 2 * net.layers["stem"].macs
    given = await estimate(edit(**value(torch.ones(2, 6, 8, 8))))
    assert given.memory_bytes - plain.memory_bytes >= 2 * 6 * 8 * 8 * 4


async def test_a_sample_beyond_the_batch(edge):
    for kind in KINDS:
        request = asked(edit(samples=[2], **ABLATE), kind=kind)
        code, info, told = await failure(getattr(edge.comparisons, kind)(request))
        assert (code, info.reason) == ("OUT_OF_RANGE", "POSITION_OUT_OF_RANGE")
        assert "samples 0 to 1" in told


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", WRONG)
async def test_what_is_refused(edge, kind, name):
    wrong, field = WRONG[name]
    request = asked(edit(**HALVE), wrong, kind=kind, validate_only=True)
    call = getattr(edge.comparisons, kind)(request)
    assert await refused_field(call) == f"candidate_edits[1].{field}"


@pytest.mark.parametrize("reason", BEYOND)
async def test_what_does_not_exist(edge, reason):
    for kind in KINDS:
        call = getattr(edge.comparisons, kind)(asked(BEYOND[reason], kind=kind))
        _, info, _ = await failure(call)
        assert info.reason == reason


async def test_no_more_edits_than_a_call_may_have(edge):
    request = asked(*[edit(**HALVE)] * 257)
    assert await refused_field(edge.comparisons.CompareActivations(request)) == "candidate_edits"


class _Rounded(_Runtime):
    """Another engine, which does not compute quite the same."""

    def run(self, layers, inputs):
        return {name: v * (1 + 1e-6) for name, v in super().run(layers, inputs).items()}


async def test_with_edits_graphs_compute_both_sides_or_the_candidate_is_refused(net):
    """So that the rounding of another runtime does not look like an effect."""
    fast = replace(net, runtime=_Rounded(net), parity_error=1e-6)
    opaque = replace(net, graph=None, runtime=_Runtime(net), obstacle="it has secrets")
    async with serving({"net": net, "fast": fast, "opaque": opaque}) as served:
        silent = {"candidate": "fast", "reference": "fast"}
        rows, _, result = await compared(served, edit("block", "fast", **ABLATE), **silent)
        assert rows["stem"]["max_error"] == 0 < rows["fc"]["max_error"]
        assert "onnxruntime" not in result.provenance.versions
        assert result.provenance.models[0].parity_error == pytest.approx(1e-6)
        rows, _, result = await compared(served, reference="net", candidate="fast")
        assert rows["stem"]["max_error"] > 0
        assert "onnxruntime" in result.provenance.versions
        rows, _, _ = await compared(served, edit("block", **ABLATE), reference="opaque")
        assert rows["stem"]["max_error"] == 0 < rows["fc"]["max_error"]
        request = asked(edit("block", "opaque", **ABLATE), candidate="opaque")
        code, info, told = await failure(served.comparisons.CompareActivations(request))
        assert (code, info.reason) == ("FAILED_PRECONDITION", "MODEL_UNSUPPORTED")
        assert "it has secrets" in told


async def test_an_edit_is_for_its_call_alone(edge):
    rows, _, _ = await compared(edge, edit(**ABLATE))
    assert rows["stem"]["relative_error"] == 1
    rows, _, _ = await compared(edge)
    assert all(row["max_error"] == 0 for row in rows.values())
    rows, _, _ = await compared(edge, edit("block", positions=[{"indices": [0, 0]}], **ABLATE))
    plain = by_hooks(["block"], X)["block"]
    assert rows["block"]["max_error"] == pytest.approx(plain[ALL, ALL, 0, 0].abs().max().item())
