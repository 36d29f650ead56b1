"""Pictures that come with a request: decoded one at a time, between items, and counted."""

import io
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from traced import model_of

from hooke_server.models import preprocessing
from hooke_server.models.preprocessing import Preprocessing
from hooke_server.techniques import targets
from hooke_server.techniques.attribution.cost import attribution_cost
from hooke_server.techniques.attribution.evidence import Evidence, EvidenceMeasure
from hooke_server.techniques.attribution.explaining import explain
from hooke_server.techniques.attribution.plans import Asked, AskedMethod, bind
from hooke_server.techniques.objectives.algebra import of
from hooke_server.techniques.objectives.measures import ActivationDifference
from hooke_server.techniques.plans import Item
from hooke_server.techniques.targets import Photograph, Site, photographs
from hooke_server.techniques.technique import all_techniques

EDGE = 200


def picture(level, edge=EDGE):
    file = io.BytesIO()
    Image.fromarray(np.full((edge, edge, 3), level, np.uint8)).save(file, "PNG")
    return Photograph(file.getvalue())


@pytest.fixture(scope="module")
def model():
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(4, 2),
    )  # fmt: skip
    steps = Preprocessing(resize_shorter_side=16, crop_height=16, crop_width=16)
    return model_of(net, 3, 16, 16, preprocessing=steps)


@pytest.fixture
def opened(monkeypatch):
    """The pictures that were decoded."""
    files, decode = [], preprocessing.open_picture

    def watching(data, field):
        files.append(data)
        return decode(data, field)

    for module in (preprocessing, targets):
        monkeypatch.setattr(module, "open_picture", watching)
    return files


def most_at_once(frames, opened):
    """Pictures that were decoded between two items."""
    counts = [0]
    for _ in frames:
        counts.append(len(opened))
    return max(after - before for before, after in pairwise(counts))


def explanation(model, evidence=(), **methods):
    asked = Asked(
        targets=(Item(site=Site(layer=model.output_layer, unit=0)),),
        methods=tuple(AskedMethod(name=n, globs=(), given=g) for n, g in methods.items()),
        evidence=Evidence(
            measures=(EvidenceMeasure.COMPLETENESS,) if evidence else (), baselines=tuple(evidence)
        ),
    )
    inputs, plan = [torch.zeros(2, 3, 16, 16)], bind(model, asked)
    cost = attribution_cost(model, plan, inputs, None)
    return cost.estimate, explain(model, inputs, plan, rows=cost.rows)


def images(*levels, edge=EDGE):
    return [("image_baseline", {"image": picture(level, edge)}) for level in levels]


def test_baselines_are_decoded_once_for_all_methods_and_evidence(model, opened):
    given = {"baselines": images(0, 100, 200)}
    evidence = bind_evidence(model, images(50, 100))
    _, frames = explanation(
        model, evidence, integrated_gradients=given, gradient_shap=given, occlusion=given
    )
    assert not opened
    assert most_at_once(frames, opened) == 1
    assert len(opened) == 4


def bind_evidence(model, given):
    parameters = all_techniques().find("integrated_gradients").parameters
    return parameters["baselines"].check(given, "evidence")


def test_concepts_are_decoded_one_at_a_time(model, opened):
    concepts = [{"name": "light", "images": [picture(level) for level in (200, 210, 220, 230)]}]
    others = [picture(level) for level in range(8)]
    _, frames = explanation(model, tcav={"concepts": concepts, "counter_examples": others})
    assert most_at_once(frames, opened) == 1
    assert len(opened) == 12


def test_what_objectives_compare_with_is_decoded_one_at_a_time(model, opened):
    shown = [picture(level) for level in range(5)]
    items = [
        Item(objective=of(ActivationDifference(location=Site(layer="0"), image=each)))
        for each in shown
    ]
    lens = all_techniques().find("feature_visualization")
    plan = lens.bind([model], items, {"ascent": {"steps": 2, "size": 16}})
    assert most_at_once(lens.run([model], plan), opened) == 1
    assert len(opened) == 5


def test_what_decoding_takes_is_counted(model):
    """By the largest picture, since one is decoded at a time."""

    def needed(edge):
        given = {"baselines": [*images(0, edge=edge), *images(1, edge=16)]}
        estimate, _ = explanation(model, integrated_gradients=given)
        return estimate.memory_bytes

    assert needed(400) - needed(200) == 3 * 4 * (400**2 - 200**2)
    lens = all_techniques().find("caricature")
    costs = [
        lens.estimate([model], lens.bind([model], [Item(site=Site(layer="0"))], each)).memory_bytes
        for each in (
            {"photograph": picture(0, edge), "ascent": {"steps": 2, "size": 16}}
            for edge in (200, 400)
        )
    ]
    assert costs[1] - costs[0] == 3 * 4 * (400**2 - 200**2)


def test_all_pictures_of_a_request_are_found():
    one, other = picture(1), picture(2)
    item = Item(objective=of(ActivationDifference(location=Site(layer="0"), image=other)))
    assert [*photographs(((("photograph", one),), [item], 3, "x"))] == [one, other]
