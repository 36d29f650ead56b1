import threading

import pytest
import torch
from eager_capture import EagerCapture, compare
from networks import (
    NETWORKS,
    Attention,
    Deciding,
    Grey,
    Overwriting,
    OverwritingViews,
    TwoInputs,
    Untraceable,
    classifier,
    tiny_vit,
)
from torch import nn

from hooke_server.errors import FailedPreconditionError, InvalidArgumentError, Reason
from hooke_server.models.loaders.live import load_live

# torch.export warns of its own internals.
pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning", "default::FutureWarning")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_equals_an_independent_capture(name):
    module, inputs = NETWORKS[name]()
    model = load_live(module.eval(), inputs)
    assert model.fixed_batch is None
    more = tuple(torch.randn(3, *tensor.shape[1:]) for tensor in inputs)
    assert compare(model, module, more) <= 1e-5


def test_the_comparison_can_fail():
    module, inputs = NETWORKS["grey"]()
    model = load_live(module, inputs)
    other = Grey()
    assert compare(model, other, inputs) > 1e-3
    with pytest.raises(AssertionError, match="act"):
        compare(model, Overwriting(), (torch.randn(1, 4),))


def test_ids_name_paths_operations_occurrences_and_members():
    model = load_live(Grey(), torch.randn(1, 1, 8, 8))
    assert list(model.layers) == [
        *("x", "first", "block.0", "block.1", "block", "block.0:1", "block.1:1", "block:1"),
        *("drop", "mean", "head"),
    ]
    recurrent = load_live(*NETWORKS["recurrent"]())
    assert list(recurrent.layers) == [
        *("x", "lstm", "lstm@1", "lstm@2", "gru", "gru@1", "getitem", "head"),
    ]


def test_an_input_called_like_a_module_is_told_apart():
    class Clash(nn.Module):
        def __init__(self):
            super().__init__()
            self.x = nn.Linear(2, 2)

        def forward(self, x):
            return self.x(x)

    assert list(load_live(Clash(), torch.randn(1, 2)).layers) == ["input.x", "x"]


@pytest.mark.parametrize("kind", [Overwriting, OverwritingViews])
def test_overwritten_tensors_are_rewired_and_kept(kind):
    module, x = kind(), torch.randn(3, 4)
    model = load_live(module, x)
    ids = [layer_id for layer_id in model.layers if layer_id != "x"]
    together = model.forward(ids, (x,))
    for layer_id in ids:
        # Alone, nothing that runs later could have changed it.
        assert torch.equal(together[layer_id], model.forward([layer_id], (x,))[layer_id])
    for layer_id, value in EagerCapture(module, (x,)).modules.items():
        assert torch.allclose(together[layer_id], value)
    assert torch.allclose(together[model.output_layer], module(x.clone()))
    assert module.act.inplace


def test_a_childless_module_that_looks_at_sizes_is_run_as_it_is():
    module = nn.Sequential(Deciding().pool, nn.ReLU())
    model = load_live(module, torch.randn(1, 3, 8))
    assert list(model.layers) == ["input", "0", "1"]
    for width in (8, 6, 1):
        x = torch.randn(2, 3, width)
        assert torch.equal(model.forward(["1"], (x,))["1"], module(x))


def test_training_shows():
    module, inputs = classifier("resnet18", size=32)
    model = load_live(module, inputs)
    module.train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    x = torch.randn(4, 3, 32, 32)
    for _ in range(2):
        optimizer.zero_grad()
        module(x).square().mean().backward()
        optimizer.step()
        module.eval()
        assert torch.equal(model.forward(["fc"], (x,))["fc"], module(x))
        module.train()


def test_the_module_is_left_as_it_was():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
    calls = []
    module[0].register_forward_hook(lambda *_: calls.append(1))
    module.train()
    model = load_live(module, torch.randn(2, 3, 8, 8))
    probe = model.probe(["2"])
    probe(torch.randn(1, 3, 8, 8))
    assert not calls
    assert module.training
    assert module[2].inplace
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert len(module[0]._forward_hooks) == 1
    assert int(module[1].num_batches_tracked) == 0


def test_gradients_are_those_of_the_module_and_reach_no_weight():
    module, (x,) = tiny_vit()
    model = load_live(module, x)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    model.probe([model.output_layer])(ours)[model.output_layer].square().sum().backward()
    module(theirs).square().sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)
    assert ours.grad.abs().max() > 0
    assert not any(p.requires_grad for p in model.graph.module.parameters())


