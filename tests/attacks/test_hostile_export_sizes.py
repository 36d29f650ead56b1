"""`.pt2` archives whose programs and weights ask for too much."""

import json
import os
from pathlib import Path

import pytest
from export_archives import WEIGHTS, program_of, write, written
from hostile import refusal

from hooke_server.errors import Reason
from hooke_server.models.limits import Limits

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def tensor(name):
    return {"as_tensor": {"name": name}}


def node(target, args, output, stack=""):
    inputs = [{"name": "", "arg": arg, "kind": 1} for arg in args]
    metadata = {"nn_module_stack": stack}
    return {"target": target, "inputs": inputs, "outputs": [output], "metadata": metadata}


def extended(exported, nodes):
    """The program with more operations at its end, whose values nobody reads."""
    program = program_of(exported)
    program["graph_module"]["graph"]["nodes"] += nodes
    return program


def zeros(sizes):
    args = [{"as_ints": sizes}]
    return node("torch.ops.aten.zeros.default", args, tensor("big"))


def doublings():
    """32 values, each the one before twice in a row."""
    for k in range(32):
        pair = {"as_tensors": [{"name": f"d{k - 1}" if k else "x"}] * 2}
        yield node("torch.ops.aten.cat.default", [pair], tensor(f"d{k}"))


def squares():
    """A number squared again and again: after 40 times it has 2^40 digits."""
    size = {"as_sym_int": {"as_name": "s0"}}
    yield node("torch.ops.aten.sym_size.int", [tensor("x"), {"as_int": 3}], size)
    for k in range(40):
        before = {"as_sym_int": {"as_name": f"s{k}"}}
        after = {"as_sym_int": {"as_name": f"s{k + 1}"}}
        yield node("_operator.mul", [before, before], after)


def slices():
    """A long axis taken apart into as many tensors."""
    yield node("torch.ops.aten.zeros.default", [{"as_ints": [1 << 26]}], tensor("long"))
    pieces = {"as_tensors": [{"name": "a"}]}
    yield node("torch.ops.aten.unbind.int", [tensor("long")], pieces)


def recurrence():
    yield node("torch.ops.aten.zeros.default", [{"as_ints": [1 << 20, 1, 1]}], tensor("t"))
    args = [tensor("t"), tensor("t"), {"as_tensors": []}, {"as_bool": True}]
    yield node("torch.ops.aten.gru.input", args, {"as_tensor": {"name": "g"}})


@pytest.mark.parametrize(
    "nodes",
    [
        [zeros([1 << 40])],
        [zeros([1 << 31, 1 << 31, 1 << 31])],
        [zeros([1 << 70])],
        [zeros([-1])],
        list(doublings()),
        list(squares()),
        list(slices()),
        list(recurrence()),
    ],
    ids=["zeros", "overflow", "huge", "negative", "doublings", "squares", "slices", "recurrence"],
)
def test_values_are_bounded_before_they_are_computed(tmp_path, exported, nodes):
    written(tmp_path, exported, extended(exported, nodes))
    error = refusal(tmp_path, "file:m.pt2")
    assert error.reason in {Reason.LIMIT_EXCEEDED, Reason.MODEL_UNSUPPORTED, Reason.MODEL_INVALID}


def test_operations_are_counted(tmp_path, exported):
    args = [tensor("x")]
    nodes = [node("torch.ops.aten.relu.default", args, tensor(f"r{k}")) for k in range(300)]
    written(tmp_path, exported, extended(exported, nodes))
    error = refusal(tmp_path, "file:m.pt2", limits=Limits(entries=200))
    assert error.reason is Reason.LIMIT_EXCEEDED
    assert "302 operations" in error.message


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("path_name",), "../../../etc/passwd"),
        (("path_name",), "weight_99"),
        (("path_name",), 7),
        (("use_pickle",), 0),
        (("tensor_meta", "dtype"), 99),
        (("tensor_meta", "dtype"), 8),
        (("tensor_meta", "layout"), 1),
        (("tensor_meta", "sizes", 0), {"as_int": 1 << 40}),
        (("tensor_meta", "sizes", 0), {"as_int": -1}),
        (("tensor_meta", "sizes", 0), {"as_expr": {"expr_str": "1"}}),
        (("tensor_meta", "strides", 0), {"as_int": 1 << 61}),
        (("tensor_meta", "storage_offset"), {"as_int": 1}),
        (("tensor_meta", "storage_offset"), {"as_int": -1}),
    ],
)
def test_weights_stay_inside_their_bytes(tmp_path, exported, path, value):
    config = json.loads(exported[WEIGHTS])
    target = config["config"]["conv.weight"]
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    write(tmp_path / "m.pt2", exported | {WEIGHTS: json.dumps(config).encode()})
    assert refusal(tmp_path, "file:m.pt2").reason is Reason.MODEL_INVALID


@pytest.mark.parametrize("dtype", [4, 12])
def test_weights_of_a_type_that_does_not_fit(tmp_path, exported, dtype):
    config = json.loads(exported[WEIGHTS])
    config["config"]["conv.bias"]["tensor_meta"]["dtype"] = dtype
    write(tmp_path / "m.pt2", exported | {WEIGHTS: json.dumps(config).encode()})
    assert refusal(tmp_path, "file:m.pt2").reason is Reason.MODEL_UNSUPPORTED


def test_memory_returns(tmp_path, exported):
    """Refusals leave nothing behind: fifty of them, with 4 MB of weights each."""
    big = {f"data/weights/weight_{k}": bytes(1 << 20) for k in range(2, 6)}
    written(tmp_path, exported | big, extended(exported, [zeros([1 << 40])]))

    def resident():
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    refusal(tmp_path, "file:m.pt2")
    before = resident()
    for _ in range(50):
        refusal(tmp_path, "file:m.pt2")
    assert resident() - before < 64 << 20
