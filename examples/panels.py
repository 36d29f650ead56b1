"""Pictures side by side, with what is written under them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from PIL import Image, ImageDraw, ImageFont

import hooke
from demo import cat

GAP, CAPTION = 6, 18

Panel = list[tuple[str, Image.Image]]
"""Pictures with what is written under them."""


def shown(picture: hooke.Picture, caption: str | None = None) -> tuple[str, Image.Image]:
    """A picture with its own caption, or another."""
    return picture.caption if caption is None else caption, opened(picture)


def opened(picture: hooke.Picture) -> Image.Image:
    """As Pillow has it, on white where it is transparent."""
    image = Image.open(io.BytesIO(picture.data)).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def rows(panels: Iterable[Panel], titles: Sequence[str] = ()) -> Image.Image:
    """Panels one over the other, each with a title to its left where there are titles."""
    drawn = [row(panel) for panel in panels]
    left = 110 if titles else 0
    width = left + max(each.width for each in drawn)
    whole = Image.new("RGB", (width, sum(each.height + GAP for each in drawn)), "white")
    top = 0
    for number, each in enumerate(drawn):
        whole.paste(each, (left, top))
        if titles:
            write(whole, titles[number], (GAP, top + each.height // 2 - CAPTION))
        top += each.height + GAP
    return whole


def row(panel: Panel) -> Image.Image:
    """Pictures side by side, with their captions below."""
    below = CAPTION if any(caption for caption, _ in panel) else 0
    height = max(image.height for _, image in panel) + below
    whole = Image.new("RGB", (sum(i.width + GAP for _, i in panel) - GAP, height), "white")
    left = 0
    for caption, image in panel:
        whole.paste(image, (left, 0))
        write(whole, caption, (left, image.height + 2), image.width)
        left += image.width + GAP
    return whole


def write(image: Image.Image, text: str, place: tuple[int, int], width: int = 1000) -> None:
    """Text, cut where there is no room."""
    font = ImageFont.load_default(12)
    while text and font.getlength(text) > width:
        text = text[:-1]
    ImageDraw.Draw(image).text(place, text, "black", font)


def fitted(image: Image.Image, width: int) -> Image.Image:
    """Of that width."""
    return image.resize((width, round(image.height * width / image.width)), Image.LANCZOS)


def square(edge: int) -> Image.Image:
    """The middle of the photograph, which is what the network sees."""
    return Image.open(cat()).convert("RGB").crop((75, 0, 375, 300)).resize((edge, edge))
