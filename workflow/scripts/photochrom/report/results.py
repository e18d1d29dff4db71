"""The report's sections on results: the table of measures, the gains over grey, the pictures."""

import string
from collections.abc import Sequence
from typing import Any

from photochrom.images import ImageError, load_rgb
from photochrom.metrics import METRICS, Figure
from photochrom.pages import data_uri, decimals_for
from photochrom.report.comparison import HEADLINE, best_experiment, compare
from photochrom.report.data import credit_line
from photochrom.report.inputs import Row, Table

# Yardsticks in the order of the report, behind the experiments; others follow.
YARDSTICKS = ("constant", "grey", "truth")

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
    "ssim": "Agreement of local structure. Most of it is lightness, which all rows share, so the "
    "differences are small.",
    "ciede2000": "Perceived difference of colour, averaged over the pixels; 1 is about the least "
    "an eye can see.",
    "auc": "The share of pixels whose a, b error stays within a threshold, averaged over the "
    "thresholds 0 to 150 (Zhang, Isola and Efros 2016).",
    "auc_balanced": "The same, but each colour of the truth counts alike however rare, so that a "
    "model is paid for vivid colours and not only for the common dull ones.",
    "colourfulness": "Hasler and Süsstrunk 2003: 0 is grey, 15 slightly, 33 moderately, 45 "
    "averagely, 59 quite and 82 highly colourful.",
    "colourfulness_difference": "How far the mean colourfulness is from the truth's. Pictures that "
    "are too dull and too vivid cancel out here.",
    "colourfulness_error": "The same distance picture by picture, where nothing cancels out.",
    "lightness_error": "The input's lightness is kept, so this is rounding to 8 bits.",
    "fid": "How unlike the two sets of pictures are to an Inception network. With few pictures "
    "the figure says little, so it is not computed then.",
}


def ordered(rows: Sequence[Row]) -> list[Row]:
    """Experiments as given, then the yardsticks in the report's order."""
    rank = {name: place for place, name in enumerate(YARDSTICKS)}
    yardsticks = [row for row in rows if row.kind != "experiment"]
    yardsticks.sort(key=lambda row: (rank.get(row.name, len(rank)), row.name))
    return [row for row in rows if row.kind == "experiment"] + yardsticks


def measures_section(rows: Sequence[Row], protocol: str) -> dict[str, Any]:
    """Both tables under one protocol: every figure, and the gains over grey."""
    columns = [row for row in ordered(rows) if any(f.protocol == protocol for f in row.figures)]
    notes: dict[str, str] = {}
    lines = []
    for example in _measures(columns, protocol):
        figures = [row.figure(example.metric, protocol) for row in columns]
        decimals = decimals_for([figure.value for figure in figures if figure])
        lines.append(
            {
                "title": example.title,
                "unit": example.unit,
                "hint": HINTS.get(example.better, ""),
                "decimals": decimals,
                "cells": [_cell(figure, notes) for figure in figures],
            }
        )
    under = [figure for row in columns for figure in row.figures if figure.protocol == protocol]
    return {
        "protocol": protocol,
        "protocol_words": next((row.protocols.get(protocol, "") for row in columns), ""),
        "columns": columns,
        "lines": lines,
        "notes": [(marker, reason) for reason, marker in notes.items()],
        "counts": sorted({figure.n for figure in under}),
        "same_pictures": len({figure.data_digest for figure in under}) == 1,
        "gains": gains_table(columns, protocol),
        "explained": [
            (figure.title, EXPLAINED[figure.metric])
            for figure in _measures(columns, protocol)
            if figure.metric in EXPLAINED
        ],
    }


def _measures(rows: Sequence[Row], protocol: str) -> list[Figure]:
    """One figure of each measure under the protocol, in the order of the evaluation."""
    rank = {metric.name: place for place, metric in enumerate(METRICS)}
    found: dict[str, Figure] = {}
    for row in rows:
        for figure in row.figures:
            if figure.protocol == protocol:
                found.setdefault(figure.metric, figure)
    return sorted(found.values(), key=lambda figure: rank.get(figure.metric, len(rank)))


def _cell(figure: Figure | None, notes: dict[str, str]) -> dict[str, Any]:
    """A cell of the table; its `marker` leads to the note that says what is missing, and why."""
    if figure is None:
        figure_reason: str | None = "not computed: the row's file has no such figure"
        return {"value": None, "low": None, "high": None, **_marker(figure_reason, notes)}
    complete = figure.value is not None and figure.ci_low is not None
    return {
        "value": figure.value,
        "low": figure.ci_low,
        "high": figure.ci_high,
        **_marker(None if complete else figure.reason or "no reason is given", notes),
    }


def _marker(reason: str | None, notes: dict[str, str]) -> dict[str, str]:
    if reason is None:
        return {"marker": "", "reason": ""}
    letters = string.ascii_lowercase
    marker = notes.setdefault(reason, letters[len(notes) % 26] * (1 + len(notes) // 26))
    return {"marker": marker, "reason": reason}


def gains_table(rows: Sequence[Row], protocol: str) -> dict[str, Any] | None:
    """Gains over grey of every experiment and of the constant colour; None without grey."""
    grey = next((row for row in rows if row.name == "grey"), None)
    others = [row for row in rows if row.kind == "experiment" or row.name == "constant"]
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
    }


def pictures_section(rows: Sequence[Row], catalog: Table, protocol: str) -> dict[str, Any] | None:
    """Grey, each experiment and the truth of the same test pictures; None where there are none."""
    by_name = {row.name: row for row in rows}
    columns = [by_name[name] for name in ("grey",) if name in by_name]
    columns += [row for row in rows if row.kind == "experiment"]
    columns += [by_name[name] for name in ("truth",) if name in by_name]
    ids = sorted({name for row in columns for name in row.shown})
    if not ids:
        return None
    photographs = {one["id"]: one for one in catalog}
    # The truth's own figure says how exact the storage is and nothing about the picture.
    scores = {
        row.name: {} if row.name == "truth" else row.values(HEADLINE, protocol) for row in columns
    }
    lines = [
        {
            "id": name,
            "credit": credit_line(photographs.get(name, {"id": name})),
            "cells": [_picture(row, name, scores[row.name].get(name)) for row in columns],
        }
        for name in ids
    ]
    typical = _typical(rows, ids, protocol)
    return {
        "columns": len(columns),
        "lines": lines,
        "typical": next((line for line in lines if line["id"] == typical), None),
    }


def _picture(row: Row, name: str, score: float | None) -> dict[str, Any]:
    try:
        source = data_uri(load_rgb(row.pictures / f"{name}.png"))
    except ImageError as error:
        return {"row": row.name, "src": None, "reason": error.reason, "score": score}
    return {"row": row.name, "src": source, "reason": "", "score": score}


def _typical(rows: Sequence[Row], ids: Sequence[str], protocol: str) -> str | None:
    """The median of the shown pictures by the headline measure of the best experiment."""
    best = best_experiment(rows, protocol)
    scores = best.values(HEADLINE, protocol) if best else {}
    ranked = sorted((scores[name], name) for name in ids if name in scores)
    return ranked[len(ranked) // 2][1] if ranked else None
