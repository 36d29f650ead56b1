"""Screenshots of the page for the README and the docs: `make tour`.

Starts a server with the demo's network on free ports, walks through the page in the system's
Chromium, and writes a picture of each stop to docs/page/.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from demo import LOG, console, serving

OUTPUT = Path("docs/page")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
MINUTES = 15 * 60_000
MOST_BYTES = 290_000
UNIT = "/models/demo/layers/blocks.3.2/units/43"


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A picture of a view.

    Attributes
    ----------
    ready : waits until there is what shall be seen.
    top : selects what shall be at the upper edge.
    """

    name: str
    path: str
    ready: Callable[[Page], None]
    dark: bool = False
    top: str = "body"
    width: int = 1280
    height: int = 860


def there(selector: str) -> Callable[[Page], None]:
    """Wait for an element."""
    return lambda page: page.locator(selector).first.wait_for(timeout=MINUTES)


def done(count: int) -> Callable[[Page], None]:
    """Wait for so many pieces of work to end."""
    ended = ".status[data-status=done]"
    return lambda page: page.locator(ended).nth(count - 1).wait_for(timeout=MINUTES)


STOPS = [
    Stop(name="graph", path="/models/demo", ready=there(".box")),
    Stop(
        name="units",
        path="/models/demo/layers/blocks.3.2?count=80&steps=96&size=80",
        ready=done(1),
        dark=True,
    ),
    Stop(name="unit", path=f"{UNIT}?ascent.steps=256", ready=done(3)),
    Stop(name="photograph", path=f"{UNIT}?tab=photograph", ready=there(".patches"), dark=True),
    Stop(
        name="picture",
        path="/models/demo/photograph?edit=ablate:blocks.4.2%237",
        ready=done(3),
        height=1330,
    ),
    Stop(
        name="trust",
        path="/models/demo/photograph?photo=coffee&evidence=all",
        ready=there(".verdict"),
        dark=True,
        top=".attribution",
        height=1580,
    ),
    Stop(
        name="lens",
        path="/models/demo/layers/blocks.3.2?tab=lens&lens=neuron_groups"
        "&photograph=chelsea&groups=5&ascent.steps=128&ascent.size=96",
        ready=done(1),
        dark=True,
    ),
    Stop(
        name="phone",
        path="/models/demo/photograph?photo=coffee",
        ready=done(2),
        width=390,
        height=844,
    ),
]


def main(names: Sequence[str]) -> None:
    """The named stops, all by default."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("the tour needs a browser: apt-get install chromium")
    OUTPUT.mkdir(exist_ok=True)
    with serving("localhost:0"), sync_playwright() as playwright:
        home = re.findall(r"http://\S+", LOG.read_text())[0].rstrip("/")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        for stop in [each for each in STOPS if each.name in names or not names]:
            file = OUTPUT / f"{stop.name}.jpg"
            file.write_bytes(jpeg(look(browser, home, stop)))
            console.print(f"{file}: {file.stat().st_size / 1000:.0f} kB")
        browser.close()


def look(browser: Browser, home: str, stop: Stop) -> bytes:
    """A PNG of a stop."""
    context = browser.new_context(
        viewport={"width": stop.width, "height": stop.height},
        color_scheme="dark" if stop.dark else "light",
        device_scale_factor=1.5,
    )
    page = context.new_page()
    page.goto(home + stop.path)
    stop.ready(page)
    page.locator(stop.top).evaluate("part => part.scrollIntoView()")
    page.wait_for_timeout(500)
    picture = page.screenshot()
    context.close()
    return picture


def jpeg(png: bytes) -> bytes:
    """As good as fits into a repository."""
    picture = Image.open(BytesIO(png)).convert("RGB")
    for quality in range(88, 40, -6):
        file = BytesIO()
        picture.save(file, "jpeg", quality=quality, optimize=True)
        if file.tell() <= MOST_BYTES:
            break
    return file.getvalue()


if __name__ == "__main__":
    main(sys.argv[1:])
