"""What takes time: it is seen step by step, can be stopped, fails in words, and is a permalink."""

import hashlib
import re

from playwright.sync_api import expect

UNIT = "/models/demo/layers/blocks.3.1/units/7"
HERO = ".hero .plate img"
PIXELS = """async (image) => {
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    const brush = canvas.getContext("2d");
    brush.drawImage(image, 0, 0);
    return [...brush.getImageData(0, 0, canvas.width, canvas.height).data];
}"""


def _bytes(page):
    expect(page.locator(HERO)).to_have_attribute("data-final", "true")
    return hashlib.sha256(bytes(page.locator(HERO).evaluate(PIXELS))).hexdigest()


def test_a_picture_appears_step_by_step(visit):
    page = visit.open(f"{UNIT}?ascent.steps=160&ascent.size=64")
    picture = page.locator(HERO)
    expect(picture).to_have_attribute("data-final", "false")
    looks = {picture.get_attribute("src")}
    while page.locator(f"{HERO}[data-final=true]").count() == 0:
        looks.add(picture.get_attribute("src", timeout=60_000))
        page.wait_for_timeout(20)
    assert len(looks) > 2
    expect(page.get_by_role("region", name="Weakest response").locator("img")).to_be_visible()


def test_a_permalink_leads_to_the_same_picture(visit):
    page = visit.open(f"{UNIT}?ascent.steps=12&ascent.size=48&seed=5")
    first = _bytes(page)
    page.reload()
    assert _bytes(page) == first
    page.goto(f"{visit.home}{UNIT}?ascent.steps=12&ascent.size=48&seed=6")
    assert _bytes(page) != first


def test_work_stops_when_asked_and_begins_again(visit):
    page = visit.open(f"{UNIT}?ascent.steps=8000&ascent.size=48")
    hero = page.get_by_role("region", name="Strongest response")
    expect(hero.locator("img")).to_be_visible()
    hero.get_by_role("button", name="Stop").click()
    expect(hero.get_by_text(re.compile(r"stopped at step \d+ of 8000"))).to_be_visible()
    hero.get_by_role("button", name="Look again").click()
    expect(hero.get_by_role("progressbar")).to_be_visible()


def test_leaving_frees_the_server(visit):
    page = visit.open(f"{UNIT}?ascent.steps=8000&ascent.size=48")
    expect(page.locator(HERO)).to_be_visible()
    page.get_by_role("link", name="In a photograph").click()
    expect(page.locator(".patches button")).to_have_count(6)


def test_an_unknown_layer_is_told_with_its_nearest(visit):
    page = visit.open("/models/demo/layers/blocks.9.1")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("layer not found")
    alert.get_by_role("link").first.click()
    expect(page.get_by_role("alert")).to_have_count(0)
    assert all("404" in problem for problem in visit.problems)
    visit.problems.clear()  # browsers tell of every 404


def test_a_bad_parameter_is_told_in_the_servers_words(visit):
    page = visit.open(f"{UNIT}?ascent.steps=0")
    alert = page.get_by_role("alert").first
    expect(alert).to_contain_text("invalid field")
    expect(alert).to_contain_text("steps")


def test_a_unit_beyond_the_layer_is_told(visit):
    page = visit.open("/models/demo/layers/blocks.3.1/units/5000")
    expect(page.get_by_role("alert").first).to_contain_text("unit out of range")
    visit.problems[:] = [each for each in visit.problems if "400" not in each]


def test_a_server_that_is_gone_and_comes_back(visit):
    page = visit.page
    page.route("**/hooke.v1.*/**", lambda route: route.abort())
    visit.open("/")
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    page.unroute("**/hooke.v1.*/**")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("link", name=re.compile("demo"))).to_be_visible()
    assert all("ERR_FAILED" in problem for problem in visit.problems)
    visit.problems.clear()


def test_a_dropped_picture_survives_a_reload(visit, photograph):
    page = visit.open("/models/demo/photograph?photo=coffee")
    expect(page.locator(".classes li").first).to_contain_text("espresso")
    page.locator("input[type=file]").set_input_files(photograph)
    expect(page).to_have_url(re.compile(r"photo=file-[0-9a-f]{8}"))
    expect(page.locator(".classes li").first).to_contain_text("cat")
    page.reload()
    expect(page.locator(".classes li").first).to_contain_text("cat")
    page.locator("input[type=file]").set_input_files(__file__)
    expect(page.get_by_role("alert")).to_contain_text("is not a picture")


def test_a_picture_of_another_browser_is_asked_for(visit):
    page = visit.open("/models/demo/photograph?photo=file-00000000")
    expect(page.get_by_role("alert").first).to_contain_text("drop it here")
