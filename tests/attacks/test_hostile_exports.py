"""`.pt2` archives that run code in `torch.export.load`, and programs that ask for too much."""

import json
import os
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hostile import Network, Touch, members, refusal, write_archive
from torch import fx

from hooke_server.errors import Reason
from hooke_server.models.limits import Limits
from hooke_server.models.loaders import LoadContext, load_model
from hooke_server.models.sources import Roots

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")

PROGRAM = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """The members of an honest archive."""
    path = tmp_path_factory.mktemp("export") / "model.pt2"
    batch = ({0: torch.export.Dim.DYNAMIC},)
    program = torch.export.export(Network(), (torch.zeros(2, 1, 8, 8),), dynamic_shapes=batch)
    torch.export.save(program, path)
    return {name.partition("/")[2]: data for name, data in members(path).items()}


def write(path, contents, **options):
    return write_archive(path, {f"m/{name}": data for name, data in contents.items()}, **options)


def program_of(exported):
    return json.loads(exported[PROGRAM])


def written(folder, exported, program):
    """An archive with another program."""
    return write(folder / "m.pt2", exported | {PROGRAM: json.dumps(program).encode()})


def loaded(folder):
    return load_model("file:m.pt2", LoadContext(roots=Roots([folder])))


def runs_in_torch(path, mark):
    """Whether torch's own loader runs the payload; it may fail afterwards."""
    with suppress(Exception):
        torch.export.load(path)
    return mark.exists()


def test_an_honest_archive_loads(tmp_path, exported):
    write(tmp_path / "m.pt2", exported)
    model = loaded(tmp_path)
    assert list(model.layers) == ["x", "conv", "relu"]


def test_sample_inputs_are_not_read(tmp_path, exported):
    mark = tmp_path / "mark"
    torch.save(Touch(mark), tmp_path / "sample.pt")
    name = next(name for name in exported if "sample_inputs" in name)
    sample = (tmp_path / "sample.pt").read_bytes()
    path = write(tmp_path / "m.pt2", exported | {name: sample})
    assert loaded(tmp_path).layers
    assert not mark.exists()
    assert runs_in_torch(path, mark), "or nothing was tested"


def test_pickled_weights_are_refused(tmp_path, exported):
    mark = tmp_path / "mark"
    torch.save(Touch(mark), tmp_path / "weight.pt")
    config = json.loads(exported[WEIGHTS])
    entry = next(iter(config["config"].values()))
    entry["use_pickle"] = True
    payload = (tmp_path / "weight.pt").read_bytes()
    changes = {WEIGHTS: json.dumps(config).encode(), f"data/weights/{entry['path_name']}": payload}
    path = write(tmp_path / "m.pt2", exported | changes)
    assert refusal(tmp_path, "file:m.pt2").reason is Reason.MODEL_INVALID
    assert not mark.exists()
    assert runs_in_torch(path, mark), "or nothing was tested"


def test_pickled_constants_are_refused(tmp_path, exported):
    mark = tmp_path / "mark"
    entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True}
    config = {"config": {"c": entry | {"tensor_meta": None}}}
    payload = pickle.dumps(Touch(mark), protocol=2)
    changes = {CONSTANTS: json.dumps(config).encode(), "data/constants/opaque_obj_0": payload}
    path = write(tmp_path / "m.pt2", exported | changes)
    assert refusal(tmp_path, "file:m.pt2").reason is Reason.MODEL_INVALID
    assert not mark.exists()
    assert runs_in_torch(path, mark), "or nothing was tested"


def test_expressions_are_not_evaluated(tmp_path, exported):
    mark = tmp_path / "mark"
    program = program_of(exported)
    code = f"__import__('os').system('touch {mark}')"
    for value in program["graph_module"]["graph"]["tensor_values"].values():
        for size in value["sizes"]:
            if "as_expr" in size:
                size["as_expr"]["expr_str"] = code
    program["guards_code"] = [code]
    path = written(tmp_path, exported, program)
    assert loaded(tmp_path).layers
    assert not mark.exists()
    assert runs_in_torch(path, mark), "or nothing was tested"


