"""`hooke compare` and `match-units` against a real server: their options reach it."""

import numpy as np
import pytest
from PIL import Image

import hooke

LAYER = "blocks.2.1"


@pytest.fixture
def turned(run, photograph):
    """Four pictures, as arguments."""
    cat = Image.open(photograph).convert("RGB")
    names = [f"{angle}.png" for angle in (0, 10, 20, 30)]
    for angle, name in zip((0, 10, 20, 30), names, strict=True):
        cat.rotate(angle).save(name)
    return names


def test_similarity_as_it_is_asked_for(ask, turned):
    call = ("compare", "demo", "demo", *turned, "-l", LAYER, "--json")
    other = ("--candidate-input", turned[1], "--candidate-input", turned[0])
    swapped = (*other, "--candidate-input", turned[3], "--candidate-input", turned[2])
    values = [
        ask(*call, *swapped, *options)["tables"]["layers"][0]["cka"]
        for options in ((), ("--unbiased",), ("--features", "flattened"))
    ]
    assert len(set(values)) == 3
    [same] = ask(*call)["tables"]["layers"]
    assert same["cka"] == pytest.approx(1)


def test_correlations_go_to_an_array(ask, turned, tmp_path):
    told = ask(
        "match-units", "demo", "demo", *turned[:2], "-l", LAYER, "-o", "c.npy", "-o", "u.CSV"
    )
    assert "wrote c.npy\nwrote u.CSV" in told
    correlations = np.load(tmp_path / "c.npy")
    assert correlations.shape == (40, 40)
    np.testing.assert_allclose(np.diag(correlations), 1, atol=1e-4)
    assert (tmp_path / "u.CSV").read_text().startswith("unit,partner")


def test_edits_of_the_candidate(ask, photograph, demo_address):
    """Each row is the difference of what the model says with and without the edits."""
    layers = ("blocks.1", LAYER, "blocks.4", "classifier")
    patch = ("--edit", f"replace=other.png:{LAYER}#0,1")
    Image.open(photograph).rotate(90).save("other.png")
    options = [word for layer in layers for word in ("-l", layer)]
    texts = ("-e", f"ablate:{LAYER}#7", *patch)
    answer = ask("compare", "demo", "demo", photograph, *options, *texts, "--json")
    edits = [hooke.Ablate(LAYER, units=7), hooke.Replace(LAYER, "other.png", units=[0, 1])]
    with hooke.connect(demo_address) as client:
        plain = client.activations("demo", photograph, layers)
        changed = client.activations("demo", photograph, layers, edits=edits)
        found = client.compare("demo", "demo", photograph, layers, candidate_edits=edits)
    assert found.first_divergence == LAYER
    assert [each["text"] for each in answer["findings"]] == [each.text for each in found.findings]
    for row in answer["tables"]["layers"]:
        delta = np.abs(changed[row["layer"]].astype("f8") - plain[row["layer"]])
        assert row["max_error"] == pytest.approx(delta.max(), rel=1e-4)
        assert (row["max_error"] == 0) == (row["layer"] == "blocks.1")
    told = ask("compare", "demo", "demo", photograph, "-l", LAYER, *texts)
    assert "edited in the candidate" in told


def test_units_of_an_edited_candidate(ask, turned):
    call = ("match-units", "demo", "demo", *turned, "-l", LAYER, "--json")
    rows = ask(*call, "--edit", f"scale=-1:{LAYER}#5")["tables"]["units"]
    plain = ask(*call)["tables"]["units"]
    assert plain[5]["correlation"] == pytest.approx(1)
    assert rows[5]["best_correlation"] < 0.99
    turned_back = ask(*call, "--edit", f"scale=-1:{LAYER}#5", "--absolute")["tables"]["units"]
    assert turned_back[5]["correlation"] == pytest.approx(-1)


def test_wrong_edits_of_the_candidate(run, photograph, demo_address, monkeypatch):
    monkeypatch.setenv("HOOKE_ADDRESS", demo_address)
    code, _, errors = run("compare", "demo", "demo", photograph, "--edit", "shrink:a")
    assert code != 0
    assert "ablate, scale, clamp, add or replace" in errors
    code, _, errors = run("compare", "demo", "demo", photograph, "--edit", f"ablate:{LAYER}#40")
    assert code != 0
    assert "40" in errors
