"""`python -m benchmarks [NAME...]`: measure, print a table, write docs/benchmarks.md."""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks.measure import DEVICE, Row
from hooke_server.devices import compute_exactly

NAMES = [
    "activations",
    "transfer",
    "requests",
    "startup",
    "visualization",
    "attribution",
    "perturbation",
    "page",
]
REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = [
    "hooke",
    "torch",
    "torchvision",
    "grpcio",
    "protobuf",
    "captum",
    "nnsight",
    "torch-lucent",
]


def main(names: list[str]) -> None:
    """Run the named benchmarks, all by default."""
    compute_exactly(True)  # peers too
    measured: list[Row] = []
    for name in names or NAMES:
        for row in importlib.import_module(f"benchmarks.{name}").rows():
            print(line(row), flush=True)
            measured.append(row)
    results = REPOSITORY / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    content = {"machine": machine(), "rows": [asdict(row) for row in measured]}
    (results / "latest.json").write_text(json.dumps(content, indent=2))
    if not names:
        (REPOSITORY / "docs" / "benchmarks.md").write_text(page(measured))


def machine() -> str:
    """What it ran on, without names."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    gpu = torch.cuda.get_device_name() if DEVICE.type == "cuda" else "no GPU used"
    return f"{os.cpu_count()} cores ({platform.machine()}), {gpu}; {packages}"


def line(row: Row) -> str:
    """A row of the table."""
    sign = "≤" if row.at_most else "≥"
    goal = "" if row.goal is None else f"{sign} {row.goal:.2f}"
    reached = {True: "yes", False: "**no**", None: ""}[row.reached]
    value = f"{row.value:.2f} {row.unit}"
    return f"| {row.id} | {row.what} | {row.against} | {value} | {goal} | {reached} | {row.note} |"


def page(rows: list[Row]) -> str:
    """The page docs/benchmarks.md."""
    return "\n".join(
        [
            "# Benchmarks",
            "",
            "Written by `make bench`. Each line compares two things measured in turns in the same",
            "run; absolute times of a shared machine say little, ratios repeat. What each asks and",
            "how stands in [benchmarks/](../benchmarks/README.md).",
            "",
            f"Machine: {machine()}.",
            "",
            "| | what | against | measured | goal | reached | |",
            "|---|---|---|---|---|---|---|",
            *(line(row) for row in rows),
            "",
        ]
    )


if __name__ == "__main__":
    main(sys.argv[1:])
