"""Everybody can read the page and reach all of it: axe finds nothing, and a keyboard is enough."""

import pytest
from playwright.sync_api import expect

LAYER = "/models/demo/layers/blocks.3.1"
QUICK = "ascent.steps=4&ascent.size=32"
VIEWS = {
    "models": ("/", ".card .sprite"),
    "model": ("/models/demo", ".box"),
    "units": (f"{LAYER}?count=4&steps=4&size=32", ".units .sprite"),
    "layer-photograph": (f"{LAYER}?tab=photograph", ".maps .sprite"),
    "weights": ("/models/demo/layers/conv_stem?tab=weights", ".histogram"),
    "lens": (f"{LAYER}?tab=lens&lens=caricature", ".lens-form"),
    "unit": (f"{LAYER}/units/7?{QUICK}", ".variant img"),
    "unit-photograph": (f"{LAYER}/units/7?tab=photograph", ".patches button"),
    "picture": ("/models/demo/photograph", ".legend"),
    "compare": ("/compare?left=/models/demo", ".side select"),
    "what-if": ("/models/demo/photograph?edit=ablate:blocks.4.2%237", ".changes"),
    "compare-models": ("/compare?left=/models/demo&right=/models/demo&ask=weights", ".finding"),
    "compare-edited": (
        "/compare?left=/models/demo&right=/models/demo&ask=activations&edit=ablate:blocks.4.2%237",
        ".finding",
    ),
    "error": ("/models/demo/layers/nowhere", ".failure"),
    "nowhere": ("/nowhere", "h1"),
}
SCHEMES = [{"color_scheme": scheme} for scheme in ("light", "dark")]


@pytest.mark.parametrize("visit", SCHEMES, indirect=True, ids=["light", "dark"])
def test_axe_finds_nothing(visit, axe):
    found = {}
    for name, (path, there) in VIEWS.items():
        page = visit.open(path)
        expect(page.locator(there).first).to_be_visible()
        page.evaluate(axe)
        answer = page.evaluate("axe.run({ resultTypes: ['violations'] })")
        for violation in answer["violations"]:
            nodes = [node["html"][:160] for node in violation["nodes"][:3]]
            found[name, violation["id"]] = (violation["help"], nodes)
    visit.problems[:] = [each for each in visit.problems if "404" not in each]
    assert found == {}


def test_a_keyboard_is_enough(visit):
    page = visit.open("/models/demo")
    expect(page.locator(".box").first).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the view")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Show it a picture")).to_be_focused()
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.closest('section')?.ariaLabel ?? ''"))
        if {"Graph", "Layers"} <= reached:
            return
    pytest.fail(f"a keyboard reached {reached} only")
