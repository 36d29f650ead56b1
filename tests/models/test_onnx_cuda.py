"""ONNX Runtime's part for CUDA finds all its libraries but the driver's, which comes with a GPU."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

CAPI = Path(find_spec("onnxruntime").origin).parent / "capi"
FOR_CUDA = CAPI / "libonnxruntime_providers_cuda.so"
LOAD = """
import ctypes, sys
from hooke_server.models.onnx_model.session import load_cuda_libraries

load_cuda_libraries()
shared, cuda = sys.argv[1:]
ctypes.CDLL(shared, ctypes.RTLD_GLOBAL)
try:
    ctypes.CDLL(cuda)
except OSError as error:
    print(error)
"""


@pytest.mark.skipif(not FOR_CUDA.exists(), reason="onnxruntime-gpu is not installed")
def test_only_the_driver_may_be_missing():
    shared = FOR_CUDA.with_name("libonnxruntime_providers_shared.so")
    command = [sys.executable, "-c", LOAD, shared, FOR_CUDA]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    assert not said or said.startswith("libcuda.so.1:")
