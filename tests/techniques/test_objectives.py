"""Objectives: each measure of activations against its definition in NumPy."""

import numpy as np
import pytest
import torch
from scenes import PHOTO, check, pictures_of, scene_of

from hooke_server.techniques.objectives.algebra import of
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
    centred,
)
from hooke_server.techniques.objectives.scene import Scene
from hooke_server.techniques.targets import Site

CONV, FC, TOKENS = Site(layer="conv"), Site(layer="fc"), Site(layer="encoder.ln")


@pytest.fixture
def small(tiny):
    return scene_of(tiny, ["conv", "fc"])


@pytest.fixture
def tokens(transformer):
    return scene_of(transformer, ["encoder.ln", "conv_proj"])


def plain(scene, layer) -> np.ndarray:
    return scene.values[layer].double().numpy()


def test_response_of_a_map(small):
    value, logits = plain(small, "conv"), plain(small, "fc")
    check(Response(location=Site(layer="conv", unit=2)), small, lambda i: value[i, 2].mean())
    neuron = Site(layer="conv", unit=2, position=(1, 4))
    check(Response(location=neuron), small, lambda i: value[i, 2, 1, 4])
    place = Site(layer="conv", position=(1, 4))
    check(Response(location=place), small, lambda i: value[i, :, 1, 4].mean())
    check(Response(location=CONV), small, lambda i: value[i].mean())
    check(Response(location=Site(layer="fc", unit=4)), small, lambda i: logits[i, 4])
    check(Response(location=Site(layer="fc", unit=0)), small, lambda i: logits[i, 0])


def test_response_of_tokens(tokens):
    value = plain(tokens, "encoder.ln")
    assert value.shape == (6, 17, 16)
    unit, token = Site(layer="encoder.ln", unit=5), Site(layer="encoder.ln", unit=5, position=(3,))
    check(Response(location=unit), tokens, lambda i: value[i, :, 5].mean())
    check(Response(location=token), tokens, lambda i: value[i, 3, 5])


def test_layer_energy(small, tokens):
    for scene, site in [(small, CONV), (small, FC), (tokens, TOKENS)]:
        value = plain(scene, site.layer)
        check(
            LayerEnergy(location=site), scene, lambda i, v=value: sum(v[i].ravel() ** 2) / v[i].size
        )


def slow_along(vectors: np.ndarray, wanted: np.ndarray, power: float) -> float:
    """The mean over [positions, units] of dot x max(.1, cosine)^power."""
    total = 0.0
    for activation, direction in zip(vectors, wanted, strict=True):
        dot = activation @ direction / np.linalg.norm(direction)
        total += dot * max(0.1, dot / np.linalg.norm(activation)) ** power
    return total / len(vectors)


@pytest.mark.parametrize("power", [0.0, 1.0, 4.0])
def test_direction(small, tokens, power):
    value = plain(small, "conv").reshape(6, 4, 64).transpose(0, 2, 1)
    vector = (1.0, -2.0, 0.5, 3.0)
    measure = Direction(location=CONV, vector=vector, cosine_power=power)
    check(measure, small, lambda i: slow_along(value[i], np.array([vector] * 64), power))
    place = Site(layer="conv", position=(2, 3))
    measure = Direction(location=place, vector=vector, cosine_power=power)
    check(measure, small, lambda i: slow_along(value[i, 19:20], np.array([vector]), power))
    value, vector = plain(tokens, "encoder.ln"), tuple(np.linspace(-1, 2, 16))
    measure = Direction(location=TOKENS, vector=vector, cosine_power=power)
    check(measure, tokens, lambda i: slow_along(value[i], np.array([vector] * 17), power))
    logits = plain(small, "fc")
    measure = Direction(location=FC, vector=(1, 2, 3, 4, 5), cosine_power=power)
    check(
        measure, small, lambda i: slow_along(logits[i : i + 1], np.array([[1, 2, 3, 4, 5]]), power)
    )


def test_a_direction_counts_by_its_angle_alone(small):
    short, long = (
        Direction(location=CONV, vector=(f, 2 * f, 0, -f))(small) for f in (0.001, 1000.0)
    )
    torch.testing.assert_close(short, long)


@pytest.mark.parametrize("power", [0.0, 2.0])
def test_image_direction(small, power):
    value, wanted = plain(small, "conv"), small.references[PHOTO]["conv"].double().numpy()
    value, wanted = (v.reshape(len(v), 4, 64).transpose(0, 2, 1) for v in (value, wanted))
    measure = ImageDirection(location=CONV, image=PHOTO, cosine_power=power)
    check(measure, small, lambda i: slow_along(value[i], wanted[0], power))


