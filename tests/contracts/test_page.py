"""The page that shows a document: complete and safe as a file, and at work in a real Chromium."""

from __future__ import annotations

import base64
import json
import re
import shutil
from dataclasses import dataclass
from html.parser import HTMLParser

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from aspyx_event import EventManager, LocalProvider, Topic, event, event_handler
from aspyx_event.asyncapi.markup import inline, json_block, prose
from aspyx_event.asyncapi.page import page_of

DEADLINE = 20.0
NASTY = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'> `</code><script>window.hacked=3</script>`"


@event(name="page.nasty</script><script>window.hacked=4</script>", description=NASTY, owner=NASTY, tags=(NASTY,))
@dataclass
class Nasty:
    number: int = 1


@event(name="plain.one")
@dataclass
class Plain:
    number: int


class Reader(HTMLParser):
    """Collects the tags of a page, and which are left open."""

    VOID = frozenset({"meta", "input", "br", "img", "link"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"


@pytest.fixture
def page(bookshop_manager):
    return page_of(bookshop_manager("amqp").contracts.asyncapi(version="2.3.0"))


def test_the_page_is_one_well_formed_file_that_loads_nothing(page):
    reader = Reader(page)
    assert reader.open == []
    for tag, attributes in reader.tags:
        assert tag not in ("link", "img", "iframe", "object"), tag
        assert "src" not in attributes, (tag, attributes)
        href = attributes.get("href", "#")
        assert href.startswith(("#", "data:application/json;base64,")), href
    assert "url(" not in page
    assert "@import" not in page
    (policy,) = (one["content"] for tag, one in reader.tags if one.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_every_link_inside_the_page_leads_somewhere(page):
    from urllib.parse import unquote

    tags = Reader(page).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [unquote(one["href"][1:]) for _, one in tags if one.get("href", "").startswith("#")]
    assert len(links) == 7
    assert set(links) <= set(ids)


def test_the_page_carries_the_document(page, bookshop_manager):
    (data,) = re.findall(r'href="data:application/json;base64,([^"]+)"', page)
    assert json.loads(base64.b64decode(data)) == bookshop_manager("amqp").contracts.asyncapi(version="2.3.0")


def test_descriptions_are_marked_up():
    assert prose("One *two* **three** `a*b*`.\n\nNext\nline.\n\n* a\n  b\n* `c`") == (
        "<p>One <em>two</em> <strong>three</strong> <code>a*b*</code>.</p><p>Next\nline.</p>"
        "<ul><li>a b</li><li><code>c</code></li></ul>"
    )
    assert inline("2 * 3 * 4 a_b < c & ``d``") == "2 * 3 * 4 a_b &lt; c &amp; <code>d</code>"
    assert prose("") == ""


def test_json_is_coloured_and_unchanged():
    value = {"a": [1, -2.5e3, True, None, 'say "<b>"'], "ä": {}}
    html = json_block(value)
    text = re.sub(r"<[^>]+>", "", html).replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"')
    assert json.loads(text) == value
    assert '<span class="k">&quot;a&quot;</span>' in html


def test_a_page_without_a_broker_and_without_events():
    page = page_of(EventManager(LocalProvider()).contracts.asyncapi(title="Nothing"))
    assert Reader(page).open == []
    assert "there is no broker" in page


def test_topics_and_patterns_have_their_place():
    news = Topic("news", (Plain,), description="What is *new*.", owner="desk", tags=frozenset({"all"}))
    handlers = [event_handler(target, name=f"by-{target[:5]}")(lambda event: None) for target in ("plain.*", "loose")]
    handlers.append(event_handler(news, name="reader")(lambda event: None))
    page = page_of(EventManager(LocalProvider(), listeners=handlers).contracts.asyncapi(sends=[Plain]))
    assert Reader(page).open == []
    for words in (
        'id="channel-news"',
        "What is <em>new</em>.",
        "owner desk",
        'id="channel-plain.%2A"',
        'id="channel-loose"',
    ):
        assert words in page
    (event_section,) = re.findall(r'<section id="event-plain.one".*?</section>', page, re.DOTALL)
    assert re.findall(r"<b>([^<]+)</b><small>(?:from <code>([^<]+)</code>)?", event_section)[:2] == [
        ("by-plain", "plain.*"),
        ("reader", "news"),
    ]


@pytest.fixture(scope="module")
def browser():
    """A real Chromium."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no Chromium with its driver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # The driver's path is given: it would be looked for in the network otherwise.
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as running:
        running.set_page_load_timeout(DEADLINE)
        yield running


@pytest.fixture
def shown(browser, page, tmp_path):
    """The browser with the bookshop's page, in a light scheme, on a wide screen."""
    file = tmp_path / "page.html"
    file.write_text(page, encoding="utf-8")
    browser.set_window_size(1280, 900)
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "light"}]}
    )
    browser.get_log("browser")
    browser.get(file.as_uri())
    browser.execute_script("try { localStorage.clear() } catch {}")
    yield browser
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def visible(browser):
    return [
        one.get_attribute("data-event")
        for one in browser.find_elements(By.CSS_SELECTOR, "section[data-event]")
        if one.is_displayed()
    ]


