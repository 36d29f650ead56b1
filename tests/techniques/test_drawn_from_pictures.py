"""DeepDream, caricature, feature inversion, accentuation, style transfer: what they reach,
measured by an eager network or by what they are for."""

import numpy as np
import pytest
import torch
from lens_runs import cat, eager, photograph, pixels_of, place, run

from hooke_server.errors import InvalidArgumentError
from hooke_server.techniques.visualization.style_transfer import on_the_way

QUICK = {"steps": 24, "size": 64}


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(np.corrcoef(a.flatten().numpy(), b.flatten().numpy())[0, 1])


def test_deep_dream_tells_the_mean_square_of_its_layer(resnet):
    [picture], _, result = run("deep_dream", resnet, [place("layer2")], {"ascent": QUICK})
    measured = eager("layer2", pixels_of(picture)).square().mean().item()
    assert picture.objective == pytest.approx(measured, rel=0.02)
    assert result.metrics["objective"] == picture.objective
    [start], _, _ = run("deep_dream", resnet, [place("layer2")], {"ascent": QUICK | {"steps": 1}})
    assert picture.objective > 2 * start.objective


def test_deep_dream_can_start_from_a_picture(resnet):
    given = {"ascent": {"steps": 4, "size": 64, "image": {"start": cat()}}}
    [picture], _, _ = run("deep_dream", resnet, [place("layer2")], given)
    assert correlation(pixels_of(picture), cat().cropped((64, 64))[None]) > 0.8


def test_caricature_follows_the_photographs_activations_at_each_place(resnet):
    given = {"photograph": cat(), "ascent": QUICK, "cosine_power": 2.0}
    [picture], _, _ = run("caricature", resnet, [place("layer2")], given)
    ours = eager("layer2", pixels_of(picture))[0].numpy()
    target = eager("layer2", cat().cropped((64, 64))[None])[0].numpy()
    values = []
    for row, column in np.ndindex(ours.shape[1:]):
        a, b = ours[:, row, column], target[:, row, column]
        dot = a @ b / np.linalg.norm(b)
        values.append(dot * max(0.1, dot / np.linalg.norm(a)) ** 2)
    assert picture.objective == pytest.approx(np.mean(values), rel=0.03)
    cosine = (ours * target).sum() / np.linalg.norm(ours) / np.linalg.norm(target)
    assert cosine > 0.8


def test_inversion_gives_back_more_from_earlier_layers(trained):
    given = {"photograph": cat(), "ascent": {"steps": 96, "size": 96}}
    pictures, _, _ = run(
        "feature_inversion", trained, [place("blocks.0.0"), place("blocks.5.2")], given
    )
    wanted = cat().cropped((96, 96))[None]
    early, late = (correlation(pixels_of(picture), wanted) for picture in pictures)
    assert early > 0.85
    assert late < early - 0.1


def test_accentuation_raises_the_unit_and_stays_as_near_as_asked(trained):
    unit = place(trained.output_layer, 285)
    photo = cat().cropped((96, 96))[None]
    reached, apart = [], []
    for faithfulness in (0.0, 20.0):
        given = {
            "photograph": cat(),
            "ascent": {"steps": 24, "size": 96},
            "faithfulness": faithfulness,
        }
        [picture], _, _ = run("accentuation", trained, [unit], given)
        with torch.no_grad():
            logit = trained.probe([trained.output_layer])((pixels_of(picture) - 0.5) / 0.5)
        reached.append(logit[trained.output_layer][0, 285].item())
        apart.append((pixels_of(picture) - photo).abs().mean().item())
    with torch.no_grad():
        before = trained.probe([trained.output_layer])((photo - 0.5) / 0.5)
    assert min(reached) > before[trained.output_layer][0, 285].item() + 1
    assert apart[1] < 0.7 * apart[0]
    assert reached[1] < reached[0]


def test_accentuation_can_be_anchored_at_a_layer(resnet):
    given = {"photograph": cat(), "ascent": QUICK, "anchor": place("layer1")}
    [picture], _, _ = run("accentuation", resnet, [place("fc", 3)], given)
    assert picture.name == "accentuation"
    with pytest.raises(InvalidArgumentError, match="whole layer"):
        run("accentuation", resnet, [place("fc", 3)], given | {"anchor": place("layer1", 2)})


def gram_distance(layer: str, a: torch.Tensor, b: torch.Tensor) -> float:
    """Of the products of units, averaged over positions, relative to those of `b`."""
    grams = []
    for picture in (a, b):
        value = eager(layer, picture)[0].flatten(1).numpy()
        grams.append(value @ value.T / value.shape[1])
    return np.abs(grams[0] - grams[1]).mean() / np.abs(grams[1]).mean()


def test_style_transfer_takes_the_manner_and_keeps_the_things(resnet):
    rows, columns = np.mgrid[0:64, 0:64]
    stripes = np.stack([255 * (rows // 3 % 2), 60 + 0 * rows, 255 * (columns // 3 % 2)], -1)
    style = photograph(stripes.astype(np.uint8))
    given = {
        "content": cat(),
        "style": style,
        "style_locations": [place("layer1"), place("layer2")],
        "ascent": {"steps": 48, "size": 64},
    }
    [picture], _, result = run("style_transfer", resnet, [place("layer2")], given)
    content, manner = (each.cropped((64, 64))[None] for each in (cat(), style))
    for layer in ("layer1", "layer2"):
        assert gram_distance(layer, pixels_of(picture), manner) < 0.7 * gram_distance(
            layer, content, manner
        )
    ours, kept = eager("layer2", pixels_of(picture)), eager("layer2", content)
    things = ((ours - kept).square().mean() / kept.square().mean()).item()
    total = sum(gram_distance(layer, pixels_of(picture), manner) for layer in ("layer1", "layer2"))
    assert result.metrics["objective"] == pytest.approx(-things - 10 * total / 2, rel=0.05)


def test_style_layers_are_spread_over_the_way(resnet):
    layers = [site.layer for site in on_the_way(resnet, place("layer3"))]
    order = [list(resnet.layers).index(layer) for layer in layers]
    assert len(layers) == 4
    assert order == sorted(order)
