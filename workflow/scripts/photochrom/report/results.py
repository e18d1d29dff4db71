"""The report's section on measures: the table of all figures, and the gains over grey."""

import string
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from photochrom.metrics import METRICS, Figure
from photochrom.pages import decimals_for
from photochrom.report.comparison import JUDGES, SHORT, VERDICTS, compare
from photochrom.report.inputs import Row
from photochrom.report.plots import Dot, Plot, dots

# Yardsticks in the order of the report, behind the experiments; others follow.
YARDSTICKS = ("constant", "grey", "levin", "truth", "real")

HINTS = {
    "higher": "higher is better",
    "lower": "lower is better",
    "truth": "best near the truth's",
    "none": "",
}

# What a measure rewards, for readers who do not use it daily.
EXPLAINED = {
    "psnr_rgb": "Agreement with the photograph, pixel by pixel. It rewards caution: plain grey "
    "scores well, because a wrong colour costs more than none.",
    "psnr_ab": "The same of colour alone, without the lightness that all rows share.",
    "ssim": "Agreement of local structure. Most of it is lightness, which all rows share, so the "
    "differences are small.",
    "lpips": "Distance of the features of an AlexNet, picture by picture (Zhang and others 2018).",
    "ciede2000": "Perceived difference of colour, averaged over the pixels; 1 is about the least "
    "an eye can see.",
    "auc": "The share of pixels whose a, b error stays within a threshold, averaged over the "
    "thresholds 0 to 150 (Zhang, Isola and Efros 2016).",
    "auc_balanced": "The same, but each colour of the truth counts alike however rare, so that a "
    "model is paid for vivid colours and not only for the common dull ones.",
    "auc_balanced_pooled": "The same over the pixels of all photographs together, as the paper "
    "has it. It sinks as photographs join and bring rare colours, so it compares rows, not sets.",
    "colourfulness": "Hasler and Süsstrunk 2003: 0 is grey, 15 slightly, 33 moderately, 45 "
    "averagely, 59 quite and 82 highly colourful.",
    "colourfulness_difference": "How far the mean colourfulness is from the truth's. Pictures that "
    "are too dull and too vivid cancel out here.",
    "colourfulness_error": "The same distance picture by picture, where nothing cancels out.",
    "colourfulness_abs": "The formula that many papers' programs use, with absolute opponents. It "
    "is not Hasler and Süsstrunk's, and serves for comparison with those papers.",
    "neutral_drift": "How colourful grey things have become: the mean chroma where the photograph "
    "is neutral.",
    "edge_bleeding": "The share of the colour's changes that lie beside the edges of the "
    "photograph's colours rather than on them, above the photograph's own share.",
    "colour_coverage": "Of the photograph's colours, squares of ten units that fill a thousandth "
    "of it, those that the picture has too.",
    "gamut_overflow": "Pixels whose colour had to be weakened to fit sRGB at their lightness.",
    "gamut_excess": "How much chroma that took, averaged over all pixels.",
    "lightness_error": "The input's lightness is kept, so this is rounding to 8 bits.",
    "fd_lite2": "How unlike the two sets of pictures are to an EfficientNet that no recipe trains "
    "with: the Fréchet distance of its features. It is biased upwards with few pictures.",
    "fd_lite2_infinity": "What that distance tends to as pictures join, free of their number's "
    "bias (Chong and Forsyth 2020).",
    "hi_fd_lite2": "The same distance after the chroma of all pictures was scaled by one factor to "
    "the photographs' mean colourfulness: strong colour earns nothing here, only right colour.",
    "kid_lite2": "The kernel distance of the same features. It has no such bias, and serves where "
    "pictures are too few for a FID.",
    "fid": "How unlike the two sets of pictures are to an Inception network. With few pictures "
    "the figure says little, so it is not computed then.",
    "fid_clean": "The same with pictures resized as clean-fid does (Parmar, Zhang and Zhu 2022).",
}


def ordered(rows: Sequence[Row]) -> list[Row]:
    """Experiments and compared results as given, then the yardsticks in the report's order."""
    rank = {name: place for place, name in enumerate(YARDSTICKS)}
    yardsticks = [row for row in rows if row.kind not in ("experiment", "compared")]
    yardsticks.sort(key=lambda row: (rank.get(row.name, len(rank)), row.name))
    return [
        *(row for row in rows if row.kind == "experiment"),
        *(row for row in rows if row.kind == "compared"),
        *yardsticks,
    ]


def measures_section(rows: Sequence[Row], protocol: str) -> dict[str, Any]:
    """Both tables under one protocol: every figure, a line each row, and the gains over grey."""
    shown = [row for row in ordered(rows) if any(f.protocol == protocol for f in row.figures)]
    notes: dict[str, str] = {}
    examples = _measures(shown, protocol)
    columns = []
    for example in examples:
        figures = [row.figure(example.metric, protocol) for row in shown]
        columns.append(
            {
                "title": example.title,
                "unit": example.unit,
                "better": example.better,
                "hint": HINTS.get(example.better, ""),
                "decimals": decimals_for([figure.value for figure in figures if figure]),
            }
        )
    full = {
        row.name: max(figure.n for figure in row.figures if figure.protocol == protocol)
        for row in shown
    }
    lines = [
        (row, [cell(row.figure(one.metric, protocol), notes, full[row.name]) for one in examples])
        for row in shown
    ]
    return {
        "protocol": protocol,
        "protocol_words": next((row.protocols.get(protocol, "") for row in shown), ""),
        "columns": columns,
        "rows": shown,
        "plots": _judge_plots(shown, examples, protocol),
        "lines": lines,
        "fewer": any(one["n"] is not None for _, cells in lines for one in cells),
        "notes": [(marker, reason) for reason, marker in notes.items()],
        "counts": sorted(set(full.values())),
        "full": full,
        "floors": _floors(shown, protocol),
        "same_pictures": len({whole.data_digest for whole in _wholes(shown, full, protocol)}) == 1,
        "gains": gains_table(shown, protocol),
        "verdicts": VERDICTS,
        "explained": [
            (one.title, EXPLAINED[one.metric]) for one in examples if one.metric in EXPLAINED
        ],
    }


