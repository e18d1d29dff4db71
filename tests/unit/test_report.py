"""The report: complete, honest, self-contained; what is missing is said in words."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fake_results
import report
from fake_results import HOSTILE, Results
from html_page import Page
from photochrom.images import jpeg_bytes
from photochrom.report.data import credits, drop_reasons, histograms, offered, split_counts
from photochrom.report.inputs import read_log, read_row
from photochrom.report.training import phase_starts, training_section
from photochrom.runtime import StageError, csv_text, write_bytes, write_json, write_text
from photochrom.tables import MOVES_COLUMNS

SECTIONS = [
    *("data", "training", "measures", "slices", "confidence", "pictures", "photographs", "blind"),
    *("archive", "costs", "reproduce"),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return fake_results.build(tmp_path_factory.mktemp("results"), pixels=32)


@pytest.fixture(scope="module")
def page(results: Results) -> Page:
    return make(results)


def make(results: Results, out: Path | None = None) -> Page:
    out = out or results.root / "report/index.html"
    assert report.main([*results.arguments(), "--out", str(out)]) == 0
    return Page(out.read_text(encoding="utf-8"))


@pytest.fixture
def own(results: Results, tmp_path: Path) -> Results:
    """A copy of the results that a test may change."""
    shutil.copytree(results.root, tmp_path / "results")

    def moved(path: Path) -> Path:
        return tmp_path / "results" / path.relative_to(results.root)

    return replace(
        results,
        root=tmp_path / "results",
        catalog=moved(results.catalog),
        split=moved(results.split),
        metrics=[moved(path) for path in results.metrics],
        logs={name: moved(path) for name, path in results.logs.items()},
        archives=[moved(path) for path in results.archives],
    )


@pytest.fixture
def lean(own: Results) -> Results:
    """Such a copy without logs and archives, for tests of the rest: it is made sooner."""
    return replace(own, logs={}, archives=[])


def edit(path: Path, **changes: object) -> None:
    """Change keys of a JSON file."""
    write_json(path, {**json.loads(path.read_text()), **changes})


def edit_figures(path: Path, **changes: object) -> None:
    """Change keys of every figure of a metrics file."""
    content = json.loads(path.read_text())
    edit(path, figures=[{**figure, **changes} for figure in content["figures"]])


def test_the_summary_comes_first(page: Page) -> None:
    first = page.text.index("The model “quick”")
    assert first < page.text.index("kept; they show")
    # Two photographs prove nothing, however large the gain.
    assert re.search(
        r"not shown to beat plain grey: it is [\d.]+\u00a0points of balanced AuC better", page.text
    )
    assert "p\u00a0=\u00a00.500" in page.text


def test_all_sections_are_there_in_order(page: Page) -> None:
    assert [one["id"] for one in page.all("section")] == SECTIONS
    assert [one["href"][1:] for one in page.all("a")][: len(SECTIONS)] == SECTIONS


def test_the_page_needs_nothing_but_itself(page: Page, results: Results) -> None:
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "data", "action"):
            address = attributes.get(name, "#")
            assert address.startswith(("#", "data:")) or address.endswith("/review.html")
    html = (results.root / "report/index.html").read_text(encoding="utf-8")
    assert not re.search(r"url\((?!#)|@import|http-equiv=.refresh", html)
    assert "https://" not in html
    assert len(html.encode()) < 8e6


def test_equal_results_give_equal_pages(page: Page, results: Results) -> None:
    # The link to the review page depends on where the report lies: beside the first one.
    other = results.root / "report/other.html"
    make(results, other)
    assert other.read_bytes() == other.with_name("index.html").read_bytes()


def test_every_picture_has_words_and_every_control_a_name(page: Page) -> None:
    assert all(picture["alt"] and picture["width"] for picture in page.all("img"))
    assert all(control["aria-label"] for control in page.all("input") if control["type"] == "range")
    assert all(plot["aria-label"] for plot in page.all("svg"))
    assert page.all("html") == [{"lang": "en"}]


def test_ids_are_unique(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_value_stands_beside_its_yardsticks(page: Page) -> None:
    for words in ("quick", "constant", "grey", "truth", "PSNR in RGB", "paired-256crop"):
        assert words in page.text
    assert "not computed: 12 pictures, a FID needs 2,048 or more" in page.text
    assert re.search(r"\d\u00a0to\u00a0\d", page.text)


def test_a_figure_of_fewer_pictures_says_so(page: Page, lean: Results) -> None:
    words = "Where n is given, a figure is that of fewer pictures"
    assert words not in page.text
    content = json.loads(lean.metrics[0].read_text())
    content["figures"][0]["n"] = 5
    edit(lean.metrics[0], figures=content["figures"])
    fewer = make(lean)
    assert words in fewer.text
    assert re.search(r"n = 5\b", fewer.text)


def test_photographs_are_credited(page: Page) -> None:
    assert "Rachel Michetti; courtesy of Pikolo Espresso Bar" in page.text
    assert "chelsea: Stefan van der Walt, CC0" in page.text


def test_the_run_can_be_repeated(page: Page, results: Results) -> None:
    assert "snakemake --cores 2 --configfile run_config.yaml" in page.text
    assert "experiments: - quick data: size: 112" in page.text
    assert (
        "snakemake --cores 2 --configfile run_config.yaml results/metrics/quick.json" in page.text
    )


def test_hostile_names_are_shown_as_they_are_written(tmp_path: Path) -> None:
    page = make(fake_results.build(tmp_path, pixels=16, hostile=HOSTILE))
    shown = re.sub(r"\s+", " ", HOSTILE)
    assert [one.get("type", "") for one in page.all("script")] == ["application/json", ""]
    assert not any("onerror" in attributes for _, attributes in page.tags)
    for name in ("Photochrom", "quick", "Stefan van der Walt", "CC0", "chelsea", "ignored"):
        assert name + shown in page.text, name
    # Neither sign can be part of a phase's name on the command line.
    assert "gan" + shown.replace("/", "|").replace("=", "") in page.text


# What may be missing, and how that reads.


def test_a_first_report_with_nothing_but_data(own: Results) -> None:
    page = make(replace(own, metrics=[], logs={}, archives=[]))
    for words in (
        "No experiment has been evaluated yet",
        "No training log was given to this report",
        "Nothing has been evaluated yet",
        "There are no test pictures to show",
        "No archive has been colorized yet",
    ):
        assert words in page.text
    assert [one["id"] for one in page.all("section")] == SECTIONS


def test_one_photograph_has_no_interval(lean: Results) -> None:
    reason = "interval not computed: all pictures are of one photograph"
    for path in lean.metrics:
        edit_figures(path, ci_low=None, ci_high=None, reason=reason)
        table = path.with_name(f"{path.stem}.per_image.csv")
        write_text(table, table.read_text(encoding="utf-8").replace(",rocket,", ",chelsea,"))
    page = make(lean)
    assert "nothing is proved" in page.text
    assert reason in page.text
    assert "one photograph, no interval" in page.text


def test_a_figure_without_value_has_its_reason(lean: Results) -> None:
    edit_figures(lean.metrics[0], value=None, ci_low=None, ci_high=None, reason="the model melted")
    page = make(lean)
    assert "not computeda" in page.text
    assert "a the model melted" in page.text


def test_without_grey_there_is_no_claim(lean: Results) -> None:
    page = make(replace(lean, metrics=lean.metrics[:2]))
    assert "cannot be compared with plain grey" in page.text
    assert "Gains over grey cannot be given" in page.text


def test_without_tables_of_single_pictures_there_is_no_claim(lean: Results) -> None:
    for path in lean.metrics:
        path.with_name(f"{path.stem}.per_image.csv").unlink()
    assert "cannot be compared with plain grey" in make(lean).text


def test_rows_of_different_pictures_are_not_to_be_compared(lean: Results) -> None:
    edit_figures(lean.metrics[0], data_digest="another")
    assert "not all measured on the same pictures" in make(lean).text


def test_missing_test_pictures_are_named(lean: Results) -> None:
    lost = {"id": "chelsea-3", "path": "gone.png", "reason": "zero bytes"}
    edit(lean.metrics[0], missing=[lost])
    assert "is missing from quick: chelsea-3 (zero bytes)" in make(lean).text


def test_pictures_that_are_gone_are_named(lean: Results) -> None:
    shutil.rmtree(lean.metrics[0].with_name("quick.pictures"))
    assert "no picture: unreadable" in make(lean).text


def test_photographs_that_are_gone_are_counted(lean: Results) -> None:
    table = lean.catalog.read_text(encoding="utf-8").replace(".png,", ".gone,")
    write_text(lean.catalog, table)
    assert "24\u00a0pictures chosen for this sheet could not be read" in make(lean).text


def test_a_scan_that_is_gone_is_said_in_words(own: Results) -> None:
    table = own.archives[0].read_text(encoding="utf-8")
    write_text(own.archives[0], table.replace("camera.png,", "gone.png,"))
    assert (
        "The pictures cannot be shown: unreadable" in make(replace(own, logs={}, metrics=[])).text
    )


def test_logs_without_validation_or_without_records(own: Results) -> None:
    first, second = own.logs.values()
    lines = first.read_text().splitlines()
    write_text(first, "".join(f"{line}\n" for line in lines if '"train"' in line))
    write_text(second, "")
    page = make(replace(own, archives=[], metrics=[]))
    assert "The log of quick/l1 holds no validation" in page.text
    assert "The log of quick/gan holds no records" in page.text
    assert "not measured" in page.text


def test_an_archive_in_which_nothing_was_colorized(own: Results) -> None:
    lines = own.archives[0].read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.startswith("path,") or ",failed," in line]
    write_text(own.archives[0], "\n".join(kept) + "\n")
    assert (
        "No picture of this archive has been colorized."
        in make(replace(own, logs={}, metrics=[])).text
    )


def test_the_review_page_is_linked_when_it_is_there(own: Results) -> None:
    assert not any(
        "review" in one["href"] for one in make(replace(own, logs={}, metrics=[])).all("a")
    )
    own.archives[0].with_name("review.html").write_text("")
    assert "../colorized/builtin/review.html" in [
        one["href"] for one in make(replace(own, logs={}, metrics=[])).all("a")
    ]


@pytest.mark.parametrize(
    ("victim", "content", "says"),
    [
        ("catalog", None, "does not exist; it is made by filter.py"),
        ("catalog", "id,path\n", "lacks the columns"),
        ("metrics", "{", "is not a metrics file of evaluate.py"),
        ("metrics", '{"row": "quick"}', "is not a metrics file of evaluate.py"),
        ("metrics", "[]", "is not a metrics file of evaluate.py"),
        ("logs", '{"kind": "val"}\nnonsense\n', "line 2"),
        ("logs", "3\n", "line 1 is no object"),
    ],
)
def test_a_file_of_another_kind_is_one_line(
    own: Results, victim: str, content: str | None, says: str
) -> None:
    path = {
        "catalog": own.catalog,
        "metrics": own.metrics[0],
        "logs": next(iter(own.logs.values())),
    }[victim]
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    with pytest.raises(StageError, match=re.escape(says)):
        make(own)


@pytest.mark.parametrize("argument", ["log.jsonl", "quick=log.jsonl", "/gan=log.jsonl"])
def test_a_log_needs_its_name(own: Results, argument: str, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="EXPERIMENT/PHASE=FILE"):
        report.main([*own.arguments(), "--out", str(tmp_path / "x.html"), "--logs", argument])


# The parts.


def test_each_failing_filter_of_a_picture_is_counted() -> None:
    dropped = [
        {"reason": "brightness: mean L 21 below 50;chroma_std: 2.0 below 4"},
        {"reason": "brightness: mean L 30 below 50"},
        {"reason": "unreadable: truncated"},
        {"reason": ""},
    ]
    rows = [
        {"id": str(at), "group": "g", "path": "none", "original_name": f"n{at}"} | row
        for at, row in enumerate(dropped)
    ]
    found = drop_reasons(rows, {"brightness": [50, 170], "chroma_std": 4})
    assert [(one.filter, one.limit, one.pictures, one.alone, one.example) for one in found] == [
        ("brightness", "50 to 170", 2, 1, "mean L 21 below 50"),
        ("chroma std", "4", 1, 0, "2.0 below 4"),
        ("no reason given", "", 1, 1, ""),
        ("unreadable", "", 1, 1, "truncated"),
    ]
    assert [len(one.sheet) for one in found] == [0, 0, 0, 0]  # there are no such files
    assert found[3].unseen[0].startswith("n2: ")


def test_each_source_says_what_failed_there_and_why() -> None:
    rows = [
        {"source": "a", "verdict": "keep", "reason": ""},
        {"source": "a", "verdict": "drop", "reason": "toned: 1.0 Lab units from one tint"},
        {"source": "a", "verdict": "drop", "reason": "unreadable: too large: 400 MP"},
        {"source": "a", "verdict": "drop", "reason": "unreadable: too large: 900 MP;licence: x"},
        {"source": "a", "verdict": "drop", "reason": "unreadable: truncated or damaged"},
        {"source": "b", "verdict": "keep", "reason": ""},
    ]
    assert [list(source.values()) for source in offered(rows)] == [
        ["a", 5, 2, 1, "too large 2, truncated or damaged 1"],
        ["b", 1, 1, 1, ""],
    ]


def test_brightness_is_drawn_on_the_scale_of_its_filter() -> None:
    plots = histograms([{"mean_L": "50"}], [{"mean_L": ""}], {"brightness": [50, 170]})
    assert len(plots) == 1
    assert "1 kept, 0 dropped, limits 50 and 170" in plots[0].svg


def test_a_single_limit_and_none() -> None:
    kept = [{"chroma_std": "5", "colourfulness": "nan"}]
    plots = histograms(kept, [], {"chroma_std": 4, "colourfulness": None})
    assert [plot.svg.count("limits 4") for plot in plots] == [1]


def test_sizes_are_drawn_where_they_differ_or_are_judged() -> None:
    same = [{"width": "64", "height": "64"}] * 2
    assert histograms(same, [], {}) == []
    assert "limits 32" in histograms(same, [], {"min_size": 32})[0].svg
    differing = histograms(same, [{"width": "128", "height": "32"}], {"max_aspect": 2})
    assert ["limits 2" in plot.svg for plot in differing] == [False, True]


def test_the_audit_and_the_moves_are_told(results: Results, tmp_path: Path) -> None:
    pair = {"one": "coffee.png", "other": "<b>copy</b>.png", "bits": None}
    comparison = {
        **{"one": "train", "other": "evaluation", "one_pictures": 9, "other_pictures": 3},
        **{"exact": 1, "near": 0, "nearest": 0, "flat": 0, "pairs": [pair]},
    }
    content = {"bits": 6, "comparisons": [comparison], "unusable": {"evaluation": 2}}
    write_json(tmp_path / "audit.json", content)
    why = "near-duplicates joined the groups a, b"
    move = ("id", "rocket.png", "a", "test", "train", why)
    write_text(tmp_path / "moves.csv", csv_text(MOVES_COLUMNS, [move]))
    more = [f"--audit={tmp_path / 'audit.json'}", f"--moves={tmp_path / 'moves.csv'}"]
    out = tmp_path / "index.html"
    report.main([*replace(results, logs={}, archives=[]).arguments(), *more, "--out", str(out)])
    text = Page(out.read_text(encoding="utf-8")).text
    for words in (
        "train and evaluation",
        "train: coffee.png and evaluation: <b>copy</b>.png: exact copy",
        "of evaluation could not be read as pictures",
        "1\u00a0picture moved",
        why,
    ):
        assert words in text, words
    write_json(tmp_path / "audit.json", {})
    with pytest.raises(StageError, match="not an audit"):
        report.main([*results.arguments(), *more, "--out", str(out)])


def test_credits_are_by_licence_and_author() -> None:
    kept = [{"licence": "CC0", "attribution": "A", "original_name": name} for name in "abcdab"] + [
        {"licence": "", "attribution": "", "original_name": "z"}
    ]
    many, unknown = credits(kept)
    assert (many["pictures"], many["photographs"], many["names"]) == (6, 4, [])
    assert (unknown["licence"], unknown["names"]) == ("", ["z"])


def test_shares_of_the_split() -> None:
    split = [{"split": "train", "group": "a"}] * 3 + [{"split": "test", "group": "b"}]
    counts = {part["name"]: part for part in split_counts(split)}
    assert (counts["training"]["share"], counts["training"]["photographs"]) == (75, 1)
    assert (counts["validation"]["pictures"], counts["test"]["pictures"]) == (0, 1)


def test_steps_are_counted_over_all_phases(results: Results) -> None:
    logs = [read_log(name, path) for name, path in results.logs.items()]
    assert phase_starts(logs) == [0, 400]
    (section,) = training_section(logs)
    assert [phase["steps"] for phase in section["phases"]] == [400, 240]
    assert section["notes"] == []
    assert any("over 640 steps" in plot.svg for plot in section["plots"])


def test_a_row_is_read_with_its_tables(results: Results) -> None:
    row = read_row(results.metrics[0])
    assert (row.name, row.kind) == ("quick", "experiment")
    values = row.values("psnr_rgb", "paired-256crop")
    figure = row.figure("psnr_rgb", "paired-256crop")
    assert figure is not None
    assert figure.value == pytest.approx(sum(values.values()) / len(values))
    assert row.values("psnr_rgb", "another") == {}


def test_the_strip_and_what_is_missing_are_shown(results: Results, tmp_path: Path) -> None:
    folder = tmp_path / "gan"
    reason = "not computed: 18 validation pictures, 64 are needed"
    record = {"kind": "val", "step": 0, "psnr_rgb": 20, "not_computed": {"fd_lite2": reason}}
    write_text(folder / "log.jsonl", json.dumps(record) + "\n")
    write_bytes(folder / "strip.jpg", jpeg_bytes(np.zeros((8, 8, 3), np.uint8)))
    page = tmp_path / "index.html"
    shown = replace(results, logs={"quick/gan": folder / "log.jsonl"}, archives=[])
    report.main([*shown.arguments(), "--out", str(page)])
    text = page.read_text(encoding="utf-8")
    assert f"fd-lite2: {reason}" in text
    assert text.count('class="strip"') == 1
    assert "Phase gan: the same validation pictures over time" in text
