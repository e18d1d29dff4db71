"""The report's interactive parts in a browser: sorting, the plot, the blind comparison."""

import csv
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import skimage.data

import chromium
import fake_results
import report
from chromium import Browser
from conftest import missing
from fake_results import HOSTILE, PROTOCOL
from photochrom.images import png_bytes
from photochrom.runtime import csv_text, write_json, write_text

RIGHT, LEFT, UP, ENTER, SPACE, TAB = "\ue014", "\ue012", "\ue013", "\ue007", " ", "\ue004"
ROWS = ["quick", "rival", "constant", "grey", "truth"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if chromium.programs() is None:
        missing("chromium or chromedriver is not installed")
    with chromium.browser() as window:
        yield window


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_results.make_pages(fake_results.build(tmp_path_factory.mktemp("page"), pixels=64))[
        1
    ]


def column(browser: Browser, place: int) -> list[str]:
    """The values in one column of the table of measures, from the top."""
    found: list[str] = browser.run(
        "return [...document.querySelector('.sortable').tBodies[0].rows].map("
        "row => row.cells[arguments[0]].dataset.value ?? 'none')",
        place,
    )
    return found


def head(browser: Browser, words: str) -> int:
    """The place of the column whose button begins with these words; its button has the focus."""
    place: int = browser.run(
        "const heads = [...document.querySelectorAll('.sortable thead th')];"
        "const place = heads.findIndex(one => one.textContent.startsWith(arguments[0]));"
        "heads[place].querySelector('button').focus(); return place",
        words,
    )
    return place


def sorting(browser: Browser) -> list[str]:
    found: list[str] = browser.run(
        "return [...document.querySelectorAll('.sortable thead th')].map(one => one.ariaSort)"
    )
    return found


def test_the_table_sorts_by_any_column_with_the_keyboard(browser: Browser, page: Path) -> None:
    browser.open(page)
    place = head(browser, "PSNR")
    browser.press(ENTER)
    values = list(map(float, column(browser, place)))
    assert values == sorted(values, reverse=True)  # higher is better
    assert sorting(browser)[place] == "descending"
    browser.press(SPACE)
    assert list(map(float, column(browser, place))) == values[::-1]
    other = head(browser, "Colour difference")
    browser.press(ENTER)
    values = list(map(float, column(browser, other)))
    assert values == sorted(values)  # lower is better
    states = sorting(browser)
    assert states.pop(other) == "ascending"
    assert set(states) == {"none"}
    head(browser, "Row")
    browser.press(ENTER)
    assert column(browser, 0) == ["1", "2", "3", "4", "5"]


def test_what_was_not_computed_stays_last_with_its_reason(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run(
        "delete document.querySelector('.sortable').tBodies[0].rows[1].cells[1].dataset.value"
    )
    place = head(browser, "PSNR")
    for _ in range(2):
        browser.press(ENTER)
        values = column(browser, place)
        assert values[-1] == "none"
        assert values.count("none") == 1
    fid = head(browser, "FID")
    reason = browser.run(
        "return document.querySelector('.sortable').tBodies[0].rows[0].cells[arguments[0]].title",
        fid,
    )
    assert reason == "not computed: 12 pictures, a FID needs 2,048 or more"


def choose(browser: Browser, axis: str, part: str, value: int) -> None:
    browser.run(
        "const [axis, part] = arguments;"
        "const one = document.querySelector(`[data-axis=${axis}][data-part=${part}]`);"
        "one.value = arguments[2]; one.dispatchEvent(new Event('change'))",
        axis,
        part,
        value,
    )


def test_the_plot_has_a_point_for_each_photograph_and_shows_it(
    browser: Browser, page: Path
) -> None:
    browser.open(page)
    count = browser.run(
        "return JSON.parse(document.getElementById('explorer').textContent).photographs.length"
    )
    assert browser.run("return document.querySelectorAll('.point').length") == count
    assert browser.run("return document.querySelectorAll('.equal').length") == 1
    browser.run("document.querySelector('.point[tabindex=\"0\"]').focus()")
    browser.press(ENTER)
    words = browser.run("return document.querySelector('#scatter .chosen').textContent")
    label = browser.run("return document.activeElement.getAttribute('aria-label')")
    assert words.split(" ")[0] == label.split(":")[0]
    shown = browser.run(
        "return [...document.querySelectorAll('.detail img')].map(one => [one.alt, one.complete])"
    )
    assert [alt.split(", ")[1] for alt, _ in shown] == ["truth", "quick"]
    assert browser.run("return document.activeElement.classList.contains('now')")
    assert browser.complaints() == []


def test_arrows_walk_over_the_points_in_order(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("document.querySelector('.point[data-across=\"0\"]').focus()")
    place = "return Number(document.activeElement.getAttribute(arguments[0]))"
    before = browser.run(place, "cx")
    for _ in range(3):
        browser.press(RIGHT)
        now = browser.run(place, "cx")
        assert now >= before
        before = now
    height = browser.run(place, "cy")
    browser.press(UP)
    assert browser.run(place, "cy") <= height
    assert browser.run("return document.querySelectorAll('.point[tabindex=\"0\"]').length") == 1


def test_the_axes_can_be_chosen(browser: Browser, page: Path) -> None:
    browser.open(page)
    choose(browser, "x", "measure", 0)
    choose(browser, "y", "row", 1)
    words = browser.run("return document.querySelector('#scatter .count').textContent")
    assert "PSNR in RGB, dB of grey across" in words
    assert "CIEDE2000, ΔE00 of rival upwards" in words
    assert browser.run("return document.querySelectorAll('.equal').length") == 0


def begin(browser: Browser, one: int, other: int, session: int = 1) -> None:
    browser.run(
        "const form = document.getElementById('blind-start').elements;"
        "[form.one.value, form.other.value, form.session.value] = arguments;"
        "document.getElementById('blind-start').requestSubmit()",
        one,
        other,
        session,
    )


def answers(browser: Browser) -> list[dict[str, str]]:
    """The rows of the offered CSV file, without the last, which sums up."""
    return offered(browser)[:-1]


def offered(browser: Browser) -> list[dict[str, str]]:
    address: str = browser.run("return document.querySelector('#blind-result a').href")
    kind, _, content = address.partition(",")
    assert kind == "data:text/csv;charset=utf-8"
    return list(csv.DictReader(io.StringIO(unquote(content), newline="")))


def test_a_blind_comparison_by_keyboard(browser: Browser, page: Path) -> None:
    browser.open(page)
    begin(browser, 0, 1)
    # Nothing in sight gives away which row is which.
    stage = browser.run("return document.getElementById('blind-stage').innerText")
    assert not any(name in stage for name in ROWS)
    assert browser.run("return document.activeElement.id") == "blind-stage"
    count = int(
        browser.run("return document.getElementById('blind-progress').textContent").split(" of ")[1]
    )
    keys = ([RIGHT, LEFT, SPACE] * count)[:count]
    browser.press(*keys)
    rows = answers(browser)
    assert [one["choice"] for one in rows] == (["right", "left", "none"] * count)[:count]
    assert {frozenset((one["left"], one["right"])) for one in rows} == {
        frozenset(("quick", "rival"))
    }
    assert len({one["photograph"] for one in rows}) == count
    assert {one["left"] for one in rows} == {"quick", "rival"}  # shuffled
    assert all(float(one["seconds"]) >= 0 for one in rows)
    decided = [one[one["choice"]] for one in rows if one["choice"] != "none"]
    words = browser.run("return document.getElementById('blind-result').innerText")
    assert (
        f"“quick” was preferred to “rival” {decided.count('quick')} times of {len(decided)}"
        in words
    )
    assert f"{count - len(decided)} without preference are left out" in words
    total = offered(browser)[-1]
    share = decided.count("quick") / len(decided)
    assert [total[key] for key in ("photograph", "left", "right")] == ["all", "quick", "rival"]
    assert (int(total["preferred"]), int(total["decided"])) == (
        decided.count("quick"),
        len(decided),
    )
    assert float(total["preference_rate"]) == pytest.approx(share, abs=1e-4)
    assert float(total["ci_low"]) < share < float(total["ci_high"])
    assert {one["session"] for one in offered(browser)} == {"1"}
    assert browser.complaints() == []


def test_a_session_can_be_repeated_and_another_differs(browser: Browser, page: Path) -> None:
    browser.open(page)
    orders = []
    for session in (7, 7, 8):
        begin(browser, 0, 4, session)
        browser.press(*[RIGHT] * 20)
        orders.append([(one["photograph"], one["left"]) for one in answers(browser)])
    assert orders[0] == orders[1] != orders[2]


def test_a_comparison_may_stop_early_and_a_row_is_not_its_own_rival(
    browser: Browser, page: Path
) -> None:
    browser.open(page)
    begin(browser, 2, 2)
    assert browser.run("return document.getElementById('blind-fault').textContent").startswith(
        "Choose two different rows"
    )
    begin(browser, 2, 3)
    browser.press(SPACE)
    browser.run("document.querySelector('[data-choice=stop]').click()")
    assert len(answers(browser)) == 1
    words = browser.run("return document.getElementById('blind-result').innerText")
    assert "No preference was given" in words
    assert offered(browser)[-1]["preference_rate"] == ""


@pytest.mark.parametrize(
    ("count", "of", "interval"),
    # Newcombe 1998, table I: the score method without continuity correction.
    [
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_the_interval_is_wilson_s(
    browser: Browser, page: Path, count: int, of: int, interval: tuple[float, float]
) -> None:
    browser.open(page)
    assert browser.run("return wilson(arguments[0], arguments[1])", count, of) == pytest.approx(
        interval, abs=5e-5
    )


def test_hostile_names_stay_text_where_the_script_writes_them(
    browser: Browser, tmp_path: Path
) -> None:
    results = fake_results.build(tmp_path, pixels=16, hostile=HOSTILE)
    browser.open(fake_results.make_pages(results)[1])
    browser.run(
        "document.querySelector('.point').dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    begin(browser, 0, 1)
    browser.press(RIGHT, LEFT, RIGHT)
    browser.run("document.querySelector('[data-choice=stop]').click()")
    names = {name for one in answers(browser) for name in (one["left"], one["right"])}
    assert names == {f"quick{HOSTILE}", "rival"}
    found: list[Any] = browser.run(
        "return [typeof broken, document.querySelectorAll('[onerror], img[src=x]').length,"
        "document.documentElement.scrollWidth]"
    )
    assert found == ["undefined", 0, 1280]
    assert browser.complaints() == []


def thousand(root: Path) -> list[Path]:
    """Rows of 1,000 photographs: crops of one, and the same with half their chroma."""
    source = skimage.data.astronaut()[::2, ::2]  # as full of detail as a photograph at this size
    random = np.random.default_rng(1)
    corners = random.integers(0, [rows - 96 for rows in source.shape[:2]], (1000, 2))
    ids = [f"p{place:04d}" for place in range(1000)]
    paths = []
    for name, kind, share in [
        ("quick", "experiment", 0.5),
        ("truth", "yardstick", 1),
    ]:
        folder = root / f"{name}.pictures"
        folder.mkdir()
        for one, (top, left) in zip(ids, corners, strict=True):
            crop = source[top : top + 96, left : left + 96]
            grey = crop.mean(axis=2, keepdims=True)
            picture = (grey + share * (crop - grey)).astype(np.uint8)
            (folder / f"{one}.png").write_bytes(png_bytes(picture))
        values = 20 + 10 * share + random.normal(0, 3, 1000)
        table = [
            (one, one, PROTOCOL, f"{value:.4f}") for one, value in zip(ids, values, strict=True)
        ]
        figure = {
            **{"metric": "ciede2000", "title": "Colour difference CIEDE2000", "unit": "ΔE00"},
            **{"better": "lower", "value": float(values.mean()), "ci_low": None, "ci_high": None},
            **{"n": 1000, "protocol": PROTOCOL, "data_digest": "d", "model_digest": name},
        }
        record = {"row": name, "kind": kind, "figures": [figure], "pictures": ids}
        write_json(root / f"{name}.json", record)
        write_text(
            root / f"{name}.per_image.csv",
            csv_text(["id", "group", "protocol", "ciede2000"], table),
        )
        paths.append(root / f"{name}.json")
    return paths


def test_a_thousand_photographs_stay_under_15_mb_and_are_made_in_seconds(
    browser: Browser, page: Path, tmp_path: Path
) -> None:
    metrics = thousand(tmp_path)
    data = page.parents[1] / "data"
    out = tmp_path / "index.html"
    start = time.monotonic()
    report.main(
        [
            *("--catalog", str(data / "catalog.csv"), "--split", str(data / "split.csv")),
            *("--metrics", *map(str, metrics), "--out", str(out)),
        ]
    )
    assert time.monotonic() - start < 60
    assert out.stat().st_size < 15e6
    browser.open(out)
    assert browser.run("return document.querySelectorAll('.point').length") == 1000
    browser.run("document.querySelector('.point[data-across=\"500\"]').focus()")
    browser.press(RIGHT, ENTER)
    sizes = browser.run(
        "return Promise.all([...document.querySelectorAll('.detail img')].map("
        "one => one.decode().then(() => one.naturalWidth)))"
    )
    assert sizes == [96, 96]
    assert browser.complaints() == []
