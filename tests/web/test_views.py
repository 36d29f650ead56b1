"""Each view shows what it promises, and its address leads back to it."""

import re

import pytest
from playwright.sync_api import expect

LAYER = "/models/demo/layers/blocks.3.1"
QUICK = "ascent.steps=16&ascent.size=48"


def test_from_the_models_to_a_layer(visit):
    page = visit.open("/")
    card = page.get_by_role("link", name=re.compile("demo"))
    expect(card.locator(".sprite").first).to_be_visible()
    card.click()
    expect(page).to_have_title("demo · Hooke")
    page.get_by_role("link", name=re.compile("^conv_stem ?conv2d")).click()
    expect(page).to_have_url(re.compile(r"/models/demo/layers/conv_stem$"))
    expect(page.get_by_role("heading", name="conv_stem")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="demo")).to_be_visible()


def test_modules_open_and_close_by_keyboard_and_stay_so(visit):
    page = visit.open("/models/demo")
    graph = page.get_by_label("Graph of demo")
    expect(graph.get_by_role("link", name=re.compile(r"^blocks\.0\.0 ?d"))).to_be_visible()
    graph.get_by_role("button", name="Close blocks.0", exact=True).press("Enter")
    expect(graph.get_by_role("link", name=re.compile(r"^blocks\.0\.0 ?d"))).to_have_count(0)
    page.reload()
    opened = page.get_by_role("button", name="Open blocks.0", exact=True)
    expect(opened).to_be_visible()
    opened.press("Enter")
    expect(page.get_by_role("button", name="Close blocks.0", exact=True)).to_be_visible()


def test_the_graph_moves_and_grows(visit):
    page = visit.open("/models/demo")
    drawing = page.locator(".graph svg > g")
    expect(drawing).not_to_have_attribute("transform", "scale(1) translate(0 0)")
    before = drawing.get_attribute("transform")
    page.get_by_role("button", name="Enlarge").click()
    expect(drawing).not_to_have_attribute("transform", before)
    grown = drawing.get_attribute("transform")
    page.get_by_role("link", name=re.compile("^conv_stem ?conv2d")).focus()
    page.keyboard.press("ArrowDown")
    expect(drawing).not_to_have_attribute("transform", grown)
    page.get_by_role("button", name="Fit").click()
    expect(drawing).to_have_attribute("transform", before)
    box = page.locator(".graph-view").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 340, steps=4)
    page.mouse.up()
    expect(drawing).not_to_have_attribute("transform", before)


def test_layers_are_searched_and_sorted(visit):
    page = visit.open("/models/demo?q=conv_dw&sort=-macs")
    table = page.get_by_role("table", name="Layers")
    expect(table).to_have_attribute("aria-rowcount", "17")
    first = table.get_by_role("row").nth(1)
    expect(first).to_contain_text("conv_dw")
    page.get_by_role("searchbox").fill("no such layer")
    expect(page.get_by_text("No layer is called that.")).to_be_visible()
    page.get_by_role("searchbox").fill("classifier")
    table.get_by_role("link", name="classifier").click()
    expect(page).to_have_url(re.compile("/layers/classifier$"))


def test_all_units_come_as_one_sheet(visit):
    page = visit.open(f"{LAYER}?count=12&steps=8&size=32")
    expect(page.locator(".units .sprite")).to_have_count(12)
    assert visit.asked.count("Visualize") == 1
    page.get_by_role("link", name="later →").click()
    expect(page).to_have_url(re.compile("from=12"))
    page.get_by_role("link", name="unit 12", exact=True).click()
    expect(page).to_have_url(re.compile("/units/12$"))


def test_a_layer_in_a_photograph(visit):
    page = visit.open(f"{LAYER}?tab=photograph&photo=coffee")
    expect(page.locator(".maps .sprite")).to_have_count(64)
    expect(page.get_by_text("exactly zero")).to_be_visible()
    expect(page.get_by_role("img", name="Histogram of the activations")).to_be_visible()
    expect(page.get_by_role("button", name="A cup of coffee")).to_have_attribute(
        "aria-pressed", "true"
    )


def test_an_activation_grid_is_made_when_asked_for(visit):
    page = visit.open("/models/demo/layers/blocks.5.0?tab=photograph")
    page.get_by_role("button", name="Make the activation grid").click()
    expect(page).to_have_url(re.compile("grid=yes"))
    grid = page.get_by_role("region", name="Activation grid").first
    expect(grid.get_by_role("progressbar").or_(grid.get_by_role("img")).first).to_be_visible()


def test_weights_of_a_layer(visit):
    page = visit.open("/models/demo/layers/conv_stem?tab=weights")
    expect(page.locator(".maps .sprite")).to_have_count(32)
    expect(page.get_by_role("img", name="Histogram of weight")).to_be_visible()
    expect(page.get_by_text(re.compile("32 . 3 . 3 . 3 = 864"))).to_be_visible()


def test_a_unit_in_a_photograph_and_the_patches_it_likes(visit):
    page = visit.open(f"{LAYER}/units/7?tab=photograph")
    patches = page.locator(".patches button")
    expect(patches).to_have_count(6)
    values = [float(text.split()[0]) for text in patches.all_inner_texts()]
    assert values == sorted(values, reverse=True)
    patches.nth(2).focus()
    expect(patches.nth(2)).to_have_attribute("aria-pressed", "true")


