"""docs/reference is written from the protos; this tells when it has to be written anew."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def pages():
    return runpy.run_path(str(ROOT / "docs" / "generate.py"))["pages"]()


def test_the_pages_are_those_of_the_protos(pages):
    written = {path.name: path.read_text() for path in REFERENCE.glob("*.md")}
    assert written == pages, "run: make docs"


def test_everything_on_them_is_explained(pages):
    for name, page in pages.items():
        for line in page.splitlines():
            assert not line.endswith("|  |"), f"{name}: {line} has no comment"
        headings = [n for n, line in enumerate(page.splitlines()) if line.startswith("## ")]
        for n in headings:
            assert page.splitlines()[n + 2].strip(), f"{name}: no comment on line {n + 1}"
