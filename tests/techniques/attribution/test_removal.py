"""Occlusion and ablation against Captum on a private copy, and by hand."""

import pytest
import torch
from answers import answer, difference, frames, unit
from captum.attr import FeatureAblation, LayerFeatureAblation, Occlusion
from captum.testing.helpers.basic_models import BasicModel_MultiLayer
from skimage.segmentation import slic
from traced import model_of

from hooke_server.errors import InvalidArgumentError
from hooke_server.techniques.attribution import explaining
from hooke_server.techniques.attribution.drawing import shown_picture
from hooke_server.techniques.attribution.inquiry import Inquiry
from hooke_server.techniques.attribution.plans import find_method
from hooke_server.techniques.attribution.question import Answer, Question
from hooke_server.techniques.attribution.targets import Target
from hooke_server.techniques.frames import Array, Picture, Progress
from hooke_server.techniques.targets import Site

PICTURES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))


def grid(edge, cells):
    along = torch.arange(edge) * cells // edge
    return (along[:, None] * cells + along)[None, None]


@pytest.mark.parametrize(("window", "stride"), [(16, 16), (25, 13), (64, 1)])
def test_occlusion_is_captums(residual, window, stride):
    model, net = residual
    found = answer(
        model, PICTURES, "occlusion", [unit(model, 1), unit(model, 4)], window=[window],
        stride=[stride], rows=7,
    )  # fmt: skip
    for target, values in zip((1, 4), found, strict=True):
        theirs = Occlusion(net).attribute(
            PICTURES, (3, window, window), (3, stride, stride), target=target
        )
        assert difference(values, theirs[:, 0]) < 1e-5


def test_windows_differ_by_axis(residual):
    model, net = residual
    found = answer(model, PICTURES, "occlusion", [unit(model, 2)], window=[20, 33], stride=[10, 9])
    theirs = Occlusion(net).attribute(PICTURES, (3, 20, 33), (3, 10, 9), target=2)
    assert difference(found[0], theirs[:, 0]) < 1e-5


@pytest.mark.parametrize("cells", [1, 3])
def test_ablation_of_cells_is_captums(residual, cells):
    model, net = residual
    given = {"features": ("grid_features", {"cells": cells})}
    found = answer(model, PICTURES, "feature_ablation", [unit(model, 3)], **given)
    theirs = FeatureAblation(net).attribute(PICTURES, target=3, feature_mask=grid(64, cells))
    assert difference(found[0], theirs[:, 0]) < 1e-5


def test_ablation_of_superpixels_is_captums(residual):
    model, net = residual
    given = {"features": ("superpixel_features", {"segments": 12, "compactness": 3.0})}
    found = answer(model, PICTURES, "feature_ablation", [unit(model, 3)], **given)
    for sample, values in zip(PICTURES, found[0], strict=True):
        shown = shown_picture(model, sample).permute(1, 2, 0).numpy()
        mask = torch.from_numpy(slic(shown, n_segments=12, compactness=3.0, start_label=0))
        theirs = FeatureAblation(net).attribute(sample[None], target=3, feature_mask=mask[None])
        assert difference(values, theirs[0, 0]) < 1e-5


def test_ablation_of_units_of_a_layer_is_captums(residual):
    model, net = residual
    given = {"features": ("unit_features", {})}
    found = answer(model, PICTURES, "feature_ablation", [unit(model, 0)], at="layer1.0", **given)
    mask = torch.arange(found.shape[2])[None, :, None, None]
    theirs = LayerFeatureAblation(net, net.layer1[0]).attribute(
        PICTURES, target=0, layer_mask=mask, layer_baselines=_said(net, net.layer1[0])
    )
    assert difference(found[0], theirs) < 1e-5


def _said(net, layer):
    """What a layer says to nothing."""
    kept = []
    handle = layer.register_forward_hook(lambda *call: kept.append(call[2].detach().clone()))
    with torch.no_grad():
        net(torch.zeros_like(PICTURES))
    handle.remove()
    return kept[0]


def test_occlusion_at_a_layer_hides_what_it_says(chain):
    model, net = chain
    inputs = torch.randn(2, 3, 8, 8)
    found = answer(model, inputs, "occlusion", [unit(model, 1)], at="1", window=[3], stride=[2])
    with torch.no_grad():
        inside, nothing, rest = net[:2](inputs), net[:2](inputs * 0), net[2:]
        fallen, hidden = torch.zeros(2, 8, 8), torch.zeros(8, 8)
        for row in (0, 2, 4, 6):
            for column in (0, 2, 4, 6):
                mask = torch.zeros(8, 8)
                mask[row : row + 3, column : column + 3] = 1
                said = rest(inside)[:, 1] - rest(torch.where(mask > 0, nothing, inside))[:, 1]
                fallen, hidden = fallen + said[:, None, None] * mask, hidden + mask
    assert difference(found[0], fallen / hidden) < 1e-5


