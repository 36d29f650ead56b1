"""Activations as frames: what is picked, cast and drawn, and what it costs."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from hooke_server.errors import OutOfRangeError
from hooke_server.models.layer import Layer, LayerKind, TensorSpec
from hooke_server.techniques.activation_cost import estimate
from hooke_server.techniques.activations import activation_frames
from hooke_server.techniques.binding import bind_readouts
from hooke_server.techniques.frames import Array, Picture, Result
from hooke_server.techniques.pictures import diverging, encode, feature_map_grid
from hooke_server.techniques.readouts import (
    FeatureMapForm,
    Histogram,
    LayerReads,
    Quantiles,
    Readout,
    ReadPlan,
    Reduction,
    Scope,
    Slice,
    Statistic,
    TensorForm,
    TopK,
)

X = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
ALL = Readout(layers=("conv", "relu", "fc"))


def read(model, *readouts):
    plan = bind_readouts(model, readouts)
    return list(activation_frames(model.forward(plan.layers, [X]), plan))


def arrays(model, *readouts):
    return {(f.layer, f.name): f for f in read(model, *readouts) if isinstance(f, Array)}


def test_everything_is_read_without_a_copy_and_let_go(tiny):
    plan = bind_readouts(tiny, [ALL])
    values = tiny.forward(plan.layers, [X])
    expected = dict(values)
    for frame in activation_frames(values, plan):
        if isinstance(frame, Array):
            assert frame.value.data_ptr() == expected[frame.layer].data_ptr()
            assert frame.axes == tiny.layers[frame.layer].output.axes
            assert frame.layer not in values
        else:
            assert isinstance(frame, Result)
    assert not values


def test_units_positions_and_slices(tiny):
    value = tiny.forward(["conv"], [X])["conv"].numpy()
    units = arrays(tiny, Readout(layers=("conv",), units=(2, 0)))["conv", "activations"]
    np.testing.assert_array_equal(units.value, value[:, [2, 0]])
    places = Readout(layers=("conv",), units=(1,), positions=((0, 7), (3, 3), (0, 6)))
    picked = arrays(tiny, places)["conv", "activations"]
    assert picked.axes == ("batch", "unit", "position")
    np.testing.assert_array_equal(picked.value, value[:, [1]][:, :, [0, 3, 0], [7, 3, 6]])
    window = Readout(
        layers=("conv",),
        slices=(Slice("width", -3, None, 2), Slice("batch", 1), Slice("unit", 0, 3)),
    )
    sliced = arrays(tiny, window)["conv", "activations"]
    np.testing.assert_array_equal(sliced.value, value[1:, :3, :, -3::2])


def channels_last():
    spec = TensorSpec(
        dtype=torch.float32, shape=("batch", 4, 5, 6), axes=("batch", "height", "width", "unit")
    )
    return Layer(id="last", kind=LayerKind.MODULE, op="conv2d", output=spec, unit_axis=3)


def frames_of(layer, value, readout):
    plan = ReadPlan((LayerReads(layer, (readout,)),))
    return list(activation_frames({layer.id: value}, plan))[:-1]


def test_the_unit_axis_may_be_anywhere():
    value = torch.randn(2, 4, 5, 6)
    (mean,) = frames_of(
        channels_last(),
        value,
        Readout(layers=("last",), units=(5, 1), form=TensorForm(Reduction(Statistic.MEAN))),
    )
    torch.testing.assert_close(mean.value, value[..., [5, 1]].mean((1, 2)))
    (picked,) = frames_of(channels_last(), value, Readout(layers=("last",), positions=((3, 2),)))
    assert torch.equal(picked.value[..., 0], value[:, 3, 2, :])
    maps = Readout(layers=("last",), form=FeatureMapForm(max_units=2, tile_size=8))
    assert len(frames_of(channels_last(), value, maps)) == 2


def test_casts(tiny):
    value = tiny.forward(["conv"], [X])["conv"]
    for dtype in (torch.float16, torch.bfloat16):
        form = TensorForm(dtype=dtype)
        got = arrays(tiny, Readout(layers=("conv",), form=form))["conv", "activations"]
        assert torch.equal(got.value, value.to(dtype))
    form = TensorForm(dtype=torch.uint8)
    got = arrays(tiny, Readout(layers=("conv",), form=form))["conv", "activations"]
    assert got.value.dtype is torch.uint8
    back = got.value.double() * got.scale + got.offset
    assert (back - value).abs().max() <= got.scale / 2 * (1 + 1e-6)
    form = TensorForm(Reduction(TopK(2)), torch.float16)
    top = arrays(tiny, Readout(layers=("conv",), form=form))
    assert top["conv", "values"].value.dtype is torch.float16
    assert top["conv", "indices"].value.dtype is torch.int64


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    "form",
    [
        FeatureMapForm(),
        TensorForm(dtype=torch.uint8),
        TensorForm(Reduction(Histogram(4))),
        TensorForm(Reduction(Quantiles((0.5,)))),
        TensorForm(Reduction(TopK(2))),
    ],
)
def test_values_that_are_not_finite_break_nothing(form, odd):
    value = torch.randn(2, 4, 5, 6)
    value[0, 1, 2, 3] = odd
    assert frames_of(channels_last(), value, Readout(layers=("last",), form=form))
    value[:] = odd
    assert frames_of(channels_last(), value, Readout(layers=("last",), form=form))


def test_what_only_the_input_decides_is_checked_then():
    spec = TensorSpec(dtype=torch.float32, shape=("batch", "n"), axes=("batch", "unit"))
    layer = Layer(id="dynamic", kind=LayerKind.OPERATION, op="add", output=spec, unit_axis=1)
    with pytest.raises(OutOfRangeError, match="dynamic"):
        frames_of(layer, torch.zeros(2, 3), Readout(layers=("dynamic",), units=(3,)))


FORMS = [
    TensorForm(),
    TensorForm(dtype=torch.float16),
    *(TensorForm(Reduction(Statistic.MEAN, scope), torch.float16) for scope in Scope),
    TensorForm(Reduction(TopK(2), Scope.SAMPLE)),
    TensorForm(Reduction(Quantiles((0.1, 0.9)))),
    TensorForm(Reduction(Histogram(5), Scope.BATCH)),
]


@pytest.mark.parametrize("form", FORMS)
def test_the_estimate_tells_the_bytes_that_come(tiny, form):
    plan = bind_readouts(tiny, [Readout(layers=("conv", "fc"), units=(1, 2), form=form)])
    values = tiny.forward(plan.layers, [X])
    captured = sum(value.nbytes for value in values.values())
    sent = sum(f.value.nbytes for f in activation_frames(values, plan) if isinstance(f, Array))
    cost = estimate(tiny, plan, len(X))
    assert cost.tensor_bytes == sent
    assert cost.memory_bytes >= captured
    assert cost.layers == ("conv", "fc")


def test_the_estimate_stops_at_the_deepest_layer(tiny):
    shallow = estimate(tiny, bind_readouts(tiny, [Readout(layers=("conv",))]), 2)
    assert shallow.macs == 2 * 3 * 4 * 9 * 8 * 8


def test_feature_maps_are_a_picture_of_each_sample(tiny):
    form = FeatureMapForm(max_units=3, tile_size=16, format="webp")
    pictures = [
        f for f in read(tiny, Readout(layers=("conv",), form=form)) if isinstance(f, Picture)
    ]
    assert len(pictures) == len(X)
    value = tiny.forward(["conv"], [X])["conv"][0]
    order = value.amax((1, 2)).argsort(descending=True)[:3].tolist()
    assert f"units {', '.join(map(str, order))}:" in pictures[0].caption
    assert pictures[0].format == "webp"
    # The first tile's corner is the strongest unit's first value.
    scale = float(value[order].abs().max())
    colour = diverging(value[order[0], 0, 0].numpy(), scale)
    assert pictures[0].pixels[1, 1].tolist() == colour.tolist()
    # The index tells where each unit's map begins.
    assert [tile.site.unit for tile in pictures[0].tiles] == order
    for tile in pictures[0].tiles:
        first = diverging(value[tile.site.unit, 0, 0].numpy(), scale)
        assert pictures[0].pixels[tile.y, tile.x].tolist() == first.tolist()
        assert (tile.width, tile.height) == (16, 16)


@pytest.mark.parametrize(
    "picks",
    [
        {"slices": (Slice("unit", 1),)},
        {"slices": (Slice("unit", 1, None, 2), Slice("batch", 2))},
        {"units": (3, 1)},
        {"units": (3, 2, 1), "slices": (Slice("unit", 1),)},
    ],
)
def test_captions_name_units_as_the_layer_does(tiny, picks):
    readout = Readout(layers=("conv",), form=FeatureMapForm(), **picks)
    value = tiny.forward(["conv"], [X])["conv"]
    units = torch.tensor(picks.get("units", range(4)))
    samples = value
    for wanted in picks.get("slices", ()):
        part = slice(wanted.start, wanted.stop, wanted.step)
        if wanted.axis == "unit":
            units = units[part]
        else:
            samples = samples[part]
    pictures = [f for f in read(tiny, readout) if isinstance(f, Picture)]
    for sample, picture in zip(samples, pictures, strict=True):
        order = units[sample[units].amax((1, 2)).argsort(descending=True)].tolist()
        assert f"units {', '.join(map(str, order))}:" in picture.caption


PICKS = {
    "units": {"units": (3, 1)},
    "slices": {"slices": (Slice("width", 1, None, 3), Slice("unit", 2), Slice("height", -4))},
    "both": {"units": (3, 0, 1), "slices": (Slice("unit", 1), Slice("width", 5))},
    "positions": {"units": (2, 0), "positions": ((7, 1), (0, 6), (3, 3))},
}


@pytest.mark.parametrize("picks", PICKS.values(), ids=list(PICKS))
@pytest.mark.parametrize("scope", Scope)
def test_the_largest_are_told_by_their_places_in_the_layer(tiny, picks, scope):
    """Whatever was picked, an index finds its value in the whole tensor."""
    form = TensorForm(Reduction(TopK(2), scope))
    got = arrays(tiny, Readout(layers=("conv",), form=form, **picks))
    values, indices = got["conv", "values"], got["conv", "indices"]
    assert indices.axes == (*values.axes, "axis")
    every = arrays(tiny, Readout(layers=("conv",), form=TensorForm(), **picks))
    whole = tiny.forward(["conv"], [X])["conv"]
    picked = every["conv", "activations"]
    reduced = {
        Scope.POSITIONS: (2, 3),
        Scope.UNITS: (1,),
        Scope.SAMPLE: (1, 2, 3),
        Scope.BATCH: (0, 2, 3),
    }[scope]
    assert indices.value.shape[-1] == len(reduced)
    assert values.value.max() == picked.value.max()
    for place in np.ndindex(*values.value.shape):
        # Where the kept axes are the whole layer's, the rest of the place is known too.
        found = whole.permute(*reduced, *(axis for axis in range(4) if axis not in reduced))
        assert values.value[place] in found[tuple(indices.value[place])]


def test_colours():
    red, white, blue, nothing = diverging(np.array([2.0, 0.0, -2.0, np.nan]), 2.0).tolist()
    assert white == [255, 255, 255]
    assert red[0] > 150 > 50 > red[2]
    assert blue[2] > 100 > 50 > blue[0]
    assert len(set(nothing)) == 1
    assert diverging(np.array([9.0]), 2.0).tolist() == [red]
    assert diverging(np.zeros(1), 0.0).tolist() == [white]


@pytest.mark.parametrize(("count", "size"), [(1, (18, 18)), (5, (52, 35)), (9, (52, 52))])
def test_grids_are_nearly_square(count, size):
    grid = feature_map_grid(np.zeros((count, 4, 4)), 16, 1.0)
    assert grid.shape[1::-1] == size


def test_files_hold_the_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(pixels).resize((60, 40), Image.Resampling.BICUBIC))
    for kind in ("png", "webp"):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode(smooth, kind)))), smooth)
    lossy = np.asarray(Image.open(io.BytesIO(encode(smooth, "jpeg")))).astype(int)
    assert np.abs(lossy - smooth).mean() < 20
