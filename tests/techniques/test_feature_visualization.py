"""Feature visualization on networks with random weights."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from feature_runs import (
    CHANNEL,
    CLASS,
    LENS,
    NEURON,
    STILL,
    frames_of,
    image_of,
    pictures_of,
    plan_of,
    subjects,
)

from hooke_server.errors import InvalidArgumentError
from hooke_server.models.preprocessing import Preprocessing
from hooke_server.techniques.frames import Progress, Result
from hooke_server.techniques.plans import Item, Previews
from hooke_server.techniques.targets import Site
from hooke_server.techniques.visualization import redirection
from hooke_server.techniques.visualization.sight import Sight, normalize


def best_of_noise(look, draws):
    """The highest value of random pictures: noise as at the start, and of full contrast."""
    best = -math.inf
    for contrast in (1, 100):
        for seed in range(draws):
            image = image_of(1, 64, seed=seed + 1)
            with torch.no_grad():
                best = max(best, look(image.render(image.start[0] * contrast)).item())
    return best


@pytest.mark.parametrize("site", [CHANNEL, NEURON, CLASS])
@pytest.mark.parametrize("sign", ["positive", "negative"])
def test_every_objective_beats_the_best_of_as_many_random_pictures(resnet, site, sign):
    frames = frames_of(resnet, site, steps=24, size=64, sign=sign, transforms=STILL)
    sight, factor = Sight(resnet, subjects(site), (64, 64)), 1 if sign == "positive" else -1
    assert pictures_of(frames)[0].objective > best_of_noise(lambda p: factor * sight(p), 24)


STORAGES = [
    "pixel_image",
    "fourier_image",
    "laplacian_pyramid",
    "pattern_network",
    "fixed_magnitude",
]


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("decorrelate", [True, False])
def test_objective_rises_however_the_picture_is_stored(resnet, storage, decorrelate):
    image = {"storage": (storage, {}), "decorrelate_colors": decorrelate}
    frames = frames_of(resnet, CHANNEL, steps=16, size=48, transforms=STILL, image=image)
    progress = [frame.objective for frame in frames if isinstance(frame, Progress)]
    assert min(progress[-3:]) > max(progress[:3])


def test_transforms_change_what_is_seen(resnet):
    with_them, without = (
        pictures_of(frames_of(resnet, CHANNEL, steps=3, size=48, **given))[0]
        for given in ({}, {"transforms": STILL})
    )
    assert not np.array_equal(with_them.pixels, without.pixels)


def test_both_signs_are_the_two_alone(resnet):
    given = {"steps": 4, "size": 32, "transforms": STILL}
    both = pictures_of(frames_of(resnet, CHANNEL, sign="both", **given))
    assert [(p.sample, p.caption) for p in both] == [(0, ""), (1, "least")]
    alone = [
        pictures_of(frames_of(resnet, CHANNEL, sign=s, **given))[0]
        for s in ("positive", "negative")
    ]
    assert both[0].objective == pytest.approx(alone[0].objective, rel=0.02)
    assert both[1].objective > 0 > -both[0].objective


def textures(model, pictures, layer):
    """Cosine between the Gram matrices of pictures' activations, the mean over pairs."""
    pixels = torch.stack([torch.from_numpy(p.pixels) for p in pictures]).permute(0, 3, 1, 2) / 255
    seen = model.forward([layer], [pixels])[layer].flatten(2)
    grams = (seen @ seen.transpose(1, 2)).flatten(1)
    grams = grams / grams.norm(dim=1, keepdim=True)
    return ((grams @ grams.T).sum().item() - len(grams)) / (len(grams) * (len(grams) - 1))


@pytest.mark.parametrize(("site", "layer"), [(CHANNEL, CHANNEL.layer), (CLASS, "layer4")])
def test_pictures_of_one_item_differ_by_as_much_as_is_asked(resnet, site, layer):
    """A class, which has no positions, by the textures of the last map before it."""
    given = {"ascent": {"steps": 24, "size": 48, "transforms": STILL}, "pictures": 3}
    plans = [
        LENS.bind([resnet], [Item(site=site)], given | {"diversity": diversity})
        for diversity in (0.0, 4.0)
    ]
    alike, unlike = (pictures_of(LENS.run([resnet], plan)) for plan in plans)
    assert [picture.sample for picture in unlike] == [0, 1, 2]
    apart = [1 - textures(resnet, pictures, layer) for pictures in (alike, unlike)]
    assert apart[1] > 1.3 * apart[0]


def test_a_neuron_moves_only_the_pixels_that_it_sees(resnet):
    """Beyond the receptive field of the layer table the gradient is zero, within it is not."""
    layer = resnet.layer("layer1.0.conv1")
    assert layer.receptive_fields
    for position in [(0, 0), (5, 9), (15, 15)]:
        place = Site(layer=layer.id, unit=2, position=position)
        sight = Sight(resnet, subjects(place), (64, 64))
        picture = torch.rand(1, 3, 64, 64, requires_grad=True)
        (gradient,) = torch.autograd.grad(sight(picture).sum(), picture)
        seen = torch.zeros(64, 64, dtype=torch.bool)
        rows, columns = (
            slice(
                max(0, math.floor(f.start + i * f.jump - f.size / 2)),
                math.ceil(f.start + i * f.jump + f.size / 2),
            )
            for f, i in zip(layer.receptive_fields, position, strict=True)
        )
        seen[rows, columns] = True
        moved = gradient[0].abs().sum(0) > 0
        assert moved.any()
        assert not (moved & ~seen).any()
        assert (moved & seen).sum() > 0.5 * seen.sum()


