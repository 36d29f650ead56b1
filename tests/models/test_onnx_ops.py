"""Each operator against the node tests of the onnx package, an oracle of its own (numpy)."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from hooke_server.errors import FailedPreconditionError
from hooke_server.models import onnx_ops
from hooke_server.models.onnx_ops.table import DTYPES

RTOL, ATOL = 1e-3, 1e-4

# Element types torch has no kernels for.
NO_KERNELS = {
    onnx.TensorProto.UINT16,
    onnx.TensorProto.UINT32,
    onnx.TensorProto.UINT64,
}
EXCEPTIONS = {
    # Node tests an operator fails on purpose, and why.
    "test_col2im_5d": "torch folds over two axes only",
    "test_roialign_mode_max": "torch has no RoiAlign of maxima",
}


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    values = {}
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, onnx.TensorProto):
            value = torch.from_numpy(numpy_helper.to_array(value).copy())
        elif isinstance(value, bytes):
            value = value.decode()
        values[attribute.name] = value
    return values


def element_types(model: onnx.ModelProto) -> set[int]:
    values = [*model.graph.input, *model.graph.output]
    return {value.type.tensor_type.elem_type for value in values}


def relevant(case: Any) -> bool:
    """By rule: no functions spelt out, training, strings, sequences, graphs, types torch lacks."""
    if (
        "_expanded" in case.name
        or "training_dropout" in case.name
        or len(case.model.graph.node) != 1
    ):
        return False
    node = case.model.graph.node[0]
    if node.domain or any(a.type == onnx.AttributeProto.GRAPH for a in node.attribute):
        return False
    if any(
        value.type.WhichOneof("value") != "tensor_type"
        for value in [*case.model.graph.input, *case.model.graph.output]
    ):
        return False
    types = element_types(case.model)
    if types - DTYPES.keys() or types & NO_KERNELS:
        return False
    casts = {a.i for a in node.attribute if node.op_type == "Cast" and a.name == "to"}
    return not casts - DTYPES.keys()


@functools.cache
def cases() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of making expected values: overflows, division by 0
        from onnx.backend.test.case.node import collect_testcases

        found = collect_testcases(None)
    return {case.name: case for case in found if relevant(case)}


def torch_of(value: Any) -> torch.Tensor:
    array = numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value
    array = np.array(array)
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def answer(case: Any, given: list[Any]) -> dict[str, torch.Tensor]:
    node = case.model.graph.node[0]
    opset = next(o.version for o in case.model.opset_import if o.domain == "")
    values = dict(zip((i.name for i in case.model.graph.input), map(torch_of, given), strict=True))
    operator = onnx_ops.operators[node.op_type]
    context = {"opset": opset, "outputs": len(node.output)}
    result = onnx_ops.find(node.op_type)(
        *(values[name] if name else None for name in node.input),
        **attributes(node),
        **{key: context[key] for key in operator.context},
    )
    results = (result,) if isinstance(result, torch.Tensor) else result
    return dict(zip(node.output, results, strict=True))


def complaint(case: Any) -> str:
    """What is wrong with the operator's answers, empty if nothing."""
    for given, expected in case.data_sets:
        try:
            results = answer(case, given)
        except Exception as error:  # all failures of an operator are shown together
            return f"{type(error).__name__}: {error}"
        for value, want in zip(case.model.graph.output, map(torch_of, expected), strict=True):
            try:
                torch.testing.assert_close(
                    results[value.name], want, rtol=RTOL, atol=ATOL, equal_nan=True
                )
            except AssertionError as error:
                return f"{value.name}: {error}"
    return ""


@pytest.mark.parametrize("op_type", sorted(onnx_ops.supported()))
def test_operator_agrees_with_the_node_tests(op_type: str) -> None:
    mine = [case for case in cases().values() if case.model.graph.node[0].op_type == op_type]
    faults = {case.name: complaint(case) for case in mine}
    wrong = {name: fault for name, fault in faults.items() if fault and name not in EXCEPTIONS}
    assert not wrong, "\n\n".join(f"{name}\n{fault}" for name, fault in wrong.items())
    cured = {name for name, fault in faults.items() if not fault and name in EXCEPTIONS}
    assert not cured, f"no exceptions any more: {sorted(cured)}"


def test_every_operator_is_tested() -> None:
    tested = {case.model.graph.node[0].op_type for case in cases().values()}
    untested = onnx_ops.supported() - tested
    assert untested == {"GlobalLpPool"}  # the onnx package has no node test of it
    assert len(onnx_ops.supported()) >= 120


def gradient(op_type: str, x: torch.Tensor, *more: torch.Tensor, **attributes: Any) -> list[float]:
    x = x.clone().requires_grad_()
    result = onnx_ops.find(op_type)(x, *more, **attributes)
    assert isinstance(result, torch.Tensor)
    result.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    return x.grad.reshape(-1).tolist()


def test_clip_lets_no_gradient_through_at_its_bounds() -> None:
    x = torch.tensor([-1.0, 0.0, 3.0, 6.0, 7.0])
    bounds = torch.tensor(0.0), torch.tensor(6.0)
    assert gradient("Clip", x, *bounds) == [0, 0, 1, 0, 0]
    assert gradient("Clip", x, min=0.0, max=6.0) == [0, 0, 1, 0, 0]
    assert gradient("Clip", x, bounds[0]) == [0, 0, 1, 1, 1]


@pytest.mark.parametrize("op_type", ["ReduceL2", "LpNormalization"])
def test_norms_of_nothing_have_finite_gradients(op_type: str) -> None:
    assert np.isfinite(gradient(op_type, torch.zeros(1, 3))).all()
    value = onnx_ops.find(op_type)(torch.zeros(1, 3))
    assert isinstance(value, torch.Tensor)
    assert value.count_nonzero() == 0


def test_reduce_max_shares_the_gradient_of_ties() -> None:
    assert gradient("ReduceMax", torch.tensor([[1.0, 2.0, 2.0]])) == [0, 0.5, 0.5]


def test_operators_change_no_input() -> None:
    for case in cases().values():
        if case.model.graph.node[0].op_type not in onnx_ops.supported():
            continue
        given = [torch_of(value) for value in case.data_sets[0][0]]
        before = [tensor.clone() for tensor in given]
        complaint(case)
        for tensor, copy in zip(given, before, strict=True):
            assert torch.equal(tensor.nan_to_num(), copy.nan_to_num()), case.name


def test_an_unknown_operator_is_named_with_the_nearest() -> None:
    with pytest.raises(FailedPreconditionError, match=r"'Convv'.*nearest are .*Conv"):
        onnx_ops.find("Convv")
