"""P1: how soon the page is there, what it weighs, and whether it stays smooth, in Chromium."""

from __future__ import annotations

import gzip
import shutil
import socket
import statistics
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

import hooke
from benchmarks.measure import Row
from benchmarks.servers import running

BUILT = Path(__file__).resolve().parent.parent / "server" / "hooke_server" / "web" / "assets"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
DEEP = "torchvision:efficientnet_b7"
"""A model of more than a thousand layers."""

PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
SCROLL = """async () => {
    const rows = document.querySelector('.rows'), times = [];
    await new Promise((resolve) => {
        let last = performance.now();
        const step = (now) => {
            times.push(now - last);
            last = now;
            rows.scrollTop += 90;
            if (times.length < 240) requestAnimationFrame(step); else resolve();
        };
        requestAnimationFrame(step);
    });
    return times.slice(2).sort((a, b) => a - b);
}"""


def rows() -> Iterator[Row]:
    """Weight, first content, scrolling, a sheet."""
    files = BUILT.glob("index-*")
    weight = sum(len(gzip.compress(path.read_bytes())) for path in files) / 1000
    yield _row("what is loaded first, gzipped", "its limit", weight, "kB", 150)
    port = _free_port()
    with (
        running(
            "hooke_server",
            *("--address", "localhost:0", "--web-address", f"localhost:{port}"),
            *("--demo", "--model", f"deep={DEEP}"),
        ) as server,
        sync_playwright() as playwright,
    ):
        with hooke.connect(server.address, timeout=600) as client:
            count = sum(1 for name in ("demo", "deep") for _ in client.layers(name))
        browser = playwright.chromium.launch(executable_path=_chromium(), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        home = f"http://localhost:{port}"
        yield _row("first content, median of 9 visits", "one second", _paint(page, home), "s", 1)
        yield from _scrolling(page, home, count)
        yield from _sheet(page, home)
        browser.close()


def _paint(page: Page, home: str) -> float:
    times = []
    for _ in range(9):
        page.goto(home)
        page.locator(".card").first.wait_for()
        times.append(page.evaluate(PAINT) / 1000)
    return statistics.median(times)


def _scrolling(page: Page, home: str, layers: int) -> Iterator[Row]:
    page.goto(f"{home}/models/deep?side=table")
    page.locator(".row .cell.layer a").first.wait_for(timeout=120_000)
    page.locator(".box").first.wait_for(timeout=120_000)
    times = page.evaluate(SCROLL)
    yield _row(
        "a frame while the table of a deep model scrolls, 95 % of them",
        "two frames of 60 a second",
        times[int(0.95 * len(times))],
        "ms",
        2 * 1000 / 60,
        f"{layers} layers in two models; median {statistics.median(times):.1f} ms",
    )


def _sheet(page: Page, home: str) -> Iterator[Row]:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{home}/models/demo/layers/conv_head?count=256&steps=4&size=32")
    page.locator(".units .sprite").nth(255).wait_for(timeout=600_000)
    requests = sum(url.endswith("/Visualize") for url in asked)
    yield _row("requests for 256 unit pictures", "one sheet", requests, "", 1)


def _row(what: str, against: str, value: float, unit: str, goal: float, note: str = "") -> Row:
    return Row(id="P1", what=what, against=against, value=value, unit=unit, goal=goal, note=note)


def _chromium() -> str:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise RuntimeError("the page is measured in Chromium: apt-get install chromium")
    return path


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port: int = free.getsockname()[1]
        return port
