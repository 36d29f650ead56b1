"""Activation grid, neuron groups, semantic dictionary, spatial and channel attribution: numbers
against an eager network with hooks."""

import numpy as np
import pytest
import torch
from lens_runs import cat, eager, eager_resnet, place, run

from hooke_server.errors import InvalidArgumentError
from hooke_server.techniques.visualization.neuron_groups import factorize
from hooke_server.techniques.visualization.semantic_dictionary import look_up

QUICK = {"steps": 2, "size": 32}


def photo() -> torch.Tensor:
    return cat().cropped((64, 64))[None]


def products(layer: str, unit: int) -> tuple[np.ndarray, float]:
    """Activation x gradient of a logit at a module's output, by autograd through hooks."""
    network, caught = eager_resnet(), []
    network.get_submodule(layer).register_forward_hook(lambda _m, _i, out: caught.append(out))
    logit = network(photo().requires_grad_())[0, unit]
    [gradient] = torch.autograd.grad(logit, caught[0])
    return (caught[0] * gradient).detach()[0].numpy(), logit.item()


@pytest.mark.parametrize("layer", ["layer2", "layer4"])
def test_attribution_is_activation_times_gradient(resnet, layer):
    given = {"photograph": cat(), "target": place("fc", 3)}
    expected, logit = products(layer, 3)
    [picture], arrays, _ = run("spatial_attribution", resnet, [place(layer)], given)
    np.testing.assert_allclose(arrays["attribution"], expected.sum(0), rtol=1e-3, atol=1e-5)
    assert picture.objective == pytest.approx(logit, rel=1e-4)
    assert "unit 3 of fc" in picture.caption
    pictures, arrays, _ = run(
        "channel_attribution", resnet, [place(layer)], given | {"ascent": QUICK, "units": 2}
    )
    by_unit = expected.sum((1, 2))
    np.testing.assert_allclose(arrays["attribution"], by_unit, rtol=1e-3, atol=1e-5)
    icons = [p.site.unit for p in pictures if p.name == "icon"]
    order = np.argsort(-by_unit).tolist()
    assert icons == [*order[:2], order[-1], order[-2]]


def test_attribution_is_complete_where_the_rest_is_linear(resnet):
    """Behind the last block lie a mean and a linear layer: all parts and the bias are the logit."""
    given = {"photograph": cat(), "target": place("fc", 5)}
    [picture], arrays, _ = run("spatial_attribution", resnet, [place("layer4")], given)
    bias = eager_resnet().fc.bias[5].item()
    assert arrays["attribution"].sum() + bias == pytest.approx(picture.objective, rel=1e-4)


def test_without_a_target_the_strongest_class_is_explained(resnet):
    with torch.no_grad():
        scores = eager_resnet()(photo())[0]
    [picture], _, _ = run("spatial_attribution", resnet, [place("layer4")], {"photograph": cat()})
    assert picture.objective == pytest.approx(scores.max().item(), rel=1e-4)


def test_a_target_before_the_layer_is_refused(resnet):
    given = {"photograph": cat(), "target": place("layer1", 3)}
    with pytest.raises(InvalidArgumentError, match="not computed from 'layer3'") as refused:
        run("spatial_attribution", resnet, [place("layer3")], given)
    assert refused.value.field == "spatial_attribution.target"


def means(values: np.ndarray, cells: int) -> np.ndarray:
    """Means of equal parts, [units, cells, cells]."""
    size = values.shape[1] // cells
    parts = values[:, : size * cells, : size * cells]
    return parts.reshape(len(values), cells, size, cells, size).mean((2, 4))


def test_the_grids_magnitudes_are_lengths_of_mean_activations(resnet):
    given = {"photograph": cat(), "ascent": QUICK, "cells": 4}
    [picture], arrays, _ = run("activation_grid", resnet, [place("layer2")], given)
    expected = np.linalg.norm(means(eager("layer2", photo())[0].numpy(), 4), axis=0)
    np.testing.assert_allclose(arrays["magnitudes"], expected, rtol=1e-3)
    assert len(picture.tiles) == 16
    sizes = np.array([tile.width for tile in picture.tiles]).reshape(4, 4)
    shares = 0.4 + 0.6 * np.sqrt(expected / expected.max())
    np.testing.assert_allclose(sizes, 32 * shares, atol=0.51)
    assert [tile.caption for tile in picture.tiles[:2]] == ["row 0, column 0", "row 0, column 1"]


def test_the_dictionary_names_the_strongest_units(resnet):
    given = {"photograph": cat(), "ascent": QUICK, "cells": 4, "units": 3, "icons": 5}
    pictures, arrays, _ = run("semantic_dictionary", resnet, [place("layer2")], given)
    values = means(eager("layer2", photo())[0].numpy(), 4)
    order = np.argsort(-values, axis=0, kind="stable")[:3]
    np.testing.assert_array_equal(arrays["units"], order.transpose(1, 2, 0))
    expected = np.take_along_axis(values, order, axis=0).transpose(1, 2, 0)
    np.testing.assert_allclose(arrays["values"], expected, rtol=1e-3, atol=1e-4)
    icons = [p.site.unit for p in pictures if p.name == "icon"]
    assert len(icons) == len(set(icons)) == 5
    assert set(icons) <= set(order.flatten())


def test_icons_go_to_what_is_strongest_somewhere_first():
    activations = torch.zeros(4, 1, 2)
    activations[0] = torch.tensor([[0.0, 3.0]])
    activations[1] = torch.tensor([[2.0, 2.9]])
    activations[2] = torch.tensor([[1.9, 2.8]])
    assert look_up(activations, ranks=3, icons=2).icons == (1, 0)


def test_planted_groups_are_found():
    """Three groups of units, each active at its own places."""
    generator = torch.Generator().manual_seed(0)
    parts = torch.zeros(3, 12)
    for group in range(3):
        parts[group, 4 * group : 4 * group + 4] = torch.rand(4, generator=generator) + 0.5
    maps = torch.zeros(3, 5, 5)
    maps[0, :2], maps[1, 2:4, :3], maps[2, 4] = 3.0, 2.0, 1.0
    activations = torch.einsum("gu,ghw->uhw", parts, maps)
    found, where = factorize(activations, 3, seed=0)
    np.testing.assert_allclose(found.norm(dim=1), 1, rtol=1e-5)
    for group in range(3):
        alike = (found[group] @ parts.T) / parts.norm(dim=1)
        assert alike.max() > 0.999
        assert where[group].flatten().argmax() in maps[int(alike.argmax())].flatten().nonzero()
    rebuilt = torch.einsum("gu,ghw->uhw", found, where)
    np.testing.assert_allclose(rebuilt, activations, atol=0.02)


def test_groups_yield_icons_and_maps(resnet, tiny):
    given = {"photograph": cat(), "ascent": QUICK, "groups": 3}
    pictures, arrays, _ = run("neuron_groups", resnet, [place("layer2")], given)
    assert [p.sample for p in pictures if p.name == "icon"] == [0, 1, 2]
    assert arrays["groups"].shape == (3, 128)
    assert arrays["maps"].shape == (3, 8, 8)
    rebuilt = np.einsum("gu,ghw->uhw", arrays["groups"], arrays["maps"])
    wanted = eager("layer2", photo())[0].clamp(min=0).numpy()
    assert np.linalg.norm(rebuilt - wanted) < 0.75 * np.linalg.norm(wanted)
    with pytest.raises(InvalidArgumentError, match="6 groups are more than the layer's 4"):
        run("neuron_groups", tiny, [place("conv")], {"photograph": cat()})
