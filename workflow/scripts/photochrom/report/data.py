"""The report's section on the data: what was kept and dropped, whose it is, how it was split, and
whether the parts share pictures."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from photochrom.filters import UNREADABLE
from photochrom.images import ImageError, load_square, path_from_text
from photochrom.metrics.photographs import Photograph, choose_pictures
from photochrom.pages import data_uri
from photochrom.report.inputs import Table, parsed
from photochrom.report.plots import Plot, histogram
from photochrom.sources.record import fault_kind

SPLITS = {"train": "training", "val": "validation", "test": "test"}

SHEET_PICTURES = 24
SHEET_PIXELS = 128
MAX_CREDITS = 40  # lines of the table of credits; catalog.csv has them all
MAX_NAMES = 3  # photographs named in one line of it
DROPPED_PICTURES = 8  # of those that each filter drops
MAX_MOVES = 20  # lines of the table of moves; moves.csv has them all
MAX_SHARED = 12  # pairs of the audit that are named; audit.json has more

# What the filters judge, on the scale of their thresholds: the filter, title and axis of the plot,
# and the figure of a row of the catalogue.
MEASURES: tuple[tuple[str, str, str, Callable[[Mapping[str, str]], float | None]], ...] = (
    (
        "brightness",
        "Brightness (pictures)",
        "mean lightness, 0 to 255",
        lambda one: _product(one.get("mean_L"), 2.55),
    ),
    (
        "chroma_std",
        "Spread of colour (pictures)",
        "standard deviation of a, b",
        lambda one: parsed(one.get("chroma_std")),
    ),
    (
        "colourfulness",
        "Colourfulness (pictures)",
        "Hasler–Süsstrunk",
        lambda one: parsed(one.get("colourfulness")),
    ),
    (
        "near_grey",
        "Strongest colour (pictures)",
        "largest |a| or |b|",
        lambda one: parsed(one.get("max_ab")),
    ),
    (
        "toned",
        "Distance from one tint (pictures)",
        "deviation, Lab units",
        lambda one: parsed(one.get("tint_deviation")),
    ),
    ("min_size", "Short side (pictures)", "pixels", lambda one: _sides(one)[0]),
    ("max_aspect", "Long side over short (pictures)", "ratio", lambda one: _sides(one)[1]),
)


@dataclass
class Dropped:
    """What one filter drops: how many pictures, how many it alone, and what some look like.

    `limit` is its threshold in words; `sheet` some of the pictures; `unseen` names those of them
    that cannot be shown, with the reason.
    """

    filter: str
    limit: str
    pictures: int = 0
    alone: int = 0
    example: str = ""
    sheet: list[dict[str, str]] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


def data_section(
    catalog: Table,
    split: Table,
    filters: Mapping[str, Any],
    audit: Mapping[str, Any] | None = None,
    moves: Table = (),
) -> dict[str, Any]:
    """Everything the template says about the catalogue and the split.

    `audit` is the content of audit.json, `moves` the rows of moves.csv.
    """
    kept = [one for one in catalog if one["verdict"] == "keep"]
    dropped = [one for one in catalog if one["verdict"] != "keep"]
    credited = credits(kept)
    sheet, unreadable = contact_sheet(kept)
    return {
        "total": len(catalog),
        "kept": len(kept),
        "dropped": len(dropped),
        "offered": offered(catalog),
        "filters": drop_reasons(dropped, filters),
        "audit": audit,
        "shared": shared_pairs(audit) if audit else [],
        "moves": moves[:MAX_MOVES],
        "more_moves": max(0, len(moves) - MAX_MOVES),
        "photographs": len({one["group"] for one in kept}),
        "plots": histograms(kept, dropped, filters),
        "credits": credited[:MAX_CREDITS],
        "more_credits": max(0, len(credited) - MAX_CREDITS),
        "splits": split_counts(split),
        "sheet": sheet,
        "unreadable": len(unreadable),
    }


def drop_reasons(dropped: Table, filters: Mapping[str, Any]) -> list[Dropped]:
    """What each filter drops, the one that drops most first."""
    found: dict[str, Dropped] = {}
    members: dict[str, list[Mapping[str, str]]] = {}
    for one in dropped:
        reasons = [reason.partition(":") for reason in one["reason"].split(";")]
        for name, _, example in reasons:
            name = name.strip() or "no reason given"
            if name not in found:
                found[name] = Dropped(name.replace("_", " "), limit_words(filters.get(name)))
            found[name].pictures += 1
            found[name].alone += len(reasons) == 1
            found[name].example = found[name].example or example.strip()
            members.setdefault(name, []).append(one)
    for name, entry in found.items():
        entry.sheet, entry.unseen = contact_sheet(members[name], DROPPED_PICTURES)
    return sorted(found.values(), key=lambda entry: (-entry.pictures, entry.filter))


def limit_words(threshold: Any) -> str:
    """A filter's threshold for the table: `50 to 170`, `10`, or nothing where there is none."""
    if isinstance(threshold, list | tuple):
        return " to ".join(f"{limit:g}" for limit in threshold)
    return "" if threshold is None else f"{threshold:g}"


