"""What the page's script is given to explore single photographs: their figures and pictures.

The scatter plot shows any two figures of all test photographs and a thumbnail of the one chosen;
the blind comparison shows larger pictures of a few photographs by any two rows. Each picture is in
the page once, and both kinds have a budget, so that a page stays under 15 MB for 1,000 photographs.
"""

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyvips

from photochrom.images import ImageError
from photochrom.metrics import METRICS
from photochrom.metrics.photographs import Photograph, choose_pictures
from photochrom.pages import preview
from photochrom.report.comparison import best_experiment
from photochrom.report.data import credit_line
from photochrom.report.inputs import Row, Table, parsed
from photochrom.report.pictures import picture_path
from photochrom.report.results import ordered
from photochrom.runtime import sha256_text

# Columns of the tables of single photographs that are no figures.
NOT_FIGURES = ("id", "group", "protocol", "source")
TITLES = {
    **{metric.name: metric.title for metric in METRICS},
    "colourfulness_truth": "Colourfulness of the truth",
    "confidence": "The model's confidence",
}
UNITS = {metric.name: metric.unit for metric in METRICS}
DIGITS = 5  # significant ones of a figure: finer than any plot

# Pixels on the longer side, the quality of WebP, and what all may weigh as text, in bytes.
THUMB_PIXELS, THUMB_QUALITY, THUMB_BUDGET = 96, 65, 6_500_000
BLIND_PIXELS, BLIND_QUALITY, BLIND_BUDGET = 256, 80, 2_500_000
BLIND_PHOTOGRAPHS = 40


def explorer_section(rows: Sequence[Row], catalog: Table, protocol: str) -> dict[str, Any] | None:
    """All that the script is given, under one protocol; None where no row has single figures.

    `photographs` are ids and credits; `measures` are the figures' names, titles and units; each of
    `rows` has `values`, a list in the photographs' order for each measure, with None where there
    is no value, and `thumbs`, their pictures as data: URIs, empty where the budget was spent.
    `blind` lists photographs by their places, with a picture by each of `blind.rows`.
    """
    lines = ordered([row for row in rows if _table(row, protocol)])
    if not lines:
        return None
    ids = sorted({one["id"] for row in lines for one in _table(row, protocol)})
    known = {one["id"]: one for one in catalog}
    best = best_experiment(rows, protocol)
    thumbs = _thumbnails(lines, best, ids)
    columns = list(dict.fromkeys(name for row in lines for name in _figures(row, protocol)))
    return {
        "photographs": [
            {"id": name, "credit": credit_line(known.get(name, {"id": name}))} for name in ids
        ],
        "measures": [
            {
                "name": name,
                "title": TITLES.get(name, name.replace("_", " ")),
                "unit": UNITS.get(name, ""),
            }
            for name in columns
        ],
        "rows": [
            {
                "name": row.name,
                "kind": row.kind,
                "values": {name: _column(row, name, protocol, ids) for name in columns},
                "thumbs": thumbs.get(row.name, []),
            }
            for row in lines
        ],
        "best": best.name if best else "",
        "blind": _blind(lines, ids, known),
    }


def _table(row: Row, protocol: str) -> Table:
    return [one for one in row.per_image if one["protocol"] == protocol]


def _figures(row: Row, protocol: str) -> list[str]:
    """The columns of a row's table that hold a number of at least one photograph."""
    table = _table(row, protocol)
    return [
        name
        for name in table[0]
        if name not in NOT_FIGURES and any(parsed(one.get(name)) is not None for one in table)
    ]


def _column(row: Row, metric: str, protocol: str, ids: Sequence[str]) -> list[float | None]:
    values = row.values(metric, protocol)
    return [float(f"{values[name]:.{DIGITS}g}") if name in values else None for name in ids]


def _thumbnails(
    rows: Sequence[Row], best: Row | None, ids: Sequence[str]
) -> dict[str, list[str | None]]:
    """Small pictures of the photographs by row: first the truth's, then the best experiment's.

    Other experiments and compared results follow while the budget lasts. None stands for a picture
    that was not kept or cannot be read.
    """
    first = [row for row in rows if row.name == "truth"] + [row for row in rows if row is best]
    found: dict[str, list[str | None]] = {}
    spent = 0
    for row in [*first, *(row for row in rows if row.kind != "yardstick" and row not in first)]:
        shown = set(row.shown)
        expected = spent // len(found) if found else 0
        if not shown or (row not in first and spent + expected > THUMB_BUDGET):
            continue
        found[row.name] = [
            _webp(row, name, THUMB_PIXELS, THUMB_QUALITY) if name in shown else None for name in ids
        ]
        spent += sum(len(one) for one in found[row.name] if one)
    return found


def _blind(rows: Sequence[Row], ids: Sequence[str], known: dict[str, Any]) -> dict[str, Any]:
    """Pictures for the blind comparison: photographs chosen by a hash, until the budget is spent.

    Only rows that kept more than half as many pictures as any take part, so that one which lacks
    most does not end the comparison of the others; and only photographs of which all those did.
    """
    most = max((len(row.shown) for row in rows), default=0)
    rows = [row for row in rows if 2 * len(row.shown) > most]
    shared = set(ids).intersection(*(row.shown for row in rows)) if rows else set()
    shown: list[dict[str, Any]] = []
    spent = 0
    if len(rows) > 1:
        for name in _in_turn(sorted(shared), known):
            pictures = [_webp(row, name, BLIND_PIXELS, BLIND_QUALITY) for row in rows]
            whole = [one for one in pictures if one is not None]
            spent += sum(map(len, whole))
            if spent > BLIND_BUDGET:
                break
            if len(whole) == len(rows):
                shown.append({"photograph": ids.index(name), "pictures": whole})
    return {"rows": [row.name for row in rows], "photographs": shown}


def _in_turn(names: Sequence[str], known: dict[str, Any]) -> Iterator[str]:
    """At most BLIND_PHOTOGRAPHS names, their groups taking turns."""
    photographs = [
        Photograph(name, known.get(name, {}).get("group", name), Path(), "") for name in names
    ]
    yield from sorted(choose_pictures(photographs, BLIND_PHOTOGRAPHS), key=sha256_text)


def _webp(row: Row, name: str, size: int, quality: int) -> str | None:
    """A picture as a WebP inside a data: URI; None where it cannot be read."""
    try:
        pixels = preview(picture_path(row, name), size)
    except ImageError:
        return None
    content = pyvips.Image.new_from_array(pixels).webpsave_buffer(
        Q=quality, effort=2, smart_subsample=True, keep="none"
    )
    return "data:image/webp;base64," + base64.b64encode(content).decode("ascii")