def test_sites_side_by_side_equal_sites_alone(resnet):
    sites = [CHANNEL, NEURON, CLASS, Site(layer="layer1.0.relu", unit=3)]
    together = pictures_of(frames_of(resnet, *sites, steps=4, size=48))
    assert sorted(picture.item for picture in together) == [0, 1, 2, 3]
    together.sort(key=lambda picture: picture.item)
    assert [picture.site for picture in together] == sites
    for site, picture in zip(sites, together, strict=True):
        (alone,) = pictures_of(frames_of(resnet, site, steps=4, size=48))
        difference = np.abs(alone.pixels.astype(int) - picture.pixels.astype(int))
        assert difference.mean() < 0.5
        assert alone.objective == pytest.approx(picture.objective, rel=0.02)
    assert not np.array_equal(together[0].pixels, together[1].pixels)


def test_frames_come_in_order(resnet):
    frames = frames_of(resnet, CHANNEL, CLASS, steps=5, size=32, previews=Previews(every=2))
    kinds = "".join(
        {Progress: "P", Result: "R"}.get(type(f)) or ("F" if f.final else "p") for f in frames
    )
    assert kinds == "PPppPPppPFFR"
    picture, result = frames[-2], frames[-1]
    assert picture.pixels.shape == (32, 32, 3)
    assert picture.step == 5
    mean = (frames[-3].objective + frames[-2].objective) / 2
    assert result.metrics == {"objective": pytest.approx(mean), "steps": 5}


def test_objective_of_a_picture_is_measured_on_it(resnet):
    """Run the finished pixels through the module anew; 8 bits are all that differs."""
    (picture,) = pictures_of(frames_of(resnet, CLASS, steps=8, size=64))
    pixels = torch.from_numpy(picture.pixels).permute(2, 0, 1)[None].float() / 255
    logit = resnet.forward(["fc"], (pixels,))["fc"][0, 7].item()
    assert logit == pytest.approx(picture.objective, rel=0.05)


def test_a_dead_unit_comes_to_life(resnet, monkeypatch):
    """Off everywhere on the first noise: only redirected rectifiers let the picture move."""
    site = Site(layer="layer3.0", unit=5)
    alive = frames_of(resnet, site, steps=20, size=64, transforms=STILL)
    assert alive[0].objective == 0
    assert pictures_of(alive)[0].objective > 0.1
    monkeypatch.setattr(redirection, "STEPS", 0)
    dead = frames_of(resnet, site, steps=20, size=64, transforms=STILL)
    assert pictures_of(dead)[0].objective == 0


def test_model_range_is_met(resnet):
    declared = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))
    model = dataclasses.replace(resnet, preprocessing=declared)
    pictures = torch.ones(2, 3, 4, 4)
    expected = torch.tensor([1.8, 0.8, 0.35]).reshape(1, 3, 1, 1).expand(2, 3, 4, 4)
    torch.testing.assert_close(normalize(model, pictures), expected)


def sizes_of(model, *sites):
    return [subject.seen_at(model, (48, 48)) for subject in subjects(*sites)]


def test_pictures_are_resized_where_the_model_takes_one_size(transformer):
    site = Site(layer=transformer.output_layer, unit=2)
    assert sizes_of(transformer, site) == [(32, 32)]
    (picture,) = pictures_of(frames_of(transformer, site, steps=2, size=48))
    assert picture.pixels.shape == (48, 48, 3)
    # What lies before the embedding of positions takes any size, also beside the other.
    early = Site(layer="conv_proj", unit=2)
    assert sizes_of(transformer, early, site) == [None, (32, 32)]
    two = pictures_of(frames_of(transformer, early, site, steps=2, size=48))
    assert [picture.item for picture in two] == [0, 1]


def test_a_position_counts_at_the_models_own_size(resnet):
    assert sizes_of(resnet, CHANNEL, NEURON, CLASS) == [None, (64, 64), None]
    corner = Site(layer=NEURON.layer, unit=5, position=(7, 7))
    (picture,) = pictures_of(frames_of(resnet, corner, steps=2, size=24))
    assert picture.pixels.shape == (24, 24, 3)


def test_fixed_batch_is_kept(resnet):
    """A network that takes two pictures only is given each twice."""
    model = dataclasses.replace(resnet, fixed_batch=2)
    sites = [CHANNEL, CLASS, NEURON]
    for ours, theirs in zip(
        pictures_of(frames_of(model, *sites, steps=2, size=32)),
        pictures_of(frames_of(resnet, *sites, steps=2, size=32)),
        strict=True,
    ):
        assert ours.objective == pytest.approx(theirs.objective, rel=0.02, abs=1e-3)


def test_models_without_pictures_are_refused(resnet):
    for change, message in [
        ({"inputs": resnet.inputs * 2}, "one picture as its input"),
        ({"inputs": (dataclasses.replace(resnet.inputs[0], shape=("batch", 3)),)}, "one picture"),
        ({"inputs": (dataclasses.replace(resnet.inputs[0], dtype=torch.int64),)}, "one picture"),
    ]:
        model = dataclasses.replace(resnet, **change)
        assert message in LENS.obstacle(model, CHANNEL)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 0}, "steps must be a whole number between 1 and 8192, not 0"),
        ({"size": 7}, "size must be a whole number between 8 and 1024"),
        ({"learning_rate": math.nan}, "learning_rate must be a number between"),
        ({"optimizer": "sgd"}, "one of adam, nadam, cma_es, not 'sgd'"),
    ],
)
def test_parameters_are_checked_before_any_work(resnet, given, message):
    with pytest.raises(InvalidArgumentError, match=message):
        plan_of(resnet, CHANNEL, **given)
