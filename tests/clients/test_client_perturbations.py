"""Methods that take parts away, through the client and a real server with the demo model."""

import numpy as np
import pytest

import hooke
from hooke.methods import (
    BlurBaseline,
    FeatureAblation,
    GridFeatures,
    Hsic,
    KernelShap,
    Lime,
    Occlusion,
    Rise,
    ShapleySampling,
    Sobol,
    SuperpixelFeatures,
    UnitFeatures,
)

FOUR = GridFeatures(cells=2)
QUICK = [
    Occlusion(window=[112], stride=[112]),
    FeatureAblation(features=FOUR),
    ShapleySampling(permutations=2, features=FOUR),
    KernelShap(samples=14, features=FOUR),
    Lime(samples=8, features=FOUR),
    Rise(masks=8, cells=2, baselines=[BlurBaseline()]),
    Sobol(designs=2, order="first", features=FOUR),
    Hsic(samples=8, features=FOUR),
]
NAMES = [
    "occlusion", "feature_ablation", "shapley_sampling", "kernel_shap", "lime", "rise", "sobol",
    "hsic",
]  # fmt: skip


@pytest.fixture(scope="module")
def client(demo_address):
    with hooke.connect(demo_address, timeout=240) as connection:
        yield connection


def test_all_of_them_in_one_request(client, photograph):
    found = client.attributions("demo", photograph, QUICK, label="tabby")
    for name in NAMES:
        assert found[name].shape == (1, 1, 224, 224)
        assert np.isfinite(found[name]).all()
    for name in NAMES[2:]:
        errors = found[f"{name}_standard_error"]
        assert errors.shape == (1, 1, 224, 224)
        assert (errors >= 0).all()
    assert [picture.item for picture in found.pictures] == list(range(len(QUICK)))


def test_shapley_values_sum_up_and_the_cells_are_those_of_the_ablation(client, photograph):
    methods = [
        KernelShap(samples=14, features=FOUR),
        FeatureAblation(features=GridFeatures(cells=1)),
    ]
    found = client.attributions("demo", photograph, methods, pictures=False)
    cells = found["kernel_shap"][0, 0, 56::112, 56::112]
    assert cells.sum() == pytest.approx(found["feature_ablation"].max(), rel=1e-4)


def test_units_of_a_layer(client, photograph):
    method = FeatureAblation(features=UnitFeatures())
    found = client.attributions("demo", photograph, method, at="global_pool", pictures=False)
    assert found["feature_ablation"].shape[:2] == (1, 1)
    assert found["feature_ablation"].std() > 0


def test_what_it_costs_and_what_does_not_fit_is_said_first(client, photograph):
    superpixels = FeatureAblation(features=SuperpixelFeatures())
    estimate = client.attribution_estimate("demo", photograph, superpixels)
    assert estimate.macs > 40 * client.model("demo").macs
    with pytest.raises(hooke.InvalidArgumentError, match="no positions"):
        client.attributions("demo", photograph, Occlusion(), at="global_pool")
