"""ONNX files that read other files, never end, or are far larger inside than outside."""

import os

import numpy as np
import onnxruntime
import pytest
import torch
from hostile import refusal
from onnx import TensorProto, helper

from hooke_server.errors import HookeError, Reason
from hooke_server.models.loaders import LoadContext, load_model
from hooke_server.models.sources import Roots

REFUSED = {Reason.MODEL_INVALID, Reason.MODEL_UNSUPPORTED, Reason.LIMIT_EXCEEDED}
SECRET = np.arange(600, dtype=np.float32)


def value(name, shape=(1, 600), kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes, *, weights=(), functions=(), output="y", shape=(1, 600)):
    graph = helper.make_graph(nodes, "g", [value("x")], [value(output, shape)], list(weights))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=9)


def save(folder, made):
    data = made if isinstance(made, bytes) else made.SerializeToString()
    (folder / "m.onnx").write_bytes(data)


def refused(folder, made):
    save(folder, made)
    error = refusal(folder, "file:m.onnx")
    assert error.reason in REFUSED
    return error


def external(location, offset="0", length="2400"):
    """x + w, where w lies in another file."""
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[600])
    weight.data_location = TensorProto.EXTERNAL
    for key, text in (("location", location), ("offset", offset), ("length", length)):
        if text is not None:
            weight.external_data.add(key=key, value=text)
    return model([helper.make_node("Add", ["x", "w"], ["y"])], weights=[weight])


@pytest.fixture
def root(tmp_path):
    """A model root with weights in it, and a secret beside it."""
    (tmp_path / "secret").write_bytes(SECRET.tobytes())
    root = tmp_path / "root"
    root.mkdir()
    (root / "w.bin").write_bytes(SECRET.tobytes())
    return root


def test_honest_weights_in_another_file(root):
    save(root, external("w.bin"))
    loaded = load_model("file:m.onnx", LoadContext(roots=Roots([root])))
    x = torch.ones(1, 600)
    layer = loaded.output_layer
    np.testing.assert_array_equal(loaded.forward([layer], [x])[layer][0], SECRET + 1)


@pytest.mark.parametrize(
    "location",
    [
        *("../secret", "x/../../secret", "/etc/passwd", "", ".", "w.bin/", "..\\secret"),
        *("*/_ORT_MEM_ADDR_/*", "nothing.bin", "w.bin\0x", "file:///etc/passwd", "~/.profile"),
    ],
)
def test_weights_from_elsewhere(root, location):
    save(root, external(location))
    error = refusal(root, "file:m.onnx")
    assert error.reason in {*REFUSED, Reason.INVALID_FIELD, Reason.SOURCE_NOT_FOUND}


def test_weights_by_an_absolute_path(root):
    save(root, external(str(root.parent / "secret")))
    assert refusal(root, "file:m.onnx").reason in {*REFUSED, Reason.INVALID_FIELD}


@pytest.mark.parametrize("target", ["secret", "/dev/zero"])
def test_weights_through_a_symbolic_link(root, target):
    (root / "link.bin").symlink_to(root.parent / target)
    refused(root, external("link.bin"))


def test_weights_through_a_hard_link(root):
    os.link(root.parent / "secret", root / "link.bin")
    refused(root, external("link.bin"))
    session = onnxruntime.InferenceSession(root / "m.onnx", providers=["CPUExecutionProvider"])
    read = session.run(None, {"x": np.zeros((1, 600), np.float32)})[0]
    np.testing.assert_array_equal(read[0], SECRET)  # the danger is real


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        *(("-4", "2400"), ("4", "2400"), ("0", "2404"), ("0", "1"), ("0", "-1")),
        *(("9" * 30, "4"), ("0", "9" * 30), ("1e3", "4"), ("\u0663", "4"), ("x", "x")),
    ],
)
def test_places_outside_of_the_file(root, offset, length):
    refused(root, external("w.bin", offset, length))


def test_a_weight_larger_than_its_bytes(tmp_path):
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1 << 40], raw_data=b"0" * 16)
    refused(tmp_path, model([helper.make_node("Add", ["x", "w"], ["y"])], weights=[weight]))


@pytest.mark.parametrize("dims", [[-1], [1 << 62, 1 << 62], [1] * 100, [600, 0]])
def test_weights_of_senseless_shapes(tmp_path, dims):
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, raw_data=b"0" * 2400)
    refused(tmp_path, model([helper.make_node("Add", ["x", "w"], ["y"])], weights=[weight]))


def integers(name, *numbers):
    return helper.make_tensor(name, TensorProto.INT64, [len(numbers)], numbers)


@pytest.mark.parametrize(
    ("operator", "sizes"),
    [
        ("ConstantOfShape", [1 << 31]),
        ("ConstantOfShape", [1 << 40, 1 << 40]),
        ("Expand", [1 << 31, 600]),
        ("Tile", [1 << 31, 1]),
    ],
)
def test_values_far_larger_than_the_file(tmp_path, operator, sizes):
    inputs = ["n"] if operator == "ConstantOfShape" else ["x", "n"]
    nodes = [
        helper.make_node(operator, inputs, ["big"]),
        helper.make_node("ReduceSum", ["big"], ["s"], keepdims=0),
        helper.make_node("Add", ["x", "s"], ["y"]),
    ]
    made = model(nodes, weights=[integers("n", *sizes)])
    assert len(made.SerializeToString()) < 400
    refused(tmp_path, made)


