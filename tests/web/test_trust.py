"""Whether an attribution can be trusted, and the methods that answer with more than a map."""

import re

import pytest
from playwright.sync_api import expect

PICTURE = "/models/demo/photograph"
BOTH = "evidence=deletion,parameter_randomization"


def _trust(page):
    return page.get_by_role("region", name="Can it be trusted?")


def _rows(page):
    return _trust(page).locator("tbody tr").all_inner_texts()


def test_evidence_comes_when_asked_for_measure_by_measure(visit):
    page = visit.open(PICTURE)
    trust = _trust(page)
    trust.get_by_role("button", name="Measure it").click()
    expect(page).to_have_url(re.compile("evidence=all"))
    expect(trust.get_by_role("progressbar")).to_be_visible()
    seen = set()
    while trust.get_by_text("done in").count() == 0:
        seen.add(trust.locator("tbody tr").count())
        page.wait_for_timeout(20)
    assert len(seen - {0}) > 1
    expect(trust.locator(".verdict")).to_contain_text(re.compile(r"\d of \d measures speak for it"))
    assert trust.locator("tbody tr").count() > 3
    for curve in ("deletion", "insertion"):
        expect(trust.get_by_role("img", name=re.compile(f"{curve}: area"))).to_be_visible()
    assert visit.asked.count("Attribute") == 2


def test_a_permalink_leads_to_the_same_evidence(visit):
    page = visit.open(f"{PICTURE}?photo=coffee&{BOTH}")
    expect(_trust(page).get_by_text("done in")).to_be_visible()
    first = _rows(page)
    assert [text.split("\n")[0].strip("✓✗\t ") for text in first if text] != []
    page.reload()
    expect(_trust(page).get_by_text("done in")).to_be_visible()
    assert _rows(page) == first
    assert len(first) == 2


def test_evidence_stops_when_asked_and_begins_again(visit):
    page = visit.open(f"{PICTURE}?method=smooth_grad&samples=20&evidence=max_sensitivity")
    trust = _trust(page)
    expect(trust.get_by_role("progressbar")).to_be_visible()
    trust.get_by_role("button", name="Stop").click()
    expect(trust.get_by_text("stopped at 0 of 1 measures")).to_be_visible()
    trust.get_by_role("button", name="Look again").click()
    expect(trust.get_by_role("progressbar")).to_be_visible()


def test_evidence_goes_with_what_it_was_about_and_comes_back(visit):
    page = visit.open(f"{PICTURE}?{BOTH}")
    expect(_trust(page).get_by_text("done in")).to_be_visible()
    before = visit.asked.count("Attribute")
    page.get_by_role("link", name=re.compile("lynx")).first.click()
    expect(_trust(page).get_by_role("button", name="Measure it")).to_be_visible()
    assert "evidence" not in page.url
    assert visit.asked.count("Attribute") == before + 1
    page.go_back()
    expect(_trust(page).locator("tbody tr")).to_have_count(2)


def test_evidence_of_a_model_with_an_edit(visit):
    page = visit.open(f"{PICTURE}?edit=ablate:blocks.4.2%237&{BOTH}")
    expect(_trust(page).get_by_text("done in")).to_be_visible()
    expect(_trust(page).locator("tbody tr")).to_have_count(2)


def test_a_server_that_is_gone_while_evidence_is_asked(visit):
    page = visit.open(PICTURE)
    trust = _trust(page)
    expect(trust.get_by_role("button", name="Measure it")).to_be_visible()
    page.route("**/Attribute", lambda route: route.abort())
    trust.get_by_role("button", name="Measure it").click()
    expect(trust.get_by_role("alert")).to_contain_text("does not answer")
    page.unroute("**/Attribute")
    trust.get_by_role("button", name="Try again").click()
    expect(trust.get_by_text("done in")).to_be_visible()
    assert all("ERR_FAILED" in problem for problem in visit.problems)
    visit.problems.clear()


def test_concepts_are_pictures_with_their_importance(visit):
    page = visit.open(f"{PICTURE}?method=craft&concepts=3")
    explained = page.get_by_role("region", name="Attribution")
    expect(explained.locator(".plate img")).to_have_count(3)
    expect(explained.locator(".plate").first).to_contain_text(re.compile(r"importance \d"))
    expect(explained.get_by_role("columnheader", name="importance")).to_be_visible()
    expect(explained.locator(".finding")).to_contain_text("3 concepts")


def test_causal_tracing_goes_along_the_layers_or_over_the_picture(visit):
    page = visit.open(f"{PICTURE}?method=causal_tracing")
    explained = page.get_by_role("region", name="Attribution")
    expect(explained.locator(".chart img")).to_be_visible()
    assert explained.get_by_role("row").count() > 20
    expect(explained.get_by_role("columnheader", name="part")).to_have_count(0)
    page = visit.open(f"{PICTURE}?method=causal_tracing&part=position")
    expect(explained.get_by_label("How much of the map is seen")).to_be_visible()
    expect(explained.get_by_role("row")).to_have_count(1 + 7 * 7)


def test_a_method_that_looks_at_layers_finds_one(visit):
    page = visit.open(f"{PICTURE}?method=conductance&steps=4")
    explained = page.get_by_role("region", name="Attribution")
    expect(explained.get_by_text("done in")).to_be_visible()
    expect(explained.get_by_role("alert")).to_have_count(0)
    expect(explained.get_by_role("combobox", name="At")).to_have_value("")


def test_a_method_that_needs_lists_of_pictures_says_so(visit):
    page = visit.open(f"{PICTURE}?method=tcav")
    explained = page.get_by_role("region", name="Attribution")
    expect(explained.get_by_text("It needs lists of pictures")).to_be_visible()
    expect(explained.get_by_role("option", name=re.compile("TCAV"))).to_have_count(0)
    expect(explained.get_by_text("done in")).to_be_visible()


@pytest.mark.parametrize("visit", [{"viewport": {"width": 390, "height": 844}}], indirect=True)
def test_on_a_phone_evidence_is_as_wide_as_it(visit):
    page = visit.open(f"{PICTURE}?evidence=deletion")
    expect(_trust(page).locator(".chart img")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    tabs = visit.open("/models/demo/layers/blocks.0.0/units/3?tab=lens").locator(".tabs")
    expect(tabs.get_by_role("link", name="All lenses")).to_be_in_viewport()
