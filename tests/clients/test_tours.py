"""Every language's client makes the same calls and reads the same answers as Python's.

A language whose toolchain is not installed is skipped, but on a CI machine it fails.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from hooke.tour import PICTURE, canonical, tour

CLIENTS = Path(__file__).resolve().parents[2] / "clients"

# How each tour is started, in its folder, after `make build`.
TOURS = {
    "cpp": ["build/tour"],
    "go": ["bin/tour"],
    "java": ["java", "-jar", "target/hooke.jar"],
    "node": ["node", "dist/tour.js"],
    "ruby": ["exe/hooke-tour"],
    "rust": ["target/debug/examples/tour"],
}
# How the program is started that a page shows whole, where it is not a part of the tour.
EXAMPLES = {
    "cpp": ["build/example"],
    "java": ["java", "-cp", "target/hooke.jar", "hooke.tour.Example"],
    "ruby": ["ruby", "-Ilib", "-Igen", "examples/example.rb"],
}
SOURCES = {".cc", ".cpp", ".go", ".java", ".kt", ".rb", ".rs", ".ts"}
ONE_OF_THE_LAST_PLACE = 1.01e-4


def make(language, target):
    """Run a target of a client's Makefile, its own words in case it fails."""
    command = ["make", "--silent", "--directory", CLIENTS / language, target]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def expected(demo_address):
    return json.loads(canonical(tour(demo_address)))


def build(language):
    """Build a client, or skip where its toolchain is not installed."""
    missing = make(language, "toolchain")
    if missing.returncode:
        said = f"no toolchain for {language}: {missing.stderr.strip()}"
        pytest.fail(said) if os.environ.get("CI") == "true" else pytest.skip(said)
    built = make(language, "build")
    assert built.returncode == 0, built.stdout + built.stderr


def started(language, program, address):
    """Run a program of a client against a server."""
    command = [*program, address]
    return subprocess.run(command, cwd=CLIENTS / language, capture_output=True, text=True)


@pytest.mark.timeout(1800)  # the first time all that a client depends on is compiled
@pytest.mark.parametrize("language", TOURS)
def test_the_tour_reads_what_python_reads(language, demo_address, expected):
    build(language)
    run = started(language, TOURS[language], demo_address)
    assert run.returncode == 0, run.stderr
    read = json.loads(run.stdout)
    assert same(read, expected), f"{run.stdout}\nis not\n{canonical(expected)}"
    assert run.stdout.strip() == canonical(read), "keys are not sorted, or there are spaces"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("language", EXAMPLES)
def test_the_example_of_its_page_runs(language, demo_address):
    build(language)
    run = started(language, EXAMPLES[language], demo_address)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert {"blocks.4.2", "step 16"} <= set(lines), run.stdout


def same(read, expected):
    """Whether two values of JSON are equal, real numbers but for rounding."""
    match expected:
        case dict():
            keys = isinstance(read, dict) and read.keys() == expected.keys()
            return keys and all(same(read[key], expected[key]) for key in expected)
        case list():
            length = isinstance(read, list) and len(read) == len(expected)
            return length and all(map(same, read, expected))
        case float():
            return isinstance(read, int | float) and abs(read - expected) < ONE_OF_THE_LAST_PLACE
        case _:
            return type(read) is type(expected) and read == expected


def test_every_client_has_its_tour_here():
    others = {path.parent.name for path in CLIENTS.glob("*/Makefile")}
    assert others == set(TOURS)


def test_the_picture_of_the_tours():
    assert (CLIENTS / "tour.png").read_bytes() == PICTURE


@pytest.mark.parametrize("language", TOURS)
def test_the_examples_of_its_page_are_part_of_a_program(language):
    page = (CLIENTS / language / "README.md").read_text()
    listed = subprocess.check_output(["git", "ls-files", "-z", language], cwd=CLIENTS, text=True)
    programs = [
        unindented((CLIENTS / name).read_text())
        for name in listed.split("\0")
        if name and Path(name).suffix in SOURCES
    ]
    blocks = re.findall(r"^```\w+\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in map(unindented, blocks):
        assert any(block in program for program in programs), block


def unindented(text):
    return "".join(f"{line.strip()}\n" for line in text.splitlines())
