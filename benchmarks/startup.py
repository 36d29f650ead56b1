"""B5: import of the client, and start of the server until the demo model answers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import hooke
from benchmarks.measure import Row, interleaved
from benchmarks.servers import running

IMPORTS = "import torch, timm, grpc.aio, google.protobuf, numpy, PIL.Image"


def rows() -> Iterator[Row]:
    """B5: two ratios."""
    imports = interleaved(
        {"hooke": _python("import hooke"), "floor": _python("import grpc, numpy")}, rounds=7
    )
    yield Row(
        id="B5",
        what="`import hooke`, a whole Python process",
        against="grpc and numpy alone",
        value=imports["hooke"] / imports["floor"],
        unit="x its time",
        goal=0.4 / 0.26,
        note=f"{imports['hooke']:.2f} s here",
    )
    starts = interleaved({"hooke": _until_ready, "floor": _python(IMPORTS)}, rounds=5, warmup=1)
    yield Row(
        id="B5",
        what="server started and the demo model answering",
        against="a Python process that imports torch, timm, grpc and Pillow",
        value=starts["hooke"] / starts["floor"],
        unit="x its time",
        goal=2.0,
        note=f"{starts['hooke']:.1f} s here",
    )


def _python(code: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, "-c", code], check=True)


def _until_ready() -> None:
    with (
        running("hooke_server", "--address", "localhost:0", "--demo") as server,
        hooke.connect(server.address) as client,
    ):
        while client.model("demo").state != "READY":
            time.sleep(0.02)
