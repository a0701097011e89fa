"""Every page in a real browser: wide and narrow, light and dark, served and from a folder."""

import functools
import gzip
import http.server
import threading
from contextlib import contextmanager
from importlib.resources import files
from urllib.parse import urlsplit

import pytest
from book import pages
from playwright.sync_api import sync_playwright

FLAGS = [
    *("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--no-first-run",
]
MOST_BYTES = 1_000_000
COMPRESSED = ("text/", "javascript", "json", "svg")
MATH_DONE = "!window.MathJax || MathJax.startup?.promise?.then(() => true)"
# axe-core spends its time on the contrast of thousands of code tokens. One stands for its twins: in the same block,
# nested alike, with the same attributes and colours, what this rule says of one it says of all. And axe need describe
# elements only where a rule is broken.
MARK_TWINS = """() => {
    const look = (element, block) => {
        const style = getComputedStyle(element);
        const own = [...element.attributes].map(a => [a.name, a.value]);
        const shown = [style.color, style.backgroundColor, style.fontSize, style.fontWeight, style.opacity];
        return [...own, ...shown, ...(element.parentElement === block ? [] : look(element.parentElement, block))];
    };
    for (const block of document.querySelectorAll("pre")) {
        const seen = new Set();
        for (const token of block.querySelectorAll("span:not(:has(*))")) {
            const text = token.textContent.trim();  // of a single sign, and of one outside of ASCII, axe says nothing
            const key = JSON.stringify([text.length > 1 && /[!-~]/.test(text), ...look(token, block)]);
            token.toggleAttribute("data-twin", seen.has(key));
            seen.add(key);
        }
    }
}"""
RUN_AXE = """async rules => {
    axe.configure({rules: [{id: "color-contrast", selector: ":not([data-twin])"}]});
    const {violations} = await axe.run(document, {runOnly: rules, resultTypes: ["violations"]});
    return violations.flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.html.slice(0, 160)}`));
}"""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ALL_PAGES = [f"{page}.html" for page in [*pages(), "search"]]


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def address_of_site(site):
    handler = functools.partial(QuietHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(chromium):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def opened(browser, address, width=1280, scheme="light"):
    """A page that has settled; `page.troubles` tells what went wrong, `page.loaded` what it took."""
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.troubles, page.loaded = [], {}
    home = urlsplit(address)

    def ask(route):
        asked = urlsplit(route.request.url)
        if (asked.scheme, asked.netloc) in ((home.scheme, home.netloc), ("data", ""), ("blob", "")):
            return route.continue_()
        page.troubles.append(f"asks another host: {route.request.url}")
        return route.abort()

    def note_answer(answer):
        if answer.status >= 400:
            page.troubles.append(f"{answer.status} for {answer.url}")
        page.loaded[answer.url] = answer

    def note_message(message):
        if message.type == "error":
            page.troubles.append(f"console: {message.text}")

    page.route("**/*", ask)
    page.on("console", note_message)
    page.on("pageerror", lambda error: page.troubles.append(f"script: {error}"))
    page.on("response", note_answer)
    page.goto(address, wait_until="load")
    page.wait_for_function(MATH_DONE)
    try:
        yield page
    finally:
        context.close()


def faults(page):
    """What a reader would stumble over."""
    found = list(page.troubles)
    width, inner = page.evaluate("[document.scrollingElement.scrollWidth, innerWidth]")
    if width > inner:
        found.append(f"scrolls sideways: {width} > {inner}")
    formulas = page.locator(".math").count()
    if formulas and page.locator("mjx-container").count() < formulas:
        found.append("has formulas that are not set")
    if page.locator("mjx-merror").count():
        found.append("has a formula with an error")
    if page.evaluate("[...document.images].some(i => i.complete && i.naturalWidth === 0 && i.currentSrc)"):
        found.append("has a picture that does not show")
    return found


@functools.cache  # scripts and style sheets are those of every page
def compressed(body):
    return len(gzip.compress(body, 6))


def transferred(page):
    """Bytes of all that the page loaded, as a server that compresses would send it."""
    total = 0
    for answer in list(page.loaded.values()):
        body = answer.body()
        kind = answer.headers.get("content-type", "")
        total += compressed(body) if any(part in kind for part in COMPRESSED) else len(body)
    return total


def violations(page):
    """What axe-core objects to, as "rule: element"."""
    page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf8"))
    page.evaluate(MARK_TWINS)
    return page.evaluate(RUN_AXE, RULES)


def give_width(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.wait_for_function("width => innerWidth === width", arg=width)


@pytest.mark.parametrize(("scheme", "first"), [("light", 1280), ("dark", 375)], ids=["light", "dark"])
@pytest.mark.parametrize("name", ALL_PAGES)
def test_a_page_shows_well_and_is_light(browser, address_of_site, name, scheme, first):
    """Loaded once a scheme, at one width or the other, and then given both."""
    with opened(browser, address_of_site + name, first, scheme) as page:
        for width in (first, 375, 1280):
            give_width(page, width)
            assert faults(page) == [], width
            assert page.evaluate("document.documentElement.dataset.theme") == scheme
        page.wait_for_load_state("networkidle")
        assert transferred(page) <= MOST_BYTES
        assert violations(page) == []  # last, since axe loads style sheets once more


def test_the_site_works_from_a_folder(browser, site):
    for name in ALL_PAGES[:3]:
        with opened(browser, (site / name).as_uri()) as page:
            assert faults(page) == []


def test_searching_finds_a_page(browser, address_of_site):
    with opened(browser, address_of_site + "search.html?q=network") as page:
        page.wait_for_selector("#search-results li")
        assert page.troubles == []


# Each check can fail


def planted(browser, tmp_path, body):
    head = "<!doctype html><html lang='en'><head><title>T</title></head>"
    page = f"{head}<body><main><h1>T</h1>{body}</main></body></html>"
    (tmp_path / "planted.html").write_text(page, encoding="utf8")
    return opened(browser, (tmp_path / "planted.html").as_uri(), 375)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("<div style='width: 900px'>wide</div>", "scrolls sideways"),
        ("<script>console.error('no')</script>", "console: no"),
        ("<script>nothing()</script>", "script: nothing"),
        ("<img alt='a cat' src='https://example.org/cat.png'>", "asks another host"),
        ("<img alt='a cat' src='gone.png'>", "picture that does not show"),
        ("<span class='math'>\\(x\\)</span>", "formulas that are not set"),
    ],
)
def test_each_fault_is_found(browser, tmp_path, body, told):
    with planted(browser, tmp_path, body) as page:
        assert told in "\n".join(faults(page))


CODE = "<pre><b class='k'>if</b> <span class='n'>a</span> <span class='n'>net</span> <span class='n'>loss</span></pre>"


@pytest.mark.parametrize(
    "body",
    [
        "<img src='data:,'>",
        "<p style='color: #ccc; background: #fff'>faint</p>",
        f"<style>.n {{ color: #ccc }}</style>{CODE}",
        f"<style>.n:last-child {{ color: #ccc }}</style>{CODE}",
        f"<style>.n:last-child {{ background: #333 }}</style>{CODE}",
        f"<style>pre + pre {{ background: #333 }}</style>{CODE}{CODE}",
    ],
)
def test_axe_finds_faults(browser, tmp_path, body):
    with planted(browser, tmp_path, body) as page:
        assert violations(page)


def test_a_sound_page_has_no_fault(browser, tmp_path):
    with planted(browser, tmp_path, "<p>Words.</p>") as page:
        assert faults(page) + violations(page) == []
