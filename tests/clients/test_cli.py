"""The command line against a real server: tables, JSON, files, errors in one line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import hooke
from hooke.cli import main
from hooke.cli.activations import reduction
from hooke.cli.parameters import lens, place
from hooke.techniques import FourierImage, ImageParameterization, TransformSequence

LAYER = "blocks.2.1"


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


def test_techniques(ask):
    told = ask("techniques", "demo", "--layer", LAYER, "--unit", 0, "--json")
    valid = {each["name"] for each in told if each["applicable"]}
    assert {"feature_visualization", "tuning_curves", "comparison"} <= valid
    assert "deep_dream" not in valid
    assert "not valid there: " in ask("techniques", "demo", "--layer", "x")
    assert "steps" in ask("techniques")


def test_health(ask, run):
    assert ask("health") == "serving\n"
    code, _, errors = run("health", "--address", "localhost:1")
    assert code == 1
    assert errors.count("\n") == 1


def test_an_error_of_the_server_is_one_line_and_code_1(ask, run):
    code, output, errors = run("layers", "nobody")
    assert (code, output) == (1, "")
    assert errors.startswith("hooke: no model 'nobody'")
    assert errors.count("\n") == 1
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
        (["nonsense"], "No such command"),
    ],
)
def test_a_wrong_command_is_code_2_and_needs_no_server(run, arguments, message):
    Path("x.png").touch()
    code, _, errors = run(*arguments)
    assert code == 2
    assert message in " ".join(errors.replace("│", "").split())
    assert "Traceback" not in errors


def test_parameters_are_parsed_by_their_types():
    told = lens(
        "feature_visualization", ["steps=3", "learning-rate=0.5", "sign=both", "pictures=2"]
    )
    assert told == hooke.FeatureVisualization(steps=3, learning_rate=0.5, sign="both", pictures=2)
    for wrong in ("steps=x", "image.alpha=perhaps", "steps", "image=x", "penalty=3"):
        with pytest.raises(ValueError, match=r"number|yes or no|NAME=VALUE|set a part|use Python"):
            lens("feature_visualization", [wrong])


def test_parts_are_set_by_their_paths():
    told = lens(
        "deep_dream",
        [
            "image.storage=fourier_image",
            "image.storage.decay-power=1.5",
            "image.shared_factors=2,4",
            "image.start=cat.png",
        ],
    )
    assert told == hooke.DeepDream(
        image=ImageParameterization(
            storage=FourierImage(decay_power=1.5), shared_factors=[2, 4], start="cat.png"
        )
    )
    assert lens("deep_dream", ["transforms=none"]).transforms == TransformSequence()
    with pytest.raises(ValueError, match="storage is one of pixel_image, fourier_image"):
        lens("deep_dream", ["image.storage=jpeg"])


def test_places_are_parsed():
    assert place("blocks.1#3") == hooke.Location("blocks.1", unit=3)
    assert place("#tabby") == hooke.Location(label="tabby")
    assert place("other::a") == hooke.Location("a", model="other")
    told = lens("comparison", ["other=other::a#2"])
    assert told == hooke.Comparison(other=hooke.Location("a", unit=2, model="other"))
    styles = lens("style_transfer", ["content=a.png", "style=b.png", "style_locations=a,b"])
    assert list(styles.style_locations) == [hooke.Location("a"), hooke.Location("b")]


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
