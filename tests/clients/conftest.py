"""The command line as its tests call it."""

import json
import sys

import pytest

from hooke.cli import main


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run `hooke ...` in an empty folder; answer its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["hooke", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return (ended.value.code, *capsys.readouterr())

    return call


@pytest.fixture
def ask(run, demo_address, monkeypatch):
    """Run a command that must succeed against the demo server; answer what it printed."""
    monkeypatch.setenv("HOOKE_ADDRESS", demo_address)

    def call(*arguments):
        code, output, errors = run(*arguments)
        assert code == 0, errors
        return json.loads(output) if "--json" in arguments else output

    return call
