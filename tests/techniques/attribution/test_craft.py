"""Concepts of a layer, on pictures of patches whose colours are the concepts."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from answers import frames, unit
from traced import model_of

from hooke_server.errors import FailedPreconditionError
from hooke_server.techniques.frames import Array, Picture
from hooke_server.techniques.tables import Finding, Rows

CELLS, EDGE = 4, 8
SIZE = CELLS * EDGE
PLANTED = torch.tensor([[3.0, 0, 1, 0, 0], [0, 2, 0, 0, 2], [0, 0, 1, 3, 0]])
"""What the units say to red, green and blue."""


@pytest.fixture(scope="module")
def planted():
    """A layer that says PLANTED to colours; the outputs read red, and red and blue."""
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 5, 1, bias=False), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(5, 2),
    )  # fmt: skip
    with torch.no_grad():
        net[0].weight.copy_(PLANTED.T[:, :, None, None])
        net[4].weight.copy_(torch.tensor([[1.0, 0, 0, 0, 0], [1.0, 0, 0, 1.0, 0]]))
    return model_of(net, 3, SIZE, SIZE)


@pytest.fixture(scope="module")
def patches():
    """Each cell has one of the colours, [samples, colours, cells, cells] and as pictures."""
    generator = torch.Generator().manual_seed(0)
    which = torch.randint(3, (6, CELLS, CELLS), generator=generator)
    cells = F.one_hot(which, 3).permute(0, 3, 1, 2).float()
    return cells, cells.repeat_interleave(EDGE, 2).repeat_interleave(EDGE, 3)


def asked(model, pictures, *, at="1", seed=0, **given):
    given = {"concepts": 3, "crop": 1 / CELLS, "designs": 64} | given
    return frames(model, pictures, "craft", [unit(model, 0), unit(model, 1)], at, seed, **given)


def arrays(found):
    return {each.name: each for each in found if isinstance(each, Array)}


def matched(found):
    """For each planted colour the concept that is most like it, and how alike they are."""
    directions = F.normalize(arrays(found)["craft_concepts"].value, dim=1)
    return (F.normalize(PLANTED, dim=1) @ directions.T).max(1)


def test_planted_concepts_are_found(planted, patches):
    found = asked(planted, patches[1])
    alike = matched(found)
    assert sorted(alike.indices.tolist()) == [0, 1, 2]
    assert float(alike.values.min()) > 0.99


def test_maps_are_where_the_concepts_are(planted, patches):
    cells, pictures = patches
    found = asked(planted, pictures)
    maps = arrays(found)["craft_maps"]
    assert maps.axes == ("concept", "batch", "height", "width")
    for colour, concept in enumerate(matched(found).indices.tolist()):
        seen = F.avg_pool2d(maps.value[concept], EDGE)
        there = cells[:, colour] > 0
        assert float(seen[there].min()) > 3 * float(seen[~there].max())


def test_importance_is_what_the_targets_read(planted, patches):
    found = asked(planted, patches[1])
    red, green, blue = matched(found).indices.tolist()
    importance = arrays(found)["craft_importance"].value
    assert importance.shape == (2, 6, 3)
    mean = importance.mean(1)
    assert float(mean[0, red]) > 0.9
    assert float(mean[:, green].max()) < 0.05
    assert float(mean[1, blue]) > 0.1
    assert float(mean[0, blue]) < 0.05
    assert red == 0  # the most important comes first
    [rows] = [each.rows for each in found if isinstance(each, Rows) and each.table.name == "craft"]
    for concept, layer, target, _, value in rows:
        assert layer == "1"
        assert value == pytest.approx(float(mean[target, concept]), abs=1e-6)


def test_pictures_and_words(planted, patches):
    found = asked(planted, patches[1])
    drawn = [each for each in found if isinstance(each, Picture)]
    assert len(drawn) == 3 * 6
    assert {each.name for each in drawn} == {"concept_0", "concept_1", "concept_2"}
    assert all(each.pixels.std() > 0 for each in drawn)
    [said] = [each for each in found if isinstance(each, Finding)]
    assert (said.kind, said.target, said.layer) == ("craft", None, "1")
    assert "3 concepts make up 100% of what 1 says" in said.text
    assert "concept 0 matters most" in said.text


def test_seeds_and_requests_at_once(planted, patches):
    def seen(seed):
        return arrays(asked(planted, patches[1], seed=seed))["craft_importance"].value

    serial = [seen(seed) for seed in (1, 2)]
    assert not torch.equal(*serial)
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(seen, (1, 2)))
    for alone, other in zip(serial, together, strict=True):
        torch.testing.assert_close(other, alone, rtol=1e-4, atol=1e-5)


def test_layers_without_positions_are_refused(planted, patches):
    with pytest.raises(FailedPreconditionError, match="no positions"):
        asked(planted, patches[1], at="3")
