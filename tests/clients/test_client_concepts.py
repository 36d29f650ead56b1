"""Attention and concepts, asked of a real server by the client."""

import numpy as np
import pytest
import timm
import torch
from PIL import Image

import hooke
from hooke.methods import AttentionRollout, Concept, Craft, GradientAttention, Tcav

CAT = 281  # a tabby


@pytest.fixture(scope="module")
def client(demo_address):
    with hooke.connect(demo_address, timeout=240) as connection:
        yield connection


def crops(picture, box, count, seed):
    """Parts of a region, each a picture of its own."""
    random = np.random.default_rng(seed)
    left, top, right, bottom = box
    found = []
    for _ in range(count):
        x, y = random.integers(left, right - 64), random.integers(top, bottom - 64)
        found.append(np.asarray(picture)[y : y + 64, x : x + 64])
    return found


def test_a_texture_of_the_cat_speaks_for_it(client, photograph):
    picture = Image.open(photograph).convert("RGB")
    noise = np.random.default_rng(1).integers(0, 255, (16, 8, 8, 3), np.uint8)
    others = [np.asarray(Image.fromarray(each).resize((64, 64))) for each in noise]
    method = Tcav(
        concepts=[Concept(name="fur", images=crops(picture, (100, 120, 400, 290), 8, 0))],
        counter_examples=others,
        runs=10,
        pooled=True,
    )
    samples = [np.asarray(picture.rotate(angle)) for angle in (-6, 0, 6)]
    found = client.attributions("demo", samples, method, unit=CAT)
    [table] = [each for each in found.tables if each.name == "tcav"]
    [row] = table.rows
    assert row[0] == "fur"
    assert row[7] > 0.9  # the accuracy
    assert 0 <= row[4] <= 1
    assert 0 <= row[6] <= 1
    assert found["tcav"].shape[0] == 1
    assert "'fur'" in found.findings[0].text


def test_concepts_of_the_cat(client, photograph):
    method = Craft(concepts=4, designs=8)
    found = client.attributions("demo", photograph, method, unit=CAT, at="blocks.5.2")
    assert found["craft_maps"].shape[:2] == (4, 1)
    assert found["craft_importance"].shape == (1, 1, 4)
    assert (np.diff(found["craft_importance"][0, 0]) <= 0).all()
    assert [each.name for each in found.pictures] == [f"concept_{index}" for index in range(4)]
    alone = client.attributions(
        "demo", photograph, method, unit=CAT, at="blocks.5.2", pictures=False, tensors=False
    )
    assert not alone.pictures
    assert not alone.tensors
    assert [each.name for each in alone.tables] == ["targets", "craft"]


def test_networks_without_attention_are_refused(client, photograph):
    with pytest.raises(hooke.HookeError, match="no self-attention") as caught:
        client.attributions("demo", photograph, AttentionRollout(), unit=CAT)
    assert caught.value.reason == "TECHNIQUE_NOT_APPLICABLE"


def test_attention_of_an_exported_transformer(tmp_path, server_process):
    torch.manual_seed(0)
    net = timm.create_model(
        "vit_tiny_patch16_224", pretrained=False, img_size=64, depth=2, num_classes=5
    ).eval()
    example = torch.zeros(2, 3, 64, 64)
    shapes = ({0: torch.export.Dim.DYNAMIC},)
    torch.export.save(
        torch.export.export(net, (example,), dynamic_shapes=shapes), tmp_path / "vit.pt2"
    )
    given = np.random.default_rng(0).standard_normal((2, 3, 64, 64), np.float32)
    arguments = ("--model-root", str(tmp_path), "--model", "vit=file:vit.pt2")
    with server_process(*arguments) as address, hooke.connect(address, timeout=240) as client:
        methods = [AttentionRollout(), GradientAttention()]
        found = client.attributions("vit", given, methods, unit=3)
        for name in ("attention_rollout", "gradient_attention"):
            assert found[name].shape == (1, 2, 4, 4)
            assert found[name].min() >= 0
        assert len(found.pictures) == 4
        assert (found["attention_rollout"].sum((2, 3)) < 1).all()