def test_tuning_curves(visit):
    page = visit.open("/models/demo/layers/blocks.0.0/units/3?tab=tuning")
    expect(page.locator(".plate img").first).to_be_visible()


def test_a_class_has_its_name(visit):
    page = visit.open("/models/demo/layers/classifier/units/282?tab=photograph")
    expect(page.get_by_role("heading", name=re.compile("tiger cat"))).to_be_visible()
    expect(page.get_by_text("It says")).to_be_visible()


def test_a_picture_and_why(visit):
    page = visit.open("/models/demo/photograph")
    classes = page.locator(".classes li")
    expect(classes).to_have_count(5)
    assert "cat" in " ".join(classes.all_inner_texts()[:2])
    explained = page.get_by_role("region", name="Attribution")
    expect(explained.get_by_text("done in")).to_be_visible()
    explained.get_by_role("combobox", name="Method").select_option(label="Saliency")
    expect(page).to_have_url(re.compile("method=saliency"))
    expect(explained.get_by_text("done in")).to_be_visible()
    page.get_by_role("link", name=re.compile("lynx")).first.click()
    expect(explained.get_by_role("heading")).to_contain_text("lynx")
    expect(explained.get_by_text("done in")).to_be_visible()
    assert visit.asked.count("Attribute") == 3


def test_lenses_and_their_forms(visit):
    page = visit.open(f"{LAYER}?tab=lens")
    page.get_by_role("link", name="DeepDream").click()
    page.get_by_text("Change how it is made").click()
    page.get_by_label("steps").fill("6")
    page.get_by_label("size", exact=True).fill("48")
    page.get_by_role("button", name="Look").click()
    expect(page).to_have_url(re.compile(r"ascent\.steps=6"))
    expect(page.get_by_text("done in")).to_be_visible()
    expect(page.locator(".plate img")).to_have_count(1)
    expect(page.locator(".plate img")).to_have_attribute("width", "48")


def test_two_units_side_by_side(visit):
    page = visit.open("/compare")
    for side, unit in (("Left", "3"), ("Right", "5")):
        place = page.get_by_role("region", name=side)
        place.get_by_label("Layer").fill("blocks.1.1")
        place.get_by_label("Unit").fill(unit)
        place.get_by_label("Unit").press("Tab")
        expect(place.locator(".plate img").first).to_be_visible()
    expect(page).to_have_url(re.compile(r"left=/models/demo/layers/blocks.1.1/units/3"))
    expect(page.get_by_text("How each responds to what the other likes")).to_be_visible()


@pytest.mark.parametrize("visit", [{"viewport": {"width": 390, "height": 844}}], indirect=True)
def test_on_a_phone_nothing_is_wider_than_it(visit):
    for path in (
        "/",
        "/models/demo?side=table",
        f"{LAYER}?tab=lens&lens=deep_dream&{QUICK}",
        "/compare",
    ):
        page = visit.open(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_a_unit_is_silenced_and_the_answer_changes(visit):
    page = visit.open("/models/demo/layers/blocks.4.2/units/7?tab=photograph")
    page.get_by_role("link", name="What if it were silent?").click()
    expect(page).to_have_url(re.compile("edit=ablate(:|%3A)blocks.4.2%237"))
    asked = page.get_by_role("region", name="What if")
    changes = asked.get_by_role("row")
    expect(changes.nth(1)).to_contain_text("cat")
    assert any("−" in text for text in changes.all_inner_texts())  # noqa: RUF001  # a minus
    asked.get_by_role("combobox", name="Change").select_option(label="multiply by")
    asked.get_by_label("Value").fill("0")
    asked.get_by_label("Layer").fill("classifier")
    asked.get_by_label("Units").fill("281 282")
    asked.get_by_role("button", name="Try it").click()
    expect(page).to_have_url(re.compile("scale%3D0:classifier|scale=0:classifier"))
    expect(asked.get_by_text("done in")).to_be_visible()
    asked.get_by_role("button", name=re.compile("Take back: silence")).click()
    expect(asked.locator(".chips li")).to_have_count(1)


def test_two_models_as_a_whole(visit):
    page = visit.open("/compare?left=/models/demo&right=/models/demo")
    whole = page.get_by_role("region", name="The two as a whole")
    whole.get_by_role("button", name="Where do they part?").click()
    expect(page).to_have_url(re.compile("ask=activations"))
    expect(whole.locator(".finding").first).to_be_visible()
    expect(whole.get_by_role("cell", name="blocks.4.2", exact=True).first).to_be_visible()
    whole.get_by_role("button", name="What differs in their weights?").click()
    expect(whole.get_by_text("done in")).to_be_visible()


def test_a_model_beside_itself_with_a_unit_silent(visit):
    page = visit.open("/models/demo/photograph?edit=ablate:blocks.4.2%237")
    page.get_by_role("link", name="What does it change downstream?").click()
    whole = page.get_by_role("region", name="The two as a whole")
    first = whole.locator(".finding").first
    expect(first).to_contain_text("blocks.4.2 is the first layer that diverges")
    whole.get_by_role("button", name="Take back: silence: unit 7 of blocks.4.2").click()
    expect(first).to_contain_text("compared layers agree")