def test_compiled_code_is_not_loaded(tmp_path, exported):
    extra = {
        "data/aotinductor/model/x.wrapper.so": b"\x7fELF",
        "data/aotinductor/model/x.wrapper_metadata.json": b"{}",
    }
    write(tmp_path / "m.pt2", exported | extra)
    assert loaded(tmp_path).layers
    assert "wrapper.so" not in Path("/proc/self/maps").read_text(encoding="ascii")


@pytest.mark.parametrize(
    "target",
    [
        *("torch.os.system", "os.system", "builtins.eval", "_operator.call", "_operator.pow"),
        *("torch.ops.aten.from_file.default", "torch.ops.aten.save.default"),
        *("torch.ops.aten.set_.source_Tensor", "torch.ops.aten.resize_.default"),
        *("torch.ops.aten.as_strided.default", "torch.ops.aten.empty.memory_format"),
        *("torch.ops.aten.relu.out", "torch.ops.aten.__class__.default", "torch.ops.aten.relu"),
        *("torch.ops.prims.add.default", "torch.ops.aten.relu.__init__", "torch.ops.aten.item.x"),
        *("torch.ops.load_library", "torch.ops.aten.nonzero.default", "", "."),
    ],
)
def test_other_operations_are_refused(tmp_path, exported, target):
    program = program_of(exported)
    program["graph_module"]["graph"]["nodes"][-1]["target"] = target
    written(tmp_path, exported, program)
    error = refusal(tmp_path, "file:m.pt2")
    assert error.reason is Reason.MODEL_UNSUPPORTED
    assert repr(target) in error.message


def renamed(exported, new):
    """The program with another name for its input."""
    text = json.dumps(program_of(exported))
    return text.replace(json.dumps("x"), json.dumps(new)).encode()


def test_names_do_not_become_code(tmp_path, exported):
    mark = tmp_path / "mark"
    name = f"x=__import__('os').system('touch {mark}')"
    write(tmp_path / "m.pt2", exported | {PROGRAM: renamed(exported, name)})
    assert refusal(tmp_path, "file:m.pt2").reason is Reason.MODEL_INVALID
    assert not mark.exists()
    # What it would have done as the name of a placeholder:
    graph = fx.Graph()
    graph.output(graph.placeholder(name))
    fx.GraphModule(torch.nn.Module(), graph)
    assert mark.exists(), "or nothing was tested"


def test_hostile_paths_of_modules(tmp_path, exported):
    program = program_of(exported)
    node = program["graph_module"]["graph"]["nodes"][0]
    node["metadata"]["nn_module_stack"] = "k,\x1b[2J../..,C"
    written(tmp_path, exported, program)
    assert refusal(tmp_path, "file:m.pt2").reason is Reason.MODEL_INVALID


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


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"[]", b"{}", b"[" * 100_000, b'{"schema_version": {"major": 8}}', b"\xff\xfe"),
        b'{"schema_version": {"major": 9}, "graph_module": {}}',
    ],
)
def test_texts_that_are_no_program(tmp_path, exported, text):
    write(tmp_path / "m.pt2", exported | {PROGRAM: text})
    assert refusal(tmp_path, "file:m.pt2").reason is Reason.MODEL_INVALID


def test_programs_in_a_circle(tmp_path, exported):
    """A value that is read before it is computed."""
    program = program_of(exported)
    program["graph_module"]["graph"]["nodes"].reverse()
    written(tmp_path, exported, program)
    assert refusal(tmp_path, "file:m.pt2").reason is Reason.MODEL_INVALID


def test_compressed_archives(tmp_path, exported):
    write(tmp_path / "m.pt2", exported, compression=zipfile.ZIP_DEFLATED)
    assert refusal(tmp_path, "file:m.pt2").reason is Reason.MODEL_INVALID


def test_older_archives_are_refused_with_advice(tmp_path):
    write_archive(tmp_path / "m.pt2", {"m/serialized_exported_program.json": b"{}"})
    assert "exported anew" in refusal(tmp_path, "file:m.pt2").message


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
