"""Networks that are given whole numbers: what looks at real numbers looks behind the embedding."""

import pytest
import torch
from answers import answer, difference, frames, unit
from traced import model_for

from hooke_server.errors import FailedPreconditionError, HookeError
from hooke_server.techniques.attribution.baselines import (
    BlurBaseline,
    ConstantBaseline,
    MeanBaseline,
    NoiseBaseline,
)
from hooke_server.techniques.attribution.evidence import Evidence, EvidenceMeasure
from hooke_server.techniques.attribution.methods.causal_tracing import TracedPart, TracingDirection
from hooke_server.techniques.tables import Rows

IDS = torch.tensor([[1, 4, 2, 6, 3], [0, 5, 5, 2, 1]])


class Reader(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(7, 4)
        torch.nn.init.normal_(self.embedding.weight, std=3.0)
        self.hidden = torch.nn.Linear(4, 6)
        self.head = torch.nn.Linear(6, 3)

    def tail(self, embedded):
        return self.head(torch.tanh(self.hidden(embedded)).mean(1))

    def forward(self, ids):
        return self.tail(self.embedding(ids))


@pytest.fixture(scope="module")
def reader():
    torch.manual_seed(0)
    net = Reader().eval()
    return model_for(net, torch.zeros(1, 5, dtype=torch.long)), net


def slopes(net, number):
    embedded = net.embedding(IDS).detach().requires_grad_()
    [found] = torch.autograd.grad(net.tail(embedded)[:, number].sum(), [embedded])
    return found, embedded.detach()


def test_gradients_begin_at_the_embedding(reader):
    model, net = reader
    expected, embedded = slopes(net, 2)
    found = answer(model, IDS, "saliency", [unit(model, 2)], "embedding", absolute=False)
    assert difference(found[0], expected) < 1e-6
    found = answer(model, IDS, "input_x_gradient", [unit(model, 2)], "embedding")
    assert difference(found[0], expected * embedded) < 1e-6


def test_gradients_at_several_layers_come_from_one_pass(reader):
    """What begins at one layer is carried on to the next."""
    model, net = reader
    found = frames(
        model, IDS, "saliency", [unit(model, 2)], ["embedding", "hidden"], absolute=False
    )
    first, second = (each.value[0] for each in found if getattr(each, "axes", ()) and each.layer)
    assert difference(first, slopes(net, 2)[0]) < 1e-6
    assert difference(second @ net.hidden.weight.detach(), first) < 1e-6


def test_a_second_input_has_gradients_too():
    class Both(torch.nn.Module):
        def forward(self, ids, scale):
            return (scale * torch.tensor([1.0, 2.0])) * ids.sum(1, keepdim=True)

    model = model_for(Both(), torch.zeros(1, 5, dtype=torch.long), torch.zeros(1, 2))
    found = answer(model, [IDS, torch.ones(2, 2)], "saliency", [unit(model, 1)], "scale")
    assert torch.equal(found[0], IDS.sum(1, keepdim=True) * torch.tensor([0.0, 2.0]))


@pytest.mark.parametrize("name", ["conductance", "internal_influence"])
def test_there_is_no_line_between_whole_numbers(reader, name):
    model, _ = reader
    with pytest.raises(FailedPreconditionError, match="integrated_gradients") as raised:
        frames(model, IDS, name, [unit(model, 1)], "hidden")
    assert raised.value.reason == "TECHNIQUE_NOT_APPLICABLE"


@pytest.mark.parametrize("kind", ["zero", "mean"])
@pytest.mark.parametrize("name", ["integrated_gradients", "deep_lift", "kernel_shap"])
def test_baselines_are_made_at_the_embedding(reader, name, kind):
    """The shares sum up to the change of the target from the baseline of the embedding."""
    model, net = reader
    embedded = net.embedding(IDS).detach()
    start = embedded.mean(1, keepdim=True) if kind == "mean" else torch.zeros(2, 1, 4)
    given = {"baselines": (MeanBaseline(),)} if kind == "mean" else {}
    if name == "kernel_shap":
        given |= {"samples": 40, "features": ("grid_features", {"cells": 5})}
    found = answer(model, IDS, name, [unit(model, 2)], "embedding", **given)
    changed = (net.tail(embedded) - net.tail(start.expand_as(embedded)))[:, 2].detach()
    assert changed.abs().min() > 0.01
    if name == "kernel_shap":
        assert torch.allclose(found[0].sum(1), changed, rtol=1e-3, atol=1e-5)
    else:
        assert torch.allclose(found[0].flatten(1).sum(1), changed, rtol=1e-3, atol=1e-5)


def test_noise_can_be_a_baseline_of_the_embedding(reader):
    model, _ = reader
    given = {"baselines": (NoiseBaseline(),), "steps": 4}
    found = answer(model, IDS, "integrated_gradients", [unit(model, 2)], "embedding", **given)
    assert found.abs().max() > 0


@pytest.mark.parametrize("direction", TracingDirection)
def test_tracing_puts_tokens_out_and_back(reader, direction):
    model, net = reader
    found = frames(model, IDS, "causal_tracing", [unit(model, 2)], "embedding",
                   part=TracedPart.POSITION, direction=direction)  # fmt: skip
    [effects] = [each.value[0] for each in found if getattr(each, "name", "") == "effects"
                 and hasattr(each, "axes")]  # fmt: skip
    embedded = net.embedding(IDS).detach()
    for token in range(5):
        one = torch.zeros(5, 1)
        one[token] = 1
        if direction is TracingDirection.DAMAGE:
            expected = net.tail(embedded) - net.tail(embedded * (1 - one))
        else:
            expected = net.tail(embedded * one) - net.tail(embedded * 0)
        assert torch.allclose(effects[:, token], expected[:, 2].detach(), atol=1e-6)


@pytest.mark.parametrize("baseline", [BlurBaseline(), ConstantBaseline()])
def test_an_embedding_is_no_picture(reader, baseline):
    model, _ = reader
    with pytest.raises(HookeError, match="'embedding' is no picture"):
        frames(model, IDS, "integrated_gradients", [unit(model, 2)], "embedding",
               baselines=(baseline,))  # fmt: skip


def test_completeness_says_nothing_where_nothing_changes(reader):
    """An embedding of zeros is its own baseline."""
    _, net = reader
    silent = Reader().eval()
    silent.load_state_dict(net.state_dict())
    torch.nn.init.zeros_(silent.embedding.weight)
    model = model_for(silent, torch.zeros(1, 5, dtype=torch.long))
    evidence = Evidence(measures=(EvidenceMeasure.COMPLETENESS,))
    found = frames(model, IDS, "integrated_gradients", [unit(model, 2)], "embedding",
                   evidence=evidence)  # fmt: skip
    tables = [each for each in found if isinstance(each, Rows) and each.table.name == "evidence"]
    rows = [row for each in tables for row in each.rows]
    assert len(rows) == len(IDS)
    for *_, value, chance, good, verdict in rows:
        assert (value, chance, good) == (None, None, None)
        assert verdict.startswith("the target is the same for the baseline and the sample")