def test_a_probe_runs_no_further_than_its_deepest_layer():
    module, inputs = classifier("resnet18")
    model = load_live(module, inputs)
    probe = model.probe(["layer1"])
    held = {name.partition(".")[0] for name, _ in probe._module.named_parameters()}
    assert held == {"conv1", "bn1", "layer1"}
    module.layer2[0].conv1.weight.data.fill_(float("nan"))
    assert probe(*inputs)["layer1"].isfinite().all()
    assert model.probe(["layer2"])(*inputs)["layer2"].isnan().any()


def test_probes_of_four_threads_equal_serial_ones():
    module, _ = classifier("resnet18", size=32)
    model = load_live(module, torch.randn(1, 3, 32, 32))
    layers = ["relu", "layer1.0.add", "layer2", "fc"]
    inputs = [torch.randn(2, 3, 32, 32) for _ in range(8)]
    serial = [model.forward(layers, (x,)) for x in inputs]
    found = {}

    def work(thread):
        for turn in range(8):
            index = (thread * 3 + turn) % 8
            found[thread, index] = model.forward(layers, (inputs[index],))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 32
    for (_, index), values in found.items():
        assert all(torch.equal(values[layer], serial[index][layer]) for layer in layers)


def test_modules_run_in_other_threads_while_one_is_traced():
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.BatchNorm1d(4)).eval()
    x = torch.randn(2, 4)
    expected, wrong = module(x), []
    done = threading.Event()

    def work():
        while not done.is_set():
            try:
                if not torch.equal(module(x), expected):
                    wrong.append("values")
            except Exception as error:  # whatever a tracer raises
                wrong.append(repr(error))

    worker = threading.Thread(target=work)
    tracers = [
        threading.Thread(target=load_live, args=classifier("resnet18", size=32)) for _ in range(3)
    ]
    call = nn.Module.__call__
    for thread in (worker, *tracers):
        thread.start()
    for thread in tracers:
        thread.join()
    done.set()
    worker.join()
    assert not wrong, wrong[:3]
    assert nn.Module.__call__ is call


def test_operations_inside_attention_can_be_asked_for():
    module, x = Attention().eval(), torch.randn(1, 5, 8)
    plain, fine = load_live(module, x), load_live(module, x, prefer_export=True)
    assert list(plain.layers) == ["x", "norm", "attention", "add"]
    assert set(plain.layers) < set(fine.layers)
    assert "attention.scaled_dot_product_attention" in fine.layers
    assert fine.macs == plain.macs
    assert compare(fine, module, (torch.randn(2, 5, 8),)) <= 1e-5


class HalfRead(nn.Module):
    """Of two tensors that its part returns, nothing reads the first."""

    class Part(nn.Module):
        def forward(self, x):
            return x.sin(), x.cos()

    def __init__(self):
        super().__init__()
        self.part, self.head = self.Part(), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.part(x)[1])


def test_what_nothing_reads_leaves_the_rest_its_name():
    module = HalfRead()
    model = load_live(module, torch.randn(2, 4), prefer_export=True)
    assert "part@1" in model.layers
    assert "part" not in model.layers
    assert compare(model, module, (torch.randn(3, 4),)) <= 1e-5


def test_an_example_that_the_module_itself_refuses_is_told_of():
    with pytest.raises(InvalidArgumentError) as caught:
        load_live(nn.Linear(3, 2), torch.zeros(1, 5))
    assert caught.value.reason is Reason.INPUT_MISMATCH
    assert "does not run on its example input, of shape [1, 5]: " in caught.value.message
    assert "1x5 and 3x2" in caught.value.message


def test_what_can_be_neither_traced_nor_exported_says_why(capfd):
    with pytest.raises(FailedPreconditionError) as caught:
        load_live(Untraceable(), torch.randn(1, 4))
    assert caught.value.reason is Reason.MODEL_UNSUPPORTED
    assert "Untraceable" in caught.value.message
    assert "symbolic: " in caught.value.message
    assert "exported: " in caught.value.message
    assert "/" not in caught.value.message
    assert capfd.readouterr().err == ""


def test_an_example_must_be_tensors():
    with pytest.raises(InvalidArgumentError, match="must be a tensor"):
        load_live(TwoInputs(), [1, 2])


def test_the_oracle_sees_overwritten_tensors_as_they_were():
    module = nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True))
    x = torch.randn(4, 3)
    capture = EagerCapture(module, (x,))
    assert torch.equal(capture.modules["0"], module[0](x))
    assert (capture.modules["0"] < 0).any()
