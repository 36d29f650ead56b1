"""The picture of docs/how-to/attribution.md, made anew: photographs explained in many ways."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

from PIL import Image

import hooke
from demo import MODEL, console, serving
from hooke import methods as m
from panels import fitted, rows, shown

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "how-to" / "pictures"

PHOTOGRAPHS = {"chelsea.png": "tiger cat", "coffee.png": "espresso", "rocket.jpg": "missile"}

EDGE = 150

WAYS: dict[str, m.Method] = {
    "Grad-CAM": m.GradCam(),
    "LayerCAM": m.LayerCam(),
    "occlusion": m.Occlusion(window=[48], stride=[16]),
    "RISE": m.Rise(masks=500),
    "Shapley values": m.ShapleySampling(features=m.SuperpixelFeatures(segments=40)),
    "LIME": m.Lime(features=m.SuperpixelFeatures(segments=40), samples=200),
    "integrated gradients": m.IntegratedGradients(),
    "SmoothGrad": m.SmoothGrad(multiply_by_input=True),
    "DeepLIFT": m.DeepLift(),
    "relevance": m.RelevancePropagation(),
    "guided": m.GuidedBackpropagation(),
}


def main() -> None:
    """Each photograph a row."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with serving() as address, hooke.connect(address) as client:
        panels = [explained(client, name, label) for name, label in PHOTOGRAPHS.items()]
    picture = rows(panels)
    path = FOLDER / "explanations.jpg"
    picture.convert("RGB").save(path, quality=88, optimize=True)
    console.print(f"wrote docs/how-to/pictures/{path.name}, {picture.width} pixels wide")


def explained(client: hooke.Client, name: str, label: str) -> list[tuple[str, Image.Image]]:
    """A photograph as the network sees it, and what each way says of it."""
    path = Path(str(files("skimage") / "data" / name))
    panel = [(label, seen(path))]
    for title, method in WAYS.items():
        answer = client.attributions(MODEL, path, method, label=label, tensors=False)
        panel.append((title, fitted(shown(answer.pictures[0])[1], EDGE)))
        console.print(f"{name}: {title}")
    return panel


def seen(path: Path) -> Image.Image:
    """The middle of a photograph, as the model's preparation cuts it."""
    picture = Image.open(path).convert("RGB")
    edge = min(picture.size) * 224 / 256
    left, top = (picture.width - edge) / 2, (picture.height - edge) / 2
    return picture.crop((left, top, left + edge, top + edge)).resize((EDGE, EDGE))


if __name__ == "__main__":
    sys.exit(main())
