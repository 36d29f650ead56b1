"""Parameters as texts: each reaches its place, and none is left out."""

import re
from typing import get_type_hints

import pytest
from PIL import Image

import hooke
from hooke.cli.parameters import lens, method, parsed, place
from hooke.methods import (
    METHODS,
    BlurBaseline,
    Concept,
    GridFeatures,
    ImageBaseline,
    IntegratedGradients,
    Lime,
    Occlusion,
    Tcav,
    ZeroBaseline,
)
from hooke.techniques import (
    LENSES,
    FourierImage,
    ImageParameterization,
    Jitter,
    Rotate,
    TransformSequence,
)

NAMES = [
    (name, field) for name, kind in (LENSES | METHODS).items() for field in get_type_hints(kind)
]


@pytest.fixture(autouse=True)
def pictures(tmp_path, monkeypatch):
    """a.png and cat.png, and in a folder b.JPG, a.png and a text."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name in ("a.png", "cat.png", "folder/b.JPG", "folder/a.png"):
        Image.new("RGB", (4, 4)).save(name)
    (tmp_path / "folder/read.me").write_text("no picture")


def made(name, assignments):
    return (lens if name in LENSES else method)(name, assignments)


def test_parameters_are_parsed_by_their_types():
    told = lens(
        "feature-visualization", ["steps=3", "learning-rate=0.5", "sign=both", "pictures=2"]
    )
    assert told == hooke.FeatureVisualization(steps=3, learning_rate=0.5, sign="both", pictures=2)
    for wrong, message in {
        "steps=x": "steps is a whole number, not 'x'",
        "steps=2.5": "steps is a whole number",
        "steps=99999999999": "at most 2147483647",
        "diversity=much": "diversity is a number",
        "image.alpha=perhaps": "yes or no",
        "steps": "NAME=VALUE",
        "image..alpha=yes": "NAME=VALUE",
        "image=x": "set a part of image, such as image.storage",
        "penalty=3": "use Python",
    }.items():
        with pytest.raises(ValueError, match=message):
            lens("feature_visualization", [wrong])


@pytest.mark.parametrize(("name", "field"), NAMES)
def test_what_finds_no_place_is_an_error(name, field):
    """For every parameter of every technique, a part that it has not."""
    with pytest.raises(ValueError, match=r"nonsense|needs --set|use Python|one of"):
        made(name, [f"{field}.nonsense=1"])
    with pytest.raises(ValueError, match=r"takes .*not 'nonsense'"):
        made(name, ["nonsense=1"])


@pytest.mark.parametrize("wrong", ["steps.part=1", "sign.part=1", "image.alpha.part=1"])
def test_simple_values_have_no_parts(wrong):
    path = wrong.partition("=")[0]
    with pytest.raises(ValueError, match=re.escape(f"has no parts, so {path}=... says nothing")):
        lens("feature_visualization", [wrong])


def test_one_value_is_not_overwritten_by_another():
    with pytest.raises(ValueError, match="steps is given 2 times"):
        method("integrated_gradients", ["steps=3", "steps=4"])
    told = lens("tuning_curves", ["families=line,curve", "families=color"])
    assert told.families == ["line", "curve", "color"]


def test_parts_are_set_by_their_paths():
    told = lens(
        "deep_dream",
        [
            "image.storage=fourier-image",
            "image.storage.decay-power=1.5",
            "image.shared_factors=2,4",
            "image.start=cat.png",
        ],
    )
    assert told == hooke.DeepDream(
        image=ImageParameterization(
            storage=FourierImage(decay_power=1.5), shared_factors=[2, 4], start="cat.png"
        )
    )
    assert lens("deep_dream", ["transforms=none"]).transforms == TransformSequence()
    with pytest.raises(ValueError, match=r"storage is one of pixel_image, fourier_image.*'jpeg'"):
        lens("deep_dream", ["image.storage=jpeg"])
    with pytest.raises(ValueError, match=r"say which: --set image\.storage=fourier_image"):
        lens("deep_dream", ["image.storage.decay_power=2"])
    told = method("lime", ["features=grid_features", "features.cells=4"])
    assert told == Lime(features=GridFeatures(cells=4))


@pytest.mark.parametrize(
    ("assignments", "baselines"),
    [
        (["=blur_baseline", ".deviation=50"], [BlurBaseline(deviation=50)]),
        ([".deviation=50", "=blur_baseline"], [BlurBaseline(deviation=50)]),
        (["=blur_baseline", ".0.deviation=50"], [BlurBaseline(deviation=50)]),
        ([".0=blur_baseline", ".deviation=50"], [BlurBaseline(deviation=50)]),
        (
            ["=zero_baseline,blur_baseline", ".1.deviation=5"],
            [ZeroBaseline(), BlurBaseline(deviation=5)],
        ),
        (
            [".1=zero_baseline", ".0=blur_baseline", ".0.deviation=5"],
            [BlurBaseline(deviation=5), ZeroBaseline()],
        ),
        (["=zero_baseline", "=blur_baseline"], [ZeroBaseline(), BlurBaseline()]),
        (["=image_baseline", ".image=cat.png"], [ImageBaseline(image="cat.png")]),
    ],
)
def test_parts_reach_the_elements_of_a_sequence(assignments, baselines):
    told = method("integrated_gradients", [f"baselines{each}" for each in assignments])
    assert told == IntegratedGradients(baselines=baselines)


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        ([".deviation=50"], "one of zero_baseline.*say which: --set baselines=blur_baseline"),
        (["=zero_baseline", ".deviation=50"], "zero_baseline takes no parameters, not 'deviation'"),
        (["=blur_baseline", ".sigma=50"], "blur_baseline takes deviation, not 'sigma'"),
        (["=blur_baseline,blur_baseline", ".deviation=5"], r"2 elements.*baselines\.0\.deviation="),
        (["=blur_baseline", ".2.deviation=5"], r"baselines\.2 is given, but no baselines\.1"),
        (["=blur_baseline", ".1.deviation=5"], r"baselines\.1 is one of.*say which"),
        (["=blur_baseline", ".0=zero_baseline"], r"baselines is given 2 times"),
        (["=blur_baseline", ".deviation=5", ".0.deviation=6"], "given 2 times"),
        (["=blur_baseline", ".deviation.x=5"], "deviation has no parts"),
        (["=blur_baseline", ".00.deviation=5"], "takes deviation, not '00'"),
        (["=image_baseline"], r"image_baseline needs --set baselines\.image="),
        (["=image_baseline", ".image=no.png"], r"baselines\.image is a picture's file.*no such"),
        (["=image_baseline", ".image=folder"], "that is a folder"),
        (["=image_baseline", ".image=folder/read.me"], "no PNG, JPEG or WebP"),
    ],
)
def test_parts_of_no_element_are_errors(assignments, message):
    with pytest.raises(ValueError, match=message):
        method("integrated_gradients", [f"baselines{each}" for each in assignments])


def test_sequences_of_numbers_and_of_kinds_with_sequences():
    assert method("occlusion", ["window=8,4", "stride.0=2"]) == Occlusion(window=[8, 4], stride=[2])
    told = lens(
        "deep_dream",
        [
            "transforms.transforms=jitter,rotate",
            "transforms.transforms.0.pixels=3",
            "transforms.transforms.1.degrees=-5,5",
        ],
    )
    steps = [Jitter(pixels=3), Rotate(degrees=[-5, 5])]
    assert told.transforms == TransformSequence(transforms=steps)
    with pytest.raises(ValueError, match=r"jitter needs --set transforms\.transforms\.pixels"):
        lens("deep_dream", ["transforms.transforms=jitter"])


def test_concepts_have_names_and_folders_of_pictures():
    told = method(
        "tcav",
        ["concepts.long-fur=folder", "concepts.a=a.png,cat.png", "counter_examples=folder/",
         "counter-examples=cat.png", "runs=3"],
    )  # fmt: skip
    assert told == Tcav(
        concepts=[
            Concept(name="long-fur", images=["folder/a.png", "folder/b.JPG"]),
            Concept(name="a", images=["a.png", "cat.png"]),
        ],
        counter_examples=["folder/a.png", "folder/b.JPG", "cat.png"],
        runs=3,
    )


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["concepts=folder"], r"concepts have names: --set concepts\.NAME=FOLDER"),
        (["concepts.a=folder", "concepts=3"], "concepts have names"),
        (["concepts.a.images=folder"], r"concepts\.a has no parts"),
        (["concepts.a=nowhere"], r"concepts\.a is a folder of pictures, or files.*'nowhere'"),
        (["concepts.a=cat.png,nowhere"], "there is no 'nowhere'"),
        (["concepts.a=empty"], "no picture .* in 'empty'"),
        (["concepts.a="], "takes pictures: a folder, or files"),
        (["concepts.a=folder/read.me"], "no PNG, JPEG or WebP"),
    ],
)
def test_concepts_without_pictures_are_errors(assignments, message, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=message):
        method("tcav", [*assignments, "counter_examples=folder"])


def test_a_comma_may_be_part_of_a_file_s_name(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a,b.png")
    told = method("tcav", ["concepts.a=a,b.png", "counter_examples=folder"])
    assert told.concepts[0].images == ["a,b.png"]


def test_places_are_parsed():
    assert place("blocks.1#3") == hooke.Location("blocks.1", unit=3, position=[])
    assert place("#tabby") == hooke.Location(label="tabby", position=[])
    assert place("other::a") == hooke.Location("a", model="other", position=[])
    assert place("a#3[2,4]") == hooke.Location("a", unit=3, position=[2, 4])
    with pytest.raises(ValueError, match="is no place"):
        place("a#")
    told = lens("comparison", ["other=other::a#2"])
    assert told.other == hooke.Location("a", unit=2, model="other", position=[])
    styles = lens("style_transfer", ["content=a.png", "style=cat.png", "style_locations=a,b[1,2]"])
    assert [(each.layer, each.position) for each in styles.style_locations] == [
        ("a", []),
        ("b", [1, 2]),
    ]


def test_names_of_techniques_are_told_kindly():
    with pytest.raises(ValueError, match=r"did you mean .*grad_cam"):
        method("gradcam", [])
    with pytest.raises(ValueError, match="hooke attribute MODEL FILE --method grad_cam"):
        lens("grad_cam", [])
    with pytest.raises(ValueError, match="hooke visualize MODEL --technique deep_dream"):
        method("deep_dream", [])


def test_other_options_say_their_own_name():
    with pytest.raises(ValueError, match=r"needs --evidence-set baselines\.image="):
        parsed(hooke.Evidence, "evidence", ["baselines=image_baseline"], "--evidence-set")