def test_maps_of_different_sizes_are_compared_at_their_centres():
    large, small = torch.arange(64.0).reshape(1, 1, 8, 8), torch.zeros(1, 1, 4, 10)
    one, other = centred(large, small)
    assert one[0, 0].tolist() == large[0, 0, 2:6].tolist()
    assert other.shape == one.shape
    assert centred(small, large)[1].tolist() == one.tolist()


def test_blend(small):
    value, logits = plain(small, "conv"), plain(small, "fc")
    measure = Blend(first=Site(layer="conv", unit=1), second=Site(layer="fc", unit=3))
    check(measure, small, lambda i: (1 - i / 5) * value[i, 1].mean() + i / 5 * logits[i, 3])


@pytest.mark.parametrize("ratio", [2.0, 3.0])
def test_misalignment(small, ratio):
    """Lucid adds each pair once; here each of both has half of it."""
    value = plain(small, "conv")

    def pair(i: int, j: int) -> float:
        return ((value[i] - value[j]) ** 2).mean() / ratio ** abs(i - j)

    measure = Misalignment(location=CONV, decay_ratio=ratio)
    near = [[j for j in range(6) if 1 <= abs(i - j) <= 4] for i in range(6)]
    check(measure, small, lambda i: sum(pair(i, j) / 2 for j in near[i]))
    lucid = sum(pair(i, j) for i in range(6) for j in near[i] if j > i)
    assert measure(small).sum().item() == pytest.approx(lucid, rel=1e-4)


def slow_gram(value: np.ndarray) -> np.ndarray:
    """[units, ...]: for two units the mean of their product."""
    flat = value.reshape(len(value), -1)
    return np.array([[(a * b).mean() for b in flat] for a in flat])


def test_diversity(small):
    grams = [slow_gram(each).ravel() for each in plain(small, "conv")]

    def cosine(i: int, j: int) -> float:
        return grams[i] @ grams[j] / np.linalg.norm(grams[i]) / np.linalg.norm(grams[j])

    others = [[j for j in range(6) if j != i] for i in range(6)]
    measure = Diversity(location=CONV)
    check(measure, small, lambda i: -np.mean([cosine(i, j) for j in others[i]]))


def test_diversity_of_one_is_nothing_and_of_equals_is_least(tiny):
    one = scene_of(tiny, ["conv"], count=1)
    assert Diversity(location=CONV)(one).tolist() == [0]
    same = {"conv": one.values["conv"].repeat(3, 1, 1, 1)}
    alike = Scene(model=tiny, values=same, pictures=pictures_of(3, 8))
    torch.testing.assert_close(Diversity(location=CONV)(alike), -torch.ones(3))
    assert Misalignment(location=CONV)(alike).tolist() == [0, 0, 0]


def test_activation_difference(small, tokens):
    """As means, in units of the target, and of textures."""
    for scene, site, axis in [(small, CONV, 1), (small, FC, 1), (tokens, TOKENS, -1)]:
        value = np.moveaxis(plain(scene, site.layer), axis, 1)
        wanted = np.moveaxis(scene.references[PHOTO][site.layer].double().numpy(), axis, 1)[0]
        slow = {
            ActivationComparison.MEAN_ABSOLUTE: lambda v, w=wanted: abs(v - w).mean(),
            ActivationComparison.RELATIVE_SQUARED: lambda v, w=wanted: (
                ((v - w) ** 2).mean() / (w**2).mean()
            ),
            ActivationComparison.GRAM: lambda v, w=wanted: (
                abs(slow_gram(v) - slow_gram(w)).mean() / abs(slow_gram(w)).mean()
            ),
        }
        for comparison, expected in slow.items():
            measure = ActivationDifference(location=site, image=PHOTO, comparison=comparison)
            check(measure, scene, lambda i, v=value, f=expected: f(v[i]))


def test_what_is_compared_with_is_held_fixed(tiny):
    scene = scene_of(tiny, ["conv"])
    scene.references[PHOTO]["conv"] = scene.references[PHOTO]["conv"].clone().requires_grad_()
    for measure in (
        ActivationDifference(location=CONV, image=PHOTO),
        ImageDirection(location=CONV, image=PHOTO),
    ):
        assert not measure(scene).requires_grad


def test_a_class_is_what_goes_into_the_softmax(chances):
    assert chances.layer(chances.output_layer).op == "softmax"
    objective = of(Response(location=Site(layer=chances.output_layer, unit=1)))
    assert objective.layers(chances) == ("fc",)
    scene = scene_of(chances, ["fc"], size=2)
    torch.testing.assert_close(objective(scene), scene.values["fc"][:, 1])
