"""`hooke attribute` against a real server: concepts, evidence, several methods, estimates."""

import json

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

LAYER = "blocks.5.2"


@pytest.fixture
def folders(photograph, tmp_path):
    """`fur` and `noise`, eight pictures each."""
    cat = Image.open(photograph).convert("RGB")
    random = np.random.default_rng(0)
    for name in ("fur", "noise"):
        (tmp_path / name).mkdir()
    for index in range(8):
        left = 110 + 25 * index
        cat.crop((left, 130, left + 64, 194)).save(tmp_path / f"fur/{index}.png")
        pixels = random.integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"noise/{index}.png")


def test_concepts_from_folders(ask, photograph, folders, tmp_path):
    answer = ask(
        "attribute", "demo", photograph, "-m", "tcav", "-s", "concepts.fur=fur",
        "-s", "counter_examples=noise", "-s", "runs=4", "-s", "pooled=yes",
        "--unit", 281, "--at", LAYER, "-o", "tcav.safetensors", "--json",
    )  # fmt: skip
    [row] = answer["tables"]["tcav"]
    assert (row["concept"], row["layer"]) == ("fur", LAYER)
    assert row["accuracy"] > 0.9
    assert "'fur'" in answer["findings"][0]["text"]
    assert answer["files"] == ["tcav.safetensors"]
    assert "tcav" in load_file(tmp_path / "tcav.safetensors")


def test_a_baseline_may_be_another_picture(ask, photograph, tmp_path):
    """Nothing differs from the picture itself; a part of a baseline counts."""
    call = ("attribute", "demo", photograph, "-m", "integrated_gradients", "-s", "steps=4")
    itself = ("-s", "baselines=image_baseline", "-s", f"baselines.image={photograph}")
    ask(*call, *itself, "-o", "itself.npy")
    assert np.abs(np.load(tmp_path / "itself.npy")).max() == 0
    for deviation in (1, 50):
        blur = ("-s", "baselines=blur_baseline", "-s", f"baselines.deviation={deviation}")
        ask(*call, *blur, "-o", f"{deviation}.npy")
    little, much = (np.abs(np.load(tmp_path / f"{each}.npy")).sum() for each in (1, 50))
    assert much > 2 * little


def test_evidence_with_its_own_parameters(ask, photograph):
    call = ("attribute", "demo", photograph, "-m", "grad_cam", "--json")
    told = ask(
        *call, "--evidence", "pointing", "--region", "0.25,0,0.75,1", "--evidence", "deletion",
        "--evidence-set", "steps=5", "--evidence-set", "baselines=blur_baseline",
        "--evidence-set", "baselines.deviation=20",
    )  # fmt: skip
    values = {row["measure"]: row for row in told["tables"]["evidence"]}
    assert "is 43% of the picture" in values["pointing"]["verdict"]  # 3 of 7 columns
    parameters = told["result"]["provenance"]["parameters_json"]
    assert '"steps":5' in parameters.replace(" ", "")
    assert "20" in parameters
    everywhere = ask(*call, "--evidence", "pointing", "--region", "0,0,1,1")
    [row] = everywhere["tables"]["evidence"]
    assert row["value"] == pytest.approx(1)


def test_several_methods_have_files_and_parameters_of_their_own(ask, photograph, tmp_path):
    both = ("attribute", "demo", photograph, "-m", "grad_cam", "-m", "integrated_gradients")
    steps = ("--set", "integrated_gradients.steps=3")
    told = ask(*both, *steps, "-o", "why.PNG", "--json")
    assert told["files"] == ["why-grad_cam.PNG", "why-integrated_gradients.PNG"]
    assert '"steps":3' in told["result"]["provenance"]["parameters_json"].replace(" ", "")
    files = json.loads(json.dumps(ask(*both, *steps, "-o", "why.npy", "--json")))["files"]
    assert [np.load(tmp_path / file).ndim for file in files] == [4, 5]


def test_errors_of_samples_go_to_a_file_beside(ask, photograph, tmp_path):
    quick = ("-s", "samples=8", "-s", "features=grid_features", "-s", "features.cells=2")
    output = ask("attribute", "demo", photograph, "-m", "lime", *quick, "-o", "lime.npy")
    assert "wrote lime-lime_standard_error.npy" in output
    assert np.load(tmp_path / "lime-lime.npy").shape == (1, 1, 224, 224)


def test_a_neuron_and_all_units(ask, photograph):
    call = ("attribute", "demo", photograph, "-m", "input_x_gradient", "--json")
    neuron = ask(*call, "-l", "blocks.4.2", "-u", 3, "--position", "3,4")
    assert "[3, 4]" in neuron["targets"][0]["name"]
    cost = ask(*call, "-l", "blocks.2.1", "--all-units", "--estimate")
    one = ask(*call, "-l", "blocks.2.1", "-u", 3, "--estimate")
    assert cost["macs"] > 10 * one["macs"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--evidence", "pointing"], "pointing needs --region LEFT,TOP,RIGHT,BOTTOM"),
        (["--region", "0,0,1,1"], "need --evidence"),
        (["--evidence-set", "steps=3"], "need --evidence"),
        (["--evidence", "deletion", "--region", "0,0,1,1"], "is for --evidence pointing"),
        (["--evidence", "pointing", "--region", "0,0,1"], "is not LEFT,TOP,RIGHT,BOTTOM"),
        (["--evidence", "pointing", "--region", "0.8,0,0.2,1"], "is not LEFT,TOP,RIGHT,BOTTOM"),
        (["--evidence", "pointing", "--region", "0,0,x,1"], "is not LEFT,TOP,RIGHT,BOTTOM"),
        (["--evidence", "deletion", "--evidence-set", "step=3"], "evidence takes measures"),
        (["--evidence", "nothing"], "'nothing' is unknown; it is one of completeness"),
        (["-m", "lime", "-m", "rise", "-s", "masks=3"], "does not say of which method"),
        (["-m", "lime", "-m", "lime"], "each --method is given once"),
        (["-m", "saliency", "-s", "steps=3"], "saliency takes absolute, not 'steps'"),
        (["--all-units", "-u", "3"], "--all-units is each unit"),
        (["--position", "a,b"], "is not ROW,COLUMN"),
        (["-o", "a.tiff"], "must end in one of"),
    ],
)
def test_what_does_not_fit_is_said_before_a_server_is_asked(run, photograph, options, message):
    code, output, errors = run("attribute", "demo", photograph, *options)
    assert (code, output) == (2, "")
    assert message in errors
    assert errors.count("\n") == 1
