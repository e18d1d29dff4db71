"""The report's pictures: best, median and worst of the best experiment, and all rows side by side.

Which pictures are shown follows from the figures or from a hash, never from a choice by hand.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000

from photochrom.color import rgb_to_lab
from photochrom.images import ImageError
from photochrom.metrics import METRICS
from photochrom.metrics.photographs import Photograph, choose_pictures
from photochrom.pages import data_uri, preview
from photochrom.report.comparison import best_experiment
from photochrom.report.data import credit_line
from photochrom.report.inputs import Row, Table

# What ranks the photographs: the measure that the error maps show, else what the rows have.
RANKED_BY = ("ciede2000", "auc_balanced", "psnr_rgb")

# On their longer side: the size of the protocol that most rows are measured under.
PICTURE_PIXELS = 256

GRADES = ("best", "median", "worst")
GRADE_PICTURES = 3  # photographs in each grade

# Pictures of the sheet, over all its columns, and the least lines it has.
SHEET_CELLS = 48
SHEET_LINES = 12
LEAST_LINES = 3

# Colours of the error maps, one scale for all reports so that maps can be compared across them.
MAP_LIMIT = 30.0  # ΔE00; larger errors have the colour of the limit
MAP_TICKS = (0, 10, 20, 30)
MAP_COLOURS = matplotlib.colormaps["inferno"]
MAP_STOPS = 9  # of the legend's gradient


def picture_path(row: Row, name: str) -> Path:
    """The picture that a row painted of the photograph `name`: WebP where there is one, or PNG."""
    webp = row.pictures / f"{name}.webp"
    return webp if webp.is_file() else row.pictures / f"{name}.png"


def ranking_measure(row: Row, protocol: str) -> str | None:
    """The first of RANKED_BY that the row has of single photographs; None where it has none."""
    return next((name for name in RANKED_BY if row.values(name, protocol)), None)


def graded(scores: Mapping[str, float], lower_is_better: bool, count: int) -> dict[str, list[str]]:
    """Names by grade: the `count` best, those about the median, and the worst, each best first.

    No name is in two grades, so that fewer than three times `count` names give smaller grades, and
    fewer than three give none. Equal scores are ordered by name.
    """
    sign = 1 if lower_is_better else -1
    ranked = sorted(scores, key=lambda name: (sign * scores[name], name))
    count = min(count, len(ranked) // 3)
    if count == 0:
        return {}
    middle = (len(ranked) - count) // 2
    parts = (ranked[:count], ranked[middle : middle + count], ranked[-count:])
    return dict(zip(GRADES, parts, strict=True))


def error_map(truth: NDArray[np.uint8], picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The CIEDE2000 difference of each pixel of two sRGB pictures (H, W, 3), as colours.

    The scale runs from 0 to MAP_LIMIT. Raises ValueError for pictures of two sizes.
    """
    if truth.shape != picture.shape:
        raise ValueError(f"sizes differ: {truth.shape[:2]} and {picture.shape[:2]}")
    difference = deltaE_ciede2000(rgb_to_lab(truth), rgb_to_lab(picture))
    colours = MAP_COLOURS(np.clip(difference / MAP_LIMIT, 0, 1))[..., :3]
    return np.rint(255 * colours).astype(np.uint8)


def map_legend() -> dict[str, Any]:
    """The error maps' scale: colours as CSS names them, evenly spaced, and the ticks in ΔE00."""
    stops = [matplotlib.colors.to_hex(MAP_COLOURS(at)) for at in np.linspace(0, 1, MAP_STOPS)]
    return {"stops": stops, "ticks": MAP_TICKS}


def grades_section(rows: Sequence[Row], catalog: Table, protocol: str) -> dict[str, Any] | None:
    """Best, median and worst photographs of the best experiment, each with its error map.

    None without an experiment; `reason` says what is lacking where no grade can be made.
    """
    best = best_experiment(rows, protocol)
    if best is None:
        return None
    metric = ranking_measure(best, protocol)
    section: dict[str, Any] = {"row": best.name, "legend": map_legend(), "grades": [], "of": 0}
    shown = set(best.shown)
    scores = best.values(metric, protocol) if metric else {}
    scores = {name: value for name, value in scores.items() if name in shown}
    known = next((one for one in METRICS if one.name == metric), None)
    if known is None or len(scores) < len(GRADES):
        lack = "figures of fewer than three photographs whose pictures were kept"
        return section | {"reason": f"the row {best.name} holds {lack}"}
    photographs = {one["id"]: one for one in catalog}
    by_name = {row.name: row for row in rows}
    grades = graded(scores, known.better == "lower", GRADE_PICTURES)
    section |= {"title": known.title, "unit": known.unit, "of": len(scores), "reason": ""}
    section["grades"] = [
        (
            grade,
            [
                {
                    "id": name,
                    "score": scores[name],
                    "credit": credit_line(photographs.get(name, {"id": name})),
                    **_evidence(name, by_name.get("grey"), best, by_name.get("truth")),
                }
                for name in names
            ],
        )
        for grade, names in grades.items()
    ]
    return section


