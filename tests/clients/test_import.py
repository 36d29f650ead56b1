"""What `import hooke` and the command line load; nothing heavy, and nothing of the server."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "onnx", "onnxruntime", "PIL", "timm", "torchvision", "hooke_server"}


def loaded(code):
    """The modules that a new Python has after `code`."""
    command = f"{code}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())


def test_the_client_loads_no_framework():
    modules = loaded("import hooke")
    assert not HEAVY & modules
    assert not {"typer", "rich", "safetensors", "grpc_status"} & modules


def test_the_client_is_little_more_than_grpc_and_numpy():
    floor = loaded("import grpc, numpy, google.protobuf.descriptor_pb2, ml_dtypes")
    more = {name for name in loaded("import hooke") - floor if name.split(".")[0] != "hooke"}
    assert len(more) < 25, more


def test_the_command_line_loads_what_a_command_needs():
    modules = loaded("import hooke.cli")
    assert not (HEAVY | {"rich", "safetensors"}) & modules


def test_the_check_can_fail():
    assert "PIL" in loaded("import hooke, PIL.Image")


@pytest.mark.parametrize("name", __import__("hooke").__all__)
def test_every_exported_name_is_there(name):
    import hooke

    assert getattr(hooke, name) is not None