def test_a_linear_network_loses_what_each_number_adds(linear):
    model, net = linear
    inputs = torch.randn(3, 3, 4, 4)
    given = {"features": ("element_features", {})}
    found = answer(model, inputs, "feature_ablation", [unit(model, 2)], **given)
    assert difference(found[0], net[1].weight[2].detach().reshape(3, 4, 4) * inputs) < 1e-5


def test_several_baselines_are_averaged(chain):
    model, net = chain
    inputs = torch.randn(2, 3, 8, 8)
    baselines = [("zero_baseline", {}), ("mean_baseline", {})]
    found = answer(model, inputs, "feature_ablation", [unit(model, 3)], baselines=baselines)
    means = inputs.mean((2, 3), keepdim=True).expand_as(inputs)
    theirs = [
        FeatureAblation(net).attribute(inputs, each, target=3, feature_mask=grid(8, 7))[:, 0]
        for each in (torch.zeros_like(inputs), means)
    ]
    assert difference(found[0], sum(theirs) / 2) < 1e-5


def test_a_known_network():
    """Values as others have computed them."""
    model = model_of(BasicModel_MultiLayer(), 3)
    found = answer(model, torch.tensor([[20.0, 50.0, 30.0]]), "feature_ablation", [unit(model, 0)])
    assert found.flatten().tolist() == pytest.approx([80, 200, 120])


@pytest.mark.parametrize(("seconds", "count"), [(0.0, 7), (3600.0, 1)])
def test_looks_come_before_the_end_and_progress_reaches_it(chain, monkeypatch, seconds, count):
    """As many as the method has, where there is time for them."""
    monkeypatch.setattr(explaining, "LOOK_SECONDS", seconds)
    model, _ = chain
    inputs = torch.randn(2, 3, 8, 8)
    for name in ("occlusion", "feature_ablation"):
        found = frames(model, inputs, name, rows=4)
        progress = [frame for frame in found if isinstance(frame, Progress)]
        assert progress[-1].step == progress[-1].total
        looks = [frame for frame in found if isinstance(frame, Picture) and not frame.final]
        assert len(looks) == count * len(inputs)
        assert sum(isinstance(frame, Array) for frame in found) == 1


@pytest.mark.parametrize(
    ("name", "at", "given", "reason"),
    [
        ("occlusion", (), {"window": [1, 2, 3]}, "needs one, or 2"),
        ("occlusion", (), {"window": [3], "stride": [4]}, "leaves gaps"),
        ("occlusion", "4", {}, "no positions"),
        ("feature_ablation", "2", {"features": ("superpixel_features", {})}, "a picture"),
        ("rise", "4", {}, "no positions"),
    ],
)
def test_says_what_cannot_be_divided(chain, name, at, given, reason):
    model, _ = chain
    with pytest.raises(InvalidArgumentError, match=reason):
        frames(model, torch.zeros(1, 3, 8, 8), name, [unit(model, 0)], at=at, **given)


def test_too_many_features_are_refused_where_all_are_weighed_together(residual):
    model, _ = residual
    given = {"features": ("element_features", {})}
    with pytest.raises(InvalidArgumentError, match="12288 features, more than 2048"):
        frames(model, PICTURES, "kernel_shap", [unit(model, 0)], **given)


@pytest.mark.parametrize("name", ["occlusion", "feature_ablation", "shapley_sampling"])
def test_places_are_prepared_one_by_one(chain, name, monkeypatch):
    """Before the first answer nothing is asked that only the second place needs."""
    model, _ = chain
    prepared, starts_at = [], Question.starts_at

    def told(question, place, baselines):
        prepared.append(place.id)
        return starts_at(question, place, baselines)

    monkeypatch.setattr(Question, "starts_at", told)
    inputs, targets = torch.randn(1, 3, 8, 8), [Target(site=Site(layer="5", unit=1))]
    inquiry = Inquiry(model, [inputs], targets, ["input", "1"])
    steps = []
    for each in find_method(name).function(Question.of(inquiry, ["input", "1"])):
        if isinstance(each, Answer) and each.final:
            assert prepared[-1] == each.place.id
        if isinstance(each, Progress):
            steps.append((each.step, each.total))
    assert prepared == ["input", "1"]
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]
