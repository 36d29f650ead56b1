"""ONNX Runtime reports to nobody: it keeps what it means to send, and who sends, in files."""

import os
import subprocess
import sys

import pytest

SESSION = """
import {first}
import onnxruntime
from onnx import TensorProto, helper

ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ends[:1], ends[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
"""
SILENT = {"CI", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}
"""Variables by which ONNX Runtime is silent anyway, or writes elsewhere."""


def files_of_a_session(folder, first):
    environment = {name: value for name, value in os.environ.items() if name not in SILENT}
    environment |= {"HOME": str(folder), "TMPDIR": str(folder)}
    command = [sys.executable, "-c", SESSION.format(first=first)]
    subprocess.run(command, env=environment, check=True)
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_session_of_ours_keeps_no_identity(tmp_path):
    assert files_of_a_session(tmp_path, "hooke_server") == []


def test_one_without_us_does(tmp_path):
    if not files_of_a_session(tmp_path, "sys"):
        pytest.skip("this build of ONNX Runtime has no telemetry")
