"""LIME, RISE, Sobol and HSIC, derived again from the papers and slowly."""

import numpy as np
import pytest
import torch
from answers import answer, difference, frames, unit
from captum._utils.models.linear_model import SkLearnRidge
from captum.attr import LimeBase
from games import ELEMENTS, GAME, PLAYERS, game
from skimage.transform import resize
from traced import model_of

from hooke_server.techniques.attribution.methods.masks import Masks
from hooke_server.techniques.attribution.methods.regression import _KernelShap, _Lime
from hooke_server.techniques.attribution.methods.sensitivity import SobolDesign, SobolOrder, _Hsic
from hooke_server.techniques.attribution.methods.shapley import _Orders
from hooke_server.techniques.frames import Array


def generator():
    """As methods have it at seed 0."""
    return torch.Generator().manual_seed(0)


def said(design):
    """What the game says to each of a design's coalitions of the first sample's players."""
    keep = design.keep(torch.arange(design.count)).double()
    return GAME(keep * PLAYERS[:1].double()), keep


def test_lime_is_captums_with_the_same_coalitions():
    """Captum fits with scikit-learn's ridge."""
    model, targets = game()
    given = {"samples": 40, "kernel_width": 0.4, "ridge": 0.5}
    found = answer(model, PLAYERS[:1], "lime", targets, **given)
    coalitions = iter(_Lime(5, 40, 0.4, 0.5, generator()).keep(torch.arange(40)).float())

    def near(original, perturbed, coalition, **_):
        cosine = torch.nn.functional.cosine_similarity(coalition, torch.ones_like(coalition))
        return torch.exp(-((1 - cosine) ** 2) / (2 * 0.4**2))

    theirs = LimeBase(
        GAME,
        SkLearnRidge(alpha=0.5),
        near,
        lambda *_, **__: next(coalitions)[None],
        perturb_interpretable_space=True,
        from_interp_rep_transform=lambda coalition, original, **_: coalition * original,
        to_interp_rep_transform=None,
    ).attribute(PLAYERS[:1], target=0, n_samples=40)
    assert difference(found[0], theirs) < 1e-5


def test_lime_of_a_linear_network_is_the_network():
    model, targets = game()
    found = answer(model, PLAYERS, "lime", targets[1:], ridge=0.0)
    assert torch.allclose(found[0], PLAYERS * torch.tensor([3.0, -1, 0, 2, 0]), atol=1e-5)


@pytest.mark.parametrize("probability", [0.5, 0.2])
def test_rise_mask_by_mask(residual, probability):
    """Masks enlarged by scikit-image, as the paper's own code does."""
    model, net = residual
    inputs, count, cells = torch.randn(1, 3, 64, 64), 60, 5
    arrays = [
        frame.value
        for frame in frames(
            model, inputs, "rise", [unit(model, 3)], masks=count, cells=cells,
            probability=probability, rows=7,
        )
        if isinstance(frame, Array)
    ]  # fmt: skip
    drawn = Masks([64, 64], count, cells, probability, generator())
    cell, masks, targets = 13, [], []
    for grid, (row, column) in zip(drawn.coarse.numpy(), drawn.shifts, strict=True):
        large = resize(grid.astype(float), [(cells + 1) * cell] * 2, order=1, mode="edge")
        masks.append(large[row : row + 64, column : column + 64])
        with torch.no_grad():
            shown = inputs * torch.from_numpy(masks[-1]).float()
            targets.append(float(net(shown)[0, 3]))
    masks, targets = np.array(masks), np.array(targets)[:, None, None]
    seen = (masks * targets).sum(0) / masks.sum(0)
    expected = torch.from_numpy(seen - targets.mean())[None, None].float()
    assert difference(arrays[0], expected) < 1e-4
    ratio = masks * (targets - seen) / masks.mean(0) - (targets - targets.mean())
    error = torch.from_numpy(np.sqrt((ratio**2).sum(0)) / count)[None, None].float()
    assert difference(arrays[1], error) < 1e-3


def test_rise_finds_the_only_part_that_matters():
    class Corner(torch.nn.Module):
        def forward(self, x):
            return x[:, :, :8, :8].mean((1, 2, 3))[:, None]

    model = model_of(Corner(), 3, 32, 32)
    found = answer(model, torch.ones(1, 3, 32, 32), "rise", [unit(model, 0)], masks=1500)[0, 0]
    assert found[:8, :8].min() > 3 * found[16:, 16:].abs().max()


