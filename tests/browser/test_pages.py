"""The report and the review page as people meet them: in a browser, on a phone, on paper."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import chromium
import fake_results
from chromium import Browser
from conftest import missing
from fake_results import HOSTILE

ARROW_LEFT, ARROW_RIGHT, HOME, TAB = "\ue012", "\ue014", "\ue011", "\ue004"
PHONE, DESK = 360, 1280

# The contrast of two colours (WCAG 2.2), and the colour an element stands on.
CONTRAST = """
const parse = text => text.match(/[\\d.]+/g).map(Number);
const light = text => {
  const [r, g, b] = parse(text).map(v => v / 255).map(
    v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = element => {
  for (let one = element; one; one = one.parentElement) {
    const colour = getComputedStyle(one).backgroundColor;
    if (parse(colour)[3] !== 0) return colour;
  }
};
return [...document.querySelectorAll("p, a, td, th, small, figcaption, dd, .better, .alert, text")]
  .map(element => {
    const style = getComputedStyle(element);
    const ink = element.tagName === "text" ? style.fill : style.color;
    const [one, other] = [light(ink), light(ground(element))].sort((a, b) => b - a);
    return [(one + 0.05) / (other + 0.05), element.outerHTML.slice(0, 80)];
  }).filter(([contrast]) => contrast < 4.5);
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if chromium.programs() is None:
        missing("chromium or chromedriver is not installed")
    with chromium.browser() as window:
        yield window


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The review page and the report."""
    return fake_results.make_pages(fake_results.build(tmp_path_factory.mktemp("plain"), pixels=64))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same pages of a run in which every name tries to break them."""
    results = fake_results.build(tmp_path_factory.mktemp("hostile"), pixels=16, hostile=HOSTILE)
    return fake_results.make_pages(results)


def calm(browser: Browser) -> None:
    """Fail when the console had anything to say."""
    assert browser.complaints() == []


def load_all(browser: Browser) -> None:
    """Let every lazy picture load, and wait for all of them."""
    browser.run(
        "for (const picture of document.images) picture.loading = 'eager';"
        "return Promise.all([...document.images].map(picture => picture.decode()))"
    )


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("which", [0, 1])
def test_a_page_fits_its_window(
    browser: Browser, pages: tuple[Path, Path], which: int, width: int
) -> None:
    browser.open(pages[which], width)
    browser.run("for (const fold of document.querySelectorAll('details')) fold.open = true")
    assert browser.run("return document.documentElement.scrollWidth") <= width
    calm(browser)


def test_wide_tables_scroll_in_their_own_box(browser: Browser, pages: tuple[Path, Path]) -> None:
    boxes = (
        "return [...document.querySelectorAll('#measures .box.numbers')]"
        ".map(box => [box.scrollWidth > box.clientWidth, box.tabIndex])"
    )
    browser.open(pages[1], PHONE)
    assert browser.run(boxes) == [[True, 0], [True, 0]]
    stays = browser.run(
        "const box = document.querySelector('.box.numbers'); box.scrollLeft = 150;"
        "return box.querySelector('tbody th').getBoundingClientRect().left"
        "  - box.getBoundingClientRect().left"
    )
    assert stays == 0
    browser.open(pages[1], DESK)
    assert browser.run(boxes) == [[False, 0], [False, 0]]


@pytest.mark.parametrize("which", [0, 1])
def test_every_picture_is_shown(browser: Browser, pages: tuple[Path, Path], which: int) -> None:
    browser.open(pages[which])
    load_all(browser)
    sizes = browser.run("return [...document.images].map(picture => picture.naturalWidth)")
    assert len(sizes) >= 10
    assert min(sizes) > 0
    calm(browser)


@pytest.mark.parametrize("which", [0, 1])
def test_nothing_is_asked_of_a_network(
    browser: Browser, pages: tuple[Path, Path], which: int
) -> None:
    browser.open(pages[which])
    load_all(browser)
    asked = browser.run("return performance.getEntriesByType('resource').map(one => one.name)")
    assert [address for address in asked if not address.startswith(("data:", "file:"))] == []
    if which == 1:
        assert [address for address in asked if address.startswith("file:")] == []


def slider(browser: Browser) -> dict[str, Any]:
    """The first slider: its value and words, and where the dividing line and the picture are."""
    found: dict[str, Any] = browser.run(
        """
        const pair = document.querySelector(".pair"), input = pair.querySelector("input");
        const box = pair.getBoundingClientRect();
        const bar = pair.querySelector(".bar").getBoundingClientRect();
        return {
          value: Number(input.value), words: input.getAttribute("aria-valuetext"),
          clip: getComputedStyle(pair.querySelector(".before")).clipPath,
          left: box.left, top: box.top, width: box.width, height: box.height,
          line: (bar.left + bar.width / 2 - box.left) / box.width,
        };
        """
    )
    return found


@pytest.mark.parametrize("which", [0, 1])
def test_the_slider_obeys_the_keyboard(
    browser: Browser, pages: tuple[Path, Path], which: int
) -> None:
    browser.open(pages[which])
    browser.run("document.querySelector('.pair input').focus()")
    browser.press(ARROW_RIGHT, ARROW_RIGHT, ARROW_LEFT)
    one = slider(browser)
    assert one["value"] == 51
    assert one["line"] == pytest.approx(0.51, abs=0.005)
    sides = [("scan", "colorized"), ("grey input", "prediction")][which]
    assert one["words"] == f"51% {sides[0]}, 49% {sides[1]}"
    assert one["clip"].startswith("inset(0")
    browser.press(HOME)
    assert slider(browser)["value"] == 0


def test_the_focused_slider_is_marked(browser: Browser, pages: tuple[Path, Path]) -> None:
    browser.open(pages[1])
    browser.run("document.querySelector('#archive a, #archive .box').focus()")
    for _ in range(9):
        browser.press(TAB)
        if browser.run("return document.activeElement.type === 'range'"):
            break
    outline = browser.run(
        "const bar = document.activeElement.nextElementSibling;"
        "return getComputedStyle(bar, '::after').outlineStyle"
    )
    assert outline == "solid"


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_the_line_follows_the_pointer(
    browser: Browser, pages: tuple[Path, Path], width: int
) -> None:
    browser.open(pages[1], width)
    browser.run("document.querySelector('.pair').scrollIntoView({block: 'center'})")
    one = slider(browser)
    middle = int(one["top"] + one["height"] / 2)
    places = [int(one["left"] + share * one["width"]) for share in (0.5, 0.2)]
    browser.drag((places[0], middle), (places[1], middle))
    assert slider(browser)["line"] == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_text_in_plots_is_at_least_12_pixels_high(
    browser: Browser, pages: tuple[Path, Path], width: int
) -> None:
    browser.open(pages[1], width)
    sizes = browser.run(
        "return [...document.querySelectorAll('svg text')].map("
        "text => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().d)"
    )
    assert len(sizes) > 50
    assert min(sizes) >= 12


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", [0, 1])
def test_all_text_can_be_read(
    browser: Browser, pages: tuple[Path, Path], which: int, scheme: str
) -> None:
    browser.open(pages[which])
    browser.media(scheme=scheme)
    try:
        assert browser.run("return matchMedia('(prefers-color-scheme: dark)').matches") == (
            scheme == "dark"
        )
        assert browser.run(CONTRAST) == []
    finally:
        browser.media()


def test_on_paper_both_pictures_and_all_folds_are_seen(
    browser: Browser, pages: tuple[Path, Path]
) -> None:
    browser.open(pages[1])
    browser.media("print")
    try:
        shown = browser.run(
            """
            dispatchEvent(new Event("beforeprint"));
            const pair = document.querySelector(".pair");
            const [before, after] = [...pair.querySelectorAll("img")].map(
              picture => picture.getBoundingClientRect());
            return {
              apart: before.right <= after.left, even: before.top === after.top,
              slider: getComputedStyle(pair.querySelector("input")).display,
              folded: document.querySelectorAll("details:not([open])").length,
              nav: getComputedStyle(document.querySelector("nav")).display,
            };
            """
        )
    finally:
        browser.media()
    assert shown == {"apart": True, "even": True, "slider": "none", "folded": 0, "nav": "none"}
    assert len(browser.pdf()) > 100_000


def test_the_review_page_shows_one_status_at_a_time(
    browser: Browser, pages: tuple[Path, Path]
) -> None:
    browser.open(pages[0])
    visible = (
        "return [...document.querySelectorAll('.entry')].filter(one => one.offsetHeight)"
        ".map(one => one.dataset.status)"
    )
    assert len(browser.run(visible)) == 8
    for status, count in (("done-with-warning", 1), ("failed", 2), ("", 8)):
        browser.run("show.value = arguments[0]; show.dispatchEvent(new Event('change'))", status)
        assert len(browser.run(visible)) == count


@pytest.mark.parametrize("which", [0, 1])
def test_no_name_becomes_markup_or_script(
    browser: Browser, hostile: tuple[Path, Path], which: int
) -> None:
    browser.open(hostile[which])
    load_all(browser)
    found = browser.run(
        "return [typeof broken, document.querySelectorAll('script:not([type])').length,"
        "document.querySelectorAll('[onerror], img[src=x]').length, document.title,"
        "document.documentElement.scrollWidth]"
    )
    assert found[:3] == ["undefined", 1, 0]
    assert " ".join(HOSTILE.split()) in found[3]
    assert found[4] <= DESK
    calm(browser)


def test_long_hostile_names_fit_a_phone(browser: Browser, hostile: tuple[Path, Path]) -> None:
    for page in hostile:
        browser.open(page, PHONE)
        assert browser.run("return document.documentElement.scrollWidth") <= PHONE
