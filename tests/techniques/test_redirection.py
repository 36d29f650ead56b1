"""Redirected rectifiers: their gradient by its definition, and their place in a probe."""

import math

import pytest
import torch
from torch import fx, nn

from hooke_server.models.graph import Graph, Origin, Place
from hooke_server.models.probe import ProbeCache
from hooke_server.techniques.visualization.redirection import redirect, redirected_clamp


def gradient(x: list[list[float]], upstream: list[list[float]], high: float) -> list[list[float]]:
    leaf = torch.tensor(x, dtype=torch.float32, requires_grad=True)
    value = redirected_clamp(leaf, 0.0, high)
    assert torch.equal(value, leaf.clamp(0, high))
    (result,) = torch.autograd.grad(value, leaf, torch.tensor(upstream).float())
    return result.tolist()


def test_a_dead_entry_is_pushed_up_and_never_down():
    assert gradient([[-1, -2, -3]], [[5, -4, 0]], math.inf) == [[5, 0, 0]]


def test_an_entry_that_lets_anything_through_keeps_its_true_gradient():
    assert gradient([[-1, -2, 3]], [[5, -4, 2]], math.inf) == [[0, 0, 2]]


def test_entries_do_not_mix():
    x = [[-1, -2], [-1, 2]]
    assert gradient(x, [[7, 7], [7, 7]], math.inf) == [[7, 7], [0, 7]]


def test_open_units_without_gradient_do_not_count_as_alive():
    assert gradient([[-1, 2]], [[5, 0]], math.inf) == [[5, 0]]


def test_relu6_is_pushed_back_from_both_ends():
    assert gradient([[-1, -1, 7, 7]], [[2, -2, 2, -2]], 6.0) == [[2, 0, 0, -2]]


class Dead(nn.Module):
    """Off for every input that is small enough."""

    def __init__(self, rectifier):
        super().__init__()
        self.rectifier = rectifier

    def forward(self, x):
        return self.rectifier(x - 10) * 2


def graph_of(module: nn.Module, op: str) -> Graph:
    traced = fx.symbolic_trace(module)
    places = {}
    for node in traced.graph.nodes:
        own = {"x", "sub", "mul", "output"}
        node.meta["origin"] = Origin(op=node.name if node.name in own else op)
        places[node.name] = Place(node=node.name)
    return Graph(module=traced, places=places, blocks={})


@pytest.mark.parametrize(
    ("rectifier", "op"),
    [
        (nn.ReLU(), "relu"),
        (torch.relu, "relu"),
        (lambda x: x.relu(), "relu"),
        (nn.ReLU6(), "relu6"),
        (lambda x: torch.clamp(x, 0, 6), "clamp"),
        (lambda x: torch.clamp(x, min=0.0, max=6.0), "clamp"),
        (lambda x: nn.functional.hardtanh(x, 0.0, 6.0), "hardtanh"),
    ],
)
def test_a_probe_redirects_every_kind_and_the_model_stays(rectifier, op):
    graph, cache, x = graph_of(Dead(rectifier), op), ProbeCache(), torch.zeros(1, 3)
    moved = []
    for rewrite in (redirect, None):
        leaf = x.clone().requires_grad_()
        value = cache.get(graph, ("mul",), rewrite)(leaf)["mul"]
        assert value.tolist() == [[0, 0, 0]]
        moved.append(torch.autograd.grad(value.sum(), leaf)[0].tolist())
    assert moved == [[[2, 2, 2]], [[0, 0, 0]]]


def test_other_clamps_stay():
    graph = graph_of(Dead(lambda x: torch.clamp(x, 0, 5)), "clamp")
    leaf = torch.zeros(1, 3, requires_grad=True)
    value = ProbeCache().get(graph, ("mul",), redirect)(leaf)["mul"]
    assert torch.autograd.grad(value.sum(), leaf)[0].tolist() == [[0, 0, 0]]


def test_the_cache_tells_rewritten_probes_apart():
    graph, cache = graph_of(Dead(nn.ReLU()), "relu"), ProbeCache()
    plain, changed = cache.get(graph, ("mul",)), cache.get(graph, ("mul",), redirect)
    assert plain is not changed
    assert cache.get(graph, ("mul",)) is plain
    assert cache.get(graph, ("mul",), redirect) is changed
