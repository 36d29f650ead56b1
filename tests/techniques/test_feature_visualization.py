"""Feature visualization on networks with random weights."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from hooke_server.errors import InvalidArgumentError
from hooke_server.models.preprocessing import Preprocessing
from hooke_server.techniques.frames import Picture, Progress, Result
from hooke_server.techniques.technique import Site, all_techniques
from hooke_server.techniques.visualization import redirection
from hooke_server.techniques.visualization.images import Parameterization, make_image
from hooke_server.techniques.visualization.requirements import upstream
from hooke_server.techniques.visualization.sight import Sight, normalize
from hooke_server.techniques.visualization.transforms import standard

LENS = all_techniques()["feature_visualization"]
CHANNEL = Site(layer="layer2.0.conv1", unit=5)
NEURON = Site(layer="layer2.0.conv1", unit=5, position=(3, 4))
CLASS = Site(layer="fc", unit=7)


def frames_of(model, *sites, seed=0, preview_every=None, **given):
    plan = LENS.bind(model, "m", sites, given, seed=seed, preview_every=preview_every)
    return list(LENS.run(model, plan))


def pictures_of(frames):
    return [frame for frame in frames if isinstance(frame, Picture) and frame.final]


def best_of_noise(sight, draws):
    """The highest value of random pictures: noise as at the start, and of full contrast."""
    generator = torch.Generator().manual_seed(1)
    best = -math.inf
    for contrast in (1, 100):
        for _ in range(draws):
            image = make_image(
                Parameterization.FOURIER, (1, 3, 64, 64), generator, decorrelate=True
            )
            with torch.no_grad():
                best = max(best, sight(image.render(image.start[0] * contrast)).item())
    return best


@pytest.mark.parametrize("site", [CHANNEL, NEURON, CLASS])
@pytest.mark.parametrize("negative", [False, True])
def test_every_objective_beats_the_best_of_as_many_random_pictures(resnet, site, negative):
    """Without transforms: what a random network responds to does not survive them."""
    frames = frames_of(resnet, site, steps=24, size=64, negative=negative, transforms=False)
    sight = Sight.of(resnet, [site], 64)
    sight = -sight if negative else sight
    assert pictures_of(frames)[0].objective > best_of_noise(sight, 24)


@pytest.mark.parametrize("parameterization", Parameterization)
@pytest.mark.parametrize("decorrelate", [True, False])
def test_objective_rises_however_the_picture_is_stored(resnet, parameterization, decorrelate):
    frames = frames_of(
        resnet, CHANNEL, steps=12, size=48, parameterization=parameterization,
        transforms=False, decorrelate=decorrelate,
    )  # fmt: skip
    progress = [frame.objective for frame in frames if isinstance(frame, Progress)]
    assert min(progress[-3:]) > max(progress[:3])


def test_transforms_change_what_is_seen(resnet):
    with_them, without = (
        pictures_of(frames_of(resnet, CHANNEL, steps=3, size=48, transforms=t))[0]
        for t in (True, False)
    )
    assert not np.array_equal(with_them.pixels, without.pixels)


def test_a_neuron_moves_only_the_pixels_that_it_sees(resnet):
    """Beyond the receptive field of the layer table the gradient is zero, within it is not."""
    layer = resnet.layer("layer1.0.conv1")
    assert layer.receptive_field
    for position in [(0, 0), (5, 9), (15, 15)]:
        sight = Sight.of(resnet, [Site(layer=layer.id, unit=2, position=position)], 64)
        picture = torch.rand(1, 3, 64, 64, requires_grad=True)
        (gradient,) = torch.autograd.grad(sight(picture).sum(), picture)
        seen = torch.zeros(64, 64, dtype=torch.bool)
        rows, columns = (
            slice(
                max(0, math.floor(f.start + i * f.jump - f.size / 2)),
                math.ceil(f.start + i * f.jump + f.size / 2),
            )
            for f, i in zip(layer.receptive_field, position, strict=True)
        )
        seen[rows, columns] = True
        moved = gradient[0].abs().sum(0) > 0
        assert moved.any()
        assert not (moved & ~seen).any()
        assert (moved & seen).sum() > 0.5 * seen.sum()


def test_sites_side_by_side_equal_sites_alone(resnet):
    sites = [CHANNEL, NEURON, CLASS, Site(layer="layer1.0.relu", unit=3)]
    together = pictures_of(frames_of(resnet, *sites, steps=4, size=48))
    assert [picture.site for picture in together] == [0, 1, 2, 3]
    for site, picture in zip(sites, together, strict=True):
        (alone,) = pictures_of(frames_of(resnet, site, steps=4, size=48))
        difference = np.abs(alone.pixels.astype(int) - picture.pixels.astype(int))
        assert difference.mean() < 0.5
        assert alone.objective == pytest.approx(picture.objective, rel=0.02)
    assert not np.array_equal(together[0].pixels, together[1].pixels)


def test_frames_come_in_order(resnet):
    frames = frames_of(resnet, CHANNEL, CLASS, steps=5, size=32, preview_every=2)
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
    logit = resnet.forward([resnet.output_layer], (pixels,))[resnet.output_layer][0, 7].item()
    assert logit == pytest.approx(picture.objective, rel=0.05)


def test_a_dead_unit_comes_to_life(resnet, monkeypatch):
    """Off everywhere on the first noise: only redirected rectifiers let the picture move."""
    site = Site(layer="layer3.0", unit=5)
    alive = frames_of(resnet, site, steps=20, size=64, transforms=False)
    assert alive[0].objective == 0
    assert pictures_of(alive)[0].objective > 0.1
    monkeypatch.setattr(redirection, "STEPS", 0)
    dead = frames_of(resnet, site, steps=20, size=64, transforms=False)
    assert pictures_of(dead)[0].objective == 0


def test_model_range_is_met(resnet):
    declared = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))
    model = dataclasses.replace(resnet, preprocessing=declared)
    pictures = torch.ones(2, 3, 4, 4)
    expected = torch.tensor([1.8, 0.8, 0.35]).reshape(1, 3, 1, 1).expand(2, 3, 4, 4)
    torch.testing.assert_close(normalize(model, pictures), expected)


def sizes_of(model, *sites):
    return [look.size for look in Sight.of(model, sites, 48).looks]


def test_pictures_are_resized_where_the_model_takes_one_size(transformer):
    site = Site(layer=transformer.output_layer, unit=2)
    assert sizes_of(transformer, site) == [(32, 32)]
    (picture,) = pictures_of(frames_of(transformer, site, steps=2, size=48))
    assert picture.pixels.shape == (48, 48, 3)
    # What lies before the embedding of positions takes any size, also beside the other.
    early = Site(layer="conv_proj", unit=2)
    assert sizes_of(transformer, early, site) == [None, (32, 32)]


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


def kept_for_the_way_back(model, sites, size):
    """Bytes that autograd saves in one step at most, over ten of them; weights left out."""
    sight = Sight.of(model, sites, size)
    weights = {weight.untyped_storage().data_ptr() for weight in model.weights.values()}
    generator = torch.Generator().manual_seed(0)
    shape = (len(sites), 3, size, size)
    image = make_image(Parameterization.FOURIER, shape, generator, decorrelate=True)
    most = 0
    for _ in range(10):
        saved = {}

        def note(tensor, saved=saved):
            saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
            return tensor

        leaf = image.start[0].requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            value = sight(standard(image.render(leaf), generator))
        assert value.requires_grad
        most = max(most, sum(saved[key].nbytes() for key in saved.keys() - weights))
    return most


def test_estimate_covers_what_the_way_back_keeps(resnet, transformer):
    for model, sites in [
        (resnet, [CLASS]),
        (resnet, [CHANNEL, NEURON, CLASS]),
        (transformer, [Site(layer=transformer.output_layer, unit=1)] * 4),
    ]:
        plan = LENS.bind(model, "m", sites, {"size": 64})
        kept = kept_for_the_way_back(model, sites, 64)
        assert kept < LENS.estimate(model, plan).memory_bytes < 5 * kept


def test_estimate_counts_operations(resnet):
    """resnet18 without its head takes 1.814 G at 224 x 224 (torchvision's own number)."""
    given = {"size": 224, "steps": 10, "transforms": False}
    plan = LENS.bind(resnet, "m", [CLASS, CLASS], given)
    known = 1_814_073_344 - 512 * 1000 + 512 * 10
    assert LENS.estimate(resnet, plan).macs == pytest.approx(2 * 2 * 10 * known, rel=1e-6)


def test_a_block_needs_what_is_inside_it(resnet):
    block, last = upstream(resnet, ["layer2.0"]), upstream(resnet, ["layer2.0.relu:1"])
    assert [layer.id for layer in block] == [layer.id for layer in last]
    ids = {layer.id for layer in block}
    assert {"layer2.0.conv1", "layer2.0.downsample.0", "conv1", "x"} <= ids
    assert not ids & {"layer2.1.conv1", "layer2", "layer1"}


def test_models_without_gradients_or_pictures_are_refused(resnet):
    for change, message in [
        ({"graph": None, "obstacle": "a script"}, "needs gradients, and this model has none: a"),
        ({"inputs": resnet.inputs * 2}, "one picture as its input"),
        ({"inputs": (dataclasses.replace(resnet.inputs[0], shape=("batch", 3)),)}, "one picture"),
        ({"inputs": (dataclasses.replace(resnet.inputs[0], dtype=torch.int64),)}, "one picture"),
    ]:
        model = dataclasses.replace(resnet, **change)
        assert message in LENS.obstacle(model, CHANNEL)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 0}, "steps must be a whole number between 1 and 4096, not 0"),
        ({"size": 15}, "size must be a whole number between 16 and 1024"),
        ({"learning_rate": math.nan}, "learning_rate must be a number between"),
        ({"parameterization": "cppn"}, "one of fourier, pixel, not 'cppn'"),
    ],
)
def test_parameters_are_checked_before_any_work(resnet, given, message):
    with pytest.raises(InvalidArgumentError, match=message):
        LENS.bind(resnet, "m", [CHANNEL], given)