def offered(catalog: Table) -> list[dict[str, Any]]:
    """Per source: files offered, pictures among them, pictures kept, and the faults of the rest."""
    counts: dict[str, dict[str, Any]] = {}
    faults: dict[str, Counter[str]] = {}
    for one in catalog:
        source = one.get("source", "")
        count = counts.setdefault(source, {"source": source, "files": 0, "usable": 0, "kept": 0})
        faults.setdefault(source, Counter())
        count["files"] += 1
        count["kept"] += one["verdict"] == "keep"
        if one["reason"].startswith(UNREADABLE):
            reason = one["reason"].split(";")[0].removeprefix(f"{UNREADABLE}: ")
            faults[source][fault_kind(reason)] += 1
        else:
            count["usable"] += 1
    for source, count in counts.items():
        count["faults"] = ", ".join(
            f"{fault} {number:,}" for fault, number in faults[source].most_common()
        )
    return list(counts.values())


def histograms(kept: Table, dropped: Table, filters: Mapping[str, Any]) -> list[Plot]:
    """An SVG for each measure that has a value, with the limits of its filter.

    A size that all pictures share is left out, unless a filter judges it.
    """
    plots = []
    for name, title, axis, figure in MEASURES:
        limits = filters.get(name)
        limits = [limits] if isinstance(limits, int | float) else list(limits or [])
        sides = [
            [value for value in map(figure, side) if value is not None] for side in (kept, dropped)
        ]
        values = {*sides[0], *sides[1]}
        if values and (limits or len(values) > 1 or name not in ("min_size", "max_aspect")):
            plots.append(histogram(title, axis, sides[0], sides[1], limits))
    return plots


def _product(text: str | None, factor: float) -> float | None:
    value = parsed(text)
    return None if value is None else value * factor


def _sides(one: Mapping[str, str]) -> tuple[float | None, float | None]:
    """Short side in pixels, and the long one as its multiple."""
    short, long = sorted((parsed(one.get("width")) or 0.0, parsed(one.get("height")) or 0.0))
    return (short, long / short) if short else (None, None)


def shared_pairs(audit: Mapping[str, Any]) -> list[dict[str, str]]:
    """The first pairs of each comparison of the audit, in words."""
    pairs = []
    for comparison in audit["comparisons"]:
        for pair in comparison["pairs"][:MAX_SHARED]:
            bits = pair["bits"]
            pairs.append(
                {
                    "one": f"{comparison['one']}: {pair['one']}",
                    "other": f"{comparison['other']}: {pair['other']}",
                    "how": "exact copy" if bits is None else f"{bits} bits of the hash differ",
                }
            )
    return pairs


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


def contact_sheet(
    pictures: Table, count: int = SHEET_PICTURES
) -> tuple[list[dict[str, str]], list[str]]:
    """Small squares of some of the pictures, and those chosen that cannot be read, with why."""
    photographs = [
        Photograph(one["id"], one["group"], path_from_text(one["path"]), "") for one in pictures
    ]
    names = {one["id"]: one.get("original_name") or one["id"] for one in pictures}
    chosen = choose_pictures(photographs, count)
    sheet, unseen = [], []
    for photograph in photographs:
        if photograph.id in chosen:
            try:
                pixels = load_square(photograph.path, SHEET_PIXELS)
            except ImageError as error:
                unseen.append(f"{names[photograph.id]}: {error.reason}")
            else:
                sheet.append({"src": data_uri(pixels), "alt": photograph.id})
    return sheet, unseen
