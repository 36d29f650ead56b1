"""Networks and their exports compared as users do: client, command line, real server."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from exported import export, export_demo, resnet, spoil, spoilt

import hooke
from hooke.cli import main

pytestmark = pytest.mark.filterwarnings("default")  # of the exporters' own code

BAD = "layer2.0.conv2"
SHORTCUT = "layer3.0.downsample.0"
BAD_IN_DEMO = "blocks.3.1.conv_dw"
PHOTOGRAPHS = ("chelsea.png", "astronaut.png", "coffee.png", "rocket.jpg")


@pytest.fixture(scope="module")
def address(tmp_path_factory, server_process):
    """Of a server that has networks, their exports, and spoilt exports."""
    folder = tmp_path_factory.mktemp("models")
    network = resnet()
    torch.save(network.state_dict(), folder / "resnet.pt")
    torch.save(spoilt(network, BAD).state_dict(), folder / "tuned.pt")
    export(network, folder / "good.onnx")
    spoil(folder / "good.onnx", f"{BAD}.weight", folder / "bad.onnx")
    export(network, folder / "old.onnx", dynamo=False)
    export(spoilt(network, SHORTCUT), folder / "old-bad.onnx", dynamo=False)
    export_demo(folder / "twin.onnx")
    spoil(folder / "twin.onnx", f"{BAD_IN_DEMO}.weight", folder / "bad-twin.onnx")
    models = {
        "resnet": "torchvision:resnet18?weights=resnet.pt",
        "tuned": "torchvision:resnet18?weights=tuned.pt",
        **{
            name: f"file:{name}.onnx"
            for name in ("good", "bad", "old", "old-bad", "twin", "bad-twin")
        },
    }
    options = [word for each in models.items() for word in ("--model", "=".join(each))]
    with server_process("--demo", *options, "--model-root", folder) as made:
        yield made


@pytest.fixture(scope="module")
def client(address):
    with hooke.connect(address, timeout=240) as connection:
        yield connection


@pytest.fixture(scope="module")
def batch():
    return np.random.default_rng(0).standard_normal((4, 3, 224, 224)).astype("f4")


@pytest.fixture(scope="module")
def photographs():
    return [Path(skimage.__file__).parent / "data" / name for name in PHOTOGRAPHS]


@pytest.fixture
def ask(address, monkeypatch, capsys, tmp_path):
    """Run a command that must succeed, in an empty folder; answer what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOKE_ADDRESS", address)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["hooke", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        output, errors = capsys.readouterr()
        assert ended.value.code == 0, errors
        return json.loads(output) if "--json" in arguments else output

    return call


@pytest.mark.parametrize("export", ["good", "old"])
def test_a_good_export_agrees_in_every_layer(client, batch, export):
    found = client.compare("resnet", export, batch)
    assert found.first_divergence is None
    assert [each.kind for each in found.findings] == ["agreement"]
    assert found.result.metrics["diverging"] == 0
    assert max(each for each in found.table["relative_error"] if each is not None) < 1e-4
    assert "fc" in found.table["layer"]


@pytest.mark.parametrize(("export", "layer"), [("bad", BAD), ("old-bad", SHORTCUT)])
def test_the_spoilt_weight_of_an_export_is_found(client, batch, export, layer):
    found = client.compare("resnet", export, batch)
    assert found.first_divergence == layer
    rows = {row["layer"]: row for row in found.table.dicts()}
    values = {}
    norm = {BAD: "layer2.0.bn2", SHORTCUT: "layer3.0.downsample.1"}[layer]
    for model, place in (("resnet", norm), (export, layer)):
        values[model] = client.activations(model, batch, place)[place].astype("f8")
    delta = np.abs(values[export] - values["resnet"])
    assert rows[layer]["max_error"] == pytest.approx(delta.max(), rel=1e-4)
    assert rows[layer]["mean_error"] == pytest.approx(delta.mean(), rel=1e-4)
    assert norm in rows[layer]["note"]
    text = str(found)
    assert text.startswith(f"{layer} (compared after {norm}")
    assert "which agrees, so look at this layer itself" in text
    before = list(rows)[: list(rows).index(layer)]
    assert all(rows[each]["agrees"] for each in before)


def test_the_spoilt_weight_of_the_demos_twin_is_found_on_photographs(client, photographs):
    assert client.compare("demo", "twin", photographs).first_divergence is None
    found = client.compare("demo", "bad-twin", photographs)
    assert found.first_divergence == BAD_IN_DEMO
    assert all(0 <= each <= 1.0000001 for each in found.table["cka"] if each is not None)


def test_another_preparation_shows_at_the_input(client, photographs):
    """The resnet's export takes ImageNet's mean; the demo has its own."""
    found = client.compare("demo", "good", photographs[0], pairs={"x": "x"})
    assert found.first_divergence == "x"
    same = client.compare("demo", "good", photographs[0], pairs={"x": "x"}, same_tensors=True)
    assert same.first_divergence is None


