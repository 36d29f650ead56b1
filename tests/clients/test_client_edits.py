"""Edits by the Python client and on the command line, against the demo server."""

import json
import sys

import numpy as np
import pytest

import hooke
from hooke.cli import main
from hooke.cli.edits import edit
from hooke.edits import edit_messages

LAYER = "blocks.4.2"


@pytest.fixture(scope="module")
def client(demo_address):
    with hooke.connect(demo_address) as client:
        yield client


@pytest.fixture(scope="module")
def output(client):
    client.layers("demo")
    return client.model("demo").output_layer


def read(client, inputs, layer, *edits):
    return client.activations("demo", inputs, layer, edits=edits)[layer]


def test_reading_an_edited_layer(client, photograph):
    plain = read(client, photograph, LAYER)
    vector = np.arange(plain.shape[1]) / 100
    expected = plain.copy()
    expected[:, [3, 5]] = 0
    expected[:, :, 1, 2] *= 2
    expected += (0.5 * vector)[:, None, None].astype("f4")
    expected = expected.clip(None, 1)
    edits = [
        hooke.Ablate(LAYER, units=[3, 5]),
        hooke.Scale(LAYER, 2, positions=[(1, 2)]),
        hooke.AddDirection(LAYER, vector, 0.5),
        hooke.Clamp(LAYER, high=1),
    ]
    np.testing.assert_allclose(read(client, photograph, LAYER, *edits), expected, atol=1e-6)
    mean = read(client, photograph, LAYER, hooke.Ablate(LAYER, "mean", units=7))[0, 7]
    np.testing.assert_allclose(mean, np.full_like(mean, plain[0, 7].mean()), atol=1e-5)


def test_replacing(client, photograph, output):
    other = np.random.default_rng(0).integers(0, 255, (224, 224, 3), np.uint8)
    there, here = read(client, other, output), read(client, photograph, output)
    np.testing.assert_allclose(
        read(client, photograph, output, hooke.Replace(LAYER, other)), there, atol=1e-4
    )
    value = read(client, other, LAYER)
    for given in (value, hooke.Tensor(value=value)):
        got = read(client, photograph, output, hooke.Replace(LAYER, value=given))
        np.testing.assert_allclose(got, there, atol=1e-4)
    np.testing.assert_allclose(read(client, photograph, output), here)
    for wrong in (hooke.Replace(LAYER), hooke.Replace(LAYER, other, value)):
        with pytest.raises(ValueError, match="inputs or a value"):
            read(client, photograph, output, wrong)


def test_a_sweep_in_one_pass(client, photograph, output):
    edits = [hooke.Ablate(LAYER, units=n, samples=[n]) for n in range(4)]
    swept = read(client, [photograph] * 4, output, *edits)
    for n in range(4):
        alone = read(client, photograph, output, hooke.Ablate(LAYER, units=n))
        np.testing.assert_allclose(swept[n], alone[0], atol=1e-4)


def test_large_inputs_and_recordings(client, output):
    """What does not fit into a request is recorded, with the same edits."""
    batch = np.random.default_rng(0).normal(size=(8, 3, 224, 224)).astype("f4")
    scaled = hooke.Scale("blocks.3", 0.5)
    got = read(client, batch, output, scaled)
    answers = client.record("demo", [batch[:1], batch[1:2]], output, edits=scaled)
    for index, answer in enumerate(answers):
        np.testing.assert_allclose(answer[output][0], got[index], atol=1e-4)
    assert np.abs(read(client, batch[:1], output) - got[:1]).max() > 1e-3
    with pytest.raises(ValueError, match="a message holds"):
        read(client, batch[:1], output, hooke.Replace("conv_stem", batch))


