"""Objectives add, multiply, climb and fall, and are refused where nothing can be measured."""

import numpy as np
import pytest
import torch
from scenes import PHOTO, scene_of

from hooke_server.errors import FailedPreconditionError, InvalidArgumentError
from hooke_server.techniques.frames import Picture, Progress
from hooke_server.techniques.objectives.algebra import Objective, Term, of
from hooke_server.techniques.objectives.checking import check_objective
from hooke_server.techniques.objectives.measures import (
    ActivationComparison,
    ActivationDifference,
    Blend,
    Direction,
    Diversity,
    ImageDirection,
    LayerEnergy,
    Misalignment,
    Response,
)
from hooke_server.techniques.objectives.penalties import (
    Blur,
    BoundaryComplexity,
    MeanAlpha,
    PixelNorm,
    TotalVariation,
)
from hooke_server.techniques.plans import Item
from hooke_server.techniques.targets import Site
from hooke_server.techniques.technique import all_techniques
from hooke_server.techniques.visualization.ascent import Ascent
from hooke_server.techniques.visualization.images import ImageParameterization
from hooke_server.techniques.visualization.sight import Sight, Subject
from hooke_server.techniques.visualization.storages import (
    FixedMagnitude,
    FourierImage,
    LaplacianPyramid,
    PatternNetwork,
    PixelImage,
)

CONV, FC = Site(layer="conv"), Site(layer="fc")


@pytest.fixture
def small(tiny):
    return scene_of(tiny, ["conv", "fc"])


def test_objectives_add_subtract_scale_and_multiply(small):
    a, b = of(Response(location=Site(layer="conv", unit=0))), of(TotalVariation())
    one, other = a(small), b(small)
    cases = [
        (a + b, one + other),
        (a - b, one - other),
        (0.5 * a - b * 2 + -a, -0.5 * one - 2 * other),
        (a * b, one * other),
        ((a + 2 * b) * (a - b), (one + 2 * other) * (one - other)),
        (Objective(), torch.zeros(6)),
        (Objective(terms=(Term(weight=3.0),)), torch.full((6,), 3.0)),
    ]
    for objective, expected in cases:
        torch.testing.assert_close(objective(small), expected)


def test_an_objective_tells_what_it_reads(tiny):
    difference = ActivationDifference(location=CONV, image=PHOTO)
    mixed = of(Blend(first=CONV, second=FC)) * of(difference) - of(TotalVariation())
    assert mixed.sites == [CONV, FC, CONV]
    assert mixed.layers(tiny) == ("conv", "fc")
    assert mixed.photographs == [PHOTO]
    assert mixed.without(Blend) == -of(TotalVariation())
    assert mixed.without(TotalVariation, Blend) == Objective()


UNIT = Site(layer="conv", unit=1)
MEASURES = [
    Response(location=UNIT),
    Response(location=Site(layer="fc", unit=2)),
    Response(location=Site(layer="conv", unit=1, position=(3, 3))),
    LayerEnergy(location=CONV),
    Direction(location=CONV, vector=(1.0, -1.0, 2.0, 0.0), cosine_power=2.0),
    ImageDirection(location=CONV, image=PHOTO, cosine_power=1.0),
    Blend(first=UNIT, second=Site(layer="fc", unit=2)),
    Misalignment(location=CONV),
    Diversity(location=CONV),
    *(
        ActivationDifference(location=CONV, image=PHOTO, comparison=comparison)
        for comparison in ActivationComparison
    ),
    PixelNorm(order=1),
    PixelNorm(order=2),
    TotalVariation(),
    Blur(),
    Blur(alpha=True),
    BoundaryComplexity(width=3),
    MeanAlpha(),
]
LENS = all_techniques()["feature_visualization"]


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("sign", ["positive", "negative"])
def test_every_measure_climbs_and_falls(tiny, measure, sign):
    """Through the technique, three pictures side by side; measured again on themselves."""
    needs_alpha = isinstance(measure, MeanAlpha) or getattr(measure, "alpha", False)
    given = {
        "ascent": {
            "steps": 30,
            "size": 16,
            "image": {"alpha": needs_alpha, "deviation": 0.5},
            "transforms": {"transforms": ()},
        },
        "sign": sign,
        "pictures": 3,
        "diversity": 0,
    }
    plan = LENS.bind([tiny], [Item(objective=of(measure))], given)
    frames = list(LENS.run([tiny], plan))
    climb = [frame.objective for frame in frames if isinstance(frame, Progress)]
    done = [frame.objective for frame in frames if isinstance(frame, Picture)]
    assert len(done) == 3
    assert np.mean(done) > climb[0]
    assert np.mean(climb[-5:]) > np.mean(climb[:5])
    factor = 1 if sign == "positive" else -1
    assert plan.items[0].objective == of(measure)
    if "Difference" in type(measure).__name__ or isinstance(measure, PixelNorm | TotalVariation):
        assert all(factor * value >= 0 for value in climb)


