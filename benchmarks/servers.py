"""Starts the servers that are measured, each in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class RunningServer:
    """Where a server listens, and its process."""

    address: str
    pid: int

    def memory_bytes(self, field: str = "VmRSS") -> int:
        """Resident memory now (`VmRSS`) or at most so far (`VmHWM`)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        match = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
        if match is None:
            raise RuntimeError(f"this kernel does not tell {field}")
        return int(match[1]) * 1024


@contextmanager
def running(module: str, *arguments: str) -> Iterator[RunningServer]:
    """Run `python -m module` until the block ends; it prints its address when ready."""
    command = [sys.executable, "-m", module, *arguments]
    environment = {**os.environ, "HOOKE_WEB_ADDRESS": "off"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield RunningServer(address=_address(process), pid=process.pid)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _address(process: subprocess.Popen[str]) -> str:
    if process.stdout is None:
        raise RuntimeError("the server's output is not captured")
    for line in process.stdout:
        if match := re.search(r"\b(localhost|127\.0\.0\.1):\d+\b", line):
            return match[0]
    raise RuntimeError(f"the server ended with {process.wait()} before it was ready")