def function(name, calls):
    nodes = [
        helper.make_node(called, ["a" if k == 0 else f"t{k}"], [f"t{k + 1}"], domain=domain)
        for k, (called, domain) in enumerate(calls)
    ]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, ["a"], [f"t{len(calls)}"], nodes, opsets)


def test_functions_that_double(tmp_path):
    """2^25 operations in less than two kilobytes."""
    functions = [function("F0", [("Relu", "")])]
    functions += [function(f"F{k}", [(f"F{k - 1}", "own")] * 2) for k in range(1, 26)]
    made = model([helper.make_node("F25", ["x"], ["y"], domain="own")], functions=functions)
    assert len(made.SerializeToString()) < 4000
    assert refused(tmp_path, made).reason is Reason.LIMIT_EXCEEDED


@pytest.mark.parametrize("names", ["A", "AB", "ABC"])
def test_functions_in_a_circle(tmp_path, names):
    functions = [
        function(name, [(names[(k + 1) % len(names)], "own")]) for k, name in enumerate(names)
    ]
    made = model([helper.make_node("A", ["x"], ["y"], domain="own")], functions=functions)
    refused(tmp_path, made)


def test_a_graph_with_a_cycle(tmp_path):
    nodes = [
        helper.make_node("Add", ["x", "b"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    assert refused(tmp_path, model(nodes)).reason is Reason.MODEL_INVALID


def test_a_node_that_reads_itself(tmp_path):
    made = model([helper.make_node("Add", ["x", "y"], ["y"])])
    assert refused(tmp_path, made).reason is Reason.MODEL_INVALID


def test_an_output_that_nothing_computes(tmp_path):
    made = model([helper.make_node("Relu", ["x"], ["z"])])
    assert refused(tmp_path, made).reason is Reason.MODEL_INVALID


def test_a_value_that_is_computed_twice(tmp_path):
    made = model([helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["y"])])
    assert refused(tmp_path, made).reason is Reason.MODEL_INVALID


def test_an_endless_loop(tmp_path):
    body = helper.make_graph(
        [helper.make_node(*pair) for pair in (("Identity", ["c"], ["d"]), ("Neg", ["v"], ["w"]))],
        "body",
        [value("i", (), TensorProto.INT64), value("c", (), TensorProto.BOOL), value("v")],
        [value("d", (), TensorProto.BOOL), value("w")],
    )
    loop = helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)
    assert "Loop" in refused(tmp_path, model([loop], weights=[integers("n", 1 << 62)])).message


def field(number, content):
    """A field of a protobuf message: its number, its length, its bytes."""
    length, head = len(content), bytearray([number << 3 | 2])
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    return bytes([*head, length]) + content


OPSET = field(8, b"\x10\x11")


def test_many_empty_nodes(tmp_path):
    """Two bytes each in the file, and some hundred in memory."""
    error = refused(tmp_path, field(7, b"\x0a\x00" * 400_000) + OPSET)
    assert error.reason is Reason.LIMIT_EXCEEDED


def test_deeply_nested_branches(tmp_path):
    graph = field(1, field(4, b"Neg"))
    for _ in range(64):
        branch = field(1, b"then_branch") + field(6, graph) + b"\xa0\x01\x05"
        graph = field(1, field(4, b"If") + field(5, branch))
    refused(tmp_path, field(7, graph) + OPSET)


def test_many_packed_integers(tmp_path):
    tensor = field(7, bytes(64 << 20)) + field(8, b"w") + b"\x10\x07"
    refused(tmp_path, field(7, field(5, tensor)))


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00", b"not a model", b"\xff" * 100, field(7, b""), field(7, b"\x0a\xff\xff\x7f")],
)
def test_what_is_no_model(tmp_path, data):
    assert refused(tmp_path, data).reason is Reason.MODEL_INVALID


@pytest.mark.parametrize("name", ["NoSuchOperator", "x\x1b[2J", "__import__('os')"])
def test_unknown_operators_are_named_safely(tmp_path, name):
    error = refused(tmp_path, model([helper.make_node(name, ["x"], ["y"])]))
    assert error.reason is Reason.MODEL_UNSUPPORTED
    assert error.message.isprintable()


def test_names_do_not_become_code(tmp_path):
    """A graph's input is no name of a Python argument."""
    mark = tmp_path / "mark"
    name = f"x=__import__('os').system('touch {mark}')"
    made = model([helper.make_node("Relu", ["x"], ["y"])])
    made.graph.input[0].name = made.graph.node[0].input[0] = name
    save(tmp_path, made)
    try:
        load_model("file:m.onnx", LoadContext(roots=Roots([tmp_path])))
    except HookeError as error:
        assert error.reason in REFUSED  # noqa: PT017  # to refuse it is as good
    assert not mark.exists()


def test_cut_and_damaged_files(tmp_path):
    weight = helper.make_tensor("w", TensorProto.FLOAT, [600], SECRET.tobytes(), raw=True)
    nodes = [helper.make_node("Add", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])]
    data = model(nodes, weights=[weight]).SerializeToString()
    head = [k for k in range(len(data)) if not 100 < k < 2450]
    refused_count = 0
    for position in head[::7]:
        changed = bytearray(data)
        changed[position] ^= 0x15
        for made in (bytes(changed), data[:position]):
            save(tmp_path, made)
            try:
                load_model("file:m.onnx", LoadContext(roots=Roots([tmp_path])))
            except HookeError:
                refused_count += 1
    assert refused_count > len(head[::7])