def _wholes(rows: Sequence[Row], full: Mapping[str, int], protocol: str) -> list[Figure]:
    """A figure of each row that comes of all its pictures."""
    return [
        next(one for one in row.figures if one.protocol == protocol and one.n == full[row.name])
        for row in rows
    ]


def _floors(rows: Sequence[Row], protocol: str) -> list[str]:
    """What photographs against photographs come to, of rows that lack some, in words."""
    titles = {metric.name: metric.title for metric in METRICS}
    return [
        f"{row.name}, of {floor['n']:,}: {titles[floor['metric']]} {floor['value']:.4g}"
        for row in rows
        for floor in row.floors
        if floor["protocol"] == protocol
    ]


def measures_of(figures: Iterable[Figure]) -> list[Figure]:
    """One figure of each measure among these, in the order of the evaluation."""
    rank = {metric.name: place for place, metric in enumerate(METRICS)}
    found: dict[str, Figure] = {}
    for figure in figures:
        found.setdefault(figure.metric, figure)
    return sorted(found.values(), key=lambda figure: rank.get(figure.metric, len(rank)))


def _measures(rows: Sequence[Row], protocol: str) -> list[Figure]:
    """One figure of each measure under the protocol."""
    return measures_of(
        figure for row in rows for figure in row.figures if figure.protocol == protocol
    )


def _judge_plots(rows: Sequence[Row], examples: Sequence[Figure], protocol: str) -> list[Plot]:
    """A plot for each judge. The truth is left out: its storage is no rival of any model."""
    drawn = [row for row in rows if row.name != "truth"]
    plots = [
        judge_plot(
            one, "", [("", [(row, row.figure(metric, protocol)) for row in drawn])], protocol
        )
        for metric in JUDGES
        for one in examples
        if one.metric == metric
    ]
    return [plot for plot in plots if plot]


def judge_plot(
    example: Figure,
    words: str,
    groups: Sequence[tuple[str, Sequence[tuple[Row, Figure | None]]]],
    protocol: str,
) -> Plot | None:
    """The rows' figures of a judge's measure as dots, group by group; None where none has a value.

    `words` end the title.
    """
    drawn = [
        (
            name,
            [
                Dot(row.name, row.kind, figure.value, figure.ci_low, figure.ci_high)
                for row, figure in members
                if figure is not None and figure.value is not None
            ],
        )
        for name, members in groups
    ]
    drawn = [(name, members) for name, members in drawn if members]
    if not drawn:
        return None
    short = SHORT[example.metric]
    sides = {"higher": "higher is better", "lower": "lower is better"}
    axis = ", ".join(filter(None, [example.unit, sides.get(example.better)]))
    return dots(f"{short[:1].upper()}{short[1:]}{words}", axis, drawn, protocol)


def cell(figure: Figure | None, notes: dict[str, str], full: int) -> dict[str, Any]:
    """A cell of the table; its `marker` leads to the note that says what is missing, and why.

    `n` is the number of pictures where it is less than the row's `full` number, else None.
    """
    if figure is None:
        figure_reason: str | None = "not computed: the row's file has no such figure"
        lacking = {"value": None, "low": None, "high": None, "n": None}
        return {**lacking, **_marker(figure_reason, notes)}
    complete = figure.value is not None and figure.ci_low is not None
    return {
        "value": figure.value,
        "low": figure.ci_low,
        "high": figure.ci_high,
        "n": figure.n if figure.value is not None and figure.n < full else None,
        **_marker(None if complete else figure.reason or "no reason is given", notes),
    }


def _marker(reason: str | None, notes: dict[str, str]) -> dict[str, str]:
    if reason is None:
        return {"marker": "", "reason": ""}
    letters = string.ascii_lowercase
    marker = notes.setdefault(reason, letters[len(notes) % 26] * (1 + len(notes) // 26))
    return {"marker": marker, "reason": reason}


def gains_table(rows: Sequence[Row], protocol: str) -> dict[str, Any] | None:
    """Gains over grey of every row but the other yardsticks; None without grey."""
    grey = next((row for row in rows if row.name == "grey"), None)
    others = [row for row in rows if row.kind != "yardstick" or row.name == "constant"]
    if grey is None or not others:
        return None
    lines: list[dict[str, Any]] = []
    for example in _measures(rows, protocol):
        gains = []
        for row in others:
            figure = row.figure(example.metric, protocol)
            gains.append(compare(row, grey, figure) if figure else None)
        if any(gains):
            values = [gain.value for gain in gains if gain]
            ends = [gain.high for gain in gains if gain]
            lines.append(
                {
                    "title": example.title,
                    "unit": example.unit,
                    "gains": gains,
                    "decimals": decimals_for([*values, *ends]),
                }
            )
    if not lines:
        return None
    found = [gain for line in lines for gain in line["gains"] if gain]
    return {
        "columns": [row.name for row in others],
        "lines": lines,
        "photographs": min(gain.photographs for gain in found),
        "most": max(gain.photographs for gain in found),
    }
