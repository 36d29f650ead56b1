"""`hooke compare` and `match-units` against a real server: their options reach it."""

import numpy as np
import pytest
from PIL import Image

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