@pytest.mark.parametrize("order", list(SobolOrder))
def test_sobol_by_jansens_formulas(order):
    model, targets = game()
    found = answer(model, PLAYERS[:1], "sobol", targets, designs=16, order=order)
    said_to, keep = said(SobolDesign(5, 16, order, generator()))
    expected = np.zeros((2, 5))
    for target in range(2):
        f = said_to[:, target].reshape(16, 7).numpy()
        variance = np.concatenate([f[:, 0], f[:, 1]]).var()
        for player in range(5):
            if order is SobolOrder.TOTAL:
                expected[target, player] = ((f[:, 0] - f[:, 2 + player]) ** 2).mean() / 2 / variance
            else:
                missed = ((f[:, 1] - f[:, 2 + player]) ** 2).mean() / 2 / variance
                expected[target, player] = 1 - missed
    assert difference(found[:, 0], torch.from_numpy(expected).float()) < 1e-5
    points = keep.reshape(16, 7, 5)
    for player in range(5):
        changed = points[:, 2 + player] != points[:, 0]
        assert changed[:, player].all()
        assert changed.sum() == 16
        assert torch.equal(points[:, 2 + player, player], points[:, 1, player])


@pytest.mark.parametrize("order", list(SobolOrder))
def test_sobol_of_a_known_function(order):
    """f = 3 a + 2 b + c d of even numbers in 0..1: V = 9/12 + 4/12 + (1/9 - 1/16)."""

    class Known(torch.nn.Module):
        def forward(self, x):
            return (3 * x[:, 0] + 2 * x[:, 1] + x[:, 2] * x[:, 3])[:, None]

    product, alone = 1 / 9 - 1 / 16, 1 / 4 * 1 / 12
    variance = 9 / 12 + 4 / 12 + product
    both = alone if order is SobolOrder.FIRST else product - alone
    expected = torch.tensor([9 / 12, 4 / 12, both, both]) / variance
    model = model_of(Known(), 4)
    values, errors = (
        frame.value[0, 0]
        for frame in frames(
            model, torch.ones(1, 4), "sobol", [unit(model, 0)], designs=1024, order=order
        )
        if isinstance(frame, Array)
    )
    assert (values - expected).abs().max() < 0.02
    assert ((values - expected).abs() < 4 * errors).all()


def test_what_never_changes_has_no_variance():
    class Constant(torch.nn.Module):
        def forward(self, x):
            return 0 * x + 2

    model = model_of(Constant(), 3)
    for name, given in [
        ("sobol", {"order": "total"}),
        ("sobol", {"order": "first"}),
        ("hsic", {}),
        ("lime", {}),
        ("kernel_shap", {}),
    ]:
        found = answer(model, torch.ones(1, 3), name, [unit(model, 0)], **given)
        assert found.abs().max() < 1e-12, name


def test_hsic_by_its_matrices():
    model, targets = game()
    found = answer(model, PLAYERS[:1], "hsic", targets, samples=50, probability=0.4)
    said_to, keep = said(_Hsic(5, 50, 0.4, generator()))
    centring = np.eye(50) - 1 / 50
    expected = np.zeros((2, 5))
    for target in range(2):
        y = said_to[:, target].numpy()
        apart = np.abs(y[:, None] - y)
        upper = np.sort(apart[np.triu_indices(50, 1)])
        width = upper[(len(upper) - 1) // 2]
        alike = np.exp(-(apart**2) / (2 * width**2))
        for player in range(5):
            z = keep[:, player].numpy()
            same = 0.5 - (z[:, None] - z) ** 2
            expected[target, player] = np.trace(same @ centring @ alike @ centring) / 50**2
    assert difference(found[:, 0], torch.from_numpy(expected).float()) < 1e-5


@pytest.mark.parametrize(
    "design",
    [
        lambda n, g: _Orders(n, 20, g),
        lambda n, g: _KernelShap(n, 40, g),
        lambda n, g: _KernelShap(n, 200, g),
        lambda n, g: _Lime(n, 100, 0.25, 1.0, g),
        lambda n, g: _Hsic(n, 200, 0.5, g),
    ],
    ids=["orders", "few coalitions", "coalitions", "lime", "hsic"],
)
def test_standard_errors_are_how_far_seeds_differ(design):
    """The deviation over seeds, against what each run says of itself; the last player is idle."""
    pull = torch.linspace(-1, 1.5, 9).double() * torch.tensor([1.0] * 8 + [0])
    values, errors = [], []
    for seed in range(200):
        drawn = design(9, torch.Generator().manual_seed(seed))
        keep = drawn.keep(torch.arange(drawn.count)).double()
        scores = torch.tanh(keep @ pull) + keep[:, 0] * keep[:, 5]
        estimated = drawn.estimate(scores[:, None])
        values.append(estimated.values[:, 0])
        errors.append(estimated.errors[:, 0])
    ratio = torch.stack(errors).square().mean(0).sqrt() / torch.stack(values).std(0)
    assert (ratio[:8] > 0.7).all(), ratio
    assert (ratio[:8] < 1.5).all(), ratio


def test_a_seed_means_the_same_in_batches_of_any_size():
    model, targets = game()
    for name in ("shapley_sampling", "kernel_shap", "lime", "sobol", "hsic"):
        given = ELEMENTS | ({"permutations": 4} if name == "shapley_sampling" else {})
        one, other = (answer(model, PLAYERS, name, targets, rows=rows, **given) for rows in (3, 64))
        assert torch.allclose(one, other, atol=1e-5), name