ALL = ["books.order-paid", "books.order-placed", "books.parcel-sent", "books.prices-changed", "books.review-written"]


def test_everything_is_there_and_nothing_was_loaded(shown):
    assert shown.title == "Bookshop - events"
    assert visible(shown) == ALL
    placed = shown.find_element(By.CSS_SELECTOR, '[data-event="books.order-placed"]').text
    for words in (
        "OrderPlaced",
        "version 3",
        "team-orders",
        "BookshopModule",
        "billing",
        "4 at once",
        "last_digits",
        "as Card",
    ):
        assert words in placed
    assert "broker.example.com:5671" in shown.find_element(By.ID, "overview").text
    assert "cloudEvents_correlationid" in shown.find_element(By.ID, "attributes").text
    assert shown.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_search_finds_events_by_their_fields(shown):
    shown.find_element(By.TAG_NAME, "body").send_keys("/")
    search = shown.switch_to.active_element
    assert search.get_attribute("id") == "search"
    search.send_keys("isbn stars")
    assert visible(shown) == ["books.review-written"]
    assert shown.find_element(By.ID, "found").text == "1 of 5 events"
    links = [one.text.splitlines()[0] for one in shown.find_elements(By.CSS_SELECTOR, "nav a") if one.is_displayed()]
    assert links == ["Overview", "ReviewWritten", "CloudEvents attributes"]
    search.send_keys(" nowhere")
    assert visible(shown) == []
    search.send_keys(Keys.ESCAPE)
    assert visible(shown) == ALL
    search.send_keys("carrier")
    assert visible(shown) == ["books.parcel-sent"]
    shown.execute_script("location.hash = '#event-books.order-paid'")
    WebDriverWait(shown, DEADLINE).until(lambda browser: visible(browser) == ALL)


def ground(browser):
    return browser.execute_script("return getComputedStyle(document.body).backgroundColor")


def test_the_theme_follows_the_system_until_it_is_chosen(shown):
    light = ground(shown)
    shown.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    dark = ground(shown)
    assert light != dark
    shown.refresh()
    button = shown.find_element(By.ID, "theme")
    assert (button.text, ground(shown)) == ("Light", dark)
    button.click()
    assert (button.text, ground(shown)) == ("Dark", light)
    shown.refresh()
    assert ground(shown) == light, "the choice is remembered"


@pytest.mark.parametrize("width", [390, 800, 1600])
def test_nothing_runs_out_of_the_window(shown, width):
    shown.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    try:
        sizes = shown.execute_script(
            "const e = document.scrollingElement; return [e.scrollWidth, e.clientWidth, innerWidth]"
        )
        assert sizes[0] <= sizes[1] <= width
        for one in shown.find_elements(By.CSS_SELECTOR, "section, .top, nav"):
            assert one.rect["x"] >= 0
            assert one.rect["x"] + one.rect["width"] <= width + 1
    finally:
        shown.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_text_stands_out_in_both_themes(shown):
    script = """
    const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map((v) => { v /= 255;
      return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 }); return .2126 * r + .7152 * g + .0722 * b };
    const ground = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
      if (!c.endsWith(", 0)") && c !== "transparent") return c } return "rgb(255, 255, 255)" };
    return Array.from(document.querySelectorAll("main *, nav *, header *")).filter((e) => e.checkVisibility() &&
      Array.from(e.childNodes).some((n) => n.nodeType === 3 && n.textContent.trim())).map((e) => {
        const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
        return [(a + .05) / (b + .05), e.className || e.tagName, e.textContent.trim().slice(0, 30)] })
      .filter(([ratio]) => ratio < 4.5);
    """
    for theme in ("light", "dark"):
        shown.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
        # WCAG 2.2, 1.4.3: 4.5 to 1.
        assert shown.execute_script(script) == []


def test_without_scripts_all_can_be_read(browser, page, tmp_path):
    file = tmp_path / "page.html"
    file.write_text(page, encoding="utf-8")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(file.as_uri())
        assert visible(browser) == ALL
        assert not browser.find_element(By.ID, "search").is_displayed()
        assert not browser.find_element(By.ID, "theme").is_displayed()
        assert "ISBN-13 without hyphens." in browser.find_element(By.TAG_NAME, "main").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_no_declaration_becomes_a_script(browser, tmp_path):
    handler = event_handler(Nasty, name="reader")(lambda event: None)
    handler.__doc__ = NASTY
    manager = EventManager(LocalProvider(), listeners=[handler])
    file = tmp_path / "page.html"
    file.write_text(
        page_of(manager.contracts.asyncapi(title=NASTY, description=NASTY, version=NASTY)), encoding="utf-8"
    )
    browser.get(file.as_uri())
    assert browser.execute_script("return window.hacked") is None
    assert browser.title.startswith("<script>")
    assert "<img src=x" in browser.find_element(By.TAG_NAME, "main").text
    assert visible(browser) == ["page.nasty</script><script>window.hacked=4</script>"]
