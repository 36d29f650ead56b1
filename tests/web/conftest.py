"""The page in a real browser, the system's Chromium, against a real server with the demo model."""

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

WEB = Path(__file__).parents[2] / "clients" / "web"
BUILT = Path(__file__).parents[2] / "server" / "hooke_server" / "web" / "index.html"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


PATIENCE = 60_000
"""Milliseconds that a view may take on a slow machine."""

expect.set_options(timeout=PATIENCE)


def _needed(there, what):
    """Skip what a user's machine lacks; a machine of CI must not lack it."""
    if not there and os.environ.get("CI"):
        pytest.fail(f"{what}; .ci/run puts it there")
    if not there:
        pytest.skip(what)


@pytest.fixture(scope="module")
def chromium():
    """A browser that asks nobody but our server.

    For a module and not longer: Playwright keeps an event loop running, beside which no
    asynchronous test of another folder could run its own.
    """
    path = shutil.which("chromium") or shutil.which("google-chrome")
    _needed(path, "the page is tested in Chromium: apt-get install chromium")
    _needed(BUILT.exists(), "the page was not built: make page")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


class Visit:
    """A page and what went wrong on it.

    Attributes
    ----------
    page : Playwright's.
    problems : errors on the console and uncaught ones; a test that expects some clears them.
    asked : the methods that were called, in order.
    """

    def __init__(self, context, home):
        self.page = context.new_page()
        self.home = home.rstrip("/")
        self.problems = []
        self.asked = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", self._request)

    def open(self, path):
        self.page.goto(self.home + path)
        return self.page

    def _console(self, message):
        if message.type in {"error", "warning"}:
            self.problems.append(message.text)

    def _request(self, request):
        if not request.url.startswith((self.home, "blob:", "data:")):
            self.problems.append(f"asked {request.url}")
        if "/hooke.v1." in request.url:
            self.asked.append(request.url.rsplit("/", 1)[-1])


@pytest.fixture(params=[{}])
def visit(chromium, demo_page, request):
    """A fresh visitor; the parameter holds options of Playwright's context."""
    context = chromium.new_context(**({"viewport": {"width": 1280, "height": 900}} | request.param))
    context.set_default_timeout(PATIENCE)
    found = Visit(context, demo_page)
    yield found
    context.close()
    assert found.problems == []


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core."""
    return (WEB / "node_modules" / "axe-core" / "axe.min.js").read_text()
