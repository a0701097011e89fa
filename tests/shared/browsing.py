"""A page in a real browser: opened, given a width, and what a reader would stumble over on it."""

import functools
import gzip
from contextlib import contextmanager
from importlib.resources import files
from urllib.parse import urlsplit

from book import pages

MOST_BYTES = 1_000_000
COMPRESSED = ("text/", "javascript", "json", "svg")
MATH_DONE = "!window.MathJax || MathJax.startup?.promise?.then(() => true)"
# axe-core spends its time on the contrast of each text. Texts are twins if they look alike, they and all that is around
# them: what this rule says of one it says of all. Two stand for their twins, since of one that is scrolled out of its
# box or covered axe says nothing. And axe need describe elements only where a rule is broken.
MARK_TWINS = """() => {
    const looks = new Map(), numbers = new Map(), seen = new Map();
    const number = (text) => numbers.get(text) ?? numbers.set(text, numbers.size + 1).get(text);
    const look = (element) => {
        if (!element) return 0;
        if (!looks.has(element)) {
            const s = getComputedStyle(element);
            looks.set(element, number(JSON.stringify([
                look(element.parentElement), element.tagName, ...["class", "style"].map(a => element.getAttribute(a)),
                s.color, s.fontSize, s.fontWeight, s.opacity, s.backgroundColor, s.backgroundImage,
                s.backgroundPosition, s.filter, s.mixBlendMode, s.textShadow, s.position,
            ])));
        }
        return looks.get(element);
    };
    for (const element of document.body.querySelectorAll("*")) {
        const text = [...element.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join("").trim();
        if (!text || !element.checkVisibility({visibilityProperty: true, opacityProperty: true})) continue;
        // of a single sign, and of one outside of ASCII, axe says nothing
        const key = `${text.length > 1 && /[!-~]/.test(text)} ${look(element)}`;
        const twins = seen.get(key) ?? 0;
        element.toggleAttribute("data-twin", twins >= 2);
        seen.set(key, twins + 1);
    }
}"""
RUN_AXE = """async rules => {
    axe.configure({rules: [{id: "color-contrast", selector: ":not([data-twin])"}]});
    const {violations} = await axe.run(document, {runOnly: rules, resultTypes: ["violations"]});
    return violations.flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.html.slice(0, 160)}`));
}"""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Three pixels are for rounding.
STRETCHED = """() => [...document.querySelectorAll('main img')].filter((img) => {
    const style = getComputedStyle(img);
    const px = (side) => parseFloat(style[`padding${side}`]) + parseFloat(style[`border${side}Width`]);
    const width = img.offsetWidth - px("Left") - px("Right"), height = img.offsetHeight - px("Top") - px("Bottom");
    return img.complete && img.naturalWidth && Math.abs(height - width * img.naturalHeight / img.naturalWidth) > 3;
  }).map((img) => img.alt.slice(0, 40))"""
# A block that scrolls says so by a shade at its edges, which a style sheet draws with a background that moves along.
CUT = """() => [...document.querySelectorAll('main *')].filter((e) => {
  const style = getComputedStyle(e);
  if (style.overflowX === 'visible' || !e.clientWidth || e.closest('svg, .math') || !e.checkVisibility()) return false;
  const shaded = style.overflowX !== 'hidden' && style.backgroundAttachment.includes('local');
  return e.scrollWidth > e.clientWidth + 1 && !shaded;
}).map((e) => `${e.tagName} ${e.className}: ${e.textContent.trim().slice(0, 60)}`)"""
PRINTED = """() => [...document.querySelectorAll('.cell_output .output:not(.text_html) pre')]
  .filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.textContent.slice(0, 60))"""
SHIFT = """() => new Promise((done) => {
  let total = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((e) => (total += e.value)))
    .observe({ type: 'layout-shift', buffered: true });
  const loaded = performance.getEntriesByType('navigation')[0].loadEventEnd;
  setTimeout(() => done(total), Math.max(50, loaded + 400 - performance.now()));
})"""
MOST_SHIFT = 0.05
ALL_PAGES = [f"{page}.html" for page in [*pages(), "search"]]


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
    found += [f"stretches the picture {name}" for name in page.evaluate(STRETCHED)]
    found += [f"cuts without a sign {block}" for block in page.evaluate(CUT)]
    found += [f"does not wrap what was printed: {text}" for text in page.evaluate(PRINTED)]
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
    troubles = len(page.troubles)
    found = page.evaluate(RUN_AXE, RULES)
    del page.troubles[troubles:]  # axe looks for style sheets where none are
    return found


def give_width(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.wait_for_function("width => innerWidth === width", arg=width)


def shift(page):
    """How far a page moved, as browsers count it, from the start to at least 400 ms after it was loaded."""
    return page.evaluate(SHIFT)


def planted(browser, tmp_path, body):
    head = "<!doctype html><html lang='en'><head><title>T</title></head>"
    page = f"{head}<body><main><h1>T</h1>{body}</main></body></html>"
    (tmp_path / "planted.html").write_text(page, encoding="utf8")
    return opened(browser, (tmp_path / "planted.html").as_uri(), 375)
