"""What feature visualization costs, and what it does with less memory."""

import pytest
import torch
from feature_runs import CHANNEL, CLASS, LENS, STILL, image_of, pictures_of, plan_of, subjects

from hooke_server.errors import ResourceExhaustedError
from hooke_server.techniques.reach import upstream
from hooke_server.techniques.targets import Site
from hooke_server.techniques.visualization.cost import folded_bytes
from hooke_server.techniques.visualization.sight import Sight
from hooke_server.techniques.visualization.transforms import STANDARD


def kept_for_the_way_back(model, sites, size):
    """Bytes that autograd saves in one step at most, over ten of them; weights left out."""
    sight = Sight(model, subjects(*sites), (size, size))
    image = image_of(len(sites), size)
    generator = torch.Generator().manual_seed(0)
    sight(image.render(*image.start))  # folds the weights
    most = 0
    for _ in range(10):
        saved = {}

        def note(tensor, saved=saved):
            if tensor.grad_fn is not None:
                saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
            return tensor

        leaf = image.start[0].requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            value = sight(image.render(leaf), lambda p: STANDARD(p, generator))
        assert value.requires_grad
        most = max(most, sum(storage.nbytes() for storage in saved.values()))
    return most


def test_estimate_covers_what_the_way_back_keeps(resnet, transformer):
    for model, sites in [
        (resnet, [CLASS]),
        (resnet, [CHANNEL, CLASS]),
        (transformer, [Site(layer=transformer.output_layer, unit=1)] * 4),
    ]:
        plan = plan_of(model, *sites, size=64)
        kept = kept_for_the_way_back(model, sites, 64)
        pictures = 12 * 4 * 4 * 76 * 76 * len(sites)  # transforms, colours, the optimizer
        beside = folded_bytes(model, list(model.layers.values()))
        assert 0 < kept < LENS.estimate([model], plan).memory_bytes < 5 * kept + pictures + beside


def test_less_memory_makes_smaller_batches_of_the_same_pictures(resnet):
    """Down to one at a time; what does not even do for one is refused before any work."""
    sites = [Site(layer="layer1.0.conv1", unit=unit) for unit in range(6)]
    given = {"steps": 2, "size": 32, "transforms": STILL}
    plenty = plan_of(resnet, *sites, **given)
    known = LENS.estimate([resnet], plenty)
    assert known.batch_size == 6
    alone = LENS.estimate([resnet], plan_of(resnet, sites[0], **given))
    for memory, batch in [(known.memory_bytes, 2), (alone.memory_bytes + 1, 1)]:
        plan = plan_of(resnet, *sites, memory=memory, **given)
        cost = LENS.estimate([resnet], plan)
        assert cost.batch_size == batch
        assert cost.memory_bytes <= memory
        assert plan.digest == plenty.digest
        for ours, theirs in zip(
            pictures_of(LENS.run([resnet], plan)),
            pictures_of(LENS.run([resnet], plenty)),
            strict=True,
        ):
            assert ours.objective == pytest.approx(theirs.objective, rel=1e-3)
    scarce = plan_of(resnet, *sites, memory=alone.memory_bytes // 2, **given)
    with pytest.raises(ResourceExhaustedError, match="ask for smaller or fewer pictures"):
        LENS.estimate([resnet], scarce)


def test_estimate_counts_operations(resnet):
    """resnet18 without its head takes 1.814 G at 224 x 224 (torchvision's own number)."""
    given = {"size": 224, "steps": 10, "transforms": STILL}
    plan = plan_of(resnet, CLASS, CLASS, **given)
    known = 1_814_073_344 - 512 * 1000 + 512 * 10
    assert LENS.estimate([resnet], plan).macs == pytest.approx(2 * 2 * 10 * known, rel=1e-6)


def test_a_block_needs_what_is_inside_it(resnet):
    block, last = upstream(resnet, ["layer2.0"]), upstream(resnet, ["layer2.0.relu:1"])
    assert [layer.id for layer in block] == [layer.id for layer in last]
    ids = {layer.id for layer in block}
    assert {"layer2.0.conv1", "layer2.0.downsample.0", "conv1", "x"} <= ids
    assert not ids & {"layer2.1.conv1", "layer2", "layer1"}