def _evidence(name: str, grey: Row | None, best: Row, truth: Row | None) -> dict[str, Any]:
    """Grey input, prediction, truth and error map of one photograph: each a cell, or why not."""
    pixels: dict[str, NDArray[np.uint8]] = {}
    cells = {}
    for key, row, yardstick in [
        ("grey", grey, "grey"),
        ("prediction", best, ""),
        ("truth", truth, "truth"),
    ]:
        if row is None:
            cells[key] = {"src": None, "reason": f"there is no row {yardstick}"}
            continue
        try:
            pixels[key] = preview(picture_path(row, name), PICTURE_PIXELS)
        except ImageError as error:
            cells[key] = {"src": None, "reason": error.reason}
        else:
            cells[key] = _embedded(pixels[key])
    if {"prediction", "truth"} <= pixels.keys():
        try:
            cells["map"] = _embedded(error_map(pixels["truth"], pixels["prediction"]))
        except ValueError as error:
            cells["map"] = {"src": None, "reason": f"not computed: {error}"}
    else:
        cells["map"] = {"src": None, "reason": "not computed: it needs prediction and truth"}
    return cells


def _embedded(pixels: NDArray[np.uint8]) -> dict[str, Any]:
    height, width = pixels.shape[:2]
    src = data_uri(pixels)
    return {"src": src, "width": width, "height": height, "pixels": pixels, "reason": ""}


def sheet_section(rows: Sequence[Row], catalog: Table, protocol: str) -> dict[str, Any] | None:
    """Grey, experiments, compared results and the truth of the same pictures; None without any.

    The pictures follow a hash of their names; the more rows, the fewer of them. `typical` is the
    median of those shown, by grey, the best experiment and the truth alone.
    """
    by_name = {row.name: row for row in rows}
    columns = [by_name[name] for name in ("grey",) if name in by_name]
    columns += [row for row in rows if row.kind in ("experiment", "compared")]
    columns += [by_name[name] for name in ("truth",) if name in by_name]
    photographs = {one["id"]: one for one in catalog}
    kept = {name for row in columns for name in row.shown}
    if not kept:
        return None
    chosen = choose_pictures(
        (
            Photograph(name, photographs.get(name, {}).get("group", name), Path(), "")
            for name in sorted(kept)
        ),
        min(SHEET_LINES, max(LEAST_LINES, SHEET_CELLS // len(columns))),
    )
    best = best_experiment(rows, protocol)
    metric = ranking_measure(best, protocol) if best else None
    known = next((one for one in METRICS if one.name == metric), None)
    # The truth's own figure says how exact the storage is and nothing about the picture.
    scores = {
        row.name: row.values(metric, protocol) if metric and row.name != "truth" else {}
        for row in columns
    }
    lines: list[dict[str, Any]] = [
        {
            "id": name,
            "credit": credit_line(photographs.get(name, {"id": name})),
            "cells": [_picture(row, name, scores[row.name].get(name)) for row in columns],
        }
        for name in sorted(chosen)
    ]
    ranked = sorted(
        (scores[best.name][name], name)
        for name in chosen
        if best and name in scores.get(best.name, {})
    )
    typical = ranked[len(ranked) // 2][1] if ranked else None
    few = {"grey", "truth", best.name if best else ""}
    return {
        "columns": len(columns),
        "lines": lines,
        "measure": f"{known.title}{', ' * bool(known.unit)}{known.unit}" if known else "",
        "of": len(kept),
        "typical": next(
            (
                line | {"cells": [cell for cell in line["cells"] if cell["row"] in few]}
                for line in lines
                if line["id"] == typical
            ),
            None,
        ),
    }


def _picture(row: Row, name: str, score: float | None) -> dict[str, Any]:
    try:
        cell = _embedded(preview(picture_path(row, name), PICTURE_PIXELS))
    except ImageError as error:
        cell = {"src": None, "reason": error.reason}
    return {"row": row.name, "score": score, **cell}
