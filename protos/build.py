"""Compile the protos to Python: messages, service stubs and types.

The stubs are never committed. They are made here in two ways: as hatch's build
hook, so that `pip install` of a checkout has them, and as a command,
`python protos/build.py`, where the build requirements of `pyproject.toml` are
installed.

grpcio-tools is pinned: code that it generates refuses any older protobuf
runtime, and 1.81.1 is the last one whose code still runs on protobuf 6.
"""

from __future__ import annotations

import shutil
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROTOS = Path(__file__).resolve().parent
PYTHON = PROTOS.parent / "clients" / "python"


def compile_protos(destination: Path = PYTHON) -> list[Path]:
    """Generate `hooke/v1/*_pb2*.py{,i}` under `destination`; return the files made."""
    from grpc_tools import protoc

    paths = ["protoc", f"--proto_path={PROTOS}", f"--proto_path={files('grpc_tools') / '_proto'}"]
    messages = [f"--python_out={destination}", f"--mypy_out=quiet:{destination}"]
    services = [f"--grpc_python_out={destination}", f"--mypy_grpc_out=quiet:{destination}"]
    package = destination / "hooke" / "v1"
    shutil.rmtree(package, ignore_errors=True)
    for outputs, pattern in ((messages, "*.proto"), (services, "*_service.proto")):
        sources = sorted(
            path.relative_to(PROTOS).as_posix() for path in PROTOS.glob(f"hooke/v1/{pattern}")
        )
        if protoc.main([*paths, *outputs, *sources]) != 0:
            raise RuntimeError("protoc failed; its messages stand above")
    (package / "__init__.py").write_text('"""Generated from protos/hooke/v1; do not edit."""\n')
    return sorted(package.iterdir())


class ProtoBuildHook(BuildHookInterface[BuilderConfig]):
    """Hatch calls this before it collects the files of a wheel or an editable install."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate the stubs into the source tree, where the wheel's file list finds them."""
        compile_protos()


if __name__ == "__main__":
    sys.stdout.writelines(f"{path.name}\n" for path in compile_protos())
