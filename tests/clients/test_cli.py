"""The command line against a real server: tables, JSON, files, errors in one line."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

import hooke
from hooke.cli.activations import reduction
from hooke.cli.show import dump

LAYER = "blocks.2.1"


def test_models(ask):
    ask("layers", "demo")
    [model] = ask("models", "--json")
    assert (model["name"], model["state"]) == ("demo", "READY")
    assert ask("model", "demo", "--json") == model
    assert "4,652,008" in ask("model", "demo")
    assert "demo" in ask("models")


def test_layers(ask):
    layers = ask("layers", "demo", "--glob", "blocks.2.*", "--op", "conv2d", "--json")
    assert {layer["op"] for layer in layers} == {"conv2d"}
    table = ask("layers", "demo", "--kind", "block").splitlines()
    [row] = [line.split() for line in table if line.startswith(f"{LAYER} ")]
    assert row[1] == "block"
    assert "x 40 x 28 x 28" in " ".join(row)


def test_weights(ask, tmp_path):
    [weight] = ask("weights", "demo", "conv_stem", "--weight", "weight", "--json")
    assert weight["shape"] == [32, 3, 3, 3]
    assert "weight" in ask("weights", "demo", "conv_stem", "-o", "w.safetensors")
    array = load_file(tmp_path / "w.safetensors")["weight"]
    assert array.mean() == pytest.approx(weight["mean"], rel=1e-4)


def test_activations(ask, photograph, tmp_path):
    answer = ask("activations", "demo", photograph, "-l", LAYER, "--reduce", "mean", "--json")
    [tensor] = answer["tensors"]
    assert tensor["shape"] == [1, 40]
    ask("activations", "demo", photograph, "-l", LAYER, "-o", "a.npy")
    array = np.load(tmp_path / "a.npy")
    np.testing.assert_allclose(array.mean((2, 3)), tensor["values"], rtol=1e-4, atol=1e-5)
    assert LAYER in ask("activations", "demo", photograph, "-l", LAYER)


def test_arrays_are_inputs_and_many_layers_go_into_one_file(ask, tmp_path):
    np.save(tmp_path / "in.npy", np.zeros((2, 3, 224, 224), np.float32))
    output = ask(
        "activations",
        "demo",
        "in.npy",
        "-l",
        "blocks.*",
        "--reduce",
        "top_k:2",
        "-o",
        "a.safetensors",
    )
    arrays = load_file(tmp_path / "a.safetensors")
    assert arrays[f"{LAYER}/values"].shape == (2, 40, 2)
    assert "wrote a.safetensors" in output


def test_without_a_layer_the_output_is_shown(ask, photograph):
    [tensor] = ask("activations", "demo", photograph, "--json")["tensors"]
    assert tensor["shape"] == [1, 1000]


def test_feature_maps(ask, photograph, tmp_path):
    ask("activations", "demo", photograph, "-l", LAYER, "-o", "one.png")
    assert (tmp_path / "one.png").read_bytes()[:4] == b"\x89PNG"
    answer = ask(
        "activations", "demo", photograph, photograph, "-l", "conv_stem", "-l", LAYER,
        "-o", "maps.webp", "--json",
    )  # fmt: skip
    assert sorted(answer["files"]) == sorted(map(str, Path().glob("maps-*.webp")))
    assert len(answer["files"]) == 4


def test_visualize(ask, tmp_path):
    quick = ("--set", "steps=4", "--set", "size=32")
    answer = ask("visualize", "demo", "-l", LAYER, "-u", 7, *quick, "-o", "unit.png", "--json")
    [picture] = answer["pictures"]
    assert (picture["location"]["unit"], picture["file"]) == (7, "unit.png")
    assert (tmp_path / "unit.png").read_bytes()[:4] == b"\x89PNG"
    assert json.loads(answer["result"]["provenance"]["parameters_json"])["ascent"]["steps"] == 4
    ask("visualize", "demo", "-l", LAYER, "-u", 7, *quick, "--preview-every", 1, "-o", "u.png")
    assert (tmp_path / "u-unit7-preview.jpg").read_bytes()[:2] == b"\xff\xd8"
    ask("visualize", "demo", "--label", "tabby", "--label", "lynx", *quick, "-o", "c.jpg")
    assert len(list(tmp_path.glob("c-*.jpg"))) == 2
    output = ask("visualize", "demo", "-l", LAYER, "-u", 1, "--position", "3,4", *quick)
    assert "wrote demo.png" in output


def test_every_lens_from_the_command_line(ask, photograph, tmp_path):
    """A sheet of units, a photograph, another place, a budget and going on."""
    quick = ("--set", "steps=3", "--set", "size=32")
    ask("visualize", "demo", "-l", LAYER, "-u", 1, "-u", 2, "--sheet", 24, *quick, "-o", "s.webp")
    assert [path.name for path in tmp_path.glob("s*.webp")] == ["s.webp"]
    for name, *options in [
        ("deep_dream",),
        ("caricature", "--photo", photograph),
        ("tuning_curves", "-u", 3, "--set", "families=line", "--set", "resolution=4"),
        ("comparison", "-u", 3, "--set", f"other={LAYER}#4"),
    ]:
        settings = () if name == "tuning_curves" else quick
        ask(
            "visualize", "demo", "--technique", name, "-l", LAYER, *options, *settings,
            "-o", f"{name}.png",
        )  # fmt: skip
        assert list(tmp_path.glob(f"{name}*.png"))


def test_a_run_that_was_stopped_goes_on(run, ask, tmp_path):
    place = ("visualize", "demo", "-l", LAYER, "-u", 3, "--set", "size=32", "-o", "u.png")
    code, output, errors = run(*place, "--set", "steps=2000", "--time-budget", 0.2)
    assert code == 0, errors
    assert "wrote u.png" in output
    resume = errors.split()[-1]
    assert "go on within 60 minutes: the same with --resume" in errors
    ask(*place, "--set", "steps=2001", "--resume", resume, "--time-budget", 0.2)
    short = ask(*place, "--set", "steps=3", "--json")
    longer = ask(*place, "--set", "steps=6", "--resume", short["checkpoint"]["id"], "--json")
    assert longer["checkpoint"]["step"] == 3
    resumed = (tmp_path / "u.png").read_bytes()
    ask(*place, "--set", "steps=6")
    assert (tmp_path / "u.png").read_bytes() == resumed


def test_arrays_of_one_each_have_files_of_their_own(ask, tmp_path):
    assert "wrote w-weight.npy\nwrote w-bias.npy" in ask("weights", "demo", "bn1", "-o", "w.npy")
    assert np.load(tmp_path / "w-bias.npy").shape == (32,)
    assert "wrote W.NPY" in ask("weights", "demo", "conv_stem", "-o", "W.NPY")
    assert np.load(tmp_path / "W.NPY").shape == (32, 3, 3, 3)


def test_estimates_compute_nothing(ask, photograph, tmp_path):
    told = ask("activations", "demo", photograph, "-l", LAYER, "--estimate")
    assert told.split()[-2:] == ["layers", LAYER]
    place = ("visualize", "demo", "-l", LAYER, "-u", 3, "--estimate", "--json")
    short, long = (ask(*place, "--set", f"steps={steps}") for steps in (10, 1000))
    assert 50 * short["macs"] < long["macs"]
    assert not list(tmp_path.iterdir())


def test_json_holds_what_is_no_number(capsys):
    dump({"a": [float("nan"), np.float32("inf"), np.array([-np.inf, 1])], "b": True})
    told = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert told == {"a": ["NaN", "Infinity", ["-Infinity", 1.0]], "b": True}


def test_techniques(ask):
    told = ask("techniques", "demo", "--layer", LAYER, "--unit", 0, "--json")
    valid = {each["name"] for each in told if each["applicable"]}
    assert {"feature_visualization", "tuning_curves", "comparison"} <= valid
    assert "deep_dream" not in valid
    listed = ask("techniques").splitlines()
    assert len(listed) == len(told) + 2  # a head, a line each, and where to read on
    there = ask("techniques", "demo", "--layer", "x")
    assert {" yes ", " no: "} == set(re.findall(" yes | no: ", there))
    assert "steps" not in there
    one = ask("techniques", "demo", "--layer", "x", "--name", "accentuation")
    assert "steps" in one
    assert "not valid there: " in one
    [tcav] = ask("techniques", "--kind", "attribution", "--name", "tcav", "--json")
    assert (tcav["name"], tcav["kind"]) == ("tcav", "ATTRIBUTION")


def test_health(ask, run):
    assert ask("health") == "serving\n"
    assert ask("health", "demo", "--json") == {"serving": True}
    code, _, errors = run("health", "--address", "localhost:1")
    assert code == 1
    assert errors.count("\n") == 1


def test_an_error_of_the_server_is_one_line_and_code_1(ask, run, photograph):
    code, output, errors = run("layers", "nobody")
    assert (code, output) == (1, "")
    assert errors.startswith("hooke: no model 'nobody'")
    assert errors.count("\n") == 1
    assert "as does 'hooke models'" in errors
    code, _, errors = run("attribute", "demo", photograph, "--at", "nowhere")
    assert errors.startswith("hooke: no layer 'nowhere'")
    assert errors.count("\n") == 1
    code, _, errors = run("activations", "demo", photograph, "--timeout", 0)
    assert (code, errors) == (1, "hooke: no answer came within --timeout\n")
    code, _, errors = run("techniques", "--name", "magic")
    assert "no technique 'magic'; there are ablation_cam" in errors
    assert ask("models", "--timeout", "inf")
    code, _, errors = run("unload", "demo")
    assert code == 1
    assert "whoever starts it can allow it" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["layers"], "MODEL"),
        (["layers", "demo", "--kind", "house"], "'house' is unknown; it is one of input"),
        (["activations", "demo", "no.png"], "'no.png' does not exist"),
        (["activations", "demo", "x.png", "-o", "a.tiff"], "a.tiff must end in one of .npy"),
        (["activations", "demo", "x.png", "-o", "no/a.npy"], "no folder for no/a.npy"),
        (["visualize", "demo", "--set", "stepz=3"], "feature_visualization takes steps"),
        (["visualize", "demo", "--technique", "caricature"], "caricature needs --set photograph"),
        (["visualize", "demo", "--photo", "x.png"], "takes steps, size"),
        (["visualize", "demo", "--technique", "magic"], "no technique 'magic'"),
        (["techniques", "--layer", "a"], "need the name of a model"),
        (["visualize", "demo", "--technique", "caricature", "--photo", "y.png"], "no such file"),
        (["visualize", "demo", "--position", "3,x"], "--position '3,x' is not ROW,COLUMN"),
        (["visualize", "demo", "--all-units", "-u", "3"], "leave out --unit"),
        (["visualize", "demo", "--time-budget", "inf"], "infinity"),
        (["activations", "demo", "x.png"], "x.png is no PNG, JPEG or WebP picture"),
        (["activations", "demo", "x.npy"], "x.npy is no array"),
        (["activations", "demo", "ok.png", "-l", "a", "--over", "units"], "--over is for --reduce"),
        (["activations", "demo", "ok.png", "--dtype", "f99"], "--dtype is one of float32"),
        (["activations", "demo", "ok.png", "--reduce", "top_k:x"], "is none of mean, max"),
        (["activations", "demo", "ok.png", "--reduce", "mean:3"], "is none of mean, max"),
        (["activations", "demo", "ok.png", "-l", "a", "-e", "add=no.npy:a"], "no.npy: No such"),
        (["compare", "a", "b", "ok.png", "-o", "a.png", "-o", "b.jpg"], "come in one format"),
        (["weights", "demo", "a", "--histogram", "0"], "greater than or equal to 1"),
        (["nonsense"], "No such command"),
    ],
)
def test_a_wrong_command_is_code_2_and_needs_no_server(run, arguments, message):
    Path("x.png").touch()
    Path("x.npy").touch()
    Image.new("RGB", (2, 2)).save("ok.png")
    code, _, errors = run(*arguments)
    assert code == 2
    assert message in " ".join(errors.replace("│", "").split())
    assert "Traceback" not in errors


def test_reductions_are_parsed():
    assert reduction("mean") == "mean"
    assert reduction("top-k:3") == hooke.TopK(3)
    assert reduction("quantiles:0.1,0.9") == hooke.Quantiles([0.1, 0.9])
    assert reduction("histogram") == hooke.Histogram(64)


def test_the_version_is_told(run):
    assert run("--version") == (0, f"hooke {hooke.__version__}\n", "")


def test_a_missing_server_is_said_kindly(run, monkeypatch):
    monkeypatch.setattr("hooke.cli.serve.NEEDED", ("hooke_server", "torchh"))
    code, _, errors = run("serve")
    assert code == 1
    assert "needs torchh: pip install 'hooke[server]'" in errors


def test_the_server_has_its_own_help():
    hooke_command = Path(sys.executable).with_name("hooke")
    done = subprocess.run([hooke_command, "serve", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "--model-root" in done.stdout
