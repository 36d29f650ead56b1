"""Readouts that cannot be read are refused before any work, naming the field."""

import pytest
import torch

from hooke_server.errors import HookeError
from hooke_server.techniques.binding import bind_readouts
from hooke_server.techniques.readouts import (
    FeatureMapForm,
    Histogram,
    Quantiles,
    Readout,
    Reduction,
    Slice,
    Statistic,
    TensorForm,
    TopK,
)


def reduced(form):
    return TensorForm(Reduction(form))


BAD = {
    "unit": (Readout(layers=("conv",), units=(0, 4)), "readouts[0].units", "units 0 to 3"),
    "negative unit": (Readout(layers=("conv",), units=(-1,)), "readouts[0].units", "no unit -1"),
    "position": (
        Readout(layers=("conv",), positions=((0, 0), (0, 8))),
        "readouts[0].positions[1]",
        "beyond layer 'conv'",
    ),
    "short position": (
        Readout(layers=("conv",), positions=((0,),)),
        "readouts[0].positions[0]",
        "2 indices, not 1",
    ),
    "axis": (
        Readout(layers=("conv",), slices=(Slice("hight"),)),
        "readouts[0].slices[0].axis",
        "'height'",
    ),
    "step": (
        Readout(layers=("conv",), slices=(Slice("height", step=0),)),
        "readouts[0].slices[0].step",
        "at least 1",
    ),
    "empty": (
        Readout(layers=("conv",), slices=(Slice("height", 8),)),
        "readouts[0].slices[0]",
        "nothing of axis 'height'",
    ),
    "both": (
        Readout(layers=("conv",), positions=((0, 0),), slices=(Slice("height"),)),
        "readouts[0].slices",
        "cannot be combined",
    ),
    "k": (
        Readout(layers=("conv",), form=reduced(TopK(0))),
        "readouts[0].tensor.reduction.top_k.k",
        "k must be",
    ),
    "quantile": (
        Readout(layers=("conv",), form=reduced(Quantiles((0.5, 1.5)))),
        "readouts[0].tensor.reduction.quantiles.probabilities",
        "between 0 and 1",
    ),
    "no quantile": (
        Readout(layers=("conv",), form=reduced(Quantiles(()))),
        "readouts[0].tensor.reduction.quantiles.probabilities",
        "at least one",
    ),
    "bins": (
        Readout(layers=("conv",), form=reduced(Histogram(2000))),
        "readouts[0].tensor.reduction.histogram.bins",
        "between 1 and 1024",
    ),
    "bounds": (
        Readout(layers=("conv",), form=reduced(Histogram(4, 1.0, float("nan")))),
        "readouts[0].tensor.reduction.histogram.low",
        "less than high",
    ),
    "maps of logits": (
        Readout(layers=("fc",), form=FeatureMapForm()),
        "readouts[0].feature_maps",
        "no stack of maps",
    ),
    "tile": (
        Readout(layers=("conv",), form=FeatureMapForm(tile_size=5000)),
        "readouts[0].feature_maps.tile_size",
        "between 1 and 1024",
    ),
    "no layer": (Readout(layers=()), "readouts[0].layer_globs", "at least one layer"),
}


@pytest.mark.parametrize(("readout", "field", "message"), BAD.values(), ids=list(BAD))
def test_refused(tiny, readout, field, message):
    with pytest.raises(HookeError) as caught:
        bind_readouts(tiny, [readout])
    assert caught.value.field == field
    assert message in caught.value.message


def test_layers_come_in_the_order_in_which_they_run(tiny):
    readouts = [
        Readout(layers=("fc", "conv"), form=reduced(Statistic.MEAN)),
        Readout(layers=("*",)),
    ]
    plan = bind_readouts(tiny, readouts)
    assert list(plan.layers) == [layer for layer in tiny.layers if layer in plan.layers]
    by_layer = {read.layer.id: len(read.readouts) for read in plan.reads}
    assert by_layer["conv"] == by_layer["fc"] == 2
    assert by_layer["relu"] == 1


def test_digests_tell_readouts_apart(tiny):
    readouts = [
        Readout(layers=("conv",)),
        Readout(layers=("fc",)),
        Readout(layers=("conv",), units=(1,)),
        Readout(layers=("conv",), form=TensorForm(dtype=torch.float16)),
        Readout(layers=("conv",), form=reduced(TopK(3))),
    ]
    digests = {bind_readouts(tiny, [each]).digest for each in readouts}
    assert len(digests) == len(readouts)
    assert bind_readouts(tiny, [readouts[0]]).digest in digests
