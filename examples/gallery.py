"""The pictures of docs/lenses, made anew: `make gallery`.

Starts a server with EfficientNet-Lite0 and points every lens at it, with the lenses' own
defaults. Takes some minutes; the same seed makes the same pictures on the same machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import skimage.data
from PIL import Image

import hooke
from demo import MODEL, cat, console, serving
from hooke import techniques as t
from hooke.cli.visualize import bar
from hooke.objectives import Blend, Response
from panels import Panel, fitted, opened, row, rows, shown, square

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "lenses" / "pictures"

LAYERS = ("blocks.1.1", "blocks.2.1", "blocks.3.1", "blocks.4.2")
UNITS = {
    "blocks.0.0": (1, 3, 5, 8, 10, 14),
    "blocks.1.1": (3, 5, 10, 14, 17, 22),
    "blocks.2.1": (3, 7, 11, 22, 30, 38),
    "blocks.3.1": (3, 10, 17, 40, 55, 70),
    "blocks.4.2": (7, 20, 33, 54, 80, 103),
    "blocks.5.2": (5, 12, 60, 90, 120, 150),
}
CLASSES = ("tabby", "golden retriever", "volcano", "strawberry", "jellyfish", "pirate")


def main() -> None:
    """Make all, or those that are named on the command line."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[1:] or list(GALLERY)
    with serving() as address, hooke.connect(address) as client:
        for name in wanted:
            picture = GALLERY[name](client)
            picture.convert("RGB").save(FOLDER / f"{name}.jpg", quality=88, optimize=True)
            console.print(f"wrote docs/lenses/pictures/{name}.jpg, {picture.width} pixels wide")


def made(client: hooke.Client, technique: t.Lens, **options: object) -> list[hooke.Picture]:
    """The finished pictures of a call, behind a progress bar."""
    pictures = []
    with bar() as (progress, task):
        # Options come from a table of lenses, so mypy cannot see their names.
        for frame in client.visualize(MODEL, technique=technique, **options):  # type: ignore[arg-type]
            match frame:
                case hooke.Progress():
                    progress.update(task, completed=frame.step, total=frame.total_steps)
                case hooke.Picture(final=True):
                    pictures.append(frame)
    return pictures


def units(client: hooke.Client) -> Image.Image:
    """What single units of six layers, and six classes, respond to."""
    lens = t.FeatureVisualization(size=128)
    panels = [
        [
            shown(picture, f"unit {unit}")
            for picture, unit in zip(
                made(client, lens, layer=layer, unit=list(numbers)), numbers, strict=True
            )
        ]
        for layer, numbers in UNITS.items()
    ]
    pictures = made(client, lens, label=list(CLASSES))
    panels.append([shown(p, name) for p, name in zip(pictures, CLASSES, strict=True)])
    return rows(panels, [*UNITS, "classes"])


def variants(client: hooke.Client) -> Image.Image:
    """One unit: strongest and weakest, several that differ, with opacity, a single neuron."""
    at = {"layer": "blocks.3.1", "unit": 10}
    several = t.FeatureVisualization(pictures=4)
    alpha = t.ImageParameterization(alpha=True)
    return rows(
        [
            [shown(p, f"diverse {p.sample}") for p in made(client, several, **at)],
            [
                shown(made(client, t.FeatureVisualization(), **at)[0], "channel"),
                shown(made(client, t.FeatureVisualization(sign="negative"), **at)[0], "negative"),
                shown(made(client, t.FeatureVisualization(), position=(7, 7), **at)[0], "neuron"),
                shown(made(client, t.FeatureVisualization(image=alpha), **at)[0], "with opacity"),
            ],
        ]
    )


def storages(client: hooke.Client) -> Image.Image:
    """The same unit, stored in five ways."""
    kinds = {
        "Fourier": t.FourierImage(),
        "pixels": t.PixelImage(),
        "Laplacian pyramid": t.LaplacianPyramid(),
        "pattern network": t.PatternNetwork(),
        "fixed magnitude": t.FixedMagnitude(),
    }
    panel = []
    for name, storage in kinds.items():
        lens = t.FeatureVisualization(image=t.ImageParameterization(storage=storage))
        panel.append(shown(made(client, lens, layer="blocks.4.2", unit=7)[0], name))
    return row(panel)


def objectives(client: hooke.Client) -> Image.Image:
    """Two units, their sum, and four pictures on the way from the one to the other."""
    one, two = (Response(location=hooke.Location("blocks.4.2", unit=u)) for u in (7, 33))
    first, second, both = (made(client, t.FeatureVisualization(), objective=o)[0]
                           for o in (one, two, one + two))  # fmt: skip
    between = Blend(first=one.location, second=two.location)
    way = made(client, t.FeatureVisualization(pictures=4, diversity=0), objective=between)
    return rows(
        [
            [shown(first, "unit 7"), shown(both, "both"), shown(second, "unit 33")],
            [shown(p, f"{p.sample} of 3") for p in way],
        ]
    )


def deep_dream(client: hooke.Client) -> Image.Image:
    """Layers from noise, and one from a photograph."""
    noise = [
        shown(made(client, t.DeepDream(size=192), layer=layer)[0], layer) for layer in LAYERS[1:]
    ]
    lens = t.DeepDream(size=288, steps=128, image=t.ImageParameterization(start=cat()))
    [dreamt] = made(client, lens, layer="blocks.3.1")
    return row([*noise, shown(dreamt, "blocks.3.1, from a photograph")])