def test_estimates_and_pictures(client, photograph, output):
    patch = hooke.Replace(LAYER, photograph)
    plain = client.estimate("demo", photograph, output)
    more = client.estimate("demo", photograph, output, edits=patch)
    assert more.memory_bytes > plain.memory_bytes
    assert more.macs > 1.5 * plain.macs
    lens = hooke.FeatureVisualization(steps=2, size=32)
    made = [
        client.picture("demo", lens, layer=LAYER, unit=7, edits=edits).data
        for edits in ((), hooke.Ablate("blocks.2.1"), [patch, hooke.Scale("blocks.1", 2)])
    ]
    assert made[0] != made[1]
    [*_, result] = client.visualize("demo", lens, layer=LAYER, unit=7, edits=patch)
    [told] = json.loads(result.provenance.edits_json)
    assert told["layer"] == LAYER


def test_errors_name_the_edit(client, photograph, output):
    with pytest.raises(hooke.OutOfRangeError, match="112") as caught:
        read(client, photograph, output, hooke.Scale(LAYER, 1), hooke.Ablate(LAYER, units=112))
    assert caught.value.reason == "UNIT_OUT_OF_RANGE"
    with pytest.raises(hooke.InvalidArgumentError) as refused:
        read(client, photograph, output, hooke.Scale(LAYER, 1), hooke.Clamp(LAYER))
    assert "edits[1].clamping" in refused.value.field_violations


SAME = {
    "ablate:blocks.4.2": hooke.Ablate("blocks.4.2"),
    "ablate:blocks.4.2#7": hooke.Ablate("blocks.4.2", units=7),
    "ablate=mean:relu:1#7,9": hooke.Ablate("relu:1", "mean", units=[7, 9]),
    "ablate:#tabby, tabby cat": hooke.Ablate(None, label="tabby, tabby cat"),
    "scale=-.5:conv_stem#2[14,3]": hooke.Scale("conv_stem", -0.5, units=2, positions=[(14, 3)]),
    "scale=2:lstm@1[4]": hooke.Scale("lstm@1", 2, positions=[(4,)]),
    "clamp=0..1:a": hooke.Clamp("a", 0, 1),
    "clamp=-1.5..:a": hooke.Clamp("a", -1.5),
    "clamp=..6e1:a": hooke.Clamp("a", None, 60),
    "add=v.npy:a": hooke.AddDirection("a", [1, 2]),
    "add=-2*v.npy:a": hooke.AddDirection("a", [1, 2], -2),
    "replace=v.npy:a#1": hooke.Replace("a", np.array([1.0, 2.0]), units=[1]),
}


@pytest.mark.parametrize("text", SAME)
def test_what_the_option_says(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("v.npy", np.array([1.0, 2.0]))
    assert edit_messages(edit(text), "m") == edit_messages(SAME[text], "m")


WRONG = ["ablate", "shrink=2:a", "scale:a", "scale=x:a", "clamp:a", "clamp=1:a", "add=v.png:a"]


@pytest.mark.parametrize("text", [*WRONG, "replace:a", "ablate:a#"])
def test_what_the_option_does_not_say(text):
    with pytest.raises(ValueError, match=r"--edit|is not LAYER"):
        edit(text)


def test_the_command(client, photograph, output, demo_address, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        words = ["hooke", *map(str, words), "--address", demo_address]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    text = f"ablate:{LAYER}#7"
    code, printed, errors = run("activations", "demo", photograph, "-e", text, "--json")
    assert code == 0, errors
    expected = read(client, photograph, output, hooke.Ablate(LAYER, units=7))
    [tensor] = json.loads(printed)["tensors"]
    np.testing.assert_allclose(tensor["values"], expected, atol=1e-5)
    small = ("-s", "steps=2", "-s", "size=32", "-o", "edited.png")
    code, _, errors = run(
        "visualize", "demo", "-l", LAYER, "-u", 7, "-e", f"scale=2:{LAYER}", *small
    )
    assert code == 0, errors
    assert (tmp_path / "edited.png").exists()
    code, _, errors = run("activations", "demo", photograph, "-e", "shrink:a")
    assert code != 0
    assert "ablate, scale, clamp, add or replace" in errors
