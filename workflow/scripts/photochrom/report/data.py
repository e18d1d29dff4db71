"""The report's section on the data: what was kept and dropped, whose it is, how it was split."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from photochrom.images import ImageError, load_square, path_from_text
from photochrom.metrics.photographs import Photograph, choose_pictures
from photochrom.pages import data_uri
from photochrom.report.inputs import Table, parsed
from photochrom.report.plots import histogram

SPLITS = {"train": "training", "val": "validation", "test": "test"}

SHEET_PICTURES = 24
SHEET_PIXELS = 128
MAX_CREDITS = 40  # lines of the table of credits; catalog.csv has them all
MAX_NAMES = 3  # photographs named in one line of it

# Column of the catalogue, which is also the filter's name unless given, title, axis, and what the
# column is multiplied by for the filter's scale: brightness is configured on 0..255.
MEASURES = (
    ("mean_L", "brightness", "Brightness (pictures)", "mean lightness, 0 to 255", 2.55),
    ("chroma_std", "chroma_std", "Spread of colour (pictures)", "standard deviation of a, b", 1.0),
    ("colourfulness", "colourfulness", "Colourfulness (pictures)", "Hasler–Süsstrunk", 1.0),
)


def data_section(catalog: Table, split: Table, filters: Mapping[str, Any]) -> dict[str, Any]:
    """Everything the template says about the catalogue and the split."""
    kept = [one for one in catalog if one["verdict"] == "keep"]
    dropped = [one for one in catalog if one["verdict"] != "keep"]
    credited = credits(kept)
    sheet, unreadable = contact_sheet(kept)
    return {
        "total": len(catalog),
        "kept": len(kept),
        "dropped": len(dropped),
        "reasons": drop_reasons(dropped),
        "photographs": len({one["group"] for one in kept}),
        "plots": histograms(kept, dropped, filters),
        "credits": credited[:MAX_CREDITS],
        "more_credits": max(0, len(credited) - MAX_CREDITS),
        "splits": split_counts(split),
        "sheet": sheet,
        "unreadable": unreadable,
    }


def drop_reasons(dropped: Table) -> list[tuple[str, int, str]]:
    """Filter, number of pictures that fail it, and one example; the most frequent first."""
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for one in dropped:
        for reason in one["reason"].split(";"):
            name, _, example = (part.strip() for part in reason.partition(":"))
            name = name.replace("_", " ") or "no reason given"
            counts[name] += 1
            examples.setdefault(name, example)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(name, count, examples[name]) for name, count in ranked]


def histograms(kept: Table, dropped: Table, filters: Mapping[str, Any]) -> list[str]:
    """An SVG for each measure of the catalogue that has a value."""
    plots = []
    for column, filter_name, title, axis, scale in MEASURES:
        limits = filters.get(filter_name)
        limits = [limits] if isinstance(limits, int | float) else list(limits or [])
        sides = [_values(side, column, scale) for side in (kept, dropped)]
        if any(sides):
            plots.append(histogram(title, axis, sides[0], sides[1], limits))
    return plots


def _values(table: Table, column: str, scale: float) -> list[float]:
    found = (parsed(one.get(column)) for one in table)
    return [value * scale for value in found if value is not None]


def credits(kept: Table) -> list[dict[str, Any]]:
    """Licence and attribution of the kept pictures, with the photographs they hold for."""
    parts: dict[tuple[str, str], list[str]] = {}
    for one in kept:
        key = (one.get("licence", ""), one.get("attribution", ""))
        parts.setdefault(key, []).append(one.get("original_name", ""))
    found = []
    for (licence, attribution), pictures in parts.items():
        names = sorted(set(pictures))
        found.append(
            {
                "licence": licence,
                "attribution": attribution,
                "pictures": len(pictures),
                "names": names if len(names) <= MAX_NAMES else [],
                "photographs": len(names),
            }
        )
    return sorted(found, key=lambda credit: (credit["names"], credit["licence"]))


def credit_line(photograph: Mapping[str, str]) -> str:
    """Name, attribution and licence of one photograph of the catalogue, in one line."""
    parts = [photograph.get("attribution", ""), photograph.get("licence", "")]
    known = ", ".join(part for part in parts if part)
    name = photograph.get("original_name") or photograph["id"]
    return f"{name}: {known or 'licence not stated'}"


def split_counts(split: Table) -> list[dict[str, Any]]:
    """Pictures and photographs of each split, and its share of the pictures in percent."""
    counts = []
    for name, words in SPLITS.items():
        groups = [one["group"] for one in split if one["split"] == name]
        counts.append(
            {
                "name": words,
                "pictures": len(groups),
                "photographs": len(set(groups)),
                "share": 100 * len(groups) / max(1, len(split)),
            }
        )
    return counts


def contact_sheet(kept: Table) -> tuple[list[dict[str, str]], int]:
    """Small squares of some kept pictures, and how many of those chosen could not be read."""
    photographs = [
        Photograph(one["id"], one["group"], path_from_text(one["path"]), "") for one in kept
    ]
    chosen = choose_pictures(photographs, SHEET_PICTURES)
    sheet, unreadable = [], 0
    for photograph in photographs:
        if photograph.id in chosen:
            try:
                pixels = load_square(photograph.path, SHEET_PIXELS)
            except ImageError:
                unreadable += 1
            else:
                sheet.append({"src": data_uri(pixels), "alt": photograph.id})
    return sheet, unreadable
