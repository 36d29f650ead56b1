"""Every example of the README and the docs runs, page by page, from top to bottom.

    ```python    runs here; the blocks of a page share their names
    ```console   each line after `$ ` is a command; `hooke serve` must start and end well
    ```sh        sets a checkout up: not run, but its make targets must exist

Other programs than `hooke` may be missing: then the page's other examples run, and it counts as
skipped, but on a CI machine it fails.

The folder holds cat.png. Where the page writes localhost:50051, commands and Python find
the demo server, or the one that the page has started last, which also has the demo; where
it writes http://localhost:8080, the demo server's page.
"""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

import hooke
from hooke.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    path
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if "```" in path.read_text() and path.parent.name != "reference"
]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)")
DEFAULT, DEFAULT_PAGE = "localhost:50051", "http://localhost:8080"


@pytest.fixture
def folder(tmp_path, photograph, demo_address, monkeypatch):
    shutil.copy(photograph, tmp_path / "cat.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOKE_ADDRESS", demo_address)
    monkeypatch.setattr(sys, "argv", sys.argv)  # `in_process` changes it
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples(page, folder, demo_addresses, server_process, monkeypatch):
    # A name of its own, as a program has, so that classes of the page can be found.
    names = {"__name__": "__main__"}
    missing = set()
    address, web = demo_addresses
    with contextlib.ExitStack() as servers:
        for language, text in BLOCK.findall(page.read_text()):
            if language == "python":
                here = text.replace(DEFAULT, address).replace(DEFAULT_PAGE, web)
                exec(compile(here, page.name, "exec"), names)  # noqa: S102  # that is the test
            elif language == "console":
                for line in text.splitlines():
                    assert line.startswith("$ "), f"{page.name}: {line}"
                    here = line[2:].replace(DEFAULT, address).replace(DEFAULT_PAGE, web)
                    words = shlex.split(here)
                    if words[0] != "hooke" and not shutil.which(words[0], path=programs()):
                        missing.add(words[0])
                    elif words[:2] == ["hooke", "serve"]:
                        servers.close()
                        address = servers.enter_context(serving(words[2:], server_process))
                        monkeypatch.setenv("HOOKE_ADDRESS", address)
                    else:
                        command(words)
    if missing:
        said = f"not installed: {', '.join(sorted(missing))}"
        pytest.fail(said) if os.environ.get("CI") == "true" else pytest.skip(said)


def command(words):
    line = shlex.join(words)
    code, output, errors = in_process(words) if words[0] == "hooke" else as_process(words)
    assert code == 0, f"{line}\n{errors}"
    assert output, line


def in_process(words):
    """Run `hooke` here, which saves the start of a Python for each line."""
    output, errors = io.StringIO(), io.StringIO()
    sys.argv = words
    with (
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    return ended.value.code, output.getvalue(), errors.getvalue()


def programs():
    """Where programs are looked for: beside this Python, and on the PATH."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def as_process(words):
    environment = {**os.environ, "PATH": programs()}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr, done.stderr  # some answer on the second


@contextlib.contextmanager
def serving(arguments, server_process):
    """Every model that the command names must load; the demo is there for the rest of the page."""
    demo = [] if "--demo" in arguments else ["--demo"]
    with server_process(*arguments, *demo) as address:
        with hooke.connect(address, timeout=120) as client:
            named = [v.partition("=")[0] for o, v in pairwise(arguments) if o == "--model"]
            for name in named + ["demo"] * ("--demo" in arguments):
                assert client.layers(name)
        yield address


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_make_targets_exist(page):
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for language, text in BLOCK.findall(page.read_text()):
        if language == "sh":
            wanted = re.findall(r"^make (\w+)", text, re.MULTILINE)
            assert wanted
            assert set(wanted) <= set(targets)


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda p: p.name
)
def test_links_lead_somewhere(page):
    prose = re.sub(r"`[^`]*`", "", page.read_text())
    for target in LINK.findall(prose):
        assert not target or (page.parent / target).exists(), f"{page.name}: {target}"
