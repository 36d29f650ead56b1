"""`make demo`, with a visualization of a few steps."""

import importlib.util
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo.py"


@pytest.fixture
def demo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_demo_does_what_it_says(demo, tmp_path, capsys):
    demo.STEPS, demo.SIZE = 8, 32
    demo.main()
    told = capsys.readouterr().out
    assert "tiger cat" in told
    assert "4,652,008 parameters" in told
    assert "finished: demo/blocks.4.2-unit7.png" in told
    pictures = {path.name for path in (tmp_path / "demo").glob("*.png")}
    assert pictures == {
        "chelsea.png",
        "blocks.4.2-unit7.png",
        *(f"chelsea-{layer}.png" for layer in demo.MAPS),
    }
    assert "stopped" in (tmp_path / "demo" / "server.log").read_text()


def test_a_server_that_does_not_start_is_told_with_its_last_words(demo, tmp_path, monkeypatch):
    monkeypatch.setenv("HOOKE_LOG_FORMAT", "morse")
    with pytest.raises(
        SystemExit, match=r"(?s)did not start; its last words:.*neither text nor json"
    ):
        demo.main()