EDITED = "layer2.0.relu"


def test_an_edited_export_differs_from_itself_by_the_edit_alone(client, batch):
    """Both sides are computed by the graph, not one by ONNX Runtime, whose rounding would show."""
    edit = hooke.Ablate(EDITED, units=[3, 5])
    found = client.compare("good", "good", batch, candidate_edits=edit)
    assert found.first_divergence == EDITED
    rows = {row["layer"]: row for row in found.table.dicts()}
    order = list(rows)
    assert all(rows[each]["max_error"] == 0 for each in order[: order.index(EDITED)])
    assert rows["fc"]["max_error"] > 0
    assert "onnxruntime" not in found.result.provenance.versions
    network = client.compare("resnet", "resnet", batch, ["fc"], candidate_edits=edit)
    assert network.table["max_error"] == pytest.approx([rows["fc"]["max_error"]], rel=1e-3)
    between = client.compare("resnet", "good", batch, candidate_edits=edit)
    assert between.first_divergence == EDITED


def test_a_spoilt_export_is_told_from_an_edit_behind_it(client, batch):
    edit = hooke.Ablate("layer3.0", units=[3, 5])
    found = client.compare("resnet", "bad", batch, candidate_edits=edit)
    assert found.first_divergence == BAD
    assert "No edit reaches it." in str(found)


def test_rows_come_as_they_are_ready(client, batch):
    seen = []
    client.compare("resnet", "tuned", batch, ["layer*"], watch=seen.append)
    rows = [len(frame) for frame in seen if isinstance(frame, hooke.Table)]
    assert rows[0] == 0
    assert sum(rows) == len(client.layers("resnet", glob="layer*"))
    assert isinstance(seen[-1], hooke.Result)
    assert any(isinstance(frame, hooke.Progress) for frame in seen)


def test_unlike_networks_are_compared_by_a_map(client, photographs):
    found = client.compare(
        "resnet", "demo", photographs, ["layer?"], map="blocks.?", same_tensors=True
    )
    matrix = found.cka()
    assert matrix.shape == (4, 7)
    assert ((matrix >= 0) & (matrix <= 1)).all()
    assert found.tables["cka"]["layer"] == ["layer1", "layer2", "layer3", "layer4"]
    assert found.pictures["cka"].data[:4] == b"\x89PNG"


def test_weights_of_a_tuned_copy(client):
    found = client.compare_weights("resnet", "tuned")
    changed = {row["weight"] for row in found.table.dicts() if row["changed"]}
    assert changed == {f"{BAD}.weight"}
    assert found.finding("largest_change").text.endswith("in 1 of 147456 entries")
    assert client.compare_weights("resnet", "resnet").finding("equal")
    only = client.compare_weights("resnet", "tuned", ["fc.*"], format="webp")
    assert only.table["weight"] == ["fc.weight", "fc.bias"]
    assert only.pictures["changes"].mime_type == "image/webp"


def test_units_of_an_export_are_those_of_the_network(client, batch):
    found = client.match_units("resnet", "good", batch, "layer2.1.bn2", correlations=True)
    assert found.table["partner"] == found.table["best"] == list(range(128))
    assert min(found.table["correlation"]) > 0.9999
    assert found.correlations.shape == (128, 128)


def test_inputs_that_are_too_large_are_told_at_once(client):
    with pytest.raises(ValueError, match="fit into a request; give fewer"):
        client.compare("resnet", "good", np.zeros((8, 3, 224, 224), "f4"))


def test_compare_on_the_command_line(ask, photographs, tmp_path):
    output = ask(
        "compare", "demo", "bad-twin", *photographs, "-o", "layers.csv", "-o", "errors.png"
    )
    assert f"{BAD_IN_DEMO} (compared after" in output
    assert "the 20 of" in output
    assert (tmp_path / "errors.png").read_bytes()[:4] == b"\x89PNG"
    with (tmp_path / "layers.csv").open(newline="") as file:
        rows = {row["layer"]: row for row in csv.DictReader(file)}
    assert rows[BAD_IN_DEMO]["agrees"] == "False"
    answer = ask("compare", "demo", "twin", photographs[0], "-l", "classifier", "--json")
    assert answer["findings"][0]["kind"] == "agreement"
    assert answer["tables"]["layers"][0]["layer"] == "classifier"
    paired = ask(
        "compare", "demo", "twin", photographs[0], "--pair", "conv_stem=conv_stem", "--all"
    )
    assert "conv_stem" in paired


def test_weights_and_units_on_the_command_line(ask, photographs, tmp_path):
    output = ask("compare-weights", "resnet", "tuned", "-w", "layer2.0.*", "-o", "w.csv")
    assert "1 of" in output
    assert (tmp_path / "w.csv").read_text().startswith("weight,shape,candidate_shape")
    output = ask("match-units", "demo", "twin", *photographs, "-l", "blocks.1.0", "-o", "u.png")
    assert "units of blocks.1.0 have a partner" in output
    assert (tmp_path / "u.png").exists()
