"""`.pt2` archives that run code in `torch.export.load`, and texts that are no program."""

import json
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from export_archives import CONSTANTS, PROGRAM, WEIGHTS, loaded, program_of, write, written
from hostile import Touch, refusal, write_archive
from torch import fx

from hooke_server.errors import Reason

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


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