STORAGES = (PixelImage(), FourierImage(), LaplacianPyramid(), PatternNetwork(), FixedMagnitude())


@pytest.mark.parametrize("storage", STORAGES, ids=lambda storage: type(storage).__name__)
def test_any_image_goes_with_any_objective(tiny, storage):
    """A step moves the picture, and everything stays finite."""
    for measure in MEASURES:
        image = ImageParameterization(storage=storage, alpha=True, deviation=0.5)
        ascent = Ascent(steps=2, size=16, image=image)
        plan = LENS.bind([tiny], [Item(objective=of(measure))], {"ascent": ascent, "pictures": 2})
        frames = list(LENS.run([tiny], plan))
        values = [f.objective for f in frames if isinstance(f, Picture | Progress)]
        assert np.isfinite(values).all()
        assert [f.pixels.shape for f in frames if isinstance(f, Picture)] == [(16, 16, 4)] * 2


def test_penalties_bear_upon_the_picture(tiny):
    """Less variation than without the penalty."""
    variation = []
    for weight in (0.0, -5.0):
        penalty = weight * of(TotalVariation())
        given = {
            "ascent": {
                "steps": 30, "size": 16, "penalty": penalty, "transforms": {"transforms": ()},
            }
        }  # fmt: skip
        frames = LENS.run([tiny], LENS.bind([tiny], [Item(site=UNIT)], given))
        [picture] = [frame for frame in frames if isinstance(frame, Picture)]
        variation.append(np.abs(np.diff(picture.pixels.astype(int), axis=0)).mean())
    assert variation[1] < 0.5 * variation[0]


def test_pictures_to_compare_with_go_through_the_same_transforms(tiny):
    """One that is the target itself stays the target, however both are changed."""
    size = (16, 16)
    objective = of(ActivationDifference(location=CONV, image=PHOTO))
    itself = PHOTO.cropped(size)[None]
    sight = Sight(tiny, [Subject(objective=objective)], size, references={PHOTO: itself[0]})
    assert sight(itself, lambda x: x.roll(3, 2).flip(3) * 0.5).tolist() == [0]
    assert sight(itself.flip(2), lambda x: x * 0.5).item() > 0.01


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (Objective(), "at least one term"),
        (Objective(terms=(Term(),)), "at least one factor"),
        (of(LayerEnergy(location=UNIT)), "LayerEnergy reads a whole layer"),
        (of(Diversity(location=Site(layer="conv", position=(1, 1)))), "Diversity reads a whole"),
        (of(Direction(location=UNIT, vector=(1.0,) * 4)), "Direction reads a whole layer"),
        (of(Direction(location=CONV, vector=(1.0,) * 3)), "4 numbers, one for each unit of 'conv'"),
        (of(Direction(location=CONV, vector=(0.0,) * 4)), "not all zero"),
        (of(Response(location=Site(layer="fc", model=1))), "in the model of the items"),
    ],
)
def test_objectives_that_cannot_be_measured_are_refused(tiny, objective, message):
    with pytest.raises(InvalidArgumentError, match=message) as refused:
        check_objective(tiny, objective, "items[2].objective")
    assert refused.value.field == "items[2].objective"


def test_layers_that_cannot_be_raised_are_refused(chances):
    with pytest.raises(FailedPreconditionError, match="optimized for: its values are not real"):
        check_objective(chances, of(LayerEnergy(location=Site(layer="argmax"))), "penalty")