def from_photograph(kind: Callable[..., t.Lens]) -> Callable[[hooke.Client], Image.Image]:
    """A lens that draws a photograph anew, at four layers."""

    def draw(client: hooke.Client) -> Image.Image:
        lens = kind(photograph=cat(), size=224)
        panel: Panel = [("photograph", fitted(Image.open(cat()).convert("RGB"), 224))]
        return row(
            [*panel, *(shown(made(client, lens, layer=layer)[0], layer) for layer in LAYERS)]
        )

    return draw


def accentuation(client: hooke.Client) -> Image.Image:
    """What in a photograph makes three classes."""
    names = ["tabby", "Egyptian cat", "golden retriever"]
    pictures = made(client, t.Accentuation(photograph=cat(), size=224), label=names)
    original = fitted(Image.open(cat()).convert("RGB"), 224)
    accents = [shown(p, f"more {n}") for p, n in zip(pictures, names, strict=True)]
    return row([("photograph", original), *accents])


def style_transfer(client: hooke.Client) -> Image.Image:
    """A cat in two manners."""
    panel: Panel = []
    for name in ("immunohistochemistry", "gravel"):
        pixels = getattr(skimage.data, name)()
        manner = Image.fromarray(pixels).convert("RGB").resize((224, 224))
        lens = t.StyleTransfer(content=cat(), style=manner, size=288)
        [painted] = made(client, lens, layer="blocks.3.1")
        panel += [("manner", manner), shown(painted, "the cat in it")]
    return row(panel)


def activation_grid(client: hooke.Client) -> Image.Image:
    """What a layer sees at each place of a photograph."""
    [grid] = made(client, t.ActivationGrid(photograph=cat()), layer="blocks.4.2")
    return row([("photograph", square(400)), ("blocks.4.2", opened(grid).resize((400, 400)))])


def channel_attribution(client: hooke.Client) -> Image.Image:
    """Which units speak for the answer."""
    pictures = made(client, t.ChannelAttribution(photograph=cat()), layer="blocks.4.2")
    return next(opened(each) for each in pictures if each.name == "channel_attribution")


def with_icons(lens: t.Lens, layer: str, columns: int) -> Callable[[hooke.Client], Image.Image]:
    """A lens that yields icons and pictures that they explain."""

    def draw(client: hooke.Client) -> Image.Image:
        pictures = made(client, lens, layer=layer)
        icons = [shown(p) for p in pictures if p.name == "icon"][:columns]
        others = [("", opened(p)) for p in pictures if p.name != "icon"]
        return rows([icons, others])

    return draw


def spatial_attribution(client: hooke.Client) -> Image.Image:
    """Which places speak for the answer, at two layers."""
    panel = [("photograph", square(300))]
    for layer in ("blocks.4.2", "blocks.6.0"):
        [picture] = made(client, t.SpatialAttribution(photograph=cat()), layer=layer)
        panel.append((f"{layer}: {picture.caption}", fitted(opened(picture), 300)))
    return row(panel)


def tuning_curves(client: hooke.Client) -> Image.Image:
    """How an early unit responds to five families of stimuli."""
    pictures = made(client, t.TuningCurves(), layer="blocks.1.1", unit=3)
    return rows([[("", opened(each))] for each in pictures])


def weight_pictures(client: hooke.Client) -> Image.Image:
    """All filters of the first layer, and weights between two layers."""
    [sheet] = [
        frame
        for frame in client.visualize(
            MODEL,
            layer="conv_stem",
            technique=t.WeightPictures(tile_size=56),
            sprite_sheet=hooke.SpriteSheet(columns=16),
        )
        if isinstance(frame, hooke.Picture)
    ]
    lens = t.WeightPictures(source=hooke.Location("conv_stem"))
    expanded = made(client, lens, layer="blocks.1.0.conv_dw", unit=[0, 1, 5])
    panels = [[shown(each, f"blocks.1.0.conv_dw, {each.caption}")] for each in expanded]
    return rows([[("filters of conv_stem", opened(sheet))], *panels])


def comparison(client: hooke.Client) -> Image.Image:
    """Two units of a layer side by side."""
    [picture] = made(
        client,
        t.Comparison(other=hooke.Location("blocks.3.1", unit=17)),
        layer="blocks.3.1",
        unit=10,
    )
    return opened(picture)


GALLERY: dict[str, Callable[[hooke.Client], Image.Image]] = {
    "units": units,
    "variants": variants,
    "storages": storages,
    "objectives": objectives,
    "deep_dream": deep_dream,
    "caricature": from_photograph(t.Caricature),
    "feature_inversion": from_photograph(t.FeatureInversion),
    "accentuation": accentuation,
    "style_transfer": style_transfer,
    "activation_grid": activation_grid,
    "neuron_groups": with_icons(t.NeuronGroups(photograph=cat()), "blocks.4.2", 6),
    "semantic_dictionary": with_icons(t.SemanticDictionary(photograph=cat()), "blocks.4.2", 8),
    "spatial_attribution": spatial_attribution,
    "channel_attribution": channel_attribution,
    "tuning_curves": tuning_curves,
    "weight_pictures": weight_pictures,
    "comparison": comparison,
}

if __name__ == "__main__":
    main()
